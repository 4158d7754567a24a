//! What is published, where it is from, and how we know that it is current.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::guard::Baseline;
use super::moment::Moment;
use super::reading::Marks;
use super::snapshot::{Digest, Snapshot};

/// Where published data came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Consul answered for it.
    Consul,
    /// A backup, because Consul did not answer.
    Backup,
    /// Nothing is published.
    None,
}

/// The parts that talk to Consul or keep what it said. Label values of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mechanism {
    /// The first read of a process that found nothing published.
    Seed,
    /// Blocking queries.
    Watch,
    /// The periodic full read.
    Heartbeat,
    /// The keeper of the backup volume.
    Backup,
}

/// A completed answer of Consul that says: this content is current. The only source of freshness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// The content it speaks of.
    pub digest: Digest,
    /// When its request was sent. Not when it was answered: a blocking query answered after 30 s
    /// says nothing about those 30 s.
    pub when: Moment,
    /// The same on Consul's clock, seconds since 1970.
    pub date: i64,
    /// Who asked.
    pub how: Mechanism,
}

/// One source's part of the published generation.
#[derive(Clone, Debug)]
pub struct Published {
    /// The content; `None` when it was adopted from another process and not read since.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Its digest.
    pub digest: Digest,
    /// Its Consul index.
    pub index: u64,
    /// Its keys.
    pub keys: usize,
    /// Its value bytes.
    pub bytes: u64,
    /// Where it came from.
    pub origin: Origin,
    /// It came from a stale read: fit to serve, not to back up, until Consul's leader has spoken.
    pub stale: bool,
    /// When it was read.
    pub marks: Marks,
    /// Consul's clock when it was read, seconds since 1970 (for a backup: when it was confirmed).
    pub date: i64,
    /// When it became visible.
    pub at: Moment,
}

// === impl Published ===

impl Published {
    /// What a new answer is measured against.
    pub fn baseline(&self) -> Baseline {
        Baseline { digest: self.digest, keys: self.keys, index: self.index }
    }
}

// === impl Origin ===

impl Origin {
    /// Every origin, for metrics.
    pub const ALL: [Origin; 3] = [Origin::Consul, Origin::Backup, Origin::None];

    /// The machine word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Consul => "consul",
            Self::Backup => "backup",
            Self::None => "none",
        }
    }
}

// === impl Mechanism ===

impl Mechanism {
    /// The three mechanisms that may fail alone.
    pub const THREE: [Mechanism; 3] = [Mechanism::Watch, Mechanism::Heartbeat, Mechanism::Backup];

    /// The machine word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Watch => "watch",
            Self::Heartbeat => "heartbeat",
            Self::Backup => "backup",
        }
    }
}
