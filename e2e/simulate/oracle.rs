//! What must never happen, judged from outside: by what Consul held and when.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use seedcar::model::confirmation::{Confirmation, Mechanism, Origin, Published};
use seedcar::model::guard::PROBATION;
use seedcar::model::moment::Moment;
use seedcar::model::offer::Content;
use seedcar::model::reading::Reading;
use seedcar::model::snapshot::{Digest, Snapshot};

use super::consul::{Consul, WAIT};

/// The window in which requests are counted.
pub const WINDOW: Duration = Duration::from_secs(10);
/// The most requests of one pod in a window: ten changes a second, each three questions, and the
/// other mechanisms' few.
pub const MOST_REQUESTS: usize = 330;

/// What was seen, and what was wrong.
#[derive(Default)]
pub struct Oracle {
    /// When each content was Consul's, for all or for the token.
    current: HashMap<Digest, Vec<(Moment, Moment)>>,
    shown: Vec<Digest>,
    first_offered: HashMap<(usize, Digest), Moment>,
    accepted: HashSet<Digest>,
    /// Until when Consul's index was wrong.
    lied_until: Option<Moment>,
    /// By pod, what Consul has told it of the fleet's key, and what it has had the time to keep.
    told: HashMap<usize, bool>,
    kept: HashMap<usize, bool>,
    /// By pod, the generations that readers saw, and the one that the service was told of last.
    visible: HashMap<usize, HashSet<String>>,
    heard: HashMap<usize, String>,
    requests: HashMap<usize, VecDeque<Moment>>,
    /// The most requests of one pod in a window.
    pub busiest: usize,
    /// Checks made.
    pub checks: u64,
    /// Broken promises.
    pub violations: Vec<String>,
}

// === impl Oracle ===

impl Oracle {
    /// From `now` on Consul shows exactly these contents, to one or another.
    pub fn shows(&mut self, digests: Vec<Digest>, now: Moment) {
        for gone in self.shown.iter().filter(|d| !digests.contains(d)) {
            if let Some(last) = self.current.get_mut(gone).and_then(|spans| spans.last_mut()) {
                last.1 = now;
            }
        }
        for new in digests.iter().filter(|d| !self.shown.contains(d)) {
            self.current.entry(*new).or_default().push((now, Moment(u64::MAX)));
        }
        self.shown = digests;
    }

    /// Whether this content is Consul's, for all, for the token, or for what the token was lately.
    pub fn is_shown(&self, digest: &Digest) -> bool {
        self.shown.contains(digest)
    }

    /// A pod put a question.
    pub fn requested(&mut self, pod: usize, now: Moment) {
        let recent = self.requests.entry(pod).or_default();
        recent.push_back(now);
        while recent.front().is_some_and(|at| now.since(*at) > WINDOW) {
            recent.pop_front();
        }
        let count = recent.len();
        self.busiest = self.busiest.max(count);
        self.check(count <= MOST_REQUESTS, || format!("pod {pod}: {count} requests in {WINDOW:?}"));
    }

    /// A pod's guard is shown an answer.
    pub fn offered(&mut self, pod: usize, reading: &Reading, now: Moment) {
        self.first_offered.entry((pod, reading.snapshot.digest())).or_insert(now);
    }

    /// A person accepts this.
    pub fn accepted(&mut self, digest: Digest) {
        self.accepted.insert(digest);
    }

    /// Consul told a pod's process whether the fleet is frozen.
    pub fn told(&mut self, pod: usize, frozen: bool) {
        self.told.insert(pod, frozen);
    }

    /// A pod's publisher has done a round since then: a crash is no excuse any more.
    pub fn kept(&mut self, pod: usize, said: bool) {
        self.check(self.told.get(&pod) == Some(&said), || format!("pod {pod}: who said {said}?"));
        self.kept.insert(pod, said);
    }

    /// Readers of a pod see this generation.
    pub fn visible(&mut self, pod: usize, generation: &str) {
        self.visible.entry(pod).or_default().insert(generation.to_owned());
    }

    /// The service of a pod is told of this generation.
    pub fn heard(&mut self, pod: usize, generation: &str) {
        let known = self.visible.get(&pod).is_some_and(|known| known.contains(generation));
        self.check(known, || format!("pod {pod}: told of {generation}, which nobody saw"));
        self.heard.insert(pod, generation.to_owned());
    }

    /// Nothing has happened for a while: the service knows of what readers see.
    pub fn all_is_told(&mut self, pod: usize, generation: Option<&str>) {
        let heard = self.heard.get(&pod).cloned();
        self.check(heard.as_deref() == generation, || {
            format!("pod {pod}: readers see {generation:?}, the service knows of {heard:?}")
        });
    }

    /// A pod's volume is gone, and what was kept there.
    pub fn replaced(&mut self, pod: usize) {
        self.told.remove(&pod);
        self.kept.remove(&pod);
    }

    /// A pod begins to publish; its `first` content, or a change. `here`: its volume is frozen.
    pub fn begins(&mut self, pod: usize, first: bool, here: bool) {
        let fleet = self.kept.get(&pod) == Some(&true);
        self.check(first || !here, || format!("pod {pod}: publishes on a frozen volume"));
        self.check(first || !fleet, || format!("pod {pod}: publishes in a frozen fleet"));
    }

    /// A pod's files are now `content`; they were `before`.
    pub fn published(
        &mut self,
        pod: usize,
        before: Option<&Snapshot>,
        content: &Content,
        now: Moment,
    ) {
        let digest = content.snapshot.digest();
        self.check(self.current.contains_key(&digest), || {
            format!("pod {pod}: published what Consul never held")
        });
        if let Some(before) = before {
            self.judge_loss(pod, before, content, now);
            self.judge_order(pod, before, content);
        }
    }

    fn judge_loss(&mut self, pod: usize, before: &Snapshot, content: &Content, now: Moment) {
        let digest = content.snapshot.digest();
        let (keys, had) = (content.snapshot.keys(), before.keys());
        let free = digest == before.digest() || self.accepted.contains(&digest);
        self.check(free || keys > 0, || format!("pod {pod}: emptied, had {had}"));
        let lost = had.saturating_sub(keys);
        let first = self.first_offered.get(&(pod, digest)).copied().unwrap_or(now);
        let known_for = now.since(first);
        let shrunk = lost >= 10 && lost * 2 > had;
        self.check(free || !shrunk || known_for >= PROBATION, || {
            format!("pod {pod}: shrank from {had} to {keys} keys known for {known_for:?}")
        });
    }

    /// New content was still Consul's when the old one came up.
    fn judge_order(&mut self, pod: usize, before: &Snapshot, content: &Content) {
        let spans = |digest| self.current.get(&digest).map(Vec::as_slice).unwrap_or_default();
        let last = spans(content.snapshot.digest()).iter().map(|span| span.1).max();
        let first = spans(before.digest()).iter().map(|span| span.0).min();
        let back = content.origin == Origin::Consul && last < first;
        self.check(!back, || {
            format!("pod {pod}: went back from {before:?} to {:?}", content.snapshot)
        });
    }

    /// From `now` on Consul's index is wrong, or right again.
    pub fn lies(&mut self, wrong: bool, now: Moment) {
        let lied = self.lied_until == Some(Moment(u64::MAX));
        if wrong || lied {
            self.lied_until = Some(if wrong { Moment(u64::MAX) } else { now });
        }
    }

    /// A pod says that this content is Consul's, and was when it asked. The watch goes by the index: a
    /// wrong one that is by chance that of older content deceives it until the next heartbeat.
    pub fn confirmed(&mut self, said: &Confirmation, now: Moment) {
        if said.how == Mechanism::Watch && self.lied_until.is_some_and(|until| said.when <= until) {
            return;
        }
        let spans = self.current.get(&said.digest).map(Vec::as_slice).unwrap_or_default();
        let held = spans.iter().any(|(from, to)| *from <= now && *to >= said.when);
        self.check(held, || format!("confirmed {said:?}, which Consul did not hold since then"));
    }

    /// A pod writes a backup, dated so by Consul's clock.
    pub fn backed_up(&mut self, published: &Published, date: i64, now: Moment) {
        self.check(published.origin == Origin::Consul && !published.stale, || {
            "a backup of what Consul had not confirmed".to_owned()
        });
        let spans = self.current.get(&published.digest).map(Vec::as_slice).unwrap_or_default();
        // A query that waited is dated when it was answered.
        let slack = WAIT.as_secs() as i64 + 3;
        let held = spans.iter().any(|(from, to)| {
            Consul::date(*from) <= date + 1 && Consul::date(*to.min(&now)) >= date - slack
        });
        self.check(held, || format!("a backup dated {date} of content that was not Consul's then"));
    }

    /// One check.
    pub fn check(&mut self, held: bool, text: impl FnOnce() -> String) {
        self.checks += 1;
        if !held {
            self.violations.push(text());
        }
    }
}
