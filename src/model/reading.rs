//! One completed answer of Consul, and which of two is the newer.

use std::sync::Arc;

use super::moment::Moment;
use super::snapshot::Snapshot;

/// A completed answer: the whole prefix at one index.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What the prefix holds.
    pub snapshot: Arc<Snapshot>,
    /// When the request was sent. For a read that learned its index from another question first,
    /// when that one was sent: from then on the content is known to be current.
    pub sent: Moment,
    /// When the last byte of the answer had arrived.
    pub answered: Moment,
    /// Consul's own clock (its `Date` header), in seconds since 1970; ours where it sends none.
    pub date: i64,
    /// How the question was asked.
    pub mode: Mode,
    /// Consul said that it left keys out (`X-Consul-Results-Filtered-By-ACLs`, since 1.11).
    pub filtered: bool,
    /// A key that is published is missing, and Consul said that the token may not read it.
    pub hides: bool,
    /// Of sources that are read in one transaction, the highest index that any of their answers had by
    /// then: it orders all their readings alike, so that two answers are never mixed.
    pub joint: Option<u64>,
}

/// The consistency a reading was asked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The leader answered, or confirmed the index that the answer reached.
    Default,
    /// Any server answered: fit to seed from, never a reason to delete.
    Stale,
    /// The leader asked its followers first: the answer that may confirm a hold.
    Consistent,
}

/// The marks by which two readings of one source are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// When the request was sent.
    pub sent: Moment,
    /// When the answer had arrived.
    pub answered: Moment,
    /// Consul's index, or the joint one of sources that are read in one transaction.
    pub index: u64,
}

// === impl Reading ===

impl Reading {
    /// The marks of this reading.
    pub fn marks(&self) -> Marks {
        let index = self.joint.unwrap_or(self.snapshot.index());
        Marks { sent: self.sent, answered: self.answered, index }
    }
}

// === impl Mode ===

impl Mode {
    /// As a query parameter of Consul.
    pub fn parameter(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Stale => "&stale",
            Self::Consistent => "&consistent",
        }
    }
}

// === impl Marks ===

impl Marks {
    /// Whether this reading may replace the one with the marks `old`.
    ///
    /// Sent after the other had been answered, it is the newer, whatever its index: after a restore
    /// the index goes back. Where the two overlap in time the higher index is the newer; without
    /// this, a slow full read that ends after a quick wake would bring the older content back, and
    /// nothing would wake again to repair it.
    pub fn supersedes(&self, old: &Marks) -> bool {
        self.sent >= old.answered || self.index >= old.index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(sent: u64, answered: u64, index: u64) -> Marks {
        Marks { sent: Moment(sent), answered: Moment(answered), index }
    }

    #[test]
    fn a_slow_old_read_does_not_undo_a_quick_new_one() {
        let quick = marks(0, 10, 101);
        assert!(!marks(5, 20, 100).supersedes(&quick));
        assert!(marks(5, 20, 101).supersedes(&quick));
    }

    #[test]
    fn a_read_sent_after_a_restore_wins_with_a_lower_index() {
        assert!(marks(11, 12, 3).supersedes(&marks(0, 10, 101)));
    }
}
