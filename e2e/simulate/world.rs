//! The virtual clock, what happens on it, and when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{DefaultHasher, Hash};
use std::io::Write as _;
use std::time::Duration;

use seedcar::consul::error::Error;
use seedcar::demo::kv::{Kv, Put};
use seedcar::model::moment::Moment;

use super::consul::{Answer, Consul, Delivery, Lie, PREFIX, Question, Request, Rights, WAIT};
use super::oracle::Oracle;
use super::pod::{Address, INTERVAL, Pod, Wake};
use super::trouble::Trouble;

/// When every simulation begins: long after the machine was started.
const ZERO: Moment = Moment(1_000_000_000_000);

/// Everything.
pub struct World {
    /// All but the pods, which act on it.
    pub env: Env,
    /// The pods.
    pub pods: Vec<Pod>,
}

/// What a pod sees of the world.
pub struct Env {
    /// Now.
    pub now: Moment,
    /// The seeded dice.
    pub dice: fastrand::Rng,
    /// The judge.
    pub oracle: Oracle,
    /// The server.
    pub consul: Consul,
    queue: BinaryHeap<Reverse<Due>>,
    order: u64,
    /// Snapshots that may be restored.
    pub snapshots: Vec<Kv>,
    /// Rights that queries under way may still have.
    recent: Vec<(Rights, Moment)>,
    /// A hash of all that happened.
    pub trace: DefaultHasher,
    /// Events so far.
    pub events: u64,
    value: u64,
    told: bool,
}

/// Something that happens.
pub enum Event {
    /// To a pod's process.
    Pod(usize, u32, Wake),
    /// A request arrives at Consul.
    Arrive(Request),
    /// A held query is due.
    Due,
    /// Somebody writes to Consul, and will again after about so long, until then.
    Write(Duration, Moment),
    /// Something goes wrong, or is right again.
    Trouble(Trouble),
}

struct Due {
    at: Moment,
    order: u64,
    event: Event,
}

// === impl World ===

impl World {
    /// A Consul with some keys, and pods that have never run.
    pub fn new(seed: u64, pods: usize, keys: u64, ballast: usize) -> Self {
        let mut env = Env {
            now: ZERO,
            dice: fastrand::Rng::with_seed(seed),
            oracle: Oracle::default(),
            consul: Consul::new(ballast),
            queue: BinaryHeap::new(),
            order: 0,
            snapshots: Vec::new(),
            recent: Vec::new(),
            trace: DefaultHasher::new(),
            events: 0,
            value: 0,
            told: std::env::var_os("TRACE").is_some(),
        };
        (0..keys).for_each(|key| env.put(key));
        env.judge_view();
        Self { env, pods: (0..pods).map(Pod::new).collect() }
    }

    /// Lets things happen until then.
    pub fn run_until(&mut self, end: Moment) {
        while self.env.queue.peek().is_some_and(|Reverse(due)| due.at <= end) {
            let Reverse(due) = self.env.queue.pop().expect("peeked");
            self.env.now = due.at;
            self.env.events += 1;
            (due.at.0, due.event.word()).hash(&mut self.env.trace);
            self.happen(due.event);
        }
        self.env.now = end;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Pod(pod, life, wake) => self.pods[pod].wake(life, wake, &mut self.env),
            Event::Arrive(request) => self.env.arrive(request),
            Event::Due => self.env.end_waits(),
            Event::Write(mean, until) => self.write(mean, until),
            Event::Trouble(trouble) => {
                self.env.tell(|| format!("{trouble:?}"));
                trouble.strike(self);
            }
        }
    }

    fn write(&mut self, mean: Duration, until: Moment) {
        self.env.change();
        let next = self.env.now + mean.mul_f64(0.1 + 1.8 * self.env.dice.f64());
        if next < until {
            self.env.at(next, Event::Write(mean, until));
        }
    }
}

// === impl Env ===

impl Env {
    /// With `TRACE` set: a line of the story, at its virtual time.
    pub fn tell(&self, line: impl FnOnce() -> String) {
        if self.told {
            let at = self.now.since(ZERO).as_secs_f64();
            let _ = writeln!(std::io::stderr(), "{at:12.4} {}", line());
        }
    }

    /// Has this happen then.
    pub fn at(&mut self, at: Moment, event: Event) {
        self.order += 1;
        self.queue.push(Reverse(Due { at: at.max(self.now), order: self.order, event }));
    }

    /// Wakes a pod's process then.
    pub fn wake_at(&mut self, at: Moment, pod: usize, life: u32, wake: Wake) {
        self.at(at, Event::Pod(pod, life, wake));
    }

    /// Puts a question on the wire.
    pub fn send(&mut self, question: Question, from: Address) {
        self.oracle.requested(from.pod, self.now);
        self.tell(|| format!("{} {:?} asks {question:?}", from.pod, from.who));
        let request = Request { question, from, sent: self.now };
        let arrives = self.now + self.travel();
        self.at(arrives, Event::Arrive(request));
    }

    fn travel(&mut self) -> Duration {
        Duration::from_micros(self.dice.u64(50..3_000))
    }

    fn arrive(&mut self, request: Request) {
        if let Some(delivery) = self.consul.arrive(request, self.now, &mut self.dice) {
            return self.deliver(delivery);
        }
        if let Some(due) = self.consul.last_due() {
            self.at(due, Event::Due);
        }
    }

    fn end_waits(&mut self) {
        let due = self.consul.end_waits(self.now);
        self.deliver_all(due);
    }

    fn wake_blocked(&mut self) {
        let woken = self.consul.wake(self.now);
        self.deliver_all(woken);
    }

    /// Carries answers back.
    pub fn deliver_all(&mut self, deliveries: Vec<Delivery>) {
        deliveries.into_iter().for_each(|delivery| self.deliver(delivery));
    }

    fn deliver(&mut self, (at, request, answer): (Moment, Request, Result<Answer, Error>)) {
        let at = at + self.travel();
        let to = request.from;
        self.wake_at(at, to.pod, to.life, Wake::Heard(to, Box::new(answer)));
    }

    /// Somebody changes something.
    pub fn change(&mut self) {
        self.consul.remember();
        let key = self.dice.u64(0..40);
        match self.dice.u8(0..20) {
            0..=13 => self.put(key),
            14..=16 => self.consul.kv().delete(name(key)),
            17 => self.consul.kv().put(format!("other/{key}"), Put::default()),
            // The same again: no change.
            _ => {
                let put = self
                    .consul
                    .table()
                    .get(name(key))
                    .1
                    .map(|e| Put { value: e.value.to_vec(), flags: e.flags });
                put.into_iter().for_each(|put| self.consul.kv().put(name(key), put));
            }
        }
        self.changed();
    }

    /// Somebody changes one key.
    pub fn change_one(&mut self) {
        self.consul.remember();
        self.put(0);
        self.changed();
    }

    /// Writes a value that was never there.
    pub fn put(&mut self, key: u64) {
        self.value += 1;
        let value = format!("value {}", self.value).into_bytes();
        self.consul.kv().put(name(key), Put { value, flags: 0 });
    }

    /// The table has changed.
    pub fn changed(&mut self) {
        self.judge_view();
        self.wake_blocked();
    }

    /// The token may see other things from now on.
    pub fn grant(&mut self, rights: Rights) {
        // A query that is being held goes on under the rights that it began with; and the doorbell
        // takes what that brought for current until the next heartbeat, because no index moves.
        self.recent.push((self.consul.rights, self.now + INTERVAL * 11 / 10 + WAIT * 2));
        self.consul.rights = rights;
        self.judge_view();
    }

    /// Consul begins to lie about its index, or ends.
    pub fn lie(&mut self, lie: Lie) {
        self.consul.lie = lie;
        self.oracle.lies(matches!(lie, Lie::Zero | Lie::Lower | Lie::Huge), self.now);
    }

    fn judge_view(&mut self) {
        let view = self.consul.view(Rights::All);
        self.tell(|| format!("Consul has {view:?}"));
        let now = self.now;
        self.recent.retain(|(_, until)| *until > now);
        let recent: Vec<Rights> = self.recent.iter().map(|(rights, _)| *rights).collect();
        let seen = [Rights::All, self.consul.rights].into_iter().chain(recent);
        let mut digests = Vec::new();
        for rights in seen {
            let digest = self.consul.view(rights).digest();
            if !digests.contains(&digest) {
                digests.push(digest);
            }
        }
        self.oracle.shows(digests, now);
    }
}

/// The name of a key: in one of four directories.
pub fn name(key: u64) -> String {
    format!("{PREFIX}{}/{key}", key % 4)
}

// === impl Event ===

impl Event {
    fn word(&self) -> (u8, u64) {
        match self {
            Self::Pod(pod, life, _) => (0, *pod as u64 * 1000 + u64::from(*life)),
            Self::Arrive(request) => (1, request.from.ticket),
            Self::Due => (2, 0),
            Self::Write(..) => (3, 0),
            Self::Trouble(_) => (4, 0),
        }
    }
}

// === impl Due ===

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}
