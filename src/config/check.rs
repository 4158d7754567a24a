//! The check: text in, [`Config`] out, every problem on the way collected.
//!
//! A value that does not pass is replaced by its default while its problem is kept, so that the
//! check always runs to the end.

mod consul;
mod hook;
mod output;
mod outputs;
mod read;
mod service;
mod sources;
mod token;
mod validate;

use std::path::{Path, PathBuf};

pub use self::read::is_dns_label;
use self::read::{at_least, between};
use super::{
    Backup, BackupMode, Config, Guards, Heartbeat, Log, LogFormat, LogLevel, Outcome, Place, Pod,
    Scope, Watch,
    problem::{Kind, Problem, Warning},
    setting::{Id, Setting, Unit},
    typed::Typed,
};
use crate::model::key::Prefix;
use crate::model::layout::Layout;
use crate::sys;
use crate::units::{Bytes, Period};

/// Above this, a token that was revoked is obeyed for too long, and proxies begin to cut.
const LONG_WAIT: Period = Period::seconds(60);

/// Consul cuts longer waits to this.
const LONGEST_WAIT: Period = Period::seconds(600);

/// Below one second a mechanism would do nothing but ask.
const SHORTEST: Period = Period::seconds(1);

/// Checks the layers.
pub(super) fn check(typed: Typed, scope: Scope, in_pod: bool, problems: Vec<Problem>) -> Outcome {
    let mut checker = Checker { typed: &typed, scope, in_pod, problems, warnings: vec![] };
    let config = checker.config();
    let (problems, warnings) = (checker.problems, checker.warnings);
    Outcome {
        typed,
        config: if problems.is_empty() { Ok(config) } else { Err(problems) },
        warnings,
    }
}

struct Checker<'t> {
    typed: &'t Typed,
    scope: Scope,
    in_pod: bool,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

impl Checker<'_> {
    fn config(&mut self) -> Config {
        let volume = self.path(Id::Volume);
        let guards = self.guards();
        let pod = self.pod_name();
        let config = Config {
            backup: self.backup(&volume),
            consul: self.consul(),
            token: self.token(pod.as_deref()),
            sources: self.sources(),
            watch: self.watch(),
            heartbeat: self.heartbeat(),
            seed_timeout: self.period(Id::SeedTimeout, at_least(SHORTEST)),
            outputs: self.outputs(guards.max_bytes),
            validate: self.validate(),
            hook: self.hook(),
            guards,
            control: self.optional(Id::Control, read::prefix),
            http: self.read(Id::Http, read::listen),
            http_explicit: self.typed.one(Id::Http).is_some(),
            exec_dir: self.exec_dir(&volume),
            volume,
            layout: self.word(Id::Layout, &[("links", Layout::Links), ("plain", Layout::Plain)]),
            events: self.events(pod),
            log: self.log(),
            termination_log: self.path(Id::TerminationLog),
        };
        self.something_keeps_it_fresh(&config);
        self.control_is_apart(&config);
        config
    }

    /// What speaks to seedcar is nothing that applications are to see.
    fn control_is_apart(&mut self, config: &Config) {
        let Some(control) = &config.control else { return };
        let meets =
            |source: &Prefix| source.covers(control.as_str()) || control.covers(source.as_str());
        if config.sources.iter().any(|source| meets(source.reads.prefix())) {
            let reason = "is a part of what is mirrored, or the other way round";
            self.clash(Id::Control, reason, "choose a prefix beside those of the sources");
        }
    }

    fn backup(&mut self, volume: &Path) -> Option<Backup> {
        self.switch(Id::NoBackup);
        let words =
            [("write", Some(BackupMode::Write)), ("read", Some(BackupMode::Read)), ("off", None)];
        let mode = self.word(Id::BackupMode, &words);
        let place = self.backup_place(volume);
        let id = self.label(Id::BackupId).unwrap_or_default();
        let delay = self.period(Id::BackupDelay, at_least(Period::default()));
        Some(Backup { place, mode: mode?, id, delay })
    }

    fn backup_place(&mut self, volume: &Path) -> Place {
        let dir = self.path(Id::Backup);
        let secrets = self.all(Id::BackupSecrets, read::object_name);
        if secrets.is_empty() {
            self.backup_is_elsewhere(&dir, volume);
            return Place::Directory(dir);
        }
        if self.typed.one(Id::Backup).is_some() {
            let reason = "is given together with backup-secrets";
            self.clash(Id::Backup, reason, "keep backups in one place, and leave out the other");
        }
        if (1..secrets.len()).any(|at| secrets[..at].contains(&secrets[at])) {
            let reason = "names a Secret twice";
            self.clash(Id::BackupSecrets, reason, "name each once: it has room once");
        }
        self.speaks_kubernetes(Id::BackupSecrets);
        Place::Secrets(secrets)
    }

    /// Nothing that needs the Kubernetes API is asked of a program that cannot speak to it.
    fn speaks_kubernetes(&mut self, id: Id) {
        if !cfg!(feature = "kube") {
            let reason = "needs the Kubernetes API, and this seedcar was built without kube";
            self.clash(id, reason, "build it with its default features");
        }
    }

    /// The pod's own name, where it was given or there is a pod.
    fn pod_name(&mut self) -> Option<String> {
        let given = self.optional(Id::PodName, read::object_name);
        given.or_else(|| self.in_pod.then(sys::hostname))
    }

    fn events(&mut self, name: Option<String>) -> Option<Pod> {
        let uid = self.label(Id::PodUid).unwrap_or_default();
        if !self.switch(Id::Events) {
            return None;
        }
        self.speaks_kubernetes(Id::Events);
        Some(Pod { name: name.unwrap_or_else(sys::hostname), uid })
    }

    /// The volume is mounted read-only by applications, which write there.
    fn exec_dir(&mut self, volume: &Path) -> Option<PathBuf> {
        let dir = self.optional_path(Id::ExecDir)?;
        if dir.starts_with(volume) {
            let reason = "lies in the volume, which applications cannot write";
            self.clash(Id::ExecDir, reason, "name a directory of its own");
        }
        Some(dir)
    }

    fn backup_is_elsewhere(&mut self, dir: &Path, volume: &Path) {
        if dir.starts_with(volume) {
            let reason = "lies in the volume, which is memory and would take the backup with it";
            self.clash(Id::Backup, reason, "name a directory on a disk, or --no-backup");
        }
    }

    fn watch(&mut self) -> Option<Watch> {
        let wait = self.period(Id::Wait, between(SHORTEST, LONGEST_WAIT));
        if wait > LONG_WAIT.duration() {
            let reason = "is long: a revoked token keeps its rights until the question returns";
            let problem = self.about(Id::Wait, Kind::Doubtful, reason);
            let hint = format!("at most {LONG_WAIT} is advised");
            self.warnings.push(Warning::mild(problem.hint(hint)));
        }
        (!self.switch(Id::NoWatch)).then_some(Watch { wait })
    }

    fn heartbeat(&mut self) -> Option<Heartbeat> {
        let interval = self.period(Id::Heartbeat, at_least(SHORTEST));
        (!self.switch(Id::NoHeartbeat)).then_some(Heartbeat { interval })
    }

    fn something_keeps_it_fresh(&mut self, config: &Config) {
        if config.watch.is_none() && config.heartbeat.is_none() {
            let reason = "is given together with no-watch: nothing would ever be read again";
            self.clash(Id::NoHeartbeat, reason, "leave one of them on");
        }
    }

    fn guards(&mut self) -> Guards {
        Guards {
            max_bytes: self.bytes(Id::MaxBytes, at_least(Bytes::new(1))),
            max_keys: self.number(Id::MaxKeys, at_least(1)),
            max_shrink_percent: self.number(Id::MaxShrinkPercent, between(0, 100)),
            allow_empty: self.switch(Id::AllowEmpty),
        }
    }

    fn log(&mut self) -> Log {
        Log {
            format: self.word(
                Id::LogFormat,
                &[("auto", LogFormat::Auto), ("json", LogFormat::Json), ("text", LogFormat::Text)],
            ),
            level: self.word(
                Id::LogLevel,
                &[
                    ("error", LogLevel::Error),
                    ("warn", LogLevel::Warn),
                    ("info", LogLevel::Info),
                    ("debug", LogLevel::Debug),
                ],
            ),
        }
    }

    fn path(&mut self, id: Id) -> PathBuf {
        self.read(id, |typed| read::path(id.row(), typed))
    }

    fn optional_path(&mut self, id: Id) -> Option<PathBuf> {
        self.optional(id, |typed| read::path(id.row(), typed))
    }

    fn label(&mut self, id: Id) -> Option<String> {
        let label = self.optional(id, read::label);
        label.filter(|label| !label.is_empty())
    }

    fn switch(&mut self, id: Id) -> bool {
        self.read(id, read::switch)
    }

    /// A problem about a value that is well-formed by itself.
    fn clash(&mut self, id: Id, reason: &str, hint: &str) {
        let problem = self.about(id, Kind::Conflict, reason).hint(hint);
        self.problems.push(problem);
    }

    /// A problem about a setting, with its text and origin if it was given.
    fn about(&self, id: Id, kind: Kind, reason: impl Into<String>) -> Problem {
        let row: &Setting = id.row();
        let problem = Problem::new(kind, row.name, reason);
        let Some(given) = self.typed.one(id) else {
            return problem;
        };
        let text = given.shown(row).filter(|_| row.unit != Unit::Switch);
        let text = text.map(str::to_owned);
        let problem = problem.at(given.origin.clone());
        Problem { text, ..problem }
    }
}
