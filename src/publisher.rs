//! The thread that owns the tmpfs volume: judged answers in, generations out.
//!
//! It alone writes there. A hung volume hangs this thread and nothing else; the mechanisms go on
//! putting their latest into its slots and never wait for it.

pub mod audit;
pub mod generation;
pub mod manifest;
pub mod persist;
#[cfg(test)]
mod tests;
pub mod tree;
pub mod volume;

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::board::{Board, Failure};
use crate::metrics::{Id, Metrics};
use crate::model::confirmation::{Mechanism, Origin};
use crate::model::key::Prefix;
use crate::model::moment::Moment;
use crate::model::offer::{Content, Offer};
use crate::model::pace::{Backoff, Trouble};
use crate::model::plan::{Layer, Plan};
use crate::model::snapshot::{Digest, Snapshot};
use crate::slot::Slots;
use crate::supervise::Pulse;
use crate::sys;

use generation::{Changes, Generation};
use manifest::{Manifest, Part};
use persist::Persist;
use volume::{Error, Volume};

/// A superseded generation goes at this age. A reader slower than that opens the directory again.
const KEEP: Duration = Duration::from_secs(5);
/// Or earlier, when this many newer ones exist.
const KEEP_COUNT: usize = 3;
/// The least gap between two publishes; none before the first.
const GAP: Duration = Duration::from_millis(100);
/// How long the thread sleeps at most; also its sign of life.
const IDLE: Duration = Duration::from_secs(5);
/// While an answer is held, how often the volume is looked at for a person's `accept`.
const ACCEPT_POLL: Duration = Duration::from_millis(500);

/// What the publisher is told at its start.
#[derive(Clone)]
pub struct Setup {
    /// The volume's mount point.
    pub path: PathBuf,
    /// Names and prefixes of the sources, in layer order.
    pub sources: Vec<(String, Prefix)>,
    /// Rung when a person has accepted a held answer, so that it is asked for again.
    pub pokes: Vec<Arc<Notify>>,
}

/// What others hold of the publisher.
pub struct Inbox {
    /// One slot per source.
    pub slots: Slots<Offer>,
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
    retired: VecDeque<(Moment, String)>,
    pending: Vec<Option<Content>>,
    not_before: Moment,
    backoff: Backoff,
    /// A key's name that is blocked by somebody else's directory.
    blocked: Option<Failure>,
}

struct Current {
    generation: Generation,
    tree: Digest,
}

// === impl Inbox ===

impl Inbox {
    /// Slots for `count` sources.
    pub fn new(count: usize) -> Self {
        Self {
            slots: Slots::new(count),
            audit: AtomicBool::new(false),
        }
    }

    /// Hands over; the newer of two stays.
    pub fn put(&self, source: usize, offer: Offer) {
        self.slots.put(source, offer, Offer::merge);
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
        let volume = Volume::open(&setup.path)?;
        if !volume.is_tmpfs {
            tracing::warn!(
                event = "not_tmpfs",
                "the volume is no tmpfs: values will be on a disk"
            );
        }
        let current = volume.current();
        generation::sweep(&volume, current.as_deref())?;
        let persist = Persist::load(&volume, &setup, &board);
        let pending = setup.sources.iter().map(|_| None).collect();
        let mut publisher = Self {
            setup,
            board,
            metrics,
            volume,
            persist,
            current: None,
            retired: VecDeque::new(),
            pending,
            not_before: Moment::default(),
            backoff: Backoff::default(),
            blocked: None,
        };
        if let Some(name) = current {
            publisher.adopt(name);
        }
        publisher.board.update(|state| {
            state.opened = true;
            state.waiting_for_lock = false;
            state.volume_error = None;
        });
        Ok(publisher)
    }

    /// Works until the slots are closed.
    pub fn run(mut self, inbox: &Inbox, pulse: &Pulse) {
        loop {
            // Generous: a full publish of the largest allowed content must not look like a hang.
            pulse.tick(Duration::from_secs(90));
            let taken = inbox.slots.take(self.idle(sys::now()));
            for (source, offer) in taken.values {
                self.take(source, offer);
            }
            self.learn_current_plan();
            let now = sys::now();
            // An accepted answer that is already here is worth its few milliseconds at the end too.
            if self.is_due(now) || taken.closed && self.is_complete() {
                self.publish(now);
            }
            if inbox.audit.swap(false, Ordering::Relaxed) {
                self.audit();
            }
            self.collect(sys::now());
            self.persist.save(&self.volume, &self.setup, &self.board);
            if taken.closed {
                return;
            }
        }
    }

    /// How long there is nothing to do.
    fn idle(&self, now: Moment) -> Duration {
        let mut until = now + IDLE;
        if let Some((since, _)) = self.retired.front() {
            until = until.min(*since + KEEP);
        }
        if self.is_complete() {
            until = until.min(self.not_before);
        }
        if self
            .board
            .read(|s| s.sources.iter().any(|s| s.hold.is_some()))
        {
            until = until.min(now + ACCEPT_POLL);
        }
        until.since(now)
    }

    fn take(&mut self, source: usize, offer: Offer) {
        if let Some(hold) = offer.hold {
            self.board.update(|state| state.sources[source].hold = hold);
        }
        let Some(content) = offer.content else { return };
        let published = self.board.read(|s| s.sources[source].published.clone());
        let newer = |p: &_| content.marks.supersedes(p);
        if published.as_ref().is_some_and(|p| !newer(&p.marks)) {
            return;
        }
        let waiting = self.pending[source].as_ref();
        if waiting.is_some_and(|p| !newer(&p.marks)) {
            return;
        }
        let confirmed = content.confirmation().map(|c| c.digest);
        if confirmed.is_some() && confirmed == published.map(|p| p.digest) {
            self.forget_pending(source);
        } else {
            self.pending[source] = Some(content);
        }
    }

    /// Consul went back to what is published: what waited is out of date, and so is its failure.
    fn forget_pending(&mut self, source: usize) {
        if self.pending[source].take().is_some() {
            self.backoff.reset();
            let blocked = self.blocked.clone();
            self.board.update(|state| state.volume_error = blocked);
        }
    }

    /// Something is waiting, and every source has something to show.
    fn is_complete(&self) -> bool {
        let known = |i: usize| self.board.read(|s| s.sources[i].published.is_some());
        self.pending.iter().any(Option::is_some)
            && (0..self.pending.len()).all(|i| self.pending[i].is_some() || known(i))
    }

    fn is_due(&self, now: Moment) -> bool {
        self.is_complete() && now >= self.not_before
    }

    fn publish(&mut self, now: Moment) {
        match self.try_publish(now) {
            Ok(()) => {
                self.backoff.reset();
                // Many files take long to make and to remove: the pause grows with them, so that
                // links, inodes and kernel memory stay bounded in a storm of changes.
                let took = sys::now().since(now);
                self.not_before = sys::now() + GAP.max(took * 4);
            }
            Err(error) => self.publish_failed(error, now),
        }
    }

    fn publish_failed(&mut self, error: Error, now: Moment) {
        self.metrics.count(Id::PublishErrors, &[error.kind()]);
        let failure = Failure {
            kind: error.kind(),
            text: error.to_string(),
            at: now,
        };
        let news = self.board.update(|state| {
            let news = state
                .volume_error
                .as_ref()
                .is_none_or(|old| old.kind != failure.kind);
            state.volume_error = Some(failure);
            news
        });
        if news {
            tracing::error!(event = "publish_failed", error_kind = error.kind(), %error,
                "cannot publish; the old generation stays");
        }
        self.not_before = now + self.backoff.fail(Trouble::Passing, fastrand::f64());
    }

    fn try_publish(&mut self, now: Moment) -> Result<(), Error> {
        let Some(contents) = self.contents() else {
            // Adopted and not read since: the mechanisms bring it with their next full read.
            self.not_before = now + GAP;
            return Ok(());
        };
        let snapshots: Vec<_> = contents
            .iter()
            .map(|(snapshot, _)| snapshot.clone())
            .collect();
        let plan = self.plan(&snapshots);
        let changes = self.make(plan, &contents, now, false)?;
        self.announce(contents, changes, now);
        Ok(())
    }

    /// The content of every source: what is pending, else what is published.
    fn contents(&mut self) -> Option<Vec<(Arc<Snapshot>, Option<Content>)>> {
        let published: Vec<_> = self.board.read(|state| {
            let snapshot = |s: &crate::board::Source| s.published.as_ref()?.snapshot.clone();
            state.sources.iter().map(snapshot).collect()
        });
        let pending = self.pending.iter().zip(published);
        pending
            .map(|(pending, published)| match pending {
                Some(content) => Some((content.snapshot.clone(), Some(content.clone()))),
                None => Some((published?, None)),
            })
            .collect()
    }

    fn plan(&self, snapshots: &[Arc<Snapshot>]) -> Plan {
        let layers: Vec<Layer<'_>> = self
            .setup
            .sources
            .iter()
            .zip(snapshots)
            .map(|((_, p), s)| (p, &**s))
            .collect();
        Plan::make(&layers)
    }

    /// A generation adopted from another process is known by digest only, until the first read of
    /// the same content tells what its files are: then they can be linked, and the keys that became
    /// none be named.
    fn learn_current_plan(&mut self) {
        if self
            .current
            .as_ref()
            .is_none_or(|c| c.generation.plan.is_some())
        {
            return;
        }
        let snapshots: Option<Vec<_>> = self.board.read(|state| {
            state
                .sources
                .iter()
                .map(|s| s.published.as_ref()?.snapshot.clone())
                .collect()
        });
        let plan = snapshots.map(|snapshots| self.plan(&snapshots));
        let of_current = |p: &Plan| {
            let current = self.current.as_ref();
            current.is_some_and(|c| c.tree == p.tree_digest())
        };
        let Some(plan) = plan.filter(of_current) else {
            return;
        };
        self.report_skipped(&plan);
        if let Some(current) = &mut self.current {
            current.generation.plan = Some(plan);
        }
    }

    /// Builds a generation and makes it current. `afresh` links nothing from the one before.
    fn make(
        &mut self,
        plan: Plan,
        contents: &[(Arc<Snapshot>, Option<Content>)],
        now: Moment,
        afresh: bool,
    ) -> Result<Changes, Error> {
        let name = generation_name();
        let tree = plan.tree_digest();
        let manifest = self.manifest(&name, tree, contents);
        let previous = self
            .current
            .as_ref()
            .map(|c| &c.generation)
            .filter(|_| !afresh);
        if generation::check_room(&self.volume, &plan, previous).is_err() {
            // The old generations are in the way of the new: readers of them open again.
            while let Some((_, old)) = self.retired.pop_front() {
                volume::remove_tree(self.volume.live.as_fd(), &old)?;
            }
            generation::check_room(&self.volume, &plan, previous)?;
        }
        let fd = generation::build(&self.volume, &name, &plan, &manifest, previous)?;
        let changes = generation::changes(previous.and_then(|p| p.plan.as_ref()), &plan);
        generation::swap(&self.volume, &name)?;
        self.link_names(&plan);
        self.report_skipped(&plan);
        let generation = Generation {
            name,
            fd,
            plan: Some(plan),
        };
        let old = self.current.replace(Current { generation, tree });
        if let Some(old) = old {
            self.retired.push_back((now, old.generation.name));
        }
        Ok(changes)
    }

    /// Makes the visible names. One that is blocked is shown and tried again at each audit; the
    /// generation stands without it, through `..data/`.
    fn link_names(&mut self, plan: &Plan) {
        let failed = generation::link_names(&self.volume, &plan.top_names()).err();
        self.blocked = failed.map(|error| {
            tracing::error!(event = "name_blocked", error_kind = error.kind(), %error, "a key's name is blocked");
            Failure { kind: "blocked", text: error.to_string(), at: sys::now() }
        });
        let blocked = self.blocked.clone();
        self.board.update(|state| state.volume_error = blocked);
    }

    fn manifest(
        &self,
        name: &str,
        tree: Digest,
        contents: &[(Arc<Snapshot>, Option<Content>)],
    ) -> Manifest {
        let boot = sys::boot_id();
        let part = |(i, (snapshot, pending)): (usize, &(Arc<Snapshot>, Option<Content>))| {
            let (name, prefix) = &self.setup.sources[i];
            let published = self.board.read(|s| s.sources[i].published.clone());
            let confirmed = self.board.read(|s| s.sources[i].confirmed);
            let (origin, stale, when, date) = match (pending, published) {
                (Some(c), _) => (c.origin, c.stale, c.marks.sent, c.date),
                (None, Some(p)) => match confirmed.filter(|c| c.digest == p.digest) {
                    Some(c) => (p.origin, p.stale, c.when, c.date),
                    None => (p.origin, p.stale, p.marks.sent, p.date),
                },
                (None, None) => (Origin::None, false, Moment::default(), 0),
            };
            Part {
                name: name.clone(),
                prefix: prefix.to_string(),
                index: snapshot.index(),
                digest: snapshot.digest(),
                keys: snapshot.keys(),
                bytes: snapshot.bytes(),
                origin,
                stale,
                confirmed: persist::rfc3339(date),
                confirmed_boottime: when,
                boot: boot.clone(),
            }
        };
        let sources = contents.iter().enumerate().map(part).collect();
        let published = persist::rfc3339(sys::wall_seconds());
        Manifest {
            schema: 1,
            generation: name.to_owned(),
            published,
            tree,
            sources,
        }
    }

    fn announce(
        &mut self,
        contents: Vec<(Arc<Snapshot>, Option<Content>)>,
        changes: Changes,
        now: Moment,
    ) {
        let at = sys::now();
        let name = self.current.as_ref().map(|c| c.generation.name.clone());
        self.board.update(|state| {
            for (i, (_, content)) in contents.iter().enumerate() {
                let Some(content) = content else { continue };
                let source = &mut state.sources[i];
                source.published = Some(content.published(at));
                source.confirmed = content.confirmation();
                if content.how == Mechanism::Heartbeat {
                    source.heartbeat_confirmed = content.confirmation();
                }
            }
            state.generation = name;
            state.volume_error = self.blocked.clone();
            state.seeded = true;
            state.seeded_at.get_or_insert(at);
        });
        for (i, (snapshot, content)) in contents.iter().enumerate() {
            let Some(content) = content else { continue };
            self.pending[i] = None;
            persist::consume_accept(&self.volume, &self.board, &snapshot.digest());
            tracing::info!(
                event = "published",
                source = self.setup.sources[i].0,
                origin = content.origin.word(),
                mechanism = content.how.word(),
                index = snapshot.index(),
                keys = snapshot.keys(),
                bytes = snapshot.bytes(),
                digest = snapshot.digest().short(),
                added = changes.added,
                updated = changes.updated,
                removed = changes.removed,
                duration_ms = at.since(now).as_millis() as u64,
                "published"
            );
        }
        let answered = contents
            .iter()
            .filter_map(|(_, c)| c.as_ref())
            .map(|c| c.marks.answered);
        if let Some(answered) = answered.max().filter(|a| *a > Moment::default()) {
            self.metrics
                .observe(Id::PublishDuration, &[], at.since(answered));
        }
        self.metrics
            .add(Id::KeyChanges, &["added"], changes.added as f64);
        self.metrics
            .add(Id::KeyChanges, &["updated"], changes.updated as f64);
        self.metrics
            .add(Id::KeyChanges, &["removed"], changes.removed as f64);
    }

    /// Names the keys that became no file; the first hundred of each source.
    fn report_skipped(&self, plan: &Plan) {
        self.board.update(|state| {
            for (i, source) in state.sources.iter_mut().enumerate() {
                let mine = || plan.skipped.iter().filter(|s| s.layer == i);
                source.skipped_total = mine().count();
                source.skipped = mine()
                    .take(100)
                    .map(|s| (s.entry.key.to_string(), s.why))
                    .collect();
            }
        });
    }

    /// Takes over a generation that another process published, if it is whole and of our sources.
    fn adopt(&mut self, name: String) {
        let Some(current) = self.try_adopt(name) else {
            tracing::warn!(
                event = "not_adopted",
                "the volume holds a generation that is damaged or of other sources; it will be replaced"
            );
            return;
        };
        self.current = Some(current);
    }

    fn try_adopt(&mut self, name: String) -> Option<Current> {
        let fd = volume::open_directory(&self.volume.live, &name).ok()?;
        let file = volume::open_file(&fd, volume::MANIFEST).ok()?;
        let manifest = Manifest::parse(&volume::read_whole(&file, 1 << 20).ok()?)?;
        let ours = self
            .setup
            .sources
            .iter()
            .map(|(n, p)| (n.as_str(), p.as_str()));
        if !manifest.is_of(ours) || audit::audit(fd.as_fd(), &manifest.tree).is_err() {
            return None;
        }
        persist::adopt(&self.board, &manifest);
        let generation = Generation {
            name,
            fd,
            plan: None,
        };
        tracing::info!(
            event = "adopted",
            generation = generation.name,
            "adopted what is published"
        );
        Some(Current {
            generation,
            tree: manifest.tree,
        })
    }

    /// Compares the volume with what was published and puts it back where it differs.
    fn audit(&mut self) {
        let Some(current) = &self.current else { return };
        let points_here = self.volume.current().as_deref() == Some(&*current.generation.name);
        let damage = audit::audit(current.generation.fd.as_fd(), &current.tree).err();
        if damage.is_some() || !points_here {
            return self.repair();
        }
        // Links that somebody removed are set right in passing.
        if let Some(plan) = current.generation.plan.clone() {
            self.link_names(&plan);
        }
    }

    /// Publishes the same content again, every file written afresh: what a link leads to may be the
    /// very file that was changed.
    fn repair(&mut self) {
        let now = sys::now();
        let Some(contents) = self.contents() else {
            return;
        };
        let snapshots: Vec<_> = contents
            .iter()
            .map(|(snapshot, _)| snapshot.clone())
            .collect();
        let plan = self.plan(&snapshots);
        match self.make(plan, &contents, now, true) {
            Ok(_) => {
                self.metrics.count(Id::Repairs, &[]);
                tracing::warn!(
                    event = "repaired",
                    "the published tree had been changed; put back"
                );
                self.announce(contents, Changes::default(), now);
            }
            Err(error) => self.publish_failed(error, now),
        }
    }

    /// Removes old generations.
    fn collect(&mut self, now: Moment) {
        while let Some((since, name)) = self.retired.front() {
            if self.retired.len() < KEEP_COUNT && now.since(*since) < KEEP {
                return;
            }
            if let Err(error) = volume::remove_tree(self.volume.live.as_fd(), name) {
                tracing::warn!(event = "collect_failed", error_kind = error.kind(), %error, "an old generation stays");
            }
            self.retired.pop_front();
        }
    }
}

/// `..2026_11_23_04_43_41.<random>`: the form of Kubernetes' own, so that its tools recognise it.
fn generation_name() -> String {
    let now = jiff::Timestamp::now()
        .strftime("%Y_%m_%d_%H_%M_%S")
        .to_string();
    let random: String = std::iter::repeat_with(fastrand::alphanumeric)
        .take(10)
        .collect();
    format!("..{now}.{random}")
}
