//! Consul's index rules: what an answered blocking query says about change.
//!
//! Sources: Consul's documentation of blocking queries (reset when the index goes back, never below
//! 1, up to wait/16 of jitter on top), and its servers' behaviour at a snapshot restore and at a
//! shutdown, where all blocked queries return at once with the *old* index and body.

use std::time::Duration;

/// What an answer to a blocking query at some index means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// A higher index: there is news, and the body holds it.
    News,
    /// The same index after the whole wait: nothing changed since the request was sent.
    Quiet,
    /// The same index too early: a restore, or the server is stopping. The body may be old.
    Early,
    /// A lower index: a restore, a new cluster. The body is not to be used at this index again.
    Back,
}

/// The wait as short as a server could have made it and still be called waited out. Consul adds
/// jitter and never subtracts; the sixteenth allows for two clocks that do not run alike.
fn least(wait: Duration) -> Duration {
    wait - wait / 16
}

/// Reads an answer: `sent` is the index blocked on, `got` the index answered, `elapsed` by the
/// monotonic clock.
pub fn turn(sent: u64, got: u64, elapsed: Duration, wait: Duration) -> Turn {
    match got.cmp(&sent) {
        std::cmp::Ordering::Greater => Turn::News,
        std::cmp::Ordering::Less => Turn::Back,
        std::cmp::Ordering::Equal if elapsed >= least(wait) => Turn::Quiet,
        std::cmp::Ordering::Equal => Turn::Early,
    }
}

/// The index to block on after an answer that carried `got`: never 0, which would not block.
pub fn usable(got: u64) -> u64 {
    got.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(30);

    #[test]
    fn each_index_rule() {
        let late = Duration::from_millis(30_900);
        let early = Duration::from_millis(20);
        for (sent, got, elapsed, turn_) in [
            (41, 42, early, Turn::News),
            (41, 42, late, Turn::News),
            (41, 41, late, Turn::Quiet),
            (41, 41, early, Turn::Early),
            (41, 40, early, Turn::Back),
            (41, 1, late, Turn::Back),
            (1, u64::MAX, early, Turn::News),
        ] {
            assert_eq!(turn(sent, got, elapsed, WAIT), turn_, "{sent} {got} {elapsed:?}");
        }
        assert_eq!(usable(0), 1);
        assert_eq!(usable(1 << 60), 1 << 60);
    }
}
