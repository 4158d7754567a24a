//! The composition root: the only file that knows all parts.
//!
//! Watch, heartbeat and admin each own a thread with a runtime; publisher and keeper are plain
//! threads, each the only owner of its volume. They meet on the board and in the publisher's slots.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Notify, watch};

use crate::admin::{self, Admin};
use crate::board::{Board, Failure};
use crate::config::{self, BackupMode, Config, Output};
use crate::consul::Client;
use crate::consul::files;
use crate::consul::wire::Caps;
use crate::exit::Exit;
use crate::heartbeat::Heartbeat;
use crate::keeper::{self, Findings};
use crate::metrics::Metrics;
use crate::model::confirmation::{Mechanism, Origin};
use crate::model::guard::Policy;
use crate::model::key::{Prefix, PrefixRules};
use crate::model::moment::Moment;
use crate::model::offer::{Content, Offer};
use crate::publisher::volume::Error as VolumeError;
use crate::publisher::{self, Inbox, Publisher};
use crate::seed::{Filled, Seed, Unseeded};
use crate::shutdown::{Drain, Signals};
use crate::status::Reporter;
use crate::store::{Backup, Identity, Limits, Store};
use crate::supervise::{Pulse, Unit, on_runtime};
use crate::sync::Source;
use crate::sys;
use crate::watch::Watch;

/// How long the parts get to finish when told to stop; what hangs is left behind.
const FAREWELL: Duration = Duration::from_millis(600);
/// How often a condition is looked at that nobody announces.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
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
    /// What the backup volume was last found to hold, or will be.
    looking: Mutex<Option<Findings>>,
    started: Moment,
}

/// The sidecar with its address bound, before any thread runs.
pub struct Bound {
    app: Arc<App>,
    listener: TcpListener,
    /// The address that was really bound.
    pub address: SocketAddr,
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
        });
        let (inbox, metrics) = (Arc::new(Inbox::new(count)), Arc::new(Metrics::default()));
        let sources = (0..count)
            .map(|at| source(&config, at, &board, &inbox, &metrics))
            .collect();
        let pokes = || (0..count).map(|_| Arc::new(Notify::new())).collect();
        Arc::new(Self {
            board,
            inbox,
            metrics,
            drain: Drain::default(),
            sources,
            watch_pokes: pokes(),
            heartbeat_pokes: pokes(),
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
            let filled = tokio::select! {
                filled = self.fill_and_show() => filled,
                () = signals.come() => Err(stopped()),
            };
            self.stop();
            await_end(&[publisher], FAREWELL);
            filled
        });
        filled.map_err(internal)?
    }

    /// Binds the admin port, so that a taken one is known before anything else happens.
    pub fn bind(self: Arc<Self>) -> std::io::Result<Bound> {
        let listener = admin::bind(self.config.http, !self.config.http_explicit)?;
        let address = listener.local_addr()?;
        Ok(Bound {
            app: self,
            listener,
            address,
        })
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
        let failure = Failure {
            kind: error.kind(),
            text: error.to_string(),
            at: sys::now(),
        };
        let news = self.board.update(|state| {
            let known = state
                .volume_error
                .as_ref()
                .is_some_and(|old| old.kind == failure.kind);
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
        // One tree, whose layers are all the sources there are; configuration sees to that.
        let [Output::Tree { layers }] = self.config.outputs.as_slice() else {
            unreachable!("configuration makes exactly one tree")
        };
        let named = layers.iter().map(|at| &self.config.sources[*at]);
        publisher::Setup {
            path: self.config.volume.clone(),
            sources: named.map(|s| (s.name.clone(), s.prefix.clone())).collect(),
            pokes: self
                .watch_pokes
                .iter()
                .chain(&self.heartbeat_pokes)
                .cloned()
                .collect(),
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
            dir: backup.dir.clone(),
            writes: backup.mode == BackupMode::Write,
            delay: backup.delay,
            limits: limits(&self.config),
            sources: named
                .map(|s| (s.name.clone(), identity(s.prefix.as_str())))
                .collect(),
            pokes: self.heartbeat_pokes.clone(),
        })
    }

    fn client(&self, mechanism: Mechanism) -> Client {
        let config = &self.config;
        Client::new(
            &config.consul,
            &config.token,
            mechanism,
            self.metrics.clone(),
        )
    }

    /// Reads the backup volume on a thread of its own: it may hang, and then only that thread does.
    /// While it does no second one is started, however often the seed is tried.
    fn look_for_backups(self: &Arc<Self>) -> std::io::Result<Option<Findings>> {
        let Some(setup) = self.keeper_setup() else {
            return Ok(None);
        };
        let mut looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(findings) = looking.as_ref().filter(|f| is_looking(f)) {
            return Ok(Some(findings.clone()));
        }
        let (found, findings) = watch::channel(None);
        *looking = Some(findings.clone());
        let app = self.clone();
        std::thread::Builder::new()
            .name("backups".to_owned())
            .spawn(move || {
                let _ = found.send(Some(Arc::new(keeper::look(&setup, &app.board))));
            })?;
        Ok(Some(findings))
    }

    /// Fills every source and waits until the files are there.
    async fn fill_and_show(self: &Arc<Self>) -> Result<Vec<(String, Filled)>, Unseeded> {
        let timeout = self.config.seed_timeout;
        let opened = tokio::time::timeout(timeout, self.volume_is_open()).await;
        opened.map_err(|_| self.volume_unusable()).flatten()?;
        let filled = self.fill().await?;
        // A volume that takes the content takes it in milliseconds; one that does not has said why.
        let shown = tokio::time::timeout(timeout, self.is_shown()).await;
        shown.map_err(|_| self.volume_unusable()).flatten()?;
        Ok(filled)
    }

    async fn fill(self: &Arc<Self>) -> Result<Vec<(String, Filled)>, Unseeded> {
        let backups = self.look_for_backups().map_err(internal)?;
        let one = |source: &Source| Seed {
            source: source.clone(),
            client: self.client(Mechanism::Seed),
            started: sys::now(),
            timeout: self.config.seed_timeout,
            backups: backups.clone(),
        };
        let seeds: Vec<_> = self.sources.iter().map(one).collect();
        let filled = join_all(seeds.iter().map(Seed::run)).await;
        let filled = filled.into_iter().collect::<Result<Vec<_>, _>>()?;
        let took = sys::now().since(self.started);
        self.board.update(|state| {
            for (source, filled) in state.sources.iter_mut().zip(&filled) {
                source.seed = (*filled != Filled::Kept).then(|| (Origin::from(filled), took));
            }
        });
        Ok(self
            .sources
            .iter()
            .map(|s| s.name.clone())
            .zip(filled)
            .collect())
    }

    /// Returns once the volume is open; at once with the reason where waiting will not help.
    async fn volume_is_open(&self) -> Result<(), Unseeded> {
        self.board_shows(|state| state.opened, |_| true).await
    }

    /// Returns once every source has something published and nothing waits.
    async fn is_shown(&self) -> Result<(), Unseeded> {
        let shown = || self.inbox.slots.is_idle();
        self.board_shows(|state| state.seeded && shown(), |kind| kind != "blocked")
            .await
    }

    /// Waits for the board; a volume error for which `fatal` holds ends the wait, a lock does not.
    async fn board_shows(
        &self,
        done: impl Fn(&crate::board::State) -> bool,
        fatal: impl Fn(&str) -> bool,
    ) -> Result<(), Unseeded> {
        let mut changes = self.board.subscribe();
        loop {
            changes.borrow_and_update();
            let (done, error) = self.board.read(|state| {
                let error = state
                    .volume_error
                    .as_ref()
                    .filter(|_| !state.waiting_for_lock);
                (done(state), error.filter(|e| fatal(e.kind)).is_some())
            });
            if error {
                return Err(self.volume_unusable());
            }
            if done {
                return Ok(());
            }
            // What is in the publisher's hands shows on no board: that is looked at again soon.
            let _ = tokio::time::timeout(LOOK_AGAIN, changes.changed()).await;
        }
    }

    fn volume_unusable(&self) -> Unseeded {
        let error = self
            .board
            .read(|s| s.volume_error.as_ref().map(|e| e.text.clone()));
        let text = error.unwrap_or_else(|| {
            format!(
                "volume {}: it does not answer",
                self.config.volume.display()
            )
        });
        Unseeded {
            exit: Exit::Volume,
            text,
        }
    }

    fn stop(&self) {
        self.drain.start();
        self.inbox.slots.close();
        self.board.update(|state| state.closed = true);
    }
}

// === impl Bound ===

impl Bound {
    /// Runs the sidecar until a signal ends it.
    pub fn run(self) -> std::io::Result<()> {
        let app = self.app.clone();
        on_runtime(async {
            let mut signals = Signals::catch()?;
            let (units, _files) = self.start()?;
            signals.come().await;
            tracing::info!(event = "stopping", "told to stop");
            app.stop();
            await_end(&units, FAREWELL);
            Ok(())
        })?
    }

    /// Starts every part.
    fn start(self) -> std::io::Result<(Vec<Unit>, Option<files::Watching>)> {
        let app = &self.app;
        let mut units = vec![app.start_publisher()?];
        if app.config.watch.is_some() {
            units.push(app.start_watch()?);
        }
        if app.config.heartbeat.is_some() {
            units.push(app.start_heartbeat()?);
        }
        units.push(app.start_seed()?);
        // Liveness looks at the ones so far: not at the keeper, whose volume may hang, and not at
        // the one that answers.
        let admin = app.start_admin(&units, self.listener)?;
        units.extend(app.start_keeper()?);
        units.push(admin);
        let pokes = app
            .watch_pokes
            .iter()
            .chain(&app.heartbeat_pokes)
            .cloned()
            .collect();
        let files = files::watch(&app.config, pokes);
        let version = env!("CARGO_PKG_VERSION");
        tracing::info!(event = "started", address = %self.address, "seedcar {version}");
        Ok((units, files))
    }
}

impl App {
    fn start_watch(self: &Arc<Self>) -> std::io::Result<Unit> {
        let (app, wait) = (
            self.clone(),
            self.config.watch.map_or(Duration::ZERO, |w| w.wait),
        );
        self.start_unit("watch", move |pulse| {
            let watches: Vec<_> = app
                .sources
                .iter()
                .map(|source| Watch {
                    source: source.clone(),
                    client: app.client(Mechanism::Watch),
                    wait,
                    poke: app.watch_pokes[source.at].clone(),
                })
                .collect();
            app.until_drained(async {
                app.seeded(pulse).await;
                join_all(watches.iter().map(|w| w.run(pulse))).await;
            });
        })
    }

    fn start_heartbeat(self: &Arc<Self>) -> std::io::Result<Unit> {
        let app = self.clone();
        let interval = self.config.heartbeat.map_or(Duration::ZERO, |h| h.interval);
        self.start_unit("heartbeat", move |pulse| {
            let beats: Vec<_> = app
                .sources
                .iter()
                .map(|source| Heartbeat {
                    source: source.clone(),
                    client: app.client(Mechanism::Heartbeat),
                    interval,
                    watched: app.config.watch.is_some(),
                    poke: app.heartbeat_pokes[source.at].clone(),
                })
                .collect();
            app.until_drained(async {
                app.seeded(pulse).await;
                join_all(beats.iter().map(|b| b.run(pulse))).await;
            });
        })
    }

    /// Fills the volume where nothing was adopted, for as long as it takes.
    fn start_seed(self: &Arc<Self>) -> std::io::Result<Unit> {
        let app = self.clone();
        self.start_unit("seed", move |pulse| {
            app.until_drained(async {
                let patience = app.config.seed_timeout * 2 + Duration::from_secs(120);
                loop {
                    // Another seedcar may hold the volume, for as long as it likes.
                    pulse.tick(Duration::MAX);
                    let opened = app.board_shows(|state| state.opened, |_| false).await;
                    pulse.tick(patience);
                    let adopted = app.board.read(|state| state.seeded);
                    if adopted || opened.is_err() {
                        break;
                    }
                    match app.fill().await {
                        Ok(_) => break,
                        Err(unseeded) => {
                            let error = unseeded.text;
                            tracing::error!(
                                event = "not_seeded",
                                error,
                                "cannot seed; trying again"
                            );
                        }
                    }
                }
            });
            // Done for good: its silence from here on is no sign of death.
            pulse.tick(Duration::MAX);
        })
    }

    fn start_keeper(self: &Arc<Self>) -> std::io::Result<Option<Unit>> {
        let Some(setup) = self.keeper_setup() else {
            return Ok(None);
        };
        let app = self.clone();
        let work = move |pulse: &Pulse| keeper::run(&setup, &app.board, &app.metrics, pulse);
        Unit::spawn("keeper", self.drain.clone(), work).map(Some)
    }

    fn start_admin(
        self: &Arc<Self>,
        units: &[Unit],
        listener: TcpListener,
    ) -> std::io::Result<Unit> {
        let reporter = Reporter {
            config: self.config.clone(),
            board: self.board.clone(),
            metrics: self.metrics.clone(),
            started: self.started,
        };
        let pulses = units
            .iter()
            .map(|unit| (unit.name, unit.pulse.clone()))
            .collect();
        let admin = Admin {
            reporter: Arc::new(reporter),
            pulses: Arc::new(pulses),
        };
        let drain = self.drain.clone();
        self.start_unit("admin", move |_| {
            let served = listener
                .try_clone()
                .and_then(|listener| on_runtime(admin.clone().serve(listener, drain.clone()))?);
            if let Err(error) = served {
                tracing::error!(event = "admin_failed", %error, "the admin port ended");
            }
        })
    }

    fn start_unit(
        self: &Arc<Self>,
        name: &'static str,
        work: impl Fn(&Pulse) + Send + 'static,
    ) -> std::io::Result<Unit> {
        Unit::spawn(name, self.drain.clone(), work)
    }

    /// Runs `work` on a runtime of this thread until it ends or the process is told to stop.
    fn until_drained(&self, work: impl Future<Output = ()>) {
        let done = on_runtime(async {
            tokio::select! {
                () = work => {}
                () = self.drain.wait() => {}
            }
        });
        if let Err(error) = done {
            tracing::error!(event = "no_runtime", %error, "cannot start a runtime");
        }
    }

    /// Returns once something is published. Mechanisms start from that.
    async fn seeded(&self, pulse: &Pulse) {
        pulse.tick(Duration::MAX);
        let _ = self.board_shows(|state| state.seeded, |_| false).await;
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
        prefix: named.prefix.clone(),
        policy: Policy {
            allow_empty: guards.allow_empty,
            max_shrink_percent: guards.max_shrink_percent,
        },
        caps: Caps {
            max_bytes: guards.max_bytes,
            max_keys: guards.max_keys,
        },
        board: board.clone(),
        inbox: inbox.clone(),
        metrics: metrics.clone(),
    }
}

/// A backup may hold what an answer may hold, and it may have been written under wider limits.
fn limits(config: &Config) -> Limits {
    let guards = &config.guards;
    Limits {
        max_bytes: guards.max_bytes * 4,
        max_keys: guards.max_keys as u64 * 4,
    }
}

/// Waits for threads to end, at most `within`. What hangs is left behind: the process ends all the
/// same.
fn await_end(units: &[Unit], within: Duration) {
    let until = sys::now() + within;
    while units.iter().any(|unit| !unit.is_finished()) && sys::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Nothing is found yet, and the thread that looks is alive.
fn is_looking(findings: &Findings) -> bool {
    findings.borrow().is_none() && findings.has_changed().is_ok()
}

fn internal(error: std::io::Error) -> Unseeded {
    Unseeded {
        exit: Exit::Internal,
        text: error.to_string(),
    }
}

fn stopped() -> Unseeded {
    Unseeded {
        exit: Exit::NotMet,
        text: "told to stop before the volume was filled".to_owned(),
    }
}

/// Publishes a backup to the configured volume, which no other seedcar may hold. Sources beside the
/// one that the backup is of are filled from their newest backups; without configured sources the
/// backup's own prefix is the one there is.
pub fn restore(config: &Config, store: &Store, backup: Backup) -> Result<(), Unseeded> {
    let refuse = |exit, text| Err(Unseeded { exit, text });
    let mut config = config.clone();
    if config.sources.is_empty() {
        let rules = PrefixRules {
            exact: true,
            allow_root: true,
        };
        let prefix = Prefix::parse(&backup.header.identity.prefix, rules);
        let Ok(prefix) = prefix else {
            return refuse(
                Exit::BackupDamaged,
                "the backup's prefix is not one".to_owned(),
            );
        };
        config.sources = vec![config::Source {
            name: "default".to_owned(),
            prefix,
        }];
        config.outputs = vec![Output::Tree { layers: vec![0] }];
    }
    let app = App::new(config, None);
    let setup = app
        .keeper_setup()
        .expect("the backup came from a configured volume");
    let mut chosen = Some(backup);
    for (at, (name, identity)) in setup.sources.iter().enumerate() {
        let own = chosen.take_if(|b| b.header.identity.prefix == identity.prefix);
        let newest = || store.newest(identity).ok()?.best;
        let Some(backup) = own.or_else(newest) else {
            let text =
                format!("source {name}: there is no backup of it; all sources make one tree");
            return refuse(Exit::NothingToSeedFrom, text);
        };
        let confirmed = backup.header.confirmed.as_second();
        let content = Content::from_backup(Arc::new(backup.snapshot), confirmed, sys::now());
        app.inbox.put(
            at,
            Offer {
                content: Some(content),
                hold: Some(None),
            },
        );
    }
    if chosen.is_some() {
        return refuse(
            Exit::Usage,
            "the backup is of none of the configured sources".to_owned(),
        );
    }
    app.inbox.slots.close();
    let setup = app.publisher_setup();
    let opened = Publisher::open(setup, app.board.clone(), app.metrics.clone());
    let publisher = opened.map_err(|error| Unseeded {
        exit: Exit::Volume,
        text: error.to_string(),
    })?;
    publisher.run(&app.inbox, &Pulse::default());
    match app.board.read(|state| state.volume_error.clone()) {
        Some(error) => refuse(Exit::Volume, error.text),
        None => Ok(()),
    }
}
