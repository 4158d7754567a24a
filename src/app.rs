//! The composition root: the only file that knows all parts.
//!
//! Watch, heartbeat and admin each own a thread with a runtime; publisher and keeper are plain
//! threads, each the only owner of its volume. They meet on the board and in the publisher's slots.

pub mod diff;
mod fill;
mod login;
mod restore;
mod sidecar;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

use crate::board::{self, Board, Failure};
use crate::config::{BackupMode, Config, Token};
use crate::consul::Client;
use crate::consul::session::Session;
use crate::consul::wire::Caps;
use crate::events;
use crate::exit::Exit;
use crate::keeper::{self, Findings};
use crate::metrics::Metrics;
use crate::model::confirmation::Mechanism;
use crate::model::guard::Policy;
use crate::model::moment::Moment;
use crate::publisher::volume::Error as VolumeError;
use crate::publisher::{self, Inbox, Publisher};
use crate::seed::{Filled, Unseeded};
use crate::shutdown::{Drain, Signals};
use crate::store::{Identity, Limits};
use crate::supervise::{Pulse, Unit, on_runtime};
use crate::sync::Source;
use crate::sync::atomic::Group;
use crate::sys;

pub use restore::restore;
pub use sidecar::Bound;

/// How long the parts get to finish when told to stop; what hangs is left behind.
const FAREWELL: Duration = Duration::from_millis(600);
/// How long an init container takes to tell Kubernetes of a backup that it used.
const TELLING: Duration = Duration::from_secs(2);
/// How often a volume that cannot be opened is tried again.
const REOPEN: Duration = Duration::from_millis(250);

/// Everything that the parts share.
pub struct App {
    config: Arc<Config>,
    board: Arc<Board>,
    inbox: Arc<Inbox>,
    metrics: Arc<Metrics>,
    drain: Drain,
    sources: Vec<Source>,
    watch_pokes: Vec<Arc<Notify>>,
    heartbeat_pokes: Vec<Arc<Notify>>,
    /// The token of the login, if there is to be one.
    session: Arc<Session>,
    login_poke: Arc<Notify>,
    /// What the backup volume was last found to hold, or will be.
    looking: Mutex<Option<Findings>>,
    started: Moment,
}

// === impl App ===

impl App {
    /// Makes the parts' shared state from a checked configuration. `accepted`: a digest that the
    /// command line lets through.
    pub fn new(config: Config, accepted: Option<String>) -> Arc<Self> {
        let config = Arc::new(config);
        let count = config.sources.len();
        let board = Arc::new(Board::new(count));
        board.update(|state| {
            for source in &mut state.sources {
                source.accepted.extend(accepted.clone());
                source.health_mut(Mechanism::Watch).enabled = config.watch.is_some();
                source.health_mut(Mechanism::Heartbeat).enabled = config.heartbeat.is_some();
                source.health_mut(Mechanism::Backup).enabled = config.backup.is_some();
            }
            let logs_in = matches!(config.token, Token::Login(_));
            state.login = logs_in.then(board::Login::default);
        });
        let (inbox, metrics) = (Arc::new(Inbox::new(count)), Arc::new(Metrics::default()));
        let sources: Vec<Source> =
            (0..count).map(|at| source(&config, at, &board, &inbox, &metrics)).collect();
        let sources = together(&config, &sources);
        let pokes = || (0..count).map(|_| Arc::new(Notify::new())).collect();
        Arc::new(Self {
            board,
            inbox,
            metrics,
            drain: Drain::default(),
            sources,
            watch_pokes: pokes(),
            heartbeat_pokes: pokes(),
            session: Arc::default(),
            login_poke: Arc::default(),
            looking: Mutex::default(),
            started: sys::now(),
            config,
        })
    }

    /// Fills the volume once. Returns what each source was filled with, or why one could not be.
    pub fn init(self: &Arc<Self>) -> Result<Vec<(String, Filled)>, Unseeded> {
        let filled = on_runtime(async {
            let mut signals = Signals::catch().map_err(internal)?;
            let publisher = self.start_publisher().map_err(internal)?;
            let login = self.start_login().map_err(internal)?;
            let filled = tokio::select! {
                filled = self.fill_and_show() => Some(filled),
                () = signals.come() => None,
            };
            self.stop();
            let units: Vec<Unit> = std::iter::once(publisher).chain(login).collect();
            await_end(&units, FAREWELL);
            let Some(filled) = filled else { return Err(stopped()) };
            tokio::select! { () = self.tell_of_init() => {}, () = signals.come() => {} }
            filled
        });
        filled.map_err(internal)?
    }

    /// An init container that used a backup says so before it ends, if that takes no time.
    async fn tell_of_init(self: &Arc<Self>) {
        let Some(setup) = self.events_setup() else {
            return;
        };
        let (app, (done, told)) = (self.clone(), tokio::sync::oneshot::channel());
        let thread = std::thread::Builder::new().name("events".to_owned());
        let _ = thread.spawn(move || {
            events::tell_now(&setup, &app.board);
            let _ = done.send(());
        });
        let _ = tokio::time::timeout(TELLING, told).await;
    }

    fn events_setup(&self) -> Option<events::Setup> {
        let pod = self.config.events.clone()?;
        let sources = self.config.sources.iter().map(|s| s.name.clone()).collect();
        Some(events::Setup { pod, sources })
    }

    fn start_publisher(self: &Arc<Self>) -> std::io::Result<Unit> {
        let app = self.clone();
        Unit::spawn("publisher", self.drain.clone(), move |pulse| {
            if let Some(publisher) = app.open_volume(pulse) {
                publisher.run(&app.inbox, pulse);
            }
        })
    }

    /// Opens the volume, for as long as that takes; `None` when told to stop before.
    fn open_volume(&self, pulse: &Pulse) -> Option<Publisher> {
        loop {
            pulse.tick(Duration::from_secs(60));
            let setup = self.publisher_setup();
            match Publisher::open(setup, self.board.clone(), self.metrics.clone()) {
                Ok(publisher) => return Some(publisher),
                Err(error) => self.volume_failed(&error),
            }
            std::thread::sleep(REOPEN);
            if self.drain.started() {
                return None;
            }
        }
    }

    fn volume_failed(&self, error: &VolumeError) {
        let waiting = matches!(error, VolumeError::Locked(_));
        let failure = Failure { kind: error.kind(), text: error.to_string(), at: sys::now() };
        let news = self.board.update(|state| {
            let known = state.volume_error.as_ref().is_some_and(|old| old.kind == failure.kind);
            state.waiting_for_lock = waiting;
            state.volume_error = Some(failure);
            !known
        });
        if news {
            tracing::warn!(event = "volume_unusable", error_kind = error.kind(), %error,
                "the volume cannot be used; trying again");
        }
    }

    fn publisher_setup(&self) -> publisher::Setup {
        let named = self.config.sources.iter();
        publisher::Setup {
            path: self.config.volume.clone(),
            layout: self.config.layout,
            sources: named.map(|s| (s.name.clone(), s.reads.prefix().clone())).collect(),
            atomic: self.config.atomic(),
            outputs: self.config.outputs.clone(),
            control: self.config.control.is_some(),
            tells: self.config.hook.is_some(),
            validate: self.config.validate.clone(),
            pokes: self.pokes(),
        }
    }

    fn keeper_setup(&self) -> Option<keeper::Setup> {
        let backup = self.config.backup.as_ref()?;
        let consul = &self.config.consul;
        let identity = |prefix: &str| Identity {
            id: Some(backup.id.clone()).filter(|id| !id.is_empty()),
            prefix: prefix.to_owned(),
            datacenter: consul.datacenter.clone(),
            namespace: consul.namespace.clone(),
            partition: consul.partition.clone(),
        };
        let named = self.config.sources.iter();
        Some(keeper::Setup {
            place: backup.place.clone(),
            writes: backup.mode == BackupMode::Write,
            delay: backup.delay,
            limits: limits(&self.config),
            sources: named.map(|s| (s.name.clone(), identity(s.reads.prefix().as_str()))).collect(),
            pokes: self.heartbeat_pokes.clone(),
        })
    }

    fn client(&self, name: &'static str) -> Client {
        let (config, metrics) = (&self.config, self.metrics.clone());
        Client::new(&config.consul, &config.token, &self.session, name, metrics)
    }

    /// Every mechanism that may be told to ask Consul at once.
    fn pokes(&self) -> Vec<Arc<Notify>> {
        self.named_pokes().into_iter().map(|(_, _, poke)| poke).collect()
    }

    /// The same, and whose each is.
    fn named_pokes(&self) -> Vec<(usize, Mechanism, Arc<Notify>)> {
        let of = |who, pokes: &[Arc<Notify>]| {
            let named = pokes.iter().cloned().enumerate();
            named.map(|(at, poke)| (at, who, poke)).collect::<Vec<_>>()
        };
        let watches = of(Mechanism::Watch, &self.watch_pokes);
        [watches, of(Mechanism::Heartbeat, &self.heartbeat_pokes)].concat()
    }

    /// Waits for the board; a volume error for which `fatal` holds ends the wait, a lock does not.
    async fn board_shows(
        &self,
        done: impl Fn(&crate::board::State) -> bool,
        fatal: impl Fn(&str) -> bool,
    ) -> Result<(), Unseeded> {
        let (mut changes, mut done_with) = (self.board.subscribe(), self.inbox.slots.done());
        loop {
            changes.borrow_and_update();
            done_with.borrow_and_update();
            let (done, error) = self.board.read(|state| {
                let error = state.volume_error.as_ref().filter(|_| !state.waiting_for_lock);
                (done(state), error.filter(|e| fatal(e.kind)).is_some())
            });
            if error {
                return Err(self.volume_unusable());
            }
            if done {
                return Ok(());
            }
            tokio::select! {
                _ = changes.changed() => {}
                _ = done_with.changed() => {}
            }
        }
    }

    fn stop(&self) {
        self.drain.start();
        self.inbox.slots.close();
        self.board.update(|state| state.closed = true);
    }
}

fn source(
    config: &Config,
    at: usize,
    board: &Arc<Board>,
    inbox: &Arc<Inbox>,
    metrics: &Arc<Metrics>,
) -> Source {
    let (named, guards) = (&config.sources[at], &config.guards);
    Source {
        at,
        name: named.name.clone(),
        reads: named.reads.clone(),
        policy: Policy {
            allow_empty: guards.allow_empty,
            max_shrink_percent: guards.max_shrink_percent,
        },
        caps: Caps { max_bytes: guards.max_bytes, max_keys: guards.max_keys },
        group: None,
        board: board.clone(),
        inbox: inbox.clone(),
        metrics: metrics.clone(),
    }
}

/// Tells those that are read in one transaction of each other.
fn together(config: &Config, sources: &[Source]) -> Vec<Source> {
    let atomic = config.atomic();
    let members = atomic.iter().map(|at| sources[*at].clone()).collect();
    let group = Some(Arc::new(Group::new(members)));
    // One alone is as any other.
    let group = group.filter(|_| atomic.len() > 1);
    let of = |source: &Source| {
        let group = group.clone().filter(|_| atomic.contains(&source.at));
        Source { group, ..source.clone() }
    };
    sources.iter().map(of).collect()
}

/// A backup may hold what an answer may hold, and it may have been written under wider limits.
fn limits(config: &Config) -> Limits {
    let guards = &config.guards;
    Limits {
        max_bytes: guards.max_bytes.saturating_mul(4),
        max_keys: (guards.max_keys as u64).saturating_mul(4),
    }
}

/// Waits for threads to end, at most `within`. What hangs is left behind: the process ends all the
/// same.
fn await_end(units: &[Unit], within: Duration) {
    let (until, mut pause) = (sys::now() + within, Duration::from_micros(100));
    while units.iter().any(|unit| !unit.is_finished()) && sys::now() < until {
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

fn internal(error: std::io::Error) -> Unseeded {
    Unseeded { exit: Exit::Internal, text: error.to_string() }
}

fn stopped() -> Unseeded {
    Unseeded { exit: Exit::NotMet, text: "told to stop before the volume was filled".to_owned() }
}
