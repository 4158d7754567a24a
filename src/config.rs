//! Configuration: what was typed becomes what is checked.
//!
//! Flags, environment, file and Consul's own variables are layers of [`Typed`] text, each value with
//! its origin. One check turns them into a [`Config`] that needs no second look, or into every
//! [`Problem`] there is, all at once. The environment comes in as a map and the file is the only
//! thing read, so that a test can say what either holds.

mod address;
mod check;
mod env;
mod file;
mod guess;
mod problem;
mod secret;
mod setting;
mod typed;

#[cfg(test)]
mod tests;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

pub use self::{
    address::{Address, AddressError, Scheme},
    check::is_dns_label,
    env::Env,
    problem::{Kind, Origin, Problem, Warning},
    secret::{BasicAuth, Login, Secret, SecretError, Token},
    setting::{Id, Setting, TABLE, Unit, settings_markdown},
    typed::{Effective, Flags, Given, Typed},
};
use crate::model::key::Prefix;
use crate::model::layout::Layout;
use crate::model::reads::Reads;
use url::Url;

use crate::model::output::Output;
use crate::model::selection::Glob;
use crate::model::validation::Validation;

/// A commented configuration file with every setting in it.
pub const SAMPLE: &str = include_str!("config/sample.yaml");

/// A configuration that was checked as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The memory-backed volume; its `live/` is what applications read.
    pub volume: PathBuf,
    /// How `live/` shows what is published.
    pub layout: Layout,
    /// The backup; `None` when it is off.
    pub backup: Option<Backup>,
    /// Where Consul is and how to speak to it.
    pub consul: Consul,
    /// The token for Consul.
    pub token: Token,
    /// The prefixes and services to mirror, in the order given. Empty only with [`Scope::Offline`].
    pub sources: Vec<Source>,
    /// What is made of them.
    pub outputs: Vec<Output>,
    /// What a generation must be like before anybody sees it; `None` where nothing is asked of it.
    pub validate: Option<Validate>,
    /// Who is told of each change; `None` where nobody is.
    pub hook: Option<Hook>,
    /// The watch; `None` when it is off.
    pub watch: Option<Watch>,
    /// The heartbeat; `None` when it is off. It is never off together with the watch.
    pub heartbeat: Option<Heartbeat>,
    /// How long the first fill may take.
    pub seed_timeout: Duration,
    /// Limits to what an answer may do to the volume.
    pub guards: Guards,
    /// The prefix whose keys speak to the whole fleet.
    pub control: Option<Prefix>,
    /// Where health, status and metrics are served.
    pub http: SocketAddr,
    /// True when somebody chose that address. Only the default may fall back to IPv4.
    pub http_explicit: bool,
    /// Where `seedcar exec` is put, and where it says how its application fares; `None` without one.
    pub exec_dir: Option<PathBuf>,
    /// The pod to make Kubernetes Events about; `None` when they are off.
    pub events: Option<Pod>,
    /// Logs.
    pub log: Log,
    /// Where to leave a last message. To be written only where Kubernetes has made the file: the
    /// default lies in `/dev`.
    pub termination_log: PathBuf,
}

/// What is checked before a generation is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validate {
    /// What we check ourselves.
    pub rules: Validation,
    /// Who else is asked; `None` where nobody is.
    pub outside: Option<Outside>,
}

/// Who is asked whether a generation may be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    /// A program and its arguments; none is asked where this is empty. It finds the generation in
    /// `SEEDCAR_DIR`, and says no by a code that is not 0.
    pub command: Vec<String>,
    /// A service, which gets a POST. 2xx is yes, 4xx is no.
    pub url: Option<Url>,
    /// How long each may take.
    pub timeout: Duration,
}

impl Validate {
    /// The longest that others may be asked in one round: both of them about all news together, and about
    /// those of each of so many sources alone.
    pub fn asking(&self, sources: usize) -> Duration {
        let both = |outside: &Outside| (outside.timeout + Duration::from_secs(1)) * 2;
        self.outside.as_ref().map_or(Duration::ZERO, both) * (sources as u32 + 1)
    }
}

/// A service that is told of each change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Where it answers.
    pub url: Url,
    /// The request's method.
    pub method: String,
    /// The codes that say that it has heard; none for all from 200 to 299.
    pub success: Vec<u16>,
    /// How long a request may take.
    pub timeout: Duration,
    /// Which files' changes count; none for all.
    pub only: Vec<Glob>,
}

/// Where backups are and what to do with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Where.
    pub place: Place,
    /// Whether to write.
    pub mode: BackupMode,
    /// The user's part of the backup's identity; may be empty.
    pub id: String,
    /// Quiet time after a change before it is written.
    pub delay: Duration,
}

/// Where backups are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a directory.
    Directory(PathBuf),
    /// In Secrets of this pod's namespace, by name; at least one.
    Secrets(Vec<String>),
}

/// What may be done with backups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupMode {
    /// Read and write.
    Write,
    /// Only read.
    Read,
}

/// Where Consul is and how to speak to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consul {
    /// In the order in which to try them. Empty only with [`Scope::Offline`].
    pub addresses: Vec<Address>,
    /// The datacenter to ask for, if not the agent's own.
    pub datacenter: Option<String>,
    /// The Enterprise namespace.
    pub namespace: Option<String>,
    /// The Enterprise partition.
    pub partition: Option<String>,
    /// For a proxy in front of Consul.
    pub auth: Option<BasicAuth>,
    /// For https.
    pub tls: Tls,
}

/// Whom to trust, and as whom to be known, over https.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// PEM file of authorities. With neither file nor directory, the system's hold.
    pub ca_file: Option<PathBuf>,
    /// Directory of PEM files of authorities.
    pub ca_path: Option<PathBuf>,
    /// The certificate to show.
    pub client: Option<ClientCert>,
    /// The name to expect, if not the address's host.
    pub server_name: Option<String>,
}

/// A certificate with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCert {
    /// PEM file of the certificate.
    pub cert: PathBuf,
    /// PEM file of the key.
    pub key: PathBuf,
}

/// One Consul prefix or service, under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The name: in logs, metrics, layers.
    pub name: String,
    /// What is read, safe to ask for.
    pub reads: Reads,
    /// A pod does not start without it.
    pub required: bool,
    /// It is read in one transaction with the others of this kind, and published with them or not at
    /// all.
    pub atomic: bool,
}

/// The watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// How long Consul may hold a question: 1 s to 10 m, above which Consul itself cuts.
    pub wait: Duration,
}

/// The heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Time between full reads, at least 1 s.
    pub interval: Duration,
}

/// Limits to what an answer may do to the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guards {
    /// Most bytes of the volume.
    pub max_bytes: u64,
    /// Most keys.
    pub max_keys: usize,
    /// Most keys that may go at once, in percent.
    pub max_shrink_percent: u8,
    /// An empty answer may empty the volume.
    pub allow_empty: bool,
}

/// This pod, as Kubernetes knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its uid; empty where it was not given.
    pub uid: String,
}

/// Logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The form of a line.
    pub format: LogFormat,
    /// How much.
    pub level: LogLevel,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// How much to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Only what failed.
    Error,
    /// And what may fail soon.
    Warn,
    /// And what changed.
    Info,
    /// And why.
    Debug,
}

/// How much of a configuration a command needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of it.
    Full,
    /// The volumes: `backup ls` or `wait` work without a source and without knowing where Consul is.
    /// What was given is checked all the same.
    Offline,
}

/// What became of what was typed.
pub struct Outcome {
    /// The layers laid over each other.
    pub typed: Typed,
    /// The configuration, or all that is wrong with it.
    pub config: Result<Config, Vec<Problem>>,
    /// What to say aloud in either case.
    pub warnings: Vec<Warning>,
}

/// Reads the file that flags or environment name, lays the layers over each other, and checks.
pub fn load(flags: &Flags, env: &Env, scope: Scope) -> Outcome {
    let mut problems = Vec::new();
    let named = flags.last(Id::Config).or_else(|| env.one(Id::Config));
    let document = named.and_then(|config| file::Document::read(&config, &mut problems));
    combine(flags, env, document.as_ref(), scope, problems)
}

fn combine(
    flags: &Flags,
    env: &Env,
    document: Option<&file::Document>,
    scope: Scope,
    mut problems: Vec<Problem>,
) -> Outcome {
    let file = document.map(|document| document.layer(&mut problems));
    let typed = flags
        .layer()
        .over(env.layer(&mut problems))
        .over(file.unwrap_or_default())
        .over(env.consul_layer(&mut problems));
    problems.extend(env.unsupported());
    let mut outcome = check::check(typed, scope, env.in_pod(), problems);
    outcome.warnings.extend(env.unknown());
    if let (Some(document), Err(problems)) = (document, &mut outcome.config) {
        document.number(problems);
    }
    if let Some(document) = document {
        document.number(outcome.warnings.iter_mut().map(|w| &mut w.problem));
    }
    outcome
}

// === impl Outcome ===

impl Outcome {
    /// Where to leave a last message, known even when the configuration has problems.
    pub fn termination_log(&self) -> PathBuf {
        let given = self.typed.one(Id::TerminationLog);
        let path = given.map_or(Id::TerminationLog.row().default, |given| &given.text);
        PathBuf::from(path)
    }
}

// === impl Config ===

impl Config {
    /// Where this machine reaches the served address: a wildcard is answered on loopback.
    pub fn http_url(&self) -> String {
        let mut at = self.http;
        if at.ip().is_unspecified() {
            at.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        format!("http://{at}")
    }

    /// The sources that are read in one transaction.
    pub fn atomic(&self) -> Vec<usize> {
        let sources = self.sources.iter().enumerate();
        sources.filter_map(|(at, source)| source.atomic.then_some(at)).collect()
    }
}
