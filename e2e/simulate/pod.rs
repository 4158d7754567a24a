//! A pod: what outlives a process (the volume, the backups), and the process with its mechanisms.
//!
//! Every decision is the product's own: `watch::round`, `model::full_read`, `sync`,
//! `publisher::pending`, `keeper`, `model::keeping`. Only the calls around them are made up.

mod beat;
mod keep;
mod seed;
mod show;
mod tell;
mod watch;
mod word;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use seedcar::board::Board;
use seedcar::consul::error::Error;
use seedcar::consul::wire::Caps;
use seedcar::metrics::Metrics;
use seedcar::model::confirmation::{Confirmation, Mechanism};
use seedcar::model::follow::{Ask, Full, Offered};
use seedcar::model::guard::{Hold, Policy};
use seedcar::model::moment::Moment;
use seedcar::model::reading::Reading;
use seedcar::model::reads::Reads;
use seedcar::model::snapshot::{Digest, Snapshot};
use seedcar::publisher::Inbox;
use seedcar::publisher::manifest::Manifest;
use seedcar::sync::{Source, Weighed};

use super::consul::{Answer, PREFIX, Question};
use super::world::Env;

/// This boot of the simulated machine.
pub const BOOT: &str = "simulated";
/// What the operator allows.
pub const POLICY: Policy = Policy { allow_empty: false, max_shrink_percent: 50 };
/// The heartbeat's period.
pub const INTERVAL: Duration = Duration::from_secs(900);

/// Who asked, so that an answer finds its way; of a dead process nobody is left to hear it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Address {
    /// The pod.
    pub pod: usize,
    /// Which of its processes.
    pub life: u32,
    /// Who in it: a mechanism, or whoever follows the fleet's key.
    pub who: Option<Mechanism>,
    /// Which of its questions.
    pub ticket: u64,
}

/// Why a process is woken.
#[derive(Clone, Debug)]
pub enum Wake {
    /// A pause is over.
    Go(Mechanism, u64),
    /// An answer came.
    Heard(Address, Box<Result<Answer, Error>>),
    /// The publisher looks at its slots.
    Publish,
    /// The publisher's writing is over.
    Published(Moment),
    /// The keeper looks at what is due.
    Keep,
    /// A person accepts what is held.
    Accept,
    /// Whoever gave no answer about a content is asked again.
    AskAgain,
    /// The service that is told of changes has the request.
    Hears,
    /// And its answer is here, or it may be told again.
    Told,
    /// Whoever follows the fleet's key asks again.
    Listen,
    /// Consul's share of the seed's deadline is over.
    ShareIsOver,
}

/// A backup on the backup volume.
#[derive(Clone)]
pub struct Backup {
    /// Its content.
    pub snapshot: Arc<Snapshot>,
    /// When Consul confirmed it, by Consul's clock.
    pub date: i64,
}

/// The volumes, and how they fare.
#[derive(Default)]
pub struct Volumes {
    /// What `..data` points to.
    pub published: Option<(Manifest, Arc<Snapshot>)>,
    /// What `.seedcar/state.json` holds.
    pub hold: Option<Hold>,
    /// And what the fleet's key said last.
    pub fleet_frozen: Option<bool>,
    /// A person has frozen it.
    pub frozen: bool,
    /// The backup volume.
    pub backups: Vec<Backup>,
    /// Writing to the tmpfs volume fails.
    pub full: bool,
    /// Whoever validates does not answer for some contents.
    pub refuses: bool,
    /// The service that is told of changes does not answer.
    pub deaf: bool,
    /// Writing to it takes until then.
    pub hangs_until: Moment,
    /// Writing to the backup volume fails.
    pub backup_fails: bool,
}

/// A pod.
pub struct Pod {
    at: usize,
    life: u32,
    /// Its volumes.
    pub volumes: Volumes,
    /// A key may freeze it.
    pub follows: bool,
    /// A service is told of its changes.
    pub tells: bool,
    process: Option<Process>,
}

/// A running seedcar.
struct Process {
    source: Source,
    watch: watch::Watch,
    beat: beat::Beat,
    show: show::Show,
    keep: keep::Keep,
    seed: Option<seed::Seed>,
    word: word::Word,
    tell: tell::Tell,
    confirmed: Option<Confirmation>,
}

/// An answer on its way through the guard.
struct Doubt {
    hold: Hold,
    reading: Box<Reading>,
    full: Full,
    ask: Ask,
}

// === impl Pod ===

impl Pod {
    /// A pod that has never run.
    pub fn new(at: usize) -> Self {
        Self {
            at,
            life: 0,
            volumes: Volumes::default(),
            follows: false,
            tells: false,
            process: None,
        }
    }

    /// Starts a process: it adopts what is published or seeds.
    pub fn start(&mut self, env: &mut Env) {
        self.life += 1;
        let board = Arc::new(Board::new(1));
        let source = source(board.clone());
        board.update(|state| {
            state.opened = true;
            state.sources[0].hold = self.volumes.hold;
        });
        if let Some((manifest, _)) = &self.volumes.published {
            seedcar::publisher::persist::adopt(&board, manifest, BOOT, env.now);
        }
        let confirmed = board.read(|s| s.sources[0].confirmed);
        let adopted = board.read(|s| s.seeded);
        self.process = Some(Process {
            watch: watch::Watch::default(),
            beat: beat::Beat::default(),
            show: show::Show::default(),
            keep: keep::Keep::default(),
            seed: None,
            word: word::Word::default(),
            tell: tell::Tell::default(),
            confirmed,
            source,
        });
        self.word_begin(env);
        if adopted {
            self.note_untold();
            self.begin(env);
        } else {
            self.seed_begin(env);
        }
    }

    /// The process is gone, and nobody was told.
    pub fn crash(&mut self) {
        self.process = None;
    }

    /// Another pod takes this one's place: the tmpfs volume is new.
    pub fn replace(&mut self) {
        self.crash();
        self.volumes.published = None;
        self.volumes.hold = None;
        (self.volumes.frozen, self.volumes.fleet_frozen) = (false, None);
    }

    /// Whether a process runs.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// The generation that they read.
    pub fn generation(&self) -> Option<&str> {
        self.volumes.published.as_ref().map(|(manifest, _)| &*manifest.generation)
    }

    /// What applications read: its digest, and how many keys.
    pub fn shows(&self) -> Option<(Digest, usize)> {
        self.volumes.published.as_ref().map(|(_, s)| (s.digest(), s.keys()))
    }

    /// The index of what is published, as far as the process knows.
    pub fn index(&self) -> Option<u64> {
        let process = self.process.as_ref()?;
        process.source.board.read(|s| s.sources[0].published.as_ref().map(|p| p.index))
    }

    /// Its place and its process, as events name them.
    pub fn who(&self) -> (usize, u32) {
        (self.at, self.life)
    }

    /// The hold in force.
    pub fn hold(&self) -> Option<Hold> {
        self.process.as_ref().and_then(|p| p.source.board.read(|s| s.sources[0].hold))
    }

    /// What it says of its freshness.
    pub fn confirmed(&self) -> Option<Confirmation> {
        self.process.as_ref().and_then(|p| p.source.board.read(|s| s.sources[0].confirmed))
    }

    /// Something happened.
    pub fn wake(&mut self, life: u32, wake: Wake, env: &mut Env) {
        if life != self.life || self.process.is_none() {
            return;
        }
        env.tell(|| format!("{} {wake:?}", self.at));
        match wake {
            Wake::Go(Mechanism::Watch, ticket) => self.watch_go(ticket, env),
            Wake::Go(Mechanism::Heartbeat, ticket) => self.beat_go(ticket, env),
            Wake::Go(_, ticket) => self.seed_go(ticket, env),
            Wake::Heard(to, answer) => match to.who {
                Some(Mechanism::Watch) => self.watch_heard(to.ticket, *answer, env),
                Some(Mechanism::Heartbeat) => self.beat_heard(to.ticket, *answer, env),
                Some(_) => self.seed_heard(to.ticket, *answer, env),
                None => self.word_heard(*answer, env),
            },
            Wake::Publish => self.publish(env),
            Wake::Published(began) => self.published(began, env),
            Wake::Keep => self.process().keep.woken(env.now),
            Wake::Accept => self.accept(env),
            Wake::AskAgain => self.ask_refused_again(env),
            Wake::Hears => self.service_hears(env),
            Wake::Told => self.has_told(),
            Wake::Listen => self.word_go(env),
            Wake::ShareIsOver => self.share_is_over(env),
        }
        self.look_around(env);
    }

    /// What the threads notice by themselves: a full slot, a duty, a new confirmation.
    fn look_around(&mut self, env: &mut Env) {
        let process = self.process();
        if !process.show.is_writing() && !process.source.inbox.slots.is_idle() {
            self.publish_soon(env);
        }
        self.keep(env);
        self.tell(env);
        let now = self.confirmed();
        if now != self.process().confirmed {
            self.process().confirmed = now;
            if let Some(confirmation) = now {
                env.oracle.confirmed(&confirmation, env.now);
            }
        }
    }

    /// A person accepts the held content, whatever it is.
    fn accept(&mut self, env: &mut Env) {
        let Some(digest) = self.hold().and_then(|hold| hold.digest) else { return };
        env.oracle.accepted(digest);
        let process = self.process();
        process.source.board.update(|s| s.sources[0].accepted.push(digest.hex()));
        self.watch_poked(env);
    }

    /// Both mechanisms start from something published.
    fn begin(&mut self, env: &mut Env) {
        self.watch_begin(env);
        self.beat_begin(env);
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("woken by its own life")
    }

    fn ask(&self, who: Mechanism, ticket: u64, question: Question, env: &mut Env) {
        let from = Address { pod: self.at, life: self.life, who: Some(who), ticket };
        env.send(question, from);
    }

    fn later(&self, at: Moment, wake: Wake, env: &mut Env) {
        env.wake_at(at, self.at, self.life, wake);
    }

    /// The guard's first look; `Err` where it wants evidence.
    fn weigh(
        &mut self,
        doubt: (Box<Reading>, Full, Ask),
        how: Mechanism,
        env: &mut Env,
    ) -> Result<(Box<Reading>, Full, Ask, Offered), Box<Doubt>> {
        let (reading, full, ask) = doubt;
        env.oracle.offered(self.at, &reading, env.now);
        match self.process().source.weigh(&reading, how, env.now) {
            Weighed::Settled(offered) => Ok((reading, full, ask, offered)),
            Weighed::Doubted(hold) => Err(Box::new(Doubt { hold, reading, full, ask })),
        }
    }
}

fn source(board: Arc<Board>) -> Source {
    static METRICS: OnceLock<Arc<Metrics>> = OnceLock::new();
    Source {
        at: 0,
        name: "default".to_owned(),
        reads: Reads::of_prefix(PREFIX).expect("a prefix"),
        policy: POLICY,
        caps: Caps { max_bytes: u64::MAX, max_keys: usize::MAX },
        group: None,
        board,
        inbox: Arc::new(Inbox::new(1)),
        metrics: METRICS.get_or_init(Arc::default).clone(),
    }
}
