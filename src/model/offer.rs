//! What a mechanism puts into a source's slot, and what stays there when two arrive.

use std::sync::Arc;

use super::confirmation::{Confirmation, Mechanism, Origin, Published};
use super::guard::{Baseline, Hold};
use super::moment::Moment;
use super::reading::{Marks, Mode, Reading};
use super::snapshot::Snapshot;

/// A judged answer on its way to the publisher.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// Content to publish, if the answer was accepted.
    pub content: Option<Content>,
    /// The hold that is now in force: `Some(None)` ends one, `None` says nothing of it.
    pub hold: Option<Option<Hold>>,
}

/// Content that may be published.
#[derive(Clone, Debug)]
pub struct Content {
    /// The entries.
    pub snapshot: Arc<Snapshot>,
    /// From Consul or from a backup.
    pub origin: Origin,
    /// From a stale read.
    pub stale: bool,
    /// When it was read.
    pub marks: Marks,
    /// Consul's clock when it was true, seconds since 1970.
    pub date: i64,
    /// Who brings it.
    pub how: Mechanism,
    /// What the guard has measured it against, if there was anything.
    pub judged: Option<Baseline>,
}

// === impl Offer ===

impl Offer {
    /// An accepted answer: whatever was held before is over.
    pub fn accept(content: Content) -> Self {
        Self { content: Some(content), hold: Some(None) }
    }

    /// A refused answer.
    pub fn hold(hold: Hold) -> Self {
        Self { content: None, hold: Some(Some(hold)) }
    }

    /// Content to serve although an answer is refused: a backup, at the first seed.
    pub fn instead_of(hold: Option<Hold>, content: Content) -> Self {
        Self { content: Some(content), hold: hold.map(Some) }
    }

    /// What stays in the slot when `new` comes while this is still there.
    pub fn merge(self, new: Self) -> Self {
        let content = match (self.content, new.content) {
            (Some(old), Some(new)) if !new.marks.supersedes(&old.marks) => Some(old),
            (old, new) => new.or(old),
        };
        Self { content, hold: new.hold.or(self.hold) }
    }
}

// === impl Content ===

impl Content {
    /// A reading that was accepted against `judged`.
    pub fn from_reading(reading: &Reading, how: Mechanism, judged: Option<Baseline>) -> Self {
        Self {
            snapshot: reading.snapshot.clone(),
            origin: Origin::Consul,
            stale: reading.mode == Mode::Stale,
            marks: reading.marks(),
            date: reading.date,
            how,
            judged,
        }
    }

    /// A backup, confirmed at `confirmed` on Consul's clock and put in place at `at`. At moment zero
    /// it gives way to anything, also to what is published; at a later one it replaces that.
    pub fn from_backup(snapshot: Arc<Snapshot>, confirmed: i64, at: Moment) -> Self {
        let marks = Marks { sent: at, answered: at, index: 0 };
        let (origin, how) = (Origin::Backup, Mechanism::Seed);
        Self { snapshot, origin, stale: false, marks, date: confirmed, how, judged: None }
    }

    /// Nothing, in the place of what there is no answer for. It gives way to anything.
    pub fn nothing() -> Self {
        let snapshot = Arc::new(Snapshot::empty(0));
        Self { origin: Origin::None, ..Self::from_backup(snapshot, 0, Moment::default()) }
    }

    /// Whether the guard has to see it again, because `published` came meanwhile. A backup was not
    /// judged: it gives way to anything, or a person has chosen it.
    pub fn is_outgrown(&self, published: &Published) -> bool {
        let (keys, index) = (self.snapshot.keys(), self.snapshot.index());
        self.origin == Origin::Consul
            && self.snapshot.digest() != published.digest
            && published.baseline().outgrows(self.judged.as_ref(), keys, index)
    }

    /// How this reads on the board once it is visible.
    pub fn published(&self, at: Moment) -> Published {
        Published {
            digest: self.snapshot.digest(),
            index: self.snapshot.index(),
            keys: self.snapshot.keys(),
            bytes: self.snapshot.bytes(),
            snapshot: Some(self.snapshot.clone()),
            origin: self.origin,
            stale: self.stale,
            marks: self.marks,
            date: self.date,
            at,
        }
    }

    /// What this proves; nothing for a backup or a stale read.
    pub fn confirmation(&self) -> Option<Confirmation> {
        (self.origin == Origin::Consul && !self.stale).then(|| Confirmation {
            digest: self.snapshot.digest(),
            when: self.marks.sent,
            date: self.date,
            how: self.how,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::guard::Reason;

    fn content(sent: u64, answered: u64, index: u64) -> Content {
        Content {
            snapshot: Arc::new(Snapshot::empty(index)),
            origin: Origin::Consul,
            stale: false,
            marks: Marks { sent: Moment(sent), answered: Moment(answered), index },
            date: 0,
            how: Mechanism::Watch,
            judged: None,
        }
    }

    #[test]
    fn the_newer_content_stays_and_the_latest_word_on_the_hold() {
        let hold = Hold {
            reason: Reason::Empty,
            digest: None,
            keys: 0,
            baseline_keys: 9,
            since: Moment(1),
        };
        let merged = Offer::accept(content(0, 10, 5)).merge(Offer::hold(hold));
        assert!(merged.content.is_some() && merged.hold == Some(Some(hold)));
        let merged = merged.merge(Offer::accept(content(5, 20, 4)));
        assert_eq!(
            merged.content.as_ref().map(|c| c.marks.index),
            Some(5),
            "overlapping and lower"
        );
        assert_eq!(merged.hold, Some(None));
    }
}
