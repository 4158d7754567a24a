//! How often Consul may be asked: a token bucket for reads, back-off after errors.

use std::time::Duration;

use super::moment::Moment;

/// Lets a burst through at once and then one per period, so that the first change is instant and a
/// storm of them is a steady rhythm.
#[derive(Clone, Debug)]
pub struct Bucket {
    burst: u32,
    period: Duration,
    /// When the bucket would be full again.
    full_at: Moment,
}

/// What kind of trouble a failed request was, as far as waiting is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Refused, cut, timed out, 5xx, nonsense: it may be over any moment.
    Passing,
    /// 403, 400, a redirect: it will not go away by asking again, a person or a new token must act.
    Lasting,
    /// 429 and the like.
    Busy {
        /// What `Retry-After` asked for.
        retry_after: Option<Duration>,
    },
}

/// Grows the pause between tries, full jitter, without an end: no number of failures is a reason to
/// stop trying.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

/// No two requests of a mechanism are closer than this after a failure, however the jitter falls.
const LEAST: Duration = Duration::from_millis(100);

/// The most we obey of a `Retry-After`: above it an operator's typo would stop a mechanism.
const OBEYED: Duration = Duration::from_secs(120);

// === impl Bucket ===

impl Bucket {
    /// A full bucket of `burst` tokens that fills by one each `period`.
    pub fn new(burst: u32, period: Duration) -> Self {
        Self { burst, period, full_at: Moment::default() }
    }

    /// Takes a token and says how long to pause before the next request.
    pub fn take(&mut self, now: Moment) -> Duration {
        let filled = self.full_at.max(now) + self.period;
        self.full_at = filled;
        filled.since(now).saturating_sub(self.period * self.burst)
    }
}

// === impl Backoff ===

impl Backoff {
    /// The pause after one more failure; `dice` is uniform in 0..1.
    pub fn fail(&mut self, trouble: Trouble, dice: f64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let (base, cap) = match trouble {
            Trouble::Passing => (Duration::from_millis(250), Duration::from_secs(5)),
            Trouble::Lasting => (Duration::from_secs(1), Duration::from_secs(30)),
            Trouble::Busy { retry_after: Some(told) } => return self.told(told, dice),
            Trouble::Busy { retry_after: None } => {
                (Duration::from_secs(1), Duration::from_secs(30))
            }
        };
        let ceiling = cap.min(base.saturating_mul(1 << (self.failures - 1).min(16)));
        // A lasting trouble keeps half its pause: full jitter could ask again at once.
        let floor = if trouble == Trouble::Passing { LEAST } else { ceiling / 2 };
        // Spread over all that is allowed. Cutting the dice off at the floor instead would send those
        // below it back in the same instant: of a fleet that one leader has failed, four in ten.
        floor + (ceiling - floor).mul_f64(dice.clamp(0.0, 1.0))
    }

    /// Obeys Consul's own figure, spread a little so that a fleet told the same does not return as one.
    fn told(&self, told: Duration, dice: f64) -> Duration {
        let told = told.clamp(LEAST, OBEYED);
        told + told.mul_f64(dice.clamp(0.0, 1.0) / 4.0)
    }

    /// An answer came: the next failure starts from the shortest pause.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// How many failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_burst_is_free_and_then_a_rhythm() {
        let mut bucket = Bucket::new(2, Duration::from_millis(100));
        let pauses: Vec<_> = (0..4).map(|_| bucket.take(Moment(MS)).as_millis()).collect();
        assert_eq!(pauses, [0, 0, 100, 200]);
        assert_eq!(bucket.take(Moment(2_000 * MS)).as_millis(), 0, "a quiet while fills it");
    }

    #[test]
    fn retry_after_is_obeyed_within_reason() {
        let busy = |s| Trouble::Busy { retry_after: Some(Duration::from_secs(s)) };
        assert_eq!(Backoff::default().fail(busy(7), 0.0), Duration::from_secs(7));
        assert_eq!(Backoff::default().fail(busy(86_400), 0.0), Duration::from_secs(120));
    }

    #[test]
    fn no_two_clients_pause_alike() {
        let busy = Trouble::Busy { retry_after: None };
        for trouble in [Trouble::Passing, Trouble::Lasting, busy] {
            let pause = |n: u32| Backoff::default().fail(trouble, f64::from(n) / 1000.0);
            assert!((0..1000).all(|n| pause(n) < pause(n + 1)), "{trouble:?}");
        }
    }

    proptest! {
        #[test]
        fn pauses_stay_within_their_bounds(dice in 0.0..1.0f64, failures in 1u32..100) {
            let mut backoff = Backoff::default();
            let mut lasting = Backoff::default();
            for _ in 0..failures {
                let pause = backoff.fail(Trouble::Passing, dice);
                prop_assert!(pause >= LEAST && pause <= Duration::from_secs(5));
                let pause = lasting.fail(Trouble::Lasting, dice);
                prop_assert!(pause >= Duration::from_millis(500) && pause <= Duration::from_secs(30));
            }
            prop_assert_eq!(backoff.failures(), failures);
        }
    }
}
