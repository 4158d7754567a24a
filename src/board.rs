//! What every part knows of the others: the latest state of each source, in one place.
//!
//! Parts write their own lines and read everybody's. The lock is held for assignments only, never
//! across a wait or a system call, so that no part can stop another here.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::model::application::Report;
use crate::model::changed::Changed;
use crate::model::confirmation::{Confirmation, Mechanism, Origin, Published};
use crate::model::guard::{Baseline, Hold, Reason};
use crate::model::key::Unsafe;
use crate::model::moment::Moment;
use crate::model::offer::Content;
use crate::model::reading::{Marks, Reading};
use crate::model::snapshot::Digest;

/// The board. Shared by reference.
pub struct Board {
    state: Mutex<State>,
    changed: Condvar,
    version: watch::Sender<u64>,
}

/// Everything on the board.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// By source, in configuration order.
    pub sources: Vec<Source>,
    /// The published generation's name, once there is one.
    pub generation: Option<String>,
    /// The volume is open, and what it held has been adopted or not.
    pub opened: bool,
    /// A complete generation has been published or adopted by this process.
    pub seeded: bool,
    /// It was adopted: another process made it.
    pub adopted: bool,
    /// When.
    pub seeded_at: Option<Moment>,
    /// Why the volume cannot be written, while that is so.
    pub volume_error: Option<Failure>,
    /// Why the newest answer is held that did not pass its validation, while it is.
    pub invalid: Option<Failure>,
    /// How often something did not pass its validation.
    pub refusals: u64,
    /// What the fleet's key says of changes, once it has been read.
    pub fleet_frozen: Option<bool>,
    /// Who keeps changes from being published: `volume` or `fleet`.
    pub frozen: Option<&'static str>,
    /// What has changed and the hook has not been told of; nothing where there is no hook.
    pub untold: Changed,
    /// How the hook fares.
    pub hook: HookState,
    /// Waiting for another process to let go of the volume.
    pub waiting_for_lock: bool,
    /// The login to Consul, where there is one.
    pub login: Option<Login>,
    /// What `seedcar exec` says of applications, by their names.
    pub applications: BTreeMap<String, Report>,
    /// The parts are told to stop.
    pub closed: bool,
}

/// How the hook fares.
#[derive(Clone, Debug, Default)]
pub struct HookState {
    /// The generation that it was last told of, by this process.
    pub told: Option<String>,
    /// Why it could not be told of a newer one, while that is so.
    pub error: Option<Failure>,
}

/// The login to Consul.
#[derive(Clone, Debug, Default)]
pub struct Login {
    /// There is a token.
    pub open: bool,
    /// When it expires, if it does.
    pub expires: Option<Moment>,
    /// Why the last login failed, until one works.
    pub error: Option<Failure>,
}

/// One source's state.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// What is published.
    pub published: Option<Published>,
    /// The latest proof that it is current.
    pub confirmed: Option<Confirmation>,
    /// The latest such proof by a heartbeat.
    pub heartbeat_confirmed: Option<Confirmation>,
    /// The refused answer, if one is.
    pub hold: Option<Hold>,
    /// When the refused answer was read, if this process did.
    pub held_marks: Option<Marks>,
    /// When the answer came with which Consul's index went back. What was asked before is from a
    /// history that Consul has given up.
    pub went_back: Option<Moment>,
    /// The keys of what was adopted, until its content is known here; `None` where its files do not tell.
    pub adopted_keys: Option<Arc<[String]>>,
    /// What a refused answer is measured against while nothing is published.
    pub backup_baseline: Option<Baseline>,
    /// Digests, or their first digits, that a person has accepted.
    pub accepted: Vec<String>,
    /// Those that the fleet's key names now.
    pub fleet_accepted: Vec<String>,
    /// Keys that became no file: how many, and the first of them by name.
    pub skipped: Vec<(String, Unsafe)>,
    /// How many of them.
    pub skipped_total: usize,
    /// Keys in whose place a later layer's are.
    pub overridden: usize,
    /// What the backup volume holds.
    pub backup: Option<BackedUp>,
    /// The highest index the watch has seen.
    pub watched_index: u64,
    /// The first seed of this process, if it made one.
    pub seed: Option<(Origin, Duration)>,
    mechanisms: [Health; 4],
}

/// The newest valid backup.
#[derive(Clone, Debug)]
pub struct BackedUp {
    /// Its file name.
    pub name: String,
    /// Its content digest.
    pub digest: Digest,
    /// Its index.
    pub index: u64,
    /// Its keys.
    pub keys: u64,
    /// The sum of its value sizes.
    pub bytes: u64,
    /// Consul's clock when its content was confirmed, seconds since 1970.
    pub confirmed: i64,
    /// When it was last written, or read back and found whole.
    pub verified: Moment,
}

/// How a mechanism fares.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// Switched on.
    pub enabled: bool,
    /// Its last try worked.
    pub up: bool,
    /// Since when that is so.
    pub since: Moment,
    /// Its last success.
    pub last_ok: Option<Moment>,
    /// Its last failure.
    pub last_error: Option<Failure>,
    /// When it will try again, if it waits for that.
    pub next: Option<Moment>,
}

/// A failure for people and for a metric's label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A word from a closed list.
    pub kind: &'static str,
    /// What happened and what to do; never a value or a token.
    pub text: String,
    /// When.
    pub at: Moment,
}

// === impl Board ===

impl Board {
    /// A board with empty lines for `count` sources.
    pub fn new(count: usize) -> Self {
        let state = State { sources: vec![Source::default(); count], ..State::default() };
        Self { state: Mutex::new(state), changed: Condvar::new(), version: watch::Sender::new(0) }
    }

    /// Looks at the board.
    pub fn read<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.lock())
    }

    /// Changes it and tells everybody.
    pub fn update<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.lock());
        self.version.send_modify(|version| *version += 1);
        self.changed.notify_all();
        result
    }

    /// For an async reader: changes with every update.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// For a plain thread: waits for an update after `seen`, at most `within`. Returns the version.
    pub fn wait(&self, seen: u64, within: Duration) -> u64 {
        let state = self.lock();
        let unchanged = |s: &mut State| !s.closed && *self.version.borrow() == seen;
        drop(self.changed.wait_timeout_while(state, within, unchanged));
        *self.version.borrow()
    }

    /// Records that `digest` is current, if it is what is published. False if it is not.
    pub fn confirm(&self, source: usize, confirmation: Confirmation) -> bool {
        self.update(|state| state.sources[source].confirm(confirmation))
    }

    /// The same on the strength of a whole answer, whose entries become the ones that the next answer
    /// is compared with.
    pub fn confirm_with(&self, source: usize, confirmation: Confirmation, read: &Reading) -> bool {
        self.update(|state| {
            let source = &mut state.sources[source];
            let confirmed = source.confirm(confirmation);
            if let Some(published) = source.published.as_mut().filter(|_| confirmed)
                && read.marks().supersedes(&published.marks)
            {
                published.snapshot = Some(read.snapshot.clone());
                source.adopted_keys = None;
                published.index = read.snapshot.index();
                published.marks = read.marks();
            }
            confirmed
        })
    }

    /// Records that these sources' contents became visible at `at`, as this generation. True if one
    /// of them has a hold: that was judged against what was visible before, and has to be again.
    pub fn published<'a>(
        &self,
        contents: impl Iterator<Item = (usize, &'a Content)>,
        generation: Option<String>,
        at: Moment,
    ) -> bool {
        self.update(|state| {
            let mut held = false;
            for (i, content) in contents {
                let source = &mut state.sources[i];
                source.published = Some(content.published(at));
                source.confirmed = content.confirmation();
                source.adopted_keys = None;
                if content.how == Mechanism::Heartbeat {
                    source.heartbeat_confirmed = content.confirmation();
                }
                if source.is_invalid() && content.origin == Origin::Consul {
                    source.hold = None;
                }
                held |= source.hold.is_some_and(|hold| hold.reason != Reason::Invalid);
            }
            if !state.sources.iter().any(Source::is_invalid) {
                state.invalid = None;
            }
            state.generation = generation;
            state.seeded = true;
            state.seeded_at.get_or_insert(at);
            held
        })
    }

    /// Records a mechanism's success.
    pub fn went_well(&self, source: usize, who: Mechanism, now: Moment) {
        self.update(|state| state.sources[source].health_mut(who).ok(now));
    }

    /// Records a mechanism's failure. True if it was up until now: worth a log line.
    pub fn failed(
        &self,
        source: usize,
        who: Mechanism,
        failure: Failure,
        next: Option<Moment>,
    ) -> bool {
        self.update(|state| state.sources[source].health_mut(who).bad(failure, next))
    }

    /// A panic elsewhere leaves the board readable: changes are assignments.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Source ===

impl Source {
    /// How `who` fares.
    pub fn health(&self, who: Mechanism) -> &Health {
        &self.mechanisms[who as usize]
    }

    /// The same, to change it.
    pub fn health_mut(&mut self, who: Mechanism) -> &mut Health {
        &mut self.mechanisms[who as usize]
    }

    /// What a new answer is measured against: the published content, else the newest backup.
    pub fn baseline(&self) -> Option<Baseline> {
        self.published.as_ref().map(Published::baseline).or(self.backup_baseline)
    }

    /// Whether the newest answer is held because it did not pass its validation.
    pub fn is_invalid(&self) -> bool {
        self.hold.is_some_and(|hold| hold.reason == Reason::Invalid)
    }

    /// Whether a person has accepted this content.
    pub fn accepts(&self, digest: &Digest) -> bool {
        let hex = digest.hex();
        let mut all = self.accepted.iter().chain(&self.fleet_accepted);
        all.any(|accepted| hex.starts_with(accepted.as_str()))
    }

    /// Whether an answer asked at `sent` may be from before Consul's index went back.
    pub fn is_given_up(&self, sent: Moment) -> bool {
        self.went_back.is_some_and(|at| sent < at)
    }

    fn confirm(&mut self, new: Confirmation) -> bool {
        let Some(published) = &mut self.published else {
            return false;
        };
        if published.digest != new.digest {
            return false;
        }
        // Consul itself has spoken for what a backup or a stale read had brought.
        published.origin = Origin::Consul;
        published.stale = false;
        if self.confirmed.is_none_or(|old| new.when >= old.when || old.digest != new.digest) {
            self.confirmed = Some(new);
        }
        if new.how == Mechanism::Heartbeat {
            self.heartbeat_confirmed = Some(new);
        }
        true
    }
}

// === impl Health ===

impl Health {
    fn ok(&mut self, now: Moment) {
        if !self.up {
            (self.up, self.since) = (true, now);
        }
        self.last_ok = Some(now);
        self.next = None;
    }

    fn bad(&mut self, failure: Failure, next: Option<Moment>) -> bool {
        let news = self.up || self.last_error.as_ref().is_none_or(|last| last.kind != failure.kind);
        if self.up {
            (self.up, self.since) = (false, failure.at);
        }
        self.last_error = Some(failure);
        self.next = next;
        news
    }
}
