//! When to log in again: a login is a write that every server of Consul stores, so that a fleet must
//! neither log in together nor go on logging in where that does not help.

use std::time::Duration;

use super::pace::{Backoff, Trouble};

/// What the pauses between logins depend on.
#[derive(Clone, Debug, Default)]
pub struct Renewal {
    failures: Backoff,
    /// Tokens that were refused soon after they were made, in a row.
    useless: u32,
}

/// So many failures in a row are the quick ones: an election is over by then. After them the pause is
/// that of a lasting trouble.
const QUICK: u32 = 8;
/// The ceiling of the first pause after a token was refused, doubled by each useless login.
const FIRST: Duration = Duration::from_millis(250);
/// And the longest. New rights of a role come without a login.
const LONGEST: Duration = Duration::from_secs(300);
/// A token that lived so long was of use: what has ended it since is another matter.
const OF_USE: Duration = Duration::from_secs(60);
/// No lifetime is taken to be shorter (Consul's own least MaxTokenTTL is a minute): a clock that is
/// wrong must not make it a storm.
const SHORTEST_LIFE: Duration = Duration::from_secs(15);

// === impl Renewal ===

impl Renewal {
    /// How long to keep a token of which so much life is left: two thirds, or up to a tenth of that
    /// less, so that pods started together drift apart. `dice` is uniform in 0..1, here and below.
    pub fn keep(left: Duration, dice: f64) -> Duration {
        let two_thirds = left.max(SHORTEST_LIFE) * 2 / 3;
        two_thirds.mul_f64(1.0 - 0.1 * dice.clamp(0.0, 1.0))
    }

    /// A login worked.
    pub fn worked(&mut self) {
        self.failures.reset();
    }

    /// A login failed: the pause before the next.
    pub fn failed(&mut self, trouble: Trouble, dice: f64) -> Duration {
        let trouble = match trouble {
            Trouble::Passing if self.failures.failures() >= QUICK => Trouble::Lasting,
            trouble => trouble,
        };
        self.failures.fail(trouble, dice)
    }

    /// The token was refused that was made so long ago: the pause before a login.
    pub fn refused(&mut self, lived: Duration, dice: f64) -> Duration {
        self.useless = if lived >= OF_USE { 0 } else { self.useless.saturating_add(1) };
        let ceiling = LONGEST.min(FIRST.saturating_mul(1 << self.useless.min(16)));
        // Full jitter for the first: all pods whose method was replaced are refused at once. Later ones
        // keep half their pause, or a fleet's logins would not become fewer.
        let floor = if self.useless == 0 { Duration::ZERO } else { ceiling / 2 };
        floor + (ceiling - floor).mul_f64(dice.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_is_replaced_at_two_thirds_of_its_life_at_the_latest() {
        let hour = Duration::from_secs(3600);
        assert_eq!(Renewal::keep(hour, 0.0), Duration::from_secs(2400));
        assert_eq!(Renewal::keep(hour, 1.0), Duration::from_secs(2160));
        assert_eq!(Renewal::keep(Duration::ZERO, 0.0), Duration::from_secs(10), "no storm");
    }

    #[test]
    fn a_fleet_that_is_refused_does_not_log_in_for_ever() {
        let mut renewal = Renewal::default();
        assert_eq!(renewal.refused(OF_USE, 1.0), Duration::from_millis(250));
        let pauses: Vec<_> = (0..12).map(|_| renewal.refused(Duration::ZERO, 0.0)).collect();
        assert_eq!(pauses[0], Duration::from_millis(250));
        assert!(pauses.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(pauses[11], Duration::from_secs(150));
        assert_eq!(renewal.refused(OF_USE, 1.0), Duration::from_millis(250), "it had helped");
    }

    proptest! {
        #[test]
        fn pauses_after_failures_are_bounded(dice in 0.0..1.0f64, failures in 1u32..100) {
            let mut renewal = Renewal::default();
            for n in 0..failures {
                let pause = renewal.failed(Trouble::Passing, dice);
                let ceiling = if n < QUICK { 5 } else { 30 };
                prop_assert!(pause <= Duration::from_secs(ceiling));
                prop_assert!(pause >= Duration::from_millis(100));
            }
        }
    }
}
