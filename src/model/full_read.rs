//! The questions of one full read.
//!
//! A small prefix is read from the leader. For a large one the doorbell learns the index from the
//! leader, in about a hundred bytes, and whichever server has reached that index carries the body.

use super::follow::{Ask, Bell, DOORBELL_ABOVE};
use super::reading::Mode;

/// One full read under way.
#[derive(Clone, Copy, Debug)]
pub struct FullRead {
    ask: Ask,
}

// === impl FullRead ===

impl FullRead {
    /// A read of a prefix whose values had this many bytes when they were last read.
    pub fn new(bytes: u64) -> Self {
        Self { ask: if bytes > DOORBELL_ABOVE { Ask::Peek } else { Ask::Read } }
    }

    /// The question to put now: the doorbell's, a read at its index, or a plain read.
    pub fn ask(&self) -> Ask {
        self.ask
    }

    /// The doorbell answered. A prefix without keys is read plainly: the guard will want the
    /// leader's word.
    pub fn bell(&mut self, answer: &Bell) {
        self.ask = if answer.found { Ask::Fetch(answer.index) } else { Ask::Read };
    }

    /// A body came, read so. One of a server that has not reached the doorbell's index is not used;
    /// the leader is asked instead.
    pub fn is_done(&mut self, mode: Mode) -> bool {
        let done = mode != Mode::Stale;
        if !done {
            self.ask = Ask::Read;
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn bell(found: bool) -> Bell {
        Bell { index: 9, elapsed: Duration::ZERO, size: 91, names: 7, found }
    }

    #[test]
    fn a_small_prefix_is_read_plainly() {
        let mut read = FullRead::new(DOORBELL_ABOVE);
        assert_eq!(read.ask(), Ask::Read);
        assert!(read.is_done(Mode::Default));
    }

    #[test]
    fn a_large_one_is_fetched_at_the_doorbells_index() {
        let mut read = FullRead::new(DOORBELL_ABOVE + 1);
        assert_eq!(read.ask(), Ask::Peek);
        read.bell(&bell(true));
        assert_eq!(read.ask(), Ask::Fetch(9));
        assert!(read.is_done(Mode::Default));
    }

    #[test]
    fn a_server_behind_and_a_missing_prefix_end_at_the_leader() {
        let mut read = FullRead::new(u64::MAX);
        read.bell(&bell(true));
        assert!(!read.is_done(Mode::Stale));
        assert_eq!(read.ask(), Ask::Read);
        let mut read = FullRead::new(u64::MAX);
        read.bell(&bell(false));
        assert_eq!(read.ask(), Ask::Read);
    }
}
