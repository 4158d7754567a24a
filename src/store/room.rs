//! Room for a new backup in Secrets, where there is little. What makes way, in this order:
//!
//! * what dead writers left, what is damaged and what was set aside, once it has been at rest;
//! * older backups of the same source: first those whose content is in a newer one, too, then the oldest;
//! * those of other sources in the same Secrets, in the same order. They may be of a source that has
//!   another prefix today and writes here no more.
//!
//! So a new backup has room whenever it has beside the newest one of each source, what is newer than
//! itself, and what only others can read. Where it has none, nothing is removed.

use std::collections::{HashMap, HashSet};

use super::name::{self, Class};
use super::write::stands_for;
use super::{Error, Header, Identity, Sound, Store};

/// What there is in the Secrets.
#[derive(Default)]
struct Stock {
    litter: Vec<String>,
    sound: HashMap<Identity, Vec<Sound>>,
}

impl Store {
    /// Removes as little as it takes for `needed` bytes to have room.
    ///
    /// # Errors
    ///
    /// [`Error::Crowded`] where not even all of it would do, [`Error::Overtaken`] where another replica
    /// was there meanwhile.
    pub(super) fn make_room(&self, new: &Header, needed: usize) -> Result<(), Error> {
        let secrets = self.volume.as_secrets().expect("nothing else is ever crowded");
        let stock = self.stock(new)?;
        let newer = stock.newer(new);
        let spare = stock.spare(new).ok_or(Error::Overtaken)?;
        match secrets.in_the_way(spare, &name::backup(new), needed) {
            Ok(files) => secrets.remove_as_seen(&files),
            // What is missing may be all that it takes.
            Err(room) => Err(self.volume.fault().unwrap_or_else(|| {
                let secrets = secrets.count();
                Error::Crowded { needed, room, secrets, newer }
            })),
        }
    }

    fn stock(&self, new: &Header) -> Result<Stock, Error> {
        let mut stock = Stock::default();
        let names = self.volume.names(|name| name::class(name).is_some())?;
        let now = new.confirmed.into();
        let is_whole = self.unread().is_none();
        for name in names {
            match name::class(&name) {
                Some(Class::Damaged) => stock.litter.push(name),
                // Its other parts may be where we cannot read.
                Some(Class::Temporary) if is_whole && self.is_at_rest(&name, now) => {
                    stock.litter.push(name);
                }
                Some(Class::Backup) => match self.sound(&name) {
                    Ok(sound) => {
                        let identity = sound.header.identity.clone();
                        stock.sound.entry(identity).or_default().push(sound);
                    }
                    Err(why) if why.is_certain() && self.is_at_rest(&name, now) => {
                        stock.litter.push(name);
                    }
                    Err(_) => {}
                },
                Some(Class::Temporary) | None => {}
            }
        }
        Ok(stock)
    }
}

// === impl Stock ===

impl Stock {
    /// How many backups of the same source are newer.
    fn newer(&self, new: &Header) -> usize {
        let own = self.sound.get(&new.identity).into_iter().flatten();
        own.filter(|file| file.header.rank() > new.rank()).count()
    }

    /// What may go, in this order. Of each source all but the newest, and of the one that is written
    /// nothing that is newer than the new one: another replica is ahead then. `None` when it has written
    /// the same.
    fn spare(self, new: &Header) -> Option<Vec<String>> {
        let mut history = Vec::new();
        for (identity, mut files) in self.sound {
            files.sort_by(|a, b| b.rank().cmp(&a.rank()));
            let is_own = identity == new.identity;
            if is_own && files.first().is_some_and(|newest| stands_for(&newest.header, new)) {
                return None;
            }
            let mut newer = HashSet::new();
            for (age, file) in files.into_iter().enumerate() {
                let is_unique = newer.insert(file.header.digest);
                let is_ahead = is_own && file.header.rank() >= new.rank();
                if age > 0 && !is_ahead {
                    history.push((!is_own, is_unique, file));
                }
            }
        }
        history.sort_by(|(other, unique, a), (another, different, b)| {
            (other, unique, a.rank()).cmp(&(another, different, b.rank()))
        });
        let files = history.into_iter().map(|(.., file)| file.name);
        Some(self.litter.into_iter().chain(files).collect())
    }
}
