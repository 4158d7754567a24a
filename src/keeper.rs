//! The thread that owns the backup volume: what is confirmed goes there, what is there is known here.
//!
//! When to write is decided in `model::keeping`, how in `store`. A backup volume that hangs hangs
//! this thread and nothing else; liveness never looks at it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::board::{BackedUp, Board, Failure, Source};
use crate::metrics::{Id, Metrics};
use crate::model::confirmation::{Mechanism, Origin, Published as OnBoard};
use crate::model::guard::Baseline;
use crate::model::keeping::{Duty, Keeping, Published};
use crate::model::moment::Moment;
use crate::model::snapshot::Snapshot;
use crate::store::frame::Header;
use crate::store::{Access, Error, Identity, Kind, Limits, Place, Sound, Store};
use crate::supervise::Pulse;
use crate::sys;

/// The longest sleep; a change on the board ends it.
const IDLE: Duration = Duration::from_secs(60);

/// What the keeper is told at its start.
#[derive(Clone)]
pub struct Setup {
    /// Where backups are.
    pub place: Place,
    /// Written to, or only read.
    pub writes: bool,
    /// Written this long after a published change.
    pub delay: Duration,
    /// Caps of a file that is read.
    pub limits: Limits,
    /// Names and backup identities of the sources.
    pub sources: Vec<(String, Identity)>,
    /// Rung to have a source read, when its content is wanted and not known.
    pub pokes: Vec<Arc<Notify>>,
}

/// The backups found at the start, by source.
#[derive(Debug, Default)]
pub struct Found {
    /// The newest valid one.
    pub best: Option<(Arc<Snapshot>, BackedUp)>,
    /// File names of damaged ones, with the reason.
    pub refused: Vec<(String, String)>,
    /// Why the volume, or a part of it, could not be read.
    pub error: Option<String>,
}

/// Where the seed waits for what is found. `None` until the volume has answered.
pub type Findings = watch::Receiver<Option<Arc<Vec<Found>>>>;

struct Keeper<'a> {
    setup: &'a Setup,
    board: &'a Board,
    metrics: &'a Metrics,
    store: Option<Store>,
    keeping: Vec<Keeping>,
}

/// Looks for the newest valid backup of each source and says on the board what it found.
pub fn look(setup: &Setup, board: &Board) -> Vec<Found> {
    let found = match Store::open_place(&setup.place, Access::Read, setup.limits) {
        Ok(store) => setup.sources.iter().map(|(_, id)| look_one(&store, id)).collect(),
        Err(error) => {
            let text = error.to_string();
            setup
                .sources
                .iter()
                .map(|_| Found { error: Some(text.clone()), ..Found::default() })
                .collect()
        }
    };
    for (at, ((name, _), found)) in setup.sources.iter().zip(&found).enumerate() {
        log_found(name, found);
        let Some((snapshot, backup)) = &found.best else {
            continue;
        };
        let baseline =
            Baseline { digest: snapshot.digest(), keys: snapshot.keys(), index: snapshot.index() };
        board.update(|state| {
            state.sources[at].backup_baseline = Some(baseline);
            state.sources[at].backup = Some(backup.clone());
        });
    }
    found
}

/// Keeps backups until the board is closed.
pub fn run(setup: &Setup, board: &Board, metrics: &Metrics, pulse: &Pulse) {
    let delay = match setup.place {
        Place::Directory(_) => setup.delay,
        // Replicas publish a change at the same moment: they spread over one more delay, so that the
        // first of them writes and the others find it written.
        Place::Secrets(_) => setup.delay.mul_f64(1.0 + fastrand::f64()),
    };
    let keeping = setup.sources.iter().map(|_| Keeping::new(delay)).collect();
    let mut keeper = Keeper { setup, board, metrics, store: None, keeping };
    let mut seen = 0;
    while !board.read(|state| state.closed) {
        pulse.tick(IDLE * 5);
        let now = sys::now();
        let mut until = now + IDLE;
        for at in 0..setup.sources.len() {
            if let Some(moment) = keeper.attend(at, now) {
                until = until.min(moment);
            }
        }
        seen = board.wait(seen, until.since(sys::now()).max(Duration::from_millis(10)));
    }
}

/// A source's published content as far as backups are concerned.
pub fn to_keep(source: &Source) -> Option<Published> {
    let published = source.published.as_ref()?;
    let heartbeat = source.heartbeat_confirmed.filter(|h| h.digest == published.digest);
    Some(Published {
        digest: published.digest,
        confirmed: published.origin == Origin::Consul && !published.stale,
        heartbeat: heartbeat.map(|h| h.when),
    })
}

/// Consul's clock, in seconds since 1970, when it last said that this content is current.
pub fn confirmed_date(source: &Source, published: &OnBoard) -> i64 {
    let confirmed = source.confirmed.filter(|c| c.digest == published.digest);
    confirmed.map_or(published.date, |c| c.date)
}

fn look_one(store: &Store, identity: &Identity) -> Found {
    match store.newest(identity) {
        Err(error) => Found { error: Some(error.to_string()), ..Found::default() },
        Ok(newest) => Found {
            error: store.unread().map(|error| error.to_string()),
            refused: newest.refused.iter().map(|r| (r.name.clone(), r.why.to_string())).collect(),
            best: newest.best.map(|backup| {
                let on_board = backed_up(&backup.name, &backup.header);
                (Arc::new(backup.snapshot), on_board)
            }),
        },
    }
}

fn log_found(source: &str, found: &Found) {
    for (file, why) in &found.refused {
        tracing::warn!(
            event = "backup_refused",
            source,
            file,
            error = why,
            "a damaged backup is refused; an older one is used if there is one"
        );
    }
    if let Some(error) = &found.error {
        tracing::warn!(
            event = "backup_unreadable",
            source,
            error,
            "the backup volume, or a part of it, cannot be read"
        );
    }
}

fn backed_up(name: &str, header: &Header) -> BackedUp {
    BackedUp {
        name: name.to_owned(),
        digest: header.digest,
        index: header.index,
        keys: header.keys,
        bytes: header.bytes,
        confirmed: header.confirmed.as_second(),
        verified: sys::now(),
    }
}

// === impl Keeper ===

impl Keeper<'_> {
    /// Does what is due for one source; returns when it wants to be asked again.
    fn attend(&mut self, at: usize, now: Moment) -> Option<Moment> {
        let (published, seen) = self.board.read(|s| {
            let source = &s.sources[at];
            (source.published.clone(), to_keep(source))
        });
        let duty = self.keeping[at].duty(seen.as_ref(), now);
        let heartbeat = seen.and_then(|p| p.heartbeat);
        let done = match (duty, &published) {
            (Duty::Idle(until), _) => return until,
            (Duty::Look, Some(published)) => self.look(at, published),
            (Duty::Reconfirm | Duty::Write, Some(published)) => {
                self.write(at, published, heartbeat)
            }
            (_, None) => return None,
        };
        if let Err(error) = done {
            self.failed(at, &error);
        }
        if let Place::Secrets(_) = self.setup.place {
            // What was read of them, and the connection: neither is worth keeping until the next time.
            self.store = None;
        }
        // Reading a backup back takes room that nothing else of this size will want.
        sys::trim_heap();
        Some(sys::now())
    }

    fn look(&mut self, at: usize, published: &OnBoard) -> Result<(), Error> {
        let setup = self.setup;
        let best = self.store()?.check(&setup.sources[at].1)?.best;
        self.keeping[at].looked(best.as_ref().map(|b| b.header.digest));
        // This process begins with content that is in no valid backup: that is written at once.
        self.keeping[at].first(published.digest);
        if let Some(best) = &best {
            self.show(at, &best.name, &best.header);
        }
        if best.is_some_and(|best| best.header.digest == published.digest) {
            self.make_known(at, published)?;
        }
        self.well(at);
        Ok(())
    }

    /// What was adopted is known by its digest alone until Consul has answered for it. Where another source
    /// has news meanwhile, what they are to be laid over must be known: the backup has it.
    fn make_known(&mut self, at: usize, published: &OnBoard) -> Result<(), Error> {
        if self.setup.sources.len() == 1 || published.snapshot.is_some() {
            return Ok(());
        }
        let setup = self.setup;
        let backup = self.store()?.newest(&setup.sources[at].1)?.best;
        let Some(backup) = backup.filter(|b| b.snapshot.digest() == published.digest) else {
            return Ok(());
        };
        self.board.update(|state| {
            let known = state.sources[at].published.as_mut();
            if let Some(known) = known.filter(|p| p.digest == published.digest) {
                known.snapshot.get_or_insert(Arc::new(backup.snapshot));
            }
        });
        Ok(())
    }

    /// Writes the published content, or finds that the newest backup holds it and reads that back.
    fn write(
        &mut self,
        at: usize,
        published: &OnBoard,
        heartbeat: Option<Moment>,
    ) -> Result<(), Error> {
        if !self.setup.writes {
            self.keeping[at].written(published.digest, heartbeat);
            return Ok(());
        }
        let Some(snapshot) = &published.snapshot else {
            // Adopted and not read since: the heartbeat brings it.
            self.setup.pokes[at].notify_one();
            self.keeping[at].failed(sys::now(), 1.0);
            return Ok(());
        };
        let date = self.board.read(|s| confirmed_date(&s.sources[at], published));
        let date = jiff::Timestamp::from_second(date).unwrap_or_default();
        let setup = self.setup;
        let (name, identity) = &setup.sources[at];
        let written = self.store()?.write(identity, snapshot, date, &sys::hostname())?;
        let Sound { name: file, header, .. } = &written.sound;
        if written.new {
            tracing::info!(
                event = "backup_written",
                source = name,
                index = header.index,
                keys = header.keys,
                bytes = header.bytes,
                digest = header.digest.short(),
                file,
                "backup written and read back"
            );
        }
        for refused in &written.refused {
            tracing::warn!(event = "backup_refused", source = name, file = refused.name,
                error = %refused.why, "a damaged backup is set aside");
        }
        if let Some(error) = &written.untidy {
            tracing::warn!(event = "backup_untidy", source = name, error_kind = error.kind().word(),
                %error, "the backup is good; not all else on the volume is");
        }
        self.show(at, file, header);
        self.keeping[at].written(published.digest, heartbeat);
        self.count(at, if written.new { "written" } else { "unchanged" });
        self.well(at);
        Ok(())
    }

    fn show(&self, at: usize, name: &str, header: &Header) {
        let backup = backed_up(name, header);
        self.board.update(|s| s.sources[at].backup = Some(backup));
    }

    /// Opened at first use and again after a failure: the volume may have been mounted anew.
    fn store(&mut self) -> Result<&Store, Error> {
        if self.store.is_none() {
            let access = if self.setup.writes { Access::Write } else { Access::Read };
            let limits = self.setup.limits;
            self.store = Some(Store::open_place(&self.setup.place, access, limits)?);
        }
        Ok(self.store.as_ref().expect("set above"))
    }

    fn well(&self, at: usize) {
        self.board.went_well(at, Mechanism::Backup, sys::now());
    }

    fn failed(&mut self, at: usize, error: &Error) {
        self.store = None;
        let now = sys::now();
        if self.needs_a_person(error.kind()) {
            self.keeping[at].refused(now, fastrand::f64());
        } else {
            self.keeping[at].failed(now, fastrand::f64());
        }
        self.count(at, "error");
        let kind = error.kind().word();
        let failure = Failure { kind, text: error.to_string(), at: now };
        if self.board.failed(at, Mechanism::Backup, failure, None) {
            tracing::warn!(event = "backup_failed", source = self.setup.sources[at].0,
                error_kind = kind, %error, "the backup volume failed; watch and heartbeat go on");
        }
    }

    /// True of what asking again does not end, where asking again is dear.
    fn needs_a_person(&self, kind: Kind) -> bool {
        let is_dear = matches!(self.setup.place, Place::Secrets(_));
        let needed = matches!(kind, Kind::Full | Kind::Denied | Kind::Missing | Kind::TooLarge);
        is_dear && needed
    }

    fn count(&self, at: usize, result: &str) {
        self.metrics.count(Id::BackupWrites, &[&self.setup.sources[at].0, result]);
    }
}
