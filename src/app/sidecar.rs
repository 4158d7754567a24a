//! The sidecar's threads: what runs, and in which order it is started and stopped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::{App, FAREWELL, await_end};
use crate::admin::{Admin, Port};
use crate::board::Source;
use crate::consul::files;
use crate::control::Control;
use crate::heartbeat::Heartbeat;
use crate::model::confirmation::Mechanism;
use crate::model::pace::{Backoff, Trouble};
use crate::shutdown::Signals;
use crate::status::Reporter;
use crate::supervise::{Pulse, Unit, on_runtime, until_drained};
use crate::watch::Watch;
use crate::{applications, events, hook, keeper};

/// How long the fleet's keys are waited for where there is no watch whose wait could be taken.
const WAIT: Duration = Duration::from_secs(30);

/// The sidecar with its address bound, before any thread runs.
pub struct Bound {
    app: Arc<App>,
    port: Port,
    /// The address that was really bound.
    pub address: SocketAddr,
}

impl App {
    /// Binds the admin port, so that a taken one is known before anything else happens.
    pub fn bind(self: Arc<Self>) -> std::io::Result<Bound> {
        let port = Port::bind(self.config.http, !self.config.http_explicit)?;
        let address = port.address()?;
        Ok(Bound { app: self, port, address })
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
        units.extend(app.start_login()?);
        if app.config.watch.is_some() {
            units.push(app.start_watch()?);
        }
        if app.config.heartbeat.is_some() {
            units.push(app.start_heartbeat()?);
        }
        units.push(app.start_seed()?);
        // Liveness looks at the ones so far: not at the keeper, whose volume may hang, not at who
        // tells Kubernetes, which may too, nor at who reads of applications, and not at the one that
        // answers.
        let admin = app.start_admin(&units, self.port)?;
        units.extend(app.start_keeper()?);
        units.extend(app.start_events()?);
        units.extend(app.start_hook()?);
        units.extend(app.start_control()?);
        units.extend(app.start_applications()?);
        units.push(admin);
        let files = files::watch(&app.config, app.pokes(), app.login_poke.clone());
        let version = env!("CARGO_PKG_VERSION");
        tracing::info!(event = "started", address = %self.address, "seedcar {version}");
        Ok((units, files))
    }
}

impl App {
    fn start_watch(self: &Arc<Self>) -> std::io::Result<Unit> {
        let (app, wait) = (self.clone(), self.config.watch.map_or(Duration::ZERO, |w| w.wait));
        self.start_unit("watch", move |pulse| {
            let watches: Vec<_> = app
                .sources
                .iter()
                .map(|source| Watch {
                    source: source.clone(),
                    client: app.client(Mechanism::Watch.word()),
                    wait,
                    poke: app.watch_pokes[source.at].clone(),
                })
                .collect();
            until_drained(&app.drain, pulse, async {
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
                    client: app.client(Mechanism::Heartbeat.word()),
                    interval,
                    watched: app.config.watch.is_some(),
                    poke: app.heartbeat_pokes[source.at].clone(),
                })
                .collect();
            until_drained(&app.drain, pulse, async {
                app.seeded(pulse).await;
                join_all(beats.iter().map(|b| b.run(pulse))).await;
            });
        })
    }

    /// Fills the volume where nothing was adopted, for as long as it takes.
    fn start_seed(self: &Arc<Self>) -> std::io::Result<Unit> {
        let app = self.clone();
        self.start_unit("seed", move |pulse| {
            until_drained(&app.drain, pulse, async {
                let mut backoff = Backoff::default();
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
                            if app.board.read(|s| s.sources.iter().any(Source::is_invalid)) {
                                // What does not pass its validation is refused at once.
                                let pause = backoff.fail(Trouble::Passing, fastrand::f64());
                                tokio::time::sleep(pause).await;
                            }
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

    fn start_events(self: &Arc<Self>) -> std::io::Result<Option<Unit>> {
        let Some(setup) = self.events_setup() else {
            return Ok(None);
        };
        let app = self.clone();
        let work = move |pulse: &Pulse| events::run(&setup, &app.board, pulse);
        Unit::spawn("events", self.drain.clone(), work).map(Some)
    }

    fn start_hook(self: &Arc<Self>) -> std::io::Result<Option<Unit>> {
        let Some(hook) = self.config.hook.clone() else {
            return Ok(None);
        };
        let sources = self.config.sources.iter().map(|source| source.name.clone()).collect();
        let (app, setup) = (self.clone(), hook::Setup { hook, sources });
        let work = move |pulse: &Pulse| {
            let tell = hook::run(&setup, &app.board, &app.metrics, pulse);
            until_drained(&app.drain, pulse, tell);
        };
        Unit::spawn("hook", self.drain.clone(), work).map(Some)
    }

    fn start_control(self: &Arc<Self>) -> std::io::Result<Option<Unit>> {
        let Some(prefix) = self.config.control.clone() else {
            return Ok(None);
        };
        let app = self.clone();
        let wait = self.config.watch.map_or(WAIT, |watch| watch.wait);
        let work = move |pulse: &Pulse| {
            let is_watched = app.config.watch.is_some();
            let pokes = if is_watched { &app.watch_pokes } else { &app.heartbeat_pokes }.clone();
            let (board, inbox) = (app.board.clone(), app.inbox.clone());
            let client = app.client("control");
            let control = Control { prefix: prefix.clone(), client, wait, board, inbox, pokes };
            until_drained(&app.drain, pulse, control.run(pulse));
        };
        Unit::spawn("control", self.drain.clone(), work).map(Some)
    }

    fn start_applications(self: &Arc<Self>) -> std::io::Result<Option<Unit>> {
        let Some(directory) = self.config.exec_dir.clone() else {
            return Ok(None);
        };
        let app = self.clone();
        let work = move |pulse: &Pulse| applications::run(&directory, &app.board, pulse);
        Unit::spawn("applications", self.drain.clone(), work).map(Some)
    }

    fn start_admin(self: &Arc<Self>, units: &[Unit], port: Port) -> std::io::Result<Unit> {
        let reporter = Reporter {
            config: self.config.clone(),
            board: self.board.clone(),
            metrics: self.metrics.clone(),
            started: self.started,
        };
        let pulses = units.iter().map(|unit| (unit.name, unit.pulse.clone())).collect();
        let admin = Admin { reporter: Arc::new(reporter), pulses: Arc::new(pulses) };
        let drain = self.drain.clone();
        self.start_unit("admin", move |_| port.serve(&admin, &drain))
    }

    fn start_unit(
        self: &Arc<Self>,
        name: &'static str,
        work: impl Fn(&Pulse) + Send + 'static,
    ) -> std::io::Result<Unit> {
        Unit::spawn(name, self.drain.clone(), work)
    }

    /// Returns once something is published. Mechanisms start from that.
    async fn seeded(&self, pulse: &Pulse) {
        pulse.tick(Duration::MAX);
        let _ = self.board_shows(|state| state.seeded, |_| false).await;
    }
}
