//! What happens to a fleet, one after another, and what each of it costs the servers.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::report::bodies;
use super::servers::{Done, Servers};
use super::sidecars::{Fleet, Tool};
use crate::quantile::quantile;
use crate::wait::{Curtain, eventually_every};

/// Longer than any fleet here takes to have a change.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often the files are looked at: a look at a pod that has not got it opens one file.
const LOOK: Duration = Duration::from_millis(2);
/// The servers' figures are read so often; a rate is over so long.
const SECOND: Duration = Duration::from_secs(1);

/// How much.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Sidecars.
    pub sidecars: usize,
    /// Keys of 1 KiB.
    pub keys: usize,
    /// How long Consul is asked to hold a question.
    pub wait: Duration,
    /// How long nothing changes.
    pub rest: Duration,
    /// Changes, one after another.
    pub changes: u32,
    /// How long all servers are gone.
    pub outage: Duration,
    /// How long after it is looked at, where nothing has changed.
    pub recovery: Duration,
    /// Over so long all sidecars are replaced.
    pub rollout: Duration,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Nothing.
    Rest,
    /// Some keys changed, one after another.
    Change,
    /// All servers were killed, and came back with the same content.
    Outage,
    /// The same, and a key changed before anybody could ask.
    OutageAndChange,
    /// Each sidecar was replaced by one with an empty volume.
    Rollout,
}

/// One of them, and what it came to.
pub struct Phase {
    /// What.
    pub what: What,
    /// When it began and ended, in seconds since the fleet was complete.
    pub span: (f64, f64),
    /// Who led when it was over.
    pub leader: usize,
    /// What each server did.
    pub done: Vec<Done>,
    /// For each sidecar (and each change): how long it took to show it, in seconds.
    pub delays: Vec<f64>,
}

/// The servers at one moment, in seconds since the fleet was complete.
pub struct Sample {
    /// When.
    pub at: f64,
    /// Each server.
    pub done: Vec<Done>,
}

/// One fleet's story.
pub struct Story {
    /// What ran.
    pub tool: Tool,
    /// How much of it.
    pub plan: Plan,
    /// What happened.
    pub phases: Vec<Phase>,
    /// All along.
    pub samples: Vec<Sample>,
}

struct Stage<'s> {
    servers: &'s Servers,
    fleet: Fleet,
    plan: Plan,
    begun: Instant,
    phases: Vec<Phase>,
}

// === impl What ===

impl What {
    /// In tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::Rest => "at rest",
            Self::Change => "three changes",
            Self::Outage => "outage",
            Self::OutageAndChange => "outage, and a change",
            Self::Rollout => "rollout",
        }
    }
}

/// Plays all of `what` to a fleet on servers of its own.
pub fn play(tool: Tool, plan: Plan, what: &[What]) -> Story {
    let servers = Servers::start(plan.keys);
    let mut addrs = servers.addrs();
    // The leader is the first of the list: the hardest case for it.
    addrs.rotate_left(servers.leader());
    let mut fleet = Fleet::new(tool, plan.wait, addrs);
    for _ in 0..plan.sidecars {
        fleet.add();
        thread::sleep(plan.rollout / 4 / plan.sidecars as u32);
    }
    let mut stage =
        Stage { servers: &servers, fleet, plan, begun: Instant::now(), phases: Vec::new() };
    stage.wait_seeded(vec![Some(Instant::now()); plan.sidecars], Vec::new());
    wait_quiet(&servers);
    stage.begun = Instant::now();
    let samples = Mutex::new(Vec::new());
    let over = AtomicBool::new(false);
    let begun = stage.begun;
    thread::scope(|threads| {
        let _curtain = Curtain(&over);
        threads.spawn(|| sample(&servers, begun, &samples, &over));
        what.iter().for_each(|what| stage.perform(*what));
    });
    assert!(stage.fleet.all_run(), "no sidecar has ended by itself");
    let samples = samples.into_inner().expect("nobody panics with it");
    Story { tool, plan, phases: stage.phases, samples }
}

/// What a start still has to read is none of the rest: waits for two seconds without a body.
fn wait_quiet(servers: &Servers) {
    let mut before = None;
    eventually_every(SECOND * 2, "the start is over", PATIENCE, || {
        let sent: u64 = servers.done().iter().map(|done| bodies(done).1).sum();
        (before.replace(sent) == Some(sent)).then_some(())
    });
}

fn sample(servers: &Servers, begun: Instant, samples: &Mutex<Vec<Sample>>, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let sample = Sample { at: begun.elapsed().as_secs_f64(), done: servers.done() };
        samples.lock().expect("nobody panics with it").push(sample);
        thread::sleep(SECOND);
    }
}

// === impl Stage ===

impl Stage<'_> {
    fn perform(&mut self, what: What) {
        let (before, from) = (self.servers.done(), self.begun.elapsed().as_secs_f64());
        let delays = match what {
            What::Rest => {
                thread::sleep(self.plan.rest);
                Vec::new()
            }
            What::Change => (0..self.plan.changes).flat_map(|_| self.change()).collect(),
            What::Outage => self.outage(),
            What::OutageAndChange => self.outage_and_change(),
            What::Rollout => self.rollout(),
        };
        let after = self.servers.done();
        let done = after.into_iter().zip(before).map(|(after, before)| after - before).collect();
        let span = (from, self.begun.elapsed().as_secs_f64());
        eprintln!("{}: {}: {:.1} s", self.fleet.tool().name(), what.title(), span.1 - span.0);
        self.phases.push(Phase { what, span, leader: self.servers.leader(), done, delays });
    }

    /// Changes a key. Returns how long each pod took to show it.
    fn change(&mut self) -> Vec<f64> {
        let begun = Instant::now();
        let (path, token) = self.servers.change();
        self.wait_shown(begun, &path, &token)
    }

    fn wait_shown(&mut self, begun: Instant, path: &str, token: &str) -> Vec<f64> {
        let fleet = &mut self.fleet;
        let mut delays = vec![None; fleet.len()];
        eventually_every(LOOK, "all sidecars show the change", PATIENCE, || {
            for (position, delay) in delays.iter_mut().enumerate() {
                if delay.is_none() && fleet.shows(position, path, token) {
                    *delay = Some(begun.elapsed().as_secs_f64());
                }
            }
            delays.iter().all(Option::is_some).then_some(())
        });
        delays.into_iter().flatten().collect()
    }

    fn down(&self) {
        self.servers.kill();
        thread::sleep(self.plan.outage);
        self.servers.restart();
    }

    /// Nobody knows from outside when a sidecar is at rest again: it has nothing new to show.
    fn outage(&self) -> Vec<f64> {
        self.down();
        self.servers.open();
        self.servers.wait_writable();
        thread::sleep(self.plan.recovery);
        Vec::new()
    }

    fn outage_and_change(&mut self) -> Vec<f64> {
        self.down();
        self.servers.wait_writable();
        let (path, token) = self.servers.change();
        let begun = Instant::now();
        self.servers.open();
        self.wait_shown(begun, &path, &token)
    }

    /// Replaces the pods one after another. Returns how long each took from its start to its files.
    fn rollout(&mut self) -> Vec<f64> {
        let (begun, count) = (Instant::now(), self.fleet.len());
        let mut started: Vec<Option<Instant>> = vec![None; count];
        let mut delays = Vec::new();
        for position in 0..count {
            let at = begun + self.plan.rollout.mul_f64(position as f64 / count as f64);
            while Instant::now() < at {
                thread::sleep(LOOK);
                self.note_seeded(&mut started, &mut delays);
            }
            self.fleet.replace(position);
            started[position] = Some(Instant::now());
        }
        self.wait_seeded(started, delays)
    }

    /// Waits for the files of all that were started. Returns how long each took.
    fn wait_seeded(&self, mut started: Vec<Option<Instant>>, mut delays: Vec<f64>) -> Vec<f64> {
        eventually_every(LOOK, "all sidecars are seeded", PATIENCE, || {
            self.note_seeded(&mut started, &mut delays);
            started.iter().all(Option::is_none).then_some(())
        });
        delays
    }

    /// Takes the pods that have their files out of those that were started.
    fn note_seeded(&self, started: &mut [Option<Instant>], delays: &mut Vec<f64>) {
        for (position, start) in started.iter_mut().enumerate() {
            if let Some(begun) = start.take_if(|_| self.fleet.is_seeded(position)) {
                delays.push(begun.elapsed().as_secs_f64());
            }
        }
    }
}

// === impl Phase ===

impl Phase {
    /// What the leader did, and the followers together.
    pub fn sides(&self) -> (Done, Done) {
        let followers = self.done.iter().enumerate().filter(|(at, _)| *at != self.leader);
        let sum = followers.map(|(_, done)| *done).fold(Done::default(), |sum, done| sum + done);
        (self.done[self.leader], sum)
    }

    /// The delay that so large a part does not exceed, in seconds.
    pub fn delay(&self, part: f64) -> f64 {
        quantile(&self.delays, part)
    }
}
