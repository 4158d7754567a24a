//! Backups on a volume: written so that a power cut cannot lose the last good one, checked before
//! they are believed, and shared with other replicas without locks.
//!
//! * A file is written under a name of its own, forced to the disk, renamed, and read back. Only
//!   then may older ones go. No file is ever changed.
//! * A reader believes a file when its checksum, counts and content digest agree; else it says why
//!   not and takes the next older one. Readers change nothing.
//! * Files of another [`Identity`] are left alone by everyone.
//!
//! `frame` states the format, `keep` which backups stay.

mod error;
pub mod export;
pub mod frame;
mod identity;
mod keep;
mod name;
mod tidy;
mod volume;

use std::io::{self, BufWriter};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use crate::model::snapshot::{Digest, Snapshot};
pub use error::{Error, Kind};
pub use frame::{Damage, Header};
pub use identity::Identity;
use name::Class;
pub use volume::Op;
use volume::Volume;

/// Content that did not change is written again when the time in its backup is this old, so that a
/// backup never looks much older than Consul's last word on it.
const REFRESH: SignedDuration = SignedDuration::from_hours(1);

/// How often a listing is repeated because files in it were gone when they were opened.
const LISTINGS: usize = 4;

/// How much is read or written at once, in bytes.
const BUFFER: usize = 64 * 1024;

/// A directory with backups.
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
    /// The valid backup that now holds the content: a new one or, when `new` is false, one that was
    /// there, perhaps from another replica.
    pub sound: Sound,
    /// True when a file was written.
    pub new: bool,
    /// False when the volume holds a backup with a later time: another replica was faster, or
    /// Consul's clock was once ahead.
    pub newest: bool,
    /// Files that were refused, and set aside if they were ours and damaged for certain.
    pub refused: Vec<Refused>,
    /// What went wrong while tidying up. The backup is good all the same.
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
        let volume = Volume::open(dir).map_err(|source| Error::Open {
            dir: dir.to_owned(),
            source,
        })?;
        Ok(Self {
            volume,
            access,
            limits,
        })
    }

    /// The newest valid backup by (confirmed, index), read whole. Errors only when the directory
    /// cannot be listed; refused files are part of the answer.
    pub fn newest(&self, identity: &Identity) -> Result<Newest, Error> {
        self.find(identity, |name| self.read(name))
    }

    /// As [`newest`](Self::newest), reading from the disk and to the end, but without holding the
    /// values. A writer's store also forces the directory to the disk, so that what it finds here
    /// will be there after a power cut, even if its own predecessor died just before doing that.
    pub fn check(&self, identity: &Identity) -> Result<Newest<()>, Error> {
        let found = self.find(identity, |name| self.sound(name))?;
        if self.access == Access::Write && found.best.is_some() {
            self.volume.sync_dir().map_err(failed(Op::SyncDir, "."))?;
        }
        Ok(found)
    }

    /// True when the newest valid backup, read back now, has this content.
    pub fn confirm(&self, identity: &Identity, digest: &Digest) -> Result<bool, Error> {
        let best = self.check(identity)?.best;
        Ok(best.is_some_and(|b| b.header.digest == *digest))
    }

    /// Writes a backup of `snapshot`, which Consul confirmed at `confirmed` by its own clock, and
    /// tidies up. Writes nothing when the newest valid backup has this content and its time is less
    /// than an hour older. `writer` is free text, such as a pod name.
    ///
    /// When this returns `Ok` the content is in a file that was read back and survives a power cut.
    /// On an error the older backups are untouched; try again with a new call, never with the same
    /// file.
    pub fn write(
        &self,
        identity: &Identity,
        snapshot: &Snapshot,
        confirmed: Timestamp,
        writer: &str,
    ) -> Result<Written, Error> {
        if self.access == Access::Read {
            return Err(Error::ReadOnly);
        }
        let header = Header::new(identity, snapshot, confirmed, writer);
        self.fits(&header, snapshot)?;
        let found = self.check(identity)?;
        let rank = found.best.as_ref().map(Sound::rank);
        let newest = rank.is_none_or(|(time, index, _)| (time, index) <= header.rank());
        let fresh = found.best.filter(|b| {
            b.header.digest == header.digest
                && confirmed.duration_since(b.header.confirmed) < REFRESH
        });
        let new = fresh.is_none();
        let sound = match fresh {
            Some(sound) => sound,
            None => self.add(header, snapshot)?,
        };
        let (refused, untidy) = self.tidy(identity, &sound);
        Ok(Written {
            sound,
            new,
            newest: newest || !new,
            refused,
            untidy,
        })
    }

    /// Reads one file by its name, whoever it belongs to.
    pub fn read(&self, name: &str) -> Result<Backup, Damage> {
        if !name::is_plain(name) {
            return Err(Damage::Name);
        }
        let opened = self.volume.open_file(name)?;
        let (header, snapshot) = frame::decode(opened.content(BUFFER), opened.size, self.limits)?;
        Ok(Backup {
            name: name.to_owned(),
            header,
            snapshot,
        })
    }

    /// Every file of ours in the directory, each backup read to the end, the newest first and what
    /// is no valid backup last. With an identity, backups of others show as foreign.
    pub fn list(&self, identity: Option<&Identity>) -> Result<Vec<Listed>, Error> {
        let names = self.names(|name| name::class(name).is_some())?;
        let mut listed: Vec<_> = names
            .into_iter()
            .filter_map(|name| self.listed(name, identity))
            .collect();
        listed.sort_by(|a, b| {
            let rank = |l: &Listed| l.state.header().map(Header::rank);
            rank(b).cmp(&rank(a)).then_with(|| b.name.cmp(&a.name))
        });
        Ok(listed)
    }

    /// What a file is, or nothing when it has gone meanwhile.
    fn listed(&self, name: String, identity: Option<&Identity>) -> Option<Listed> {
        let size = match self.volume.open_file(&name) {
            Ok(opened) => opened.size,
            Err(Damage::Gone) => return None,
            Err(_) => 0,
        };
        let state = match name::class(&name)? {
            Class::Temporary => State::Temporary,
            Class::Damaged => State::SetAside,
            Class::Backup => match self.sound(&name).map(|sound| sound.header) {
                Err(Damage::Gone) => return None,
                Err(why) => State::Refused(why),
                Ok(h) if identity.is_some_and(|i| *i != h.identity) => State::Foreign(h),
                Ok(header) => State::Valid(header),
            },
        };
        Some(Listed { name, size, state })
    }

    fn find<S>(
        &self,
        identity: &Identity,
        read: impl Fn(&str) -> Result<Backup<S>, Damage>,
    ) -> Result<Newest<S>, Error> {
        for _ in 1..LISTINGS {
            let (found, gone) = self.look(identity, &read)?;
            // A writer adds its file before it removes older ones: what took the place of a file
            // that is gone is in the next listing.
            if !gone {
                return Ok(found);
            }
        }
        self.look(identity, &read).map(|(found, _)| found)
    }

    /// Looks at the headers of all backups, then reads from the newest claim on until one is valid:
    /// every valid file's claim is true, so that one is the newest. Also says whether a file was
    /// gone when it was to be read.
    fn look<S>(
        &self,
        identity: &Identity,
        read: impl Fn(&str) -> Result<Backup<S>, Damage>,
    ) -> Result<(Newest<S>, bool), Error> {
        let mut found = Newest::default();
        let (mut claims, mut gone) = self.claims(identity, &mut found)?;
        claims.sort_by(|a, b| b.rank().cmp(&a.rank()));
        for claim in &claims {
            if found
                .best
                .as_ref()
                .is_some_and(|best| best.rank() >= claim.rank())
            {
                break;
            }
            match read(&claim.name) {
                Ok(file) if file.header.identity != *identity => found.foreign += 1,
                Ok(file) => found.offer(file),
                Err(Damage::Gone) => gone = true,
                Err(why) => found.refuse(claim.name.clone(), why),
            }
        }
        Ok((found, gone))
    }

    /// What the backups in the directory claim to be, and whether one of them was gone. Those that
    /// are refused or foreign from their beginning go to `found`; a file that says nothing belongs
    /// to whom its name says.
    fn claims<S>(
        &self,
        identity: &Identity,
        found: &mut Newest<S>,
    ) -> Result<(Vec<Sound>, bool), Error> {
        let stem = identity.stem();
        let (mut claims, mut gone) = (Vec::new(), false);
        for name in self.names(|name| name::class(name) == Some(Class::Backup))? {
            match self.claim(&name) {
                Ok(header) if header.identity == *identity => claims.push(Sound::new(name, header)),
                Err(Damage::Gone) => gone |= name::is_of(&name, &stem),
                Err(why) if name::is_of(&name, &stem) => found.refuse(name, why),
                Ok(_) | Err(_) => found.foreign += 1,
            }
        }
        Ok((claims, gone))
    }

    fn claim(&self, name: &str) -> Result<Header, Damage> {
        let opened = self.volume.open_file(name)?;
        frame::claim(opened.content(1024), opened.size, self.limits)
    }

    /// Reads a file from the disk to its end and checks everything.
    fn sound(&self, name: &str) -> Result<Sound, Damage> {
        let opened = self.volume.open_file(name)?;
        opened.uncache();
        let header = frame::check(opened.content(BUFFER), opened.size, self.limits)?;
        Ok(Sound::new(name.to_owned(), header))
    }

    fn names(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<String>, Error> {
        self.volume.names(wanted).map_err(failed(Op::List, "."))
    }

    fn fits(&self, header: &Header, snapshot: &Snapshot) -> Result<(), Error> {
        let size = frame::size_without_header(snapshot) + frame::HEADER_MAX;
        for (what, found, max) in [
            ("keys", header.keys, self.limits.max_keys),
            ("value bytes", header.bytes, self.limits.max_bytes),
            ("file bytes", size, self.limits.file_bytes()),
            (
                "header bytes",
                frame::header_bytes(header),
                frame::HEADER_MAX,
            ),
        ] {
            if found > max {
                return Err(Error::TooLarge { what, found, max });
            }
        }
        Ok(())
    }

    /// Adds a backup and proves that it is there, or leaves nothing behind.
    fn add(&self, header: Header, snapshot: &Snapshot) -> Result<Sound, Error> {
        let temporary = name::temporary(&header.identity.stem());
        let name = name::backup(&header);
        if let Err(error) = self.commit(&temporary, &name, &header, snapshot) {
            // After a failed sync of the directory the new name may be gone with the next power
            // cut, and no second sync would tell.
            let unsure = matches!(
                &error,
                Error::File {
                    op: Op::SyncDir,
                    ..
                }
            );
            let _ = self.volume.remove(if unsure { &name } else { &temporary });
            return Err(error);
        }
        match self.sound(&name) {
            Ok(sound) if sound.header == header => Ok(sound),
            Ok(_) => Err(self.disown(name, Damage::Digest)),
            Err(why) => Err(self.disown(name, why)),
        }
    }

    /// The whole write, in the one order that a power cut at any point cannot spoil.
    fn commit(
        &self,
        temporary: &str,
        name: &str,
        header: &Header,
        snapshot: &Snapshot,
    ) -> Result<(), Error> {
        let volume = &self.volume;
        let file = volume
            .create(temporary)
            .map_err(failed(Op::Create, temporary))?;
        let out = BufWriter::with_capacity(BUFFER, volume.output(&file, temporary));
        frame::encode(header, snapshot, out).map_err(failed(Op::Write, temporary))?;
        volume
            .sync(file, temporary)
            .map_err(failed(Op::Sync, temporary))?;
        volume
            .rename(temporary, name)
            .map_err(failed(Op::Rename, name))?;
        volume.sync_dir().map_err(failed(Op::SyncDir, "."))
    }

    fn disown(&self, name: String, why: Damage) -> Error {
        let _ = self.volume.remove(&name);
        Error::Verify { name, why }
    }
}

// === impl Limits ===

impl Limits {
    /// The largest file that is opened: all values and keys at their limits, and 1 KiB a key for
    /// its name.
    pub fn file_bytes(self) -> u64 {
        let entries = self.max_keys.saturating_mul(frame::ENTRY + 1024);
        self.max_bytes
            .saturating_add(entries)
            .saturating_add(frame::HEADER_MAX + 1024)
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
        Self {
            name,
            header,
            snapshot: (),
        }
    }
}

// === impl Newest ===

impl<S> Newest<S> {
    fn offer(&mut self, file: Backup<S>) {
        if self
            .best
            .as_ref()
            .is_none_or(|best| best.rank() < file.rank())
        {
            self.best = Some(file);
        }
    }

    fn refuse(&mut self, name: String, why: Damage) {
        self.refused.push(Refused { name, why });
    }
}

impl<S> Default for Newest<S> {
    fn default() -> Self {
        Self {
            best: None,
            refused: Vec::new(),
            foreign: 0,
        }
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

fn failed(op: Op, name: &str) -> impl FnOnce(io::Error) -> Error {
    let name = name.to_owned();
    move |source| Error::File { op, name, source }
}

#[cfg(test)]
mod tests;
