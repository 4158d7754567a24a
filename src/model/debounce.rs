//! When a change is acted on: after some quiet, but never later than a maximum.

use std::time::Duration;

use super::moment::Moment;

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Time without another change.
    pub quiet: Duration,
    /// The most from the first change on, however many follow: a key that never rests must not keep
    /// the application from all others.
    pub most: Duration,
}

/// A change, or several, that wait to be acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// When the first of them was noticed.
    pub first: Moment,
    last: Moment,
    splay: Duration,
    /// A try failed: not before this.
    not_before: Moment,
}

// === impl Pending ===

impl Pending {
    /// One change. `splay` is added once, so that the replicas of a fleet, which notice at the same time,
    /// do not act at the same time.
    pub fn new(now: Moment, splay: Duration) -> Self {
        Self { first: now, last: now, splay, not_before: Moment::default() }
    }

    /// One more before the first was acted on.
    pub fn again(&mut self, now: Moment) {
        self.last = now;
    }

    /// The try at it failed: another one after `pause`.
    pub fn put_off(&mut self, now: Moment, pause: Duration) {
        self.not_before = now + pause;
    }

    /// When to act.
    pub fn due(&self, rules: &Rules) -> Moment {
        let quiet = (self.last + rules.quiet).min(self.first + rules.most);
        (quiet + self.splay).max(self.not_before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { quiet: Duration::from_secs(1), most: Duration::from_secs(10) };

    fn at(seconds: u64) -> Moment {
        Moment(1) + Duration::from_secs(seconds)
    }

    #[test]
    fn quiet_is_waited_for_and_not_for_ever() {
        let mut pending = Pending::new(at(0), Duration::ZERO);
        assert_eq!(pending.due(&RULES), at(1));
        for second in 1..100 {
            pending.again(at(second));
            assert_eq!(pending.due(&RULES), at((second + 1).min(10)));
        }
    }

    #[test]
    fn the_splay_is_added_once_to_either() {
        let mut pending = Pending::new(at(0), Duration::from_secs(5));
        assert_eq!(pending.due(&RULES), at(6));
        pending.again(at(2));
        assert_eq!(pending.due(&RULES), at(8));
        pending.again(at(60));
        assert_eq!(pending.due(&RULES), at(15));
    }

    #[test]
    fn a_failed_try_is_made_again_after_a_pause_and_not_before() {
        let mut pending = Pending::new(at(0), Duration::ZERO);
        pending.put_off(at(1), Duration::from_secs(30));
        pending.again(at(2));
        assert_eq!(pending.due(&RULES), at(31));
    }
}
