//! What a writer does with the older files of its own identity, once a new one has been read back.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::keep::keep;
use super::name::{self, Class};
use super::{Damage, Error, Identity, Kind, Refused, Sound, Store};

/// How long a file must have been at rest before it is called damaged or left over: another replica
/// may be writing it, a person may be copying it in. Compared with a file made at this moment on the
/// same volume, because clocks differ.
const AT_REST: Duration = Duration::from_secs(3600);

/// How many damaged files are kept for whoever wants to look at them.
const DAMAGED: usize = 3;

/// The files of one identity.
#[derive(Default)]
struct Survey {
    sound: Vec<Sound>,
    refused: Vec<Refused>,
    set_aside: Vec<String>,
    temporary: Vec<String>,
}

impl Store {
    /// Removes the backups of `identity` that need not be kept, sets damaged ones aside and sweeps
    /// what dead writers left. `sound` was just read back; every other file is read to the end
    /// before it counts, so that no damaged one takes a good one's place.
    ///
    /// Goes on after an error and returns the first, with the files that were refused.
    pub(super) fn tidy(&self, identity: &Identity, sound: &Sound) -> (Vec<Refused>, Option<Error>) {
        let mut survey = match self.survey(identity, sound) {
            Ok(survey) => survey,
            Err(error) => return (Vec::new(), Some(error)),
        };
        let mut outcome = self.prune(&survey.sound, &sound.name);
        let certain = survey.refused.iter().any(|r| r.why.is_certain());
        // What looks like the parts of a dead writer may have the others where we cannot read.
        let is_whole = self.unread().is_none();
        if is_whole && (certain || !survey.temporary.is_empty()) {
            outcome = outcome.and(self.sweep(identity, &mut survey, sound.header.confirmed));
        }
        survey.set_aside.sort();
        for name in survey.set_aside.iter().rev().skip(DAMAGED) {
            outcome = outcome.and(self.volume.remove(name));
        }
        (survey.refused, outcome.err())
    }

    /// Removes what need not be kept. First the names of all that stand in for it are forced to the
    /// disk: another replica may have renamed its file a moment ago and not have come to do so itself.
    fn prune(&self, files: &[Sound], written: &str) -> Result<(), Error> {
        let kept = keep(files, written);
        let spare = files.iter().filter(|file| !kept.contains(file.name.as_str()));
        let spare: Vec<_> = spare.collect();
        if !spare.is_empty() {
            self.volume.sync_dir()?;
        }
        let mut outcome = Ok(());
        for file in spare {
            outcome = outcome.and(self.volume.remove(&file.name));
        }
        outcome
    }

    /// True when a file has not been touched for a while, at `now` by the volume's own time.
    pub(super) fn is_at_rest(&self, name: &str, now: SystemTime) -> bool {
        let opened = self.volume.open_file(name);
        let age = opened.ok().and_then(|o| now.duration_since(o.modified).ok());
        age.is_some_and(|age| age >= AT_REST)
    }

    /// All files of an identity; `known` was just read back and is not read again.
    fn survey(&self, identity: &Identity, known: &Sound) -> Result<Survey, Error> {
        let stem = identity.stem();
        let mut survey = Survey::default();
        for name in self.volume.names(|name| name::is_of(name, &stem))? {
            match name::class(&name) {
                Some(Class::Temporary) => survey.temporary.push(name),
                Some(Class::Damaged) => survey.set_aside.push(name),
                Some(Class::Backup) if name != known.name => match self.sound(&name) {
                    Ok(other) if other.header.identity == *identity => survey.sound.push(other),
                    Ok(_) | Err(Damage::Gone) => {}
                    Err(why) => survey.refused.push(Refused { name, why }),
                },
                Some(Class::Backup) | None => {}
            }
        }
        survey.sound.push(known.clone());
        Ok(survey)
    }

    /// Handles what only counts when it has been at rest: damaged and left-over files.
    fn sweep(
        &self,
        identity: &Identity,
        survey: &mut Survey,
        confirmed: Timestamp,
    ) -> Result<(), Error> {
        let now = self.volume.now(&name::temporary(&identity.stem()), confirmed)?;
        let mut outcome = Ok(());
        for name in survey.temporary.iter().filter(|name| self.is_at_rest(name, now)) {
            outcome = outcome.and(self.volume.remove(name));
        }
        for Refused { name, why } in &survey.refused {
            if why.is_certain() && self.is_at_rest(name, now) {
                let aside = name::damaged(name);
                match self.volume.rename(name, &aside) {
                    Ok(()) => survey.set_aside.push(aside),
                    // Another replica was faster.
                    Err(error) if error.kind() == Kind::Missing => {}
                    Err(error) => outcome = outcome.and(Err(error)),
                }
            }
        }
        outcome
    }
}
