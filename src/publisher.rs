//! The thread that owns the tmpfs volume: judged answers in, generations out.
//!
//! It alone writes there. A hung volume hangs this thread and nothing else; the mechanisms go on
//! putting their latest into its slots and never wait for it.

mod adopted;
pub mod audit;
pub mod frozen;
pub mod generation;
pub mod manifest;
pub mod names;
pub mod pending;
pub mod persist;
pub mod plain;
mod show;
mod spare;
mod takeover;
mod tell;
#[cfg(test)]
mod tests;
pub mod tree;
mod upkeep;
mod validation;
pub mod volume;

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use crate::board::{self, Board, Failure};
use crate::config::Validate;
use crate::metrics::{Id, Metrics};
use crate::model::confirmation::Mechanism;
use crate::model::key::Prefix;
use crate::model::layout::Layout;
use crate::model::moment::Moment;
use crate::model::offer::{Content, Offer};
use crate::model::output::Output;
use crate::model::plan::difference::{Changes, Difference};
use crate::model::plan::{Part, Plan};
use crate::model::snapshot::{Digest, Snapshot};
use crate::slot::Slots;
use crate::supervise::Pulse;
use crate::sys;

use generation::{Generation, Old};
use pending::{Pending, Taken};
use persist::Persist;
use spare::{Retired, Spare};
use volume::{Error, Volume};

/// A superseded generation goes at this age. A reader slower than that opens the directory again.
const KEEP: Duration = Duration::from_secs(5);
/// Or earlier, when this many newer ones exist.
const KEEP_COUNT: usize = 3;
/// How long the thread sleeps at most; also its sign of life.
const IDLE: Duration = Duration::from_secs(5);
/// How long after the last work all that it took is given back.
const REST: Duration = Duration::from_secs(1);
/// How soon a key's name that could not be made is tried again.
const NAMES_AGAIN: Duration = Duration::from_secs(1);
/// While an answer is held, how often the volume is looked at for a person's `accept`.
const ACCEPT_POLL: Duration = Duration::from_millis(500);

/// What the publisher is told at its start.
#[derive(Clone)]
pub struct Setup {
    /// The volume's mount point.
    pub path: PathBuf,
    /// How its `live/` shows what is published.
    pub layout: Layout,
    /// Names and prefixes of the sources.
    pub sources: Vec<(String, Prefix)>,
    /// Those that are read in one transaction, and published together or not at all.
    pub atomic: Vec<usize>,
    /// What is made of them.
    pub outputs: Vec<Output>,
    /// A key may keep the whole fleet from publishing changes.
    pub control: bool,
    /// Somebody is told of what has changed.
    pub tells: bool,
    /// What is asked of a generation before it is made visible.
    pub validate: Option<Validate>,
    /// Rung to have everything read again: a person has accepted a held answer, or what an answer was
    /// judged against has changed.
    pub pokes: Vec<Arc<Notify>>,
}

/// What others hold of the publisher.
pub struct Inbox {
    /// One slot per source.
    pub slots: Slots<Offer>,
    /// By source, the content that was put last, while anybody still holds it.
    latest: Mutex<Vec<Weak<Snapshot>>>,
    audit: AtomicBool,
}

/// The thread's state.
pub struct Publisher {
    setup: Setup,
    board: Arc<Board>,
    metrics: Arc<Metrics>,
    volume: Volume,
    persist: Persist,
    current: Option<Current>,
    /// What `..data` pointed to at the start and is no generation of ours to go on from.
    unadopted: Option<String>,
    retired: VecDeque<Retired>,
    /// Directories for the next generation to take over.
    spare: Option<Spare>,
    /// A failure left something in the volume.
    littered: bool,
    pending: Pending,
    /// A key's name could not be made: a call failed, or somebody else's directory is in the way.
    blocked: Option<Failure>,
    /// Visible names that need not be read again.
    seen: Option<names::Seen>,
    /// When the names were last tried.
    named: Moment,
    /// When to look again whether changes may be published, while they may not.
    look_again: Option<Duration>,
    /// When what was adopted may be made again, after that did not pass its validation.
    learn_again: Moment,
    /// When the volume was opened.
    opened: Moment,
    /// How long others have been asked since the last publish.
    asked: Duration,
    /// The last question to others was given up for something newer.
    gave_way: bool,
    /// When what was refused for want of an answer is to be asked about again.
    again_at: Option<Moment>,
    /// When what the last work took is given back, unless there is more of it until then.
    rests_at: Option<Moment>,
    /// When that was done last.
    rested: Moment,
}

/// Why a generation is made.
#[derive(Clone, Copy)]
enum Making<'i> {
    /// There is something new, or other outputs; what may come meanwhile is in the inbox.
    New(&'i Inbox),
    /// What is published was changed on the volume: every file is written afresh, since what a link
    /// leads to may be the very file that was changed. It has been validated.
    Repair,
}

struct Current {
    generation: Generation,
    tree: Digest,
}

// === impl Making ===

impl<'i> Making<'i> {
    fn inbox(self) -> Option<&'i Inbox> {
        match self {
            Self::New(inbox) => Some(inbox),
            Self::Repair => None,
        }
    }
}

// === impl Inbox ===

impl Inbox {
    /// Slots for `count` sources.
    pub fn new(count: usize) -> Self {
        let latest = Mutex::new((0..count).map(|_| Weak::new()).collect());
        Self { slots: Slots::new(count), latest, audit: AtomicBool::new(false) }
    }

    /// The content that was put last and waits to be published, or is published.
    pub fn latest(&self, source: usize) -> Option<Arc<Snapshot>> {
        self.lock_latest()[source].upgrade()
    }

    /// A panic elsewhere leaves it usable: changes are assignments.
    fn lock_latest(&self) -> MutexGuard<'_, Vec<Weak<Snapshot>>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands over; the newer of two stays.
    pub fn put(&self, source: usize, offer: Offer) {
        self.put_all(vec![(source, offer)]);
    }

    /// Hands over what was read together, and is to be published together.
    pub fn put_all(&self, offers: Vec<(usize, Offer)>) {
        for (source, offer) in &offers {
            if let Some(content) = &offer.content {
                self.lock_latest()[*source] = Arc::downgrade(&content.snapshot);
            }
        }
        self.slots.put_all(offers, Offer::merge);
    }

    /// Asks for an audit of what is published, and a repair where it differs.
    pub fn ask_audit(&self) {
        self.audit.store(true, Ordering::Relaxed);
        self.slots.ring();
    }
}

// === impl Publisher ===

impl Publisher {
    /// Opens the volume, sweeps what a killed process left, and adopts what it finds published.
    pub fn open(setup: Setup, board: Arc<Board>, metrics: Arc<Metrics>) -> Result<Self, Error> {
        let volume = Volume::open(&setup.path, setup.layout)?;
        if !volume.is_tmpfs {
            tracing::warn!(event = "not_tmpfs", "the volume is no tmpfs: values will be on a disk");
        }
        takeover::take_over(&volume, &setup.path)?;
        let current = volume.current()?;
        let earlier = generation::earlier(&volume)?;
        generation::sweep(&volume, &earlier)?;
        let persist = Persist::load(&volume, &setup, &board);
        let pending = Pending::new(setup.sources.len(), setup.atomic.clone());
        let mut publisher = Self {
            setup,
            board,
            metrics,
            volume,
            persist,
            current: None,
            unadopted: None,
            retired: earlier.into_iter().map(|name| Retired::unknown(sys::now(), name)).collect(),
            spare: None,
            littered: false,
            pending,
            blocked: None,
            seen: None,
            named: Moment::default(),
            look_again: None,
            learn_again: Moment::default(),
            opened: sys::now(),
            asked: Duration::ZERO,
            gave_way: false,
            again_at: None,
            rests_at: Some(sys::now() + REST),
            rested: Moment::default(),
        };
        if let Some(name) = current {
            publisher.adopt(name);
        }
        publisher.board.update(|state| {
            state.opened = true;
            state.waiting_for_lock = false;
            state.volume_error = publisher.blocked.clone();
        });
        Ok(publisher)
    }

    /// Works until the slots are closed.
    pub fn run(mut self, inbox: &Inbox, pulse: &Pulse) {
        let asking = self.setup.validate.as_ref().map(|v| v.asking(self.setup.sources.len()));
        let asking = asking.unwrap_or_default();
        loop {
            // Generous: a full publish of the largest allowed content must not look like a hang.
            pulse.tick(Duration::from_secs(90) + asking);
            let taken = inbox.slots.take(self.idle(sys::now()));
            let now = sys::now();
            self.take(taken.values);
            let frozen = self.is_frozen(now);
            // An accepted answer that is already here is worth its few milliseconds at the end too.
            let is_due = self.pending.is_due(&self.board, now)
                || taken.closed && self.pending.is_complete(&self.board);
            if !frozen {
                self.learn_current_plan(inbox, now);
                if is_due {
                    self.publish(inbox, now);
                }
            }
            self.ask_refused_again(now);
            if inbox.audit.swap(false, Ordering::Relaxed) {
                self.audit();
            }
            self.name_again(sys::now());
            self.collect(sys::now());
            self.persist.save(&self.volume, &self.setup, &self.board);
            // The last of all: what it gives back is not to be taken at once again.
            self.rest(sys::now());
            if taken.closed {
                return;
            }
        }
    }

    /// How long there is nothing to do.
    fn idle(&self, now: Moment) -> Duration {
        let mut until = now + IDLE;
        if let Some(oldest) = self.retired.front() {
            until = until.min(oldest.until(KEEP));
        }
        if self.pending.is_complete(&self.board) {
            let next = self.look_again.map(|pause| now + pause);
            until = until.min(next.unwrap_or(self.pending.not_before()));
        }
        if self.board.read(|s| s.sources.iter().any(|s| s.hold.is_some())) {
            until = until.min(now + ACCEPT_POLL);
        }
        if self.blocked.is_some() {
            until = until.min(self.named + NAMES_AGAIN);
        }
        until = self.again_at.map_or(until, |at| until.min(at));
        if let Some(at) = self.rests_at.filter(|_| self.retired.is_empty()) {
            until = until.min(at);
        }
        let is_unknown = self.current.as_ref().is_some_and(|c| c.generation.plan.is_none());
        if is_unknown && self.pending.not_before() > now {
            // What was adopted and could not be made again.
            until = until.min(self.pending.not_before());
        }
        until.since(now)
    }

    /// Once the last change is over, the old generation gone with it, nothing of what that took is needed. Nor is
    /// what a question at rest took; nobody wakes for that alone.
    fn rest(&mut self, now: Moment) {
        let is_over = |at: &mut Moment| now >= *at && self.retired.is_empty();
        let is_over = self.rests_at.take_if(is_over).is_some();
        if is_over || self.rests_at.is_none() && self.was_asked(now) {
            self.rested = now;
            sys::give_back();
        }
    }

    /// Whether Consul has answered the watch since the last rest, and not just now.
    fn was_asked(&self, now: Moment) -> bool {
        let is_new = |answered: Moment| answered + REST > self.rested && now >= answered + REST;
        let answered = |s: &board::Source| s.health(Mechanism::Watch).last_ok.is_some_and(is_new);
        self.board.read(|s| s.sources.iter().any(answered))
    }

    fn take(&mut self, offers: Vec<(usize, Offer)>) {
        if !offers.is_empty() {
            self.rests_at = Some(sys::now() + REST);
        }
        for taken in self.pending.take_all(offers, &self.board) {
            match taken {
                Taken::Kept => {}
                Taken::Outdates => {
                    let blocked = self.blocked.clone();
                    self.board.update(|state| state.volume_error = blocked);
                }
                Taken::Outgrown => self.ask_again(),
            }
        }
    }

    /// Has everything read and judged anew.
    fn ask_again(&self) {
        self.setup.pokes.iter().for_each(|poke| poke.notify_one());
    }

    fn publish(&mut self, inbox: &Inbox, now: Moment) {
        match self.try_publish(inbox, now) {
            // Whoever was asked took time, and no work of ours.
            Ok(()) => self.pending.published(now + std::mem::take(&mut self.asked), sys::now()),
            Err(error) => self.publish_failed(error, now),
        }
    }

    fn publish_failed(&mut self, error: Error, now: Moment) {
        self.littered = true;
        if Error::OF_PUBLISHING.contains(&error.kind()) {
            self.metrics.count(Id::PublishErrors, &[error.kind()]);
        }
        let failure = Failure { kind: error.kind(), text: error.to_string(), at: now };
        let news = self.board.update(|state| {
            let news = state.volume_error.as_ref().is_none_or(|old| old.kind != failure.kind);
            state.volume_error = Some(failure);
            news
        });
        if news {
            tracing::error!(event = "publish_failed", error_kind = error.kind(), %error,
                "cannot publish; the old generation stays");
        }
        self.pending.failed(now, fastrand::f64());
    }

    /// What is new for all sources at once, or where that does not pass its validation, for one of them:
    /// a source whose news are refused does not stop the others.
    fn try_publish(&mut self, inbox: &Inbox, now: Moment) -> Result<(), Error> {
        let (waiting, refused) = self.pending.waiting();
        let all = [waiting.as_slice(), &refused].concat();
        let one_by_one = self.pending.apart(&waiting).into_iter().filter(|one| *one != all);
        let mut objection = None;
        for news in std::iter::once(all.clone()).chain(one_by_one) {
            // Adopted and not read since: the mechanisms bring it with their next full read.
            let Some(contents) = self.pending.contents_with(&self.board, &news) else { continue };
            let snapshots: Vec<_> = contents.iter().map(|(snapshot, _)| snapshot.clone()).collect();
            let plan = self.plan(&snapshots);
            match self.make(plan, &contents, now, Making::New(inbox)) {
                Ok(changes) => {
                    self.announce(contents, &changes, now);
                    self.note_untold(&changes);
                    return Ok(());
                }
                Err(Error::GivenUp) => return Ok(()),
                Err(Error::Invalid { text, again }) => {
                    objection.get_or_insert((text, false)).1 |= again;
                }
                // No less a matter of the content.
                Err(error @ Error::TooLarge(..)) => {
                    objection.get_or_insert((error.to_string(), false));
                }
                Err(error) => return Err(error),
            }
        }
        if let Some((text, again)) = objection {
            self.refuse(&waiting, text, again, now);
        }
        Ok(())
    }

    fn plan(&self, snapshots: &[Arc<Snapshot>]) -> Plan {
        let parts: Vec<Part<'_>> =
            self.setup.sources.iter().zip(snapshots).map(|((_, p), s)| (p, &**s)).collect();
        Plan::make(&self.setup.outputs, &parts)
    }

    /// A generation adopted from another process is known by digest only, until the first read of
    /// the same content tells what its files are: then they can be linked, and the keys that became
    /// none be named. Where they are not what this process makes of that content, as after a change
    /// of the outputs, it is made again.
    fn learn_current_plan(&mut self, inbox: &Inbox, now: Moment) {
        let is_known = self.current.as_ref().is_none_or(|c| c.generation.plan.is_some());
        // What waits is made by this process in any case.
        let is_early = now < self.pending.not_before() || now < self.learn_again;
        if is_known || is_early || self.pending.is_complete(&self.board) {
            return;
        }
        let snapshots: Option<Vec<_>> = self.board.read(|state| {
            state.sources.iter().map(|s| s.published.as_ref()?.snapshot.clone()).collect()
        });
        let Some(snapshots) = snapshots else { return };
        let mut plan = self.plan(&snapshots);
        let tree = plan.tree_digest();
        if self.current.as_ref().is_some_and(|current| current.tree == tree) {
            self.report_skipped(&plan);
            plan.release();
            if let Some(current) = &mut self.current {
                current.generation.plan = Some(plan);
            }
            return;
        }
        let contents: Vec<_> = snapshots.into_iter().map(|snapshot| (snapshot, None)).collect();
        match self.make(plan, &contents, now, Making::New(inbox)) {
            Ok(changes) => {
                tracing::info!(event = "made_again", "what was adopted is made of today's outputs");
                self.announce(contents, &Changes::default(), now);
                self.note_untold(&changes);
                self.pending.published(now, sys::now());
            }
            Err(Error::GivenUp) => {}
            Err(error) => {
                if matches!(error, Error::Invalid { .. }) {
                    self.learn_again = now + validation::AGAIN;
                }
                self.publish_failed(error, now);
            }
        }
    }

    /// What a new generation is compared with; one that repairs takes nothing from before.
    fn previous(&self, making: Making<'_>) -> Option<&Generation> {
        making.inbox().and(self.current.as_ref()).map(|current| &current.generation)
    }

    /// Builds a generation and makes it current.
    fn make(
        &mut self,
        mut plan: Plan,
        contents: &[(Arc<Snapshot>, Option<Content>)],
        now: Moment,
        making: Making<'_>,
    ) -> Result<Changes, Error> {
        if let Some(too_large) = plan.too_large {
            return Err(Error::TooLarge(too_large));
        }
        let asked = making.inbox().filter(|_| self.is_to_be_validated(contents));
        if asked.is_some() {
            self.validate(&plan)?;
        }
        let name = generation_name();
        let tree = plan.tree_digest();
        let manifest = self.manifest(&name, tree, contents);
        let known = self.previous(making).and_then(|previous| previous.plan.as_ref());
        let difference = Difference::between(known, &plan);
        self.make_room(&plan, &difference)?;
        // It is used up, whatever comes of this: what is left of it is removed with the old generations.
        let spare = self.spare.take();
        if let Some(spare) = &spare {
            self.retired.push_front(Retired::unknown(Moment::default(), spare.name.clone()));
        }
        let previous = self.previous(making);
        let old = Old { difference: &difference, previous, spare: spare.as_ref() };
        let built = generation::build(&self.volume, &name, &plan, &manifest, &old)?;
        if let Some(inbox) = asked {
            let mut said = self.ask_outside(&name, &manifest, inbox);
            if said.is_ok() && self.is_frozen(sys::now()) {
                // That came while somebody was asked.
                said = Err(Error::GivenUp);
            }
            if let Err(refused) = said {
                volume::remove_tree(self.volume.home(), &name)?;
                return Err(refused);
            }
        }
        match self.volume.layout {
            Layout::Links => {
                generation::swap(&self.volume, &name)?;
                self.link_names(&plan.top_names());
            }
            Layout::Plain => self.show_plain(&name, built.fd.as_fd())?,
        }
        self.report_skipped(&plan);
        plan.release();
        let generation = Generation { name, fd: built.fd, plan: Some(plan) };
        let old = self.current.replace(Current { generation, tree });
        let old = old.map(|old| old.generation.name).or_else(|| self.unadopted.take());
        // One that lacked something must not give it to a later one as whole.
        let retire = if built.previous_is_whole { Retired::replaced } else { Retired::unknown };
        self.retired.extend(old.map(|name| retire(now, name)));
        self.retired.iter_mut().for_each(|retired| retired.note(&difference));
        self.rests_at = Some(sys::now() + REST);
        Ok(difference.changes)
    }

    /// Makes the visible names. A failure is shown, and tried again a moment later; the generation
    /// stands without the name, through `..data/`.
    fn link_names(&mut self, names: &[&str]) {
        let linked = names::link(&self.volume, names, &mut self.seen);
        self.named(linked.err());
    }

    /// Notes how the names fare.
    fn named(&mut self, failed: Option<Error>) {
        self.named = sys::now();
        let before = self.blocked.take();
        self.blocked = failed.map(|error| self.name_failed(&error, before));
        let blocked = self.blocked.clone();
        self.board.update(|state| state.volume_error = blocked);
    }

    fn name_failed(&self, error: &Error, before: Option<Failure>) -> Failure {
        let kind = error.kind();
        if Error::OF_PUBLISHING.contains(&kind) {
            self.metrics.count(Id::PublishErrors, &[kind]);
        }
        before.filter(|old| old.kind == kind).unwrap_or_else(|| {
            tracing::error!(event = "name_blocked", error_kind = kind, %error, "a key's name could not be made");
            Failure { kind, text: error.to_string(), at: self.named }
        })
    }
}

/// `..2026_11_23_04_43_41.<random>`: the form of Kubernetes' own, so that its tools recognise it.
fn generation_name() -> String {
    let now = jiff::Timestamp::now().strftime("%Y_%m_%d_%H_%M_%S").to_string();
    let random: String = std::iter::repeat_with(fastrand::alphanumeric).take(10).collect();
    format!("..{now}.{random}")
}
