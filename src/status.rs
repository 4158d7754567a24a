//! The status as JSON: one schema for `/status`, `seedcar status` and the tests. Never a value.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::board::{Board, Failure, Source as OnBoard, State};
use crate::config::{Config, Token};
use crate::metrics::{Id, Metrics};
use crate::model::application::{Counts, Report};
use crate::model::confirmation::{Mechanism, Origin};
use crate::model::guard::Reason;
use crate::model::health::{Facts, Health, judge, stale_after};
use crate::model::moment::Moment;
use crate::publisher::volume::Error as VolumeError;
use crate::sys;

/// The whole status. Times are RFC 3339 in UTC, ages and durations in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of this format; 1.
    pub schema: u32,
    /// seedcar's version.
    pub version: String,
    /// The worst of the sources.
    pub state: Health,
    /// Why, in words.
    pub reason: String,
    /// A complete generation is published and we are not stopping.
    pub ready: bool,
    /// The published generation's directory name.
    pub generation: Option<String>,
    /// Seconds since the process started.
    pub uptime: f64,
    /// By source name.
    pub sources: BTreeMap<String, Source>,
    /// The volume cannot be written, and why.
    pub volume_error: Option<Trouble>,
    /// Why the newest answer is held that did not pass its validation.
    #[serde(default)]
    pub invalid: Option<Trouble>,
    /// Who keeps changes from being published: `volume` or `fleet`.
    #[serde(default)]
    pub frozen: Option<String>,
    /// How the hook fares; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<Hook>,
    /// Another process holds the volume.
    pub waiting_for_lock: bool,
    /// The login to Consul; absent where a token is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<Login>,
    /// Applications that `seedcar exec` started, by their names.
    #[serde(default)]
    pub exec: BTreeMap<String, Application>,
}

/// The login to Consul.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Login {
    /// The auth method's name.
    pub method: String,
    /// There is a token.
    pub open: bool,
    /// When it expires, if it does.
    pub expires: Option<String>,
    /// Why the last login failed, until one works.
    pub last_error: Option<Trouble>,
}

/// The hook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hook {
    /// It has not been told of everything that changed.
    pub pending: bool,
    /// The generation that it was last told of, by this process.
    pub told: Option<String>,
    /// Why it could not be told of a newer one.
    pub error: Option<Trouble>,
}

/// An application that `seedcar exec` started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Application {
    /// It has not been told of the published generation.
    pub pending: bool,
    /// What `seedcar exec` says of it. Nobody has checked that.
    #[serde(flatten)]
    pub report: Report,
}

/// One source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Its prefix.
    pub prefix: String,
    /// Its state.
    pub state: Health,
    /// Where its content came from.
    pub origin: Origin,
    /// From a stale read, not confirmed since.
    pub stale_read: bool,
    /// Consul's index of it.
    pub index: Option<u64>,
    /// Its digest.
    pub digest: Option<String>,
    /// Its keys.
    pub keys: usize,
    /// Its value bytes.
    pub bytes: u64,
    /// When it became visible.
    pub published: Option<String>,
    /// When the request was sent whose answer last confirmed it.
    pub confirmed: Option<String>,
    /// Seconds since then.
    pub confirmed_age: Option<f64>,
    /// Who asked.
    pub confirmed_by: Option<Mechanism>,
    /// The refused answer.
    pub held: Option<Held>,
    /// How many keys became no file, and the first hundred by name.
    pub skipped_total: usize,
    /// Key to reason.
    pub skipped: BTreeMap<String, String>,
    /// How many keys a later layer hides in some output.
    #[serde(default)]
    pub overridden: usize,
    /// How this process filled it, if it did.
    pub seed: Option<Seed>,
    /// Watch, heartbeat, backup.
    pub mechanisms: BTreeMap<String, MechanismState>,
    /// The newest valid backup.
    pub backup: Option<Backup>,
}

/// A refused answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// Why.
    pub reason: Reason,
    /// What `seedcar accept` takes; absent where the answer was too large to be read.
    pub digest: Option<String>,
    /// Its keys.
    pub keys: usize,
    /// The keys it would have replaced.
    pub published_keys: usize,
    /// Since when this content is refused.
    pub since: String,
}

/// The first fill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seed {
    /// From where.
    pub origin: Origin,
    /// Seconds from the start of the process.
    pub duration: f64,
}

/// A mechanism.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MechanismState {
    /// Switched on.
    pub enabled: bool,
    /// Its last try worked.
    pub up: bool,
    /// Its last success.
    pub last_ok: Option<String>,
    /// Its last failure.
    pub last_error: Option<Trouble>,
    /// Its next try.
    pub next: Option<String>,
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trouble {
    /// A word from a closed list.
    pub kind: String,
    /// What happened.
    pub text: String,
    /// When.
    pub at: String,
}

/// A backup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backup {
    /// Its file.
    pub name: String,
    /// Consul's index of it.
    pub index: u64,
    /// Its digest.
    pub digest: String,
    /// The sum of its value sizes.
    pub bytes: u64,
    /// When Consul confirmed its content, by Consul's clock.
    pub confirmed: String,
    /// When it was last written or read back.
    pub verified: String,
}

/// Makes statuses and fills gauges.
pub struct Reporter {
    /// The checked configuration.
    pub config: Arc<Config>,
    /// The state.
    pub board: Arc<Board>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// When the process started.
    pub started: Moment,
}

// === impl Reporter ===

impl Reporter {
    /// The status now.
    pub fn status(&self) -> Status {
        let now = sys::now();
        let state = self.board.read(Clone::clone);
        let named = self.config.sources.iter().zip(&state.sources);
        let sources: BTreeMap<_, _> = named
            .map(|(c, s)| (c.name.clone(), self.source(c.reads.prefix().as_str(), s, &state, now)))
            .collect();
        let worst = sources.values().map(|s| s.state).max().unwrap_or(Health::Seeding);
        Status {
            schema: 1,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state: worst,
            reason: reason(&sources, &state),
            ready: is_ready(&state),
            generation: state.generation.clone(),
            uptime: now.since(self.started).as_secs_f64(),
            sources,
            volume_error: state.volume_error.as_ref().map(trouble),
            invalid: invalid(&state).map(trouble),
            frozen: state.frozen.map(str::to_owned),
            hook: self.hook(&state),
            waiting_for_lock: state.waiting_for_lock,
            login: self.login(&state),
            exec: state.applications.iter().map(|(name, r)| application(name, r, &state)).collect(),
        }
    }

    fn hook(&self, state: &State) -> Option<Hook> {
        let hook = self.config.hook.as_ref()?;
        let pending = state.untold.news(&hook.only).is_some();
        let (told, error) = (state.hook.told.clone(), state.hook.error.as_ref().map(trouble));
        Some(Hook { pending, told, error })
    }

    fn login(&self, state: &State) -> Option<Login> {
        let (Token::Login(settings), Some(login)) = (&self.config.token, &state.login) else {
            return None;
        };
        Some(Login {
            method: settings.method.clone(),
            open: login.open,
            expires: login.expires.map(wall),
            last_error: login.error.as_ref().map(trouble),
        })
    }

    /// Whether a complete generation is published.
    pub fn is_ready(&self) -> bool {
        self.board.read(is_ready)
    }

    /// Whether one ever was by this process.
    pub fn is_started(&self) -> bool {
        self.board.read(|state| state.seeded)
    }

    fn source(&self, prefix: &str, source: &OnBoard, state: &State, now: Moment) -> Source {
        let published = source.published.as_ref();
        let confirmed = published.and_then(|p| source.confirmed.filter(|c| c.digest == p.digest));
        let mechanisms =
            Mechanism::THREE.iter().map(|m| (m.word().to_owned(), mechanism(source, *m)));
        Source {
            prefix: prefix.to_owned(),
            state: judge(&facts(source, state), now, self.stale_after()),
            origin: published.map_or(Origin::None, |p| p.origin),
            stale_read: published.is_some_and(|p| p.stale),
            index: published.map(|p| p.index),
            digest: published.map(|p| p.digest.hex()),
            keys: published.map_or(0, |p| p.keys),
            bytes: published.map_or(0, |p| p.bytes),
            published: published.map(|p| wall(p.at)),
            confirmed: confirmed.map(|c| wall(c.when)),
            confirmed_age: confirmed.map(|c| now.since(c.when).as_secs_f64()),
            confirmed_by: confirmed.map(|c| c.how),
            held: source.hold.map(|hold| Held {
                reason: hold.reason,
                digest: hold.digest.map(|d| d.hex()),
                keys: hold.keys,
                published_keys: hold.baseline_keys,
                since: wall(hold.since),
            }),
            skipped_total: source.skipped_total,
            overridden: source.overridden,
            skipped: source.skipped.iter().map(|(k, w)| (k.clone(), w.word().to_owned())).collect(),
            seed: source.seed.map(|(origin, d)| Seed { origin, duration: d.as_secs_f64() }),
            mechanisms: mechanisms.collect(),
            backup: source.backup.as_ref().map(|b| Backup {
                name: b.name.clone(),
                index: b.index,
                digest: b.digest.hex(),
                bytes: b.bytes,
                confirmed: rfc3339(b.confirmed as f64),
                verified: wall(b.verified),
            }),
        }
    }

    fn stale_after(&self) -> Duration {
        stale_after(self.config.heartbeat.map(|h| h.interval))
    }

    /// Sets every gauge from the board and renders the exposition.
    pub fn metrics(&self) -> String {
        let state = self.board.read(Clone::clone);
        let m = &self.metrics;
        m.set(Id::BuildInfo, &[env!("CARGO_PKG_VERSION")], 1.0);
        m.set(Id::Ready, &[], flag(is_ready(&state)));
        if let Some(heartbeat) = self.config.heartbeat {
            m.set(Id::HeartbeatInterval, &[], heartbeat.interval.as_secs_f64());
        }
        for (named, source) in self.config.sources.iter().zip(&state.sources) {
            self.source_gauges(&named.name, source);
            self.source_zeros(&named.name);
        }
        if let Some(login) = &state.login {
            ["ok", "denied"].iter().for_each(|result| m.start(Id::ConsulLogins, &[result]));
            if let Some(expires) = login.expires {
                m.set(Id::ConsulTokenExpiry, &[], sys::wall_of(expires));
            }
        }
        self.exec_series(&state);
        m.start(Id::Repairs, &[]);
        for kind in VolumeError::OF_PUBLISHING {
            m.start(Id::PublishErrors, &[kind]);
        }
        self.process_gauges();
        m.render()
    }

    /// Their names come from other containers: what is there no longer is forgotten, so that there are
    /// never more than there are files. A counter goes back when its `seedcar exec` is a new one.
    fn exec_series(&self, state: &State) {
        let m = &self.metrics;
        m.forget(Id::ExecPending);
        m.forget(Id::ExecActions);
        for (name, report) in &state.applications {
            let behind = report.is_behind(state.generation.as_deref());
            m.set(Id::ExecPending, &[name], flag(behind));
            let Counts { signalled, restarted, failed, .. } = report.counts;
            for (result, count) in
                [("signalled", signalled), ("restarted", restarted), ("error", failed)]
            {
                m.add(Id::ExecActions, &[name, result], count as f64);
            }
        }
    }

    fn source_gauges(&self, name: &str, source: &OnBoard) {
        let m = &self.metrics;
        let set = |id, value: f64| m.set(id, &[name], value);
        let origin = source.published.as_ref().map_or(Origin::None, |p| p.origin);
        for each in Origin::ALL {
            m.set(Id::ServingOrigin, &[name, each.word()], flag(each == origin));
        }
        for reason in Reason::ALL {
            let held = source.hold.is_some_and(|hold| hold.reason == reason);
            m.set(Id::Held, &[name, reason.word()], flag(held));
        }
        for mechanism in Mechanism::THREE {
            let health = source.health(mechanism);
            if health.enabled {
                m.set(Id::MechanismUp, &[name, mechanism.word()], flag(health.up));
            }
        }
        set(Id::SkippedKeys, source.skipped_total as f64);
        if let Some((_, took)) = source.seed {
            set(Id::SeedDuration, took.as_secs_f64());
        }
        if let Some(p) = &source.published {
            set(Id::PublishedAt, sys::wall_of(p.at));
            set(Id::PublishedIndex, p.index as f64);
            set(Id::PublishedDigest, p.digest.number() as f64);
            set(Id::PublishedKeys, p.keys as f64);
            set(Id::PublishedBytes, p.bytes as f64);
        }
        if let Some(confirmed) = source.confirmed {
            set(Id::Confirmed, sys::wall_of(confirmed.when));
        }
        if let Some(ok) = source.health(Mechanism::Heartbeat).last_ok {
            set(Id::HeartbeatSuccess, sys::wall_of(ok));
        }
        if let Some(backup) = &source.backup {
            set(Id::BackupSuccess, sys::wall_of(backup.verified));
            set(Id::BackupIndex, backup.index as f64);
            set(Id::BackupBytes, backup.bytes as f64);
        }
    }

    /// Counters of what should not happen. They are there before it does: the first one that appears
    /// as a 1 is no increase.
    fn source_zeros(&self, name: &str) {
        let m = &self.metrics;
        for reason in Reason::ALL {
            m.start(Id::HeldAnswers, &[name, reason.word()]);
        }
        if self.config.watch.is_some() {
            for result in ["part", "whole"] {
                m.start(Id::PartReads, &[name, result]);
            }
        }
        if self.config.watch.is_some() && self.config.heartbeat.is_some() {
            m.start(Id::WatchMissed, &[name]);
        }
        if self.config.backup.is_some() {
            m.start(Id::BackupWrites, &[name, "error"]);
        }
    }

    fn process_gauges(&self) {
        let m = &self.metrics;
        m.set(Id::Frozen, &[], flag(self.board.read(|state| state.frozen.is_some())));
        if let Some(hook) = self.board.read(|state| self.hook(state)) {
            m.set(Id::HookPending, &[], flag(hook.pending));
            m.start(Id::HookRequests, &["error"]);
        }
        if let Ok(s) = rustix::fs::statvfs(&self.config.volume) {
            m.set(Id::VolumeCapacity, &[], s.f_blocks.saturating_mul(s.f_frsize) as f64);
            m.set(Id::VolumeAvailable, &[], s.f_bavail.saturating_mul(s.f_frsize) as f64);
        }
        let process = sys::Process::read();
        m.raise(Id::ProcessCpu, &[], process.cpu_seconds);
        m.set(Id::ProcessOpenFds, &[], process.open_fds as f64);
        m.set(Id::ProcessMaxFds, &[], process.max_fds as f64);
        m.set(Id::ProcessResident, &[], process.resident_bytes as f64);
        m.set(Id::ProcessStart, &[], sys::wall_of(self.started));
        m.set(Id::ProcessThreads, &[], process.threads as f64);
        for level in ["warn", "error"] {
            m.raise(Id::LogMessages, &[level], crate::log::counted(level) as f64);
        }
    }
}

fn application(name: &str, report: &Report, state: &State) -> (String, Application) {
    let pending = report.is_behind(state.generation.as_deref());
    (name.to_owned(), Application { pending, report: report.clone() })
}

fn is_ready(state: &State) -> bool {
    state.seeded && !state.closed && !state.waiting_for_lock
}

fn facts(source: &OnBoard, state: &State) -> Facts {
    let published = source.published.as_ref();
    let down = |m: &Mechanism| {
        let health = source.health(*m);
        // Not tried yet is not down.
        health.enabled && !health.up && health.last_error.is_some()
    };
    Facts {
        published: published.is_some(),
        unconfirmed: published.is_some_and(|p| p.origin != Origin::Consul || p.stale),
        confirmed: published
            .and_then(|p| source.confirmed.filter(|c| c.digest == p.digest))
            .map(|c| c.when),
        held: source.hold.is_some(),
        // A token that cannot be renewed ends one day.
        mechanism_down: Mechanism::THREE.iter().any(down) || login_fails(state),
        volume_error: state.volume_error.is_some(),
    }
}

fn login_fails(state: &State) -> bool {
    state.login.as_ref().is_some_and(|login| login.error.is_some())
}

/// Why something is held that did not pass its validation, while it is.
fn invalid(state: &State) -> Option<&Failure> {
    state.invalid.as_ref().filter(|_| state.sources.iter().any(OnBoard::is_invalid))
}

/// What is not as it should be, in one line.
fn reason(sources: &BTreeMap<String, Source>, state: &State) -> String {
    let mut reasons = Vec::new();
    if state.waiting_for_lock {
        reasons.push("another seedcar holds the volume".to_owned());
    }
    if let Some(error) = &state.volume_error {
        reasons.push(error.text.clone());
    }
    if let Some(by) = state.frozen {
        reasons.push(format!("changes are not published: frozen ({by})"));
    }
    if let Some(error) = &state.hook.error {
        reasons.push(format!("the hook has not been told of the newest change: {}", error.text));
    }
    if let Some(invalid) = invalid(state) {
        reasons.push(format!("the newest content is refused: {}", invalid.text));
    }
    if let Some(error) = state.login.as_ref().and_then(|login| login.error.as_ref()) {
        reasons.push(error.text.clone());
    }
    for (name, source) in sources {
        if source.origin == Origin::Backup {
            reasons.push(format!("{name}: served from the backup"));
        }
        if let Some(held) = &source.held {
            reasons.push(format!("{name}: an answer is held ({})", held.reason.word()));
        }
        let down = source.mechanisms.iter().filter(|(_, m)| m.enabled && !m.up);
        for (mechanism, state) in down {
            if let Some(error) = &state.last_error {
                reasons.push(format!("{name}: {mechanism} down ({})", error.text));
            }
        }
    }
    reasons.join("; ")
}

fn mechanism(source: &OnBoard, which: Mechanism) -> MechanismState {
    let health = source.health(which);
    MechanismState {
        enabled: health.enabled,
        up: health.up,
        last_ok: health.last_ok.map(wall),
        last_error: health.last_error.as_ref().map(trouble),
        next: health.next.map(|next| {
            let ahead = next.since(sys::now()).as_secs_f64();
            rfc3339(sys::wall_of(sys::now()) + ahead)
        }),
    }
}

fn trouble(failure: &Failure) -> Trouble {
    Trouble { kind: failure.kind.to_owned(), text: failure.text.clone(), at: wall(failure.at) }
}

fn wall(moment: Moment) -> String {
    rfc3339(sys::wall_of(moment))
}

/// To the millisecond.
fn rfc3339(seconds: f64) -> String {
    let stamp = jiff::Timestamp::from_millisecond((seconds * 1000.0).round() as i64);
    format!("{:.3}", stamp.unwrap_or_default())
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}
