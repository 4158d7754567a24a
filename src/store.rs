//! Backups on a volume: written so that a power cut cannot lose the last good one, checked before
//! they are believed, and shared with other replicas without locks.
//!
//! * A file is written under a name of its own, forced to the disk, renamed, and read back. Only
//!   then may older ones go. No file is ever changed.
//! * A reader believes a file when its checksum, counts and content digest agree; else it says why
//!   not and takes the next older one. Readers change nothing.
//! * Files of another [`Identity`] are left alone by everyone, but for what makes way in full Secrets.
//!
//! `frame` states the format, `keep` which backups stay, `room` which make way.

mod damage;
mod error;
pub mod export;
mod find;
pub mod frame;
mod identity;
mod keep;
mod name;
mod room;
mod tidy;
mod volume;
mod write;

use std::path::Path;

use jiff::Timestamp;

pub use crate::config::Place;
use crate::model::snapshot::{Digest, Snapshot};
pub use damage::Damage;
pub use error::{Error, Kind};
pub use frame::Header;
pub use identity::Identity;
pub use volume::Op;
use volume::{InCluster, Volume};

/// A place with backups.
pub struct Store {
    volume: Volume,
    access: Access,
    limits: Limits,
}

/// What a store may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading only, also when the volume would allow more.
    Read,
    /// Writing and tidying up as well.
    Write,
}

/// What a backup may hold. Bounds the memory that any file can make a reader use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest sum of value sizes, in bytes.
    pub max_bytes: u64,
    /// Largest number of keys.
    pub max_keys: u64,
}

/// A backup that was read to its end and found valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup<S = Snapshot> {
    /// Its file name.
    pub name: String,
    /// What it says about itself.
    pub header: Header,
    /// The content.
    pub snapshot: S,
}

/// A backup whose values were checked but not kept in memory.
pub type Sound = Backup<()>;

/// A file that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its file name.
    pub name: String,
    /// Why.
    pub why: Damage,
}

/// The outcome of a search for the newest backup.
#[derive(Debug)]
pub struct Newest<S = Snapshot> {
    /// The newest valid backup of this identity, if there is one.
    pub best: Option<Backup<S>>,
    /// The files of this identity that were refused on the way to it. Older ones are not looked at.
    pub refused: Vec<Refused>,
    /// How many files belong to other identities.
    pub foreign: usize,
}

/// What became of a write.
#[derive(Debug)]
pub struct Written {
    /// The valid backup that makes the content safe: the new one or, when `new` is false, one that
    /// was there with the same content, or newer content from another replica.
    pub sound: Sound,
    /// True when a file was written.
    pub new: bool,
    /// False when a backup with a later time is there: another replica is ahead, or Consul's clock
    /// once was.
    pub newest: bool,
    /// Files that were refused, and set aside if they were ours and damaged for certain.
    pub refused: Vec<Refused>,
    /// What went wrong while tidying up, or why a part of the volume cannot be read. The backup is good
    /// all the same.
    pub untidy: Option<Error>,
}

/// A file in the directory.
#[derive(Debug)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its size in bytes; 0 if that could not be learned.
    pub size: u64,
    /// What it is.
    pub state: State,
}

/// What a listed file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// A valid backup, of the identity asked for if one was.
    Valid(Header),
    /// A valid backup of another identity than the one asked for.
    Foreign(Header),
    /// Not accepted as a backup.
    Refused(Damage),
    /// A damaged backup that a writer has set aside.
    SetAside,
    /// Being written, or left over from a writer that died.
    Temporary,
}

// === impl Store ===

impl Store {
    /// Opens the directory, once: whatever is mounted over it later is not seen. Errors when it is
    /// missing, not a directory or not accessible.
    pub fn open(dir: &Path, access: Access, limits: Limits) -> Result<Self, Error> {
        let volume =
            Volume::directory(dir).map_err(|source| Error::Open { dir: dir.to_owned(), source })?;
        Ok(Self { volume, access, limits })
    }

    /// Opens a directory as [`open`](Self::open) does, or Secrets of this pod's namespace, which must
    /// exist. Of Secrets errors when this is no pod with a service account; nothing is asked yet.
    pub fn open_place(place: &Place, access: Access, limits: Limits) -> Result<Self, Error> {
        match place {
            Place::Directory(dir) => Self::open(dir, access, limits),
            Place::Secrets(names) => {
                let volume = Volume::secrets(Box::new(InCluster::new(names)?));
                Ok(Self { volume, access, limits })
            }
        }
    }

    /// Reads one file by its name, whoever it belongs to.
    pub fn read(&self, name: &str) -> Result<Backup, Damage> {
        if !name::is_plain(name) {
            return Err(Damage::Name);
        }
        let opened = self.volume.open_file(name)?;
        let (header, snapshot) = frame::decode(opened.content(), opened.size, self.limits)?;
        Ok(Backup { name: name.to_owned(), header, snapshot })
    }

    /// Why a part of the volume, such as one of several Secrets, could not be read when it was last
    /// looked at. What is in it is missing from what this store says.
    pub fn unread(&self) -> Option<Error> {
        self.volume.unread()
    }

    /// Reads a file from the disk to its end and checks everything.
    fn sound(&self, name: &str) -> Result<Sound, Damage> {
        let opened = self.volume.open_file(name)?;
        opened.uncache();
        let header = frame::check(opened.content(), opened.size, self.limits)?;
        Ok(Sound::new(name.to_owned(), header))
    }
}

// === impl Limits ===

impl Limits {
    /// The largest file that is opened: all values and keys at their limits, and 1 KiB a key for
    /// its name.
    pub fn file_bytes(self) -> u64 {
        let entries = self.max_keys.saturating_mul(frame::ENTRY + 1024);
        self.max_bytes.saturating_add(entries).saturating_add(frame::HEADER_MAX + 1024)
    }
}

// === impl Backup ===

impl<S> Backup<S> {
    /// What decides which of two backups is newer; the name only makes equal ones differ.
    fn rank(&self) -> (Timestamp, u64, &str) {
        let (confirmed, index) = self.header.rank();
        (confirmed, index, &self.name)
    }
}

impl Sound {
    fn new(name: String, header: Header) -> Self {
        Self { name, header, snapshot: () }
    }
}

// === impl Newest ===

impl<S> Newest<S> {
    /// True when nothing that is no newer than `claim` can change the outcome.
    fn beats(&self, claim: &Sound) -> bool {
        let best = self.best.as_ref();
        best.is_some_and(|best| best.rank() >= claim.rank())
    }

    fn offer(&mut self, file: Backup<S>) {
        let older = |best: &Backup<S>| best.rank() < file.rank();
        if self.best.as_ref().is_none_or(older) {
            self.best = Some(file);
        }
    }

    fn refuse(&mut self, name: String, why: Damage) {
        self.refused.push(Refused { name, why });
    }
}

impl<S> Default for Newest<S> {
    fn default() -> Self {
        Self { best: None, refused: Vec::new(), foreign: 0 }
    }
}

// === impl State ===

impl State {
    fn header(&self) -> Option<&Header> {
        match self {
            Self::Valid(header) | Self::Foreign(header) => Some(header),
            Self::Refused(_) | Self::SetAside | Self::Temporary => None,
        }
    }
}

#[cfg(test)]
mod tests;
