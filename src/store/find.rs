//! Which backups there are, and which of them is the newest valid one.

use super::name::{self, Class};
use super::{Access, Backup, Damage, Digest, Error, Header, Identity, Listed, Newest};
use super::{Sound, State, Store, frame};

/// How many times a directory is looked at that changes all the while.
const LOOKS: usize = 10;

impl Store {
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
            self.volume.sync_dir()?;
        }
        Ok(found)
    }

    /// True when the newest valid backup, read back now, has this content.
    pub fn confirm(&self, identity: &Identity, digest: &Digest) -> Result<bool, Error> {
        let best = self.check(identity)?.best;
        Ok(best.is_some_and(|b| b.header.digest == *digest))
    }

    /// Every file of ours in the directory, each backup read to the end, the newest first and what
    /// is no valid backup last. With an identity, backups of others show as foreign.
    pub fn list(&self, identity: Option<&Identity>) -> Result<Vec<Listed>, Error> {
        let names = self.volume.names(|name| name::class(name).is_some())?;
        let mut listed: Vec<_> =
            names.into_iter().filter_map(|name| self.listed(name, identity)).collect();
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

    /// Looks again until nothing changed meanwhile. While a directory is being listed a replica may
    /// add one file behind our back and remove another before our eyes, so that we see neither; and
    /// a file may be gone by the time it is opened. What was read whole counts in any case.
    fn find<S>(
        &self,
        identity: &Identity,
        read: impl Fn(&str) -> Result<Backup<S>, Damage>,
    ) -> Result<Newest<S>, Error> {
        let stem = identity.stem();
        let ours = |names: &[String]| -> Vec<String> {
            let ours = names.iter().filter(|name| name::is_of(name, &stem));
            ours.cloned().collect()
        };
        let mut best = None;
        let mut names = self.backups()?;
        let mut looks = 0;
        loop {
            let mut found = self.look(identity, &names, &read);
            if let Some(best) = best {
                found.offer(best);
            }
            let again = self.backups()?;
            looks += 1;
            if looks == LOOKS || ours(&again) == ours(&names) {
                return Ok(found);
            }
            best = found.best;
            names = again;
        }
    }

    /// The names of all backups, in order.
    fn backups(&self) -> Result<Vec<String>, Error> {
        let is_backup = |name: &str| name::class(name) == Some(Class::Backup);
        let mut names = self.volume.names(is_backup)?;
        names.sort();
        Ok(names)
    }

    /// Looks at the headers of all backups, then reads from the newest claim on until one is valid:
    /// every valid file's claim is true, so that one is the newest.
    fn look<S>(
        &self,
        identity: &Identity,
        names: &[String],
        read: impl Fn(&str) -> Result<Backup<S>, Damage>,
    ) -> Newest<S> {
        let mut found = Newest::default();
        let mut claims = self.claims(identity, names, &mut found);
        claims.sort_by(|a, b| b.rank().cmp(&a.rank()));
        for claim in &claims {
            if found.beats(claim) {
                break;
            }
            match read(&claim.name) {
                Ok(file) if file.header.identity != *identity => found.foreign += 1,
                Ok(file) => found.offer(file),
                Err(Damage::Gone) => {}
                Err(why) => found.refuse(claim.name.clone(), why),
            }
        }
        found
    }

    /// What these backups claim to be. Those that are refused or foreign from their beginning go to
    /// `found`; a file that says nothing belongs to whom its name says.
    fn claims<S>(
        &self,
        identity: &Identity,
        names: &[String],
        found: &mut Newest<S>,
    ) -> Vec<Sound> {
        let stem = identity.stem();
        let mut claims = Vec::new();
        for name in names.iter().cloned() {
            match self.claim(&name) {
                Ok(header) if header.identity == *identity => claims.push(Sound::new(name, header)),
                Err(Damage::Gone) => {}
                Err(why) if name::is_of(&name, &stem) => found.refuse(name, why),
                Ok(_) | Err(_) => found.foreign += 1,
            }
        }
        claims
    }

    /// What a file claims to be. One whose header and name disagree was renamed, or is damaged just
    /// there; it is read to its end first, or damage could pass for a stranger or for an older file.
    fn claim(&self, name: &str) -> Result<Header, Damage> {
        let opened = self.volume.open_file(name)?;
        let header = frame::claim(opened.beginning(), opened.size, self.limits)?;
        if name::fits(name, &header) { Ok(header) } else { Ok(self.sound(name)?.header) }
    }
}
