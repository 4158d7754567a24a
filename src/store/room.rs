//! Room for a new backup in Secrets, where there is little. What makes way, in this order:
//!
//! * what dead writers left, what is damaged and what was set aside, once it has been at rest;
//! * older backups of the same source that are no source's newest, the oldest first;
//! * those of other sources in the same Secrets, the oldest first. They may be of a source that has
//!   another prefix today and writes here no more.
//!
//! So a new backup has room whenever it has beside the newest one of each source; and where it has
//! not, nothing is removed.

use std::collections::HashMap;

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
        let spare = self.stock(new)?.spare(new).ok_or(Error::Overtaken)?;
        match secrets.in_the_way(&spare, &name::backup(new), needed) {
            Ok(count) => secrets.remove_as_seen(&spare[..count]),
            Err(room) => Err(Error::Crowded { needed, room, secrets: secrets.count() }),
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
    /// What may go, in this order. Of each source all but the newest, and of the one that is written
    /// nothing that is newer than the new one: another replica is ahead then. `None` when it has written
    /// the same.
    fn spare(self, new: &Header) -> Option<Vec<String>> {
        let (mut own, mut others) = (Vec::new(), Vec::new());
        for (identity, mut files) in self.sound {
            files.sort_by(|a, b| a.rank().cmp(&b.rank()));
            let newest = files.pop();
            if identity == new.identity {
                if newest.is_some_and(|newest| stands_for(&newest.header, new)) {
                    return None;
                }
                own.extend(files.into_iter().filter(|file| file.header.rank() < new.rank()));
            } else {
                others.extend(files);
            }
        }
        others.sort_by(|a, b| a.rank().cmp(&b.rank()));
        let files = own.into_iter().chain(others).map(|file| file.name);
        Some(self.litter.into_iter().chain(files).collect())
    }
}
