//! Adding a backup: every step of it, in order.

use jiff::{SignedDuration, Timestamp};

use super::volume::Op;
use super::{Access, Damage, Error, Header, Identity, Snapshot, Sound, Store, Written};
use super::{frame, name};

/// Content that did not change is written again when the time in its backup is this old, so that a
/// backup never looks much older than Consul's last word on it.
const REFRESH: SignedDuration = SignedDuration::from_hours(1);

/// How often a write is begun anew that another replica was faster with.
const TRIES: usize = 10;

/// True when a backup makes writing this one needless.
pub(super) fn stands_for(old: &Header, new: &Header) -> bool {
    old.digest == new.digest && new.confirmed.duration_since(old.confirmed) < REFRESH
}

impl Store {
    /// Writes a backup of `snapshot`, which Consul confirmed at `confirmed` by its own clock, and
    /// tidies up. Writes nothing when the newest valid backup has this content and its time is less
    /// than an hour older. `writer` is free text, such as a pod name.
    ///
    /// When this returns `Ok` the content, or newer content from another replica, is in a file that
    /// was read back and survives a power cut. On an error the older backups are untouched, but for
    /// those in Secrets that had to make way; another call starts with another file.
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
        let mut tries = 1;
        loop {
            let written = match self.write_once(&header, snapshot) {
                Err(Error::Crowded { needed, .. }) => {
                    self.make_room(&header, needed).and(Err(Error::Overtaken))
                }
                written => written,
            };
            match written {
                Err(Error::Overtaken) if tries < TRIES => tries += 1,
                written => return written,
            }
        }
    }

    fn write_once(&self, header: &Header, snapshot: &Snapshot) -> Result<Written, Error> {
        let identity = &header.identity;
        let found = self.check(identity)?;
        let rank = found.best.as_ref().map(Sound::rank);
        let newest = rank.is_none_or(|(time, index, _)| (time, index) <= header.rank());
        let (sound, new) = match found.best.filter(|best| stands_for(&best.header, header)) {
            Some(sound) => (sound, false),
            None => self.add(header.clone(), snapshot)?,
        };
        let (refused, untidy) = self.tidy(identity, &sound);
        let untidy = untidy.or_else(|| self.volume.fault());
        Ok(Written { sound, new, newest: newest || !new, refused, untidy })
    }

    fn fits(&self, header: &Header, snapshot: &Snapshot) -> Result<(), Error> {
        let head = frame::header_bytes(header);
        let size = frame::size_without_header(snapshot) + frame::HEADER_MAX;
        for (what, found, max) in [
            ("keys", header.keys, self.limits.max_keys),
            ("value bytes", header.bytes, self.limits.max_bytes),
            ("file bytes", size, self.limits.file_bytes()),
            ("header bytes", head, frame::HEADER_MAX),
        ] {
            if found > max {
                return Err(Error::TooLarge { what, found, max });
            }
        }
        Ok(())
    }

    /// Adds a backup and proves that it is there, or leaves nothing behind. Also says whether it is
    /// this one: another replica that is ahead may have pruned it already, and then has a newer one.
    fn add(&self, header: Header, snapshot: &Snapshot) -> Result<(Sound, bool), Error> {
        let temporary = name::temporary(&header.identity.stem());
        let name = name::backup(&header);
        if let Err(error) = self.commit(&temporary, &name, &header, snapshot) {
            // After a failed sync of the directory the new name may go with the next power cut, and
            // a second sync would not tell.
            let renamed = matches!(&error, Error::File { op, .. } if *op == Op::SyncDir);
            let _ = self.volume.remove(if renamed { &name } else { &temporary });
            return Err(error);
        }
        let why = match self.sound(&name) {
            Ok(sound) if sound.header == header => return Ok((sound, true)),
            Ok(_) => Damage::Digest,
            Err(why) => why,
        };
        if why == Damage::Gone {
            let best = self.check(&header.identity)?.best;
            if let Some(ahead) = best.filter(|b| b.header.rank() >= header.rank()) {
                return Ok((ahead, false));
            }
        }
        if self.volume.as_secrets().is_some() && !why.is_certain() {
            // It is there, most likely, and another replica may count on it already.
            return Err(Error::NotReadBack { name, why });
        }
        let _ = self.volume.remove(&name);
        Err(Error::Verify { name, why })
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
        let file = volume.create(temporary)?;
        volume.fill(&file, temporary, |out| frame::encode(header, snapshot, out))?;
        volume.sync(file, temporary)?;
        volume.rename(temporary, name)?;
        volume.sync_dir()
    }
}
