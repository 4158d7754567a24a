//! Bytes, requests and wake-ups: of a change, and while nothing happens. All tools at once, because none of
//! them keeps another from resting.

use std::thread;
use std::time::{Duration, Instant};

use super::load::{Load, PREFIX};
use super::process::Running;
use super::result::{Results, What, millis};
use super::tool::{Place, Setup, Tool, WAIT};
use super::{Effort, Run};
use crate::fleet::gate::{Gate, Traffic};

/// How often it is looked what a tool holds: one look is chance, above all at a heap that a collector tidies when
/// it likes.
const LOOKS: usize = 3;
/// Changes whose bytes are counted.
const CHANGES: usize = 5;
/// After a change: until all have asked their next question.
const SETTLED: Duration = Duration::from_millis(700);
/// After a change: until what it replaced is gone. After a question: until what it took is given back. Shorter than
/// any question is held.
const AT_REST: Duration = Duration::from_millis(6_500);
/// How often seedcar's heartbeat reads all here: with its own period it would fall into one in some of the minutes
/// that are looked at, and count there as if it were in each.
pub const SELDOM: &str = "24h";
const LOOK: Duration = Duration::from_millis(20);

/// A tool behind a gate of its own, which counts what it asks and is sent.
pub struct Behind {
    tool: Tool,
    place: Place,
    gate: Gate,
    running: Running,
}

/// What a tool has used at one moment.
#[derive(Clone, Copy)]
pub struct Used {
    at: Instant,
    traffic: Traffic,
    wakes: u64,
    cpu: Duration,
}

// === impl Behind ===

impl Behind {
    /// Starts it.
    pub fn start(tool: Tool, setup: Setup, run: &Run<'_>) -> Self {
        let gate = Gate::before(run.way(tool));
        let place = tool.place_for(setup);
        let running = place.follow(gate.addr());
        Self { tool, place, gate, running }
    }

    /// Its name in tables.
    pub fn name(&self) -> &'static str {
        self.tool.name()
    }

    /// What it has used until now.
    pub fn used(&self) -> Used {
        Used {
            at: Instant::now(),
            traffic: self.gate.traffic(),
            wakes: self.running.wakes(),
            cpu: self.running.cpu(),
        }
    }
}

// === impl Used ===

impl Used {
    /// What a minute takes at the rate between then and now: bytes in kB, requests, wake-ups, and CPU in ms.
    pub fn a_minute_since(&self, then: &Self) -> [f64; 4] {
        let scale = 60.0 / self.at.duration_since(then.at).as_secs_f64();
        let traffic = self.traffic - then.traffic;
        let (kb, requests) = (traffic.bytes as f64 / 1e3, traffic.requests as f64);
        let wakes = self.wakes.saturating_sub(then.wakes) as f64;
        [kb, requests, wakes, millis(self.cpu - then.cpu)].map(|figure| figure * scale)
    }
}

/// All tools.
pub fn measure(run: &Run<'_>, results: &mut Results) {
    let setup = Setup { prefix: PREFIX, wait: run.effort.wait, heartbeat: SELDOM };
    let all: Vec<_> = run.tools.iter().map(|tool| Behind::start(*tool, setup, run)).collect();
    change(run, &all);
    let before: Vec<_> = all.iter().map(Behind::used).collect();
    (0..CHANGES).for_each(|_| change(run, &all));
    for (behind, before) in all.iter().zip(&before) {
        let sent = behind.gate.traffic() - before.traffic;
        let each = sent.bytes as f64 / CHANGES as f64 / 1e3;
        results.add(What::ChangeBytes, run.load, behind.name(), each);
    }
    thread::scope(|scope| {
        let rests =
            all.iter().map(|behind| (behind.name(), scope.spawn(|| rest(behind, run.effort))));
        for (name, rest) in rests.collect::<Vec<_>>() {
            record(run.load, name, run.effort.wait, rest.join().expect("it rests"), results);
        }
    });
    // The first look is after many questions, the second after a change and one, the last after one more.
    for look in 0..LOOKS {
        if look == 1 {
            change(run, &all);
            thread::sleep(AT_REST);
        }
        if look > 0 {
            asked(run, &all);
        }
        thread::sleep(AT_REST);
        all.iter().for_each(|behind| held(run.load, behind, results));
    }
}

/// Waits until each has asked another question.
fn asked(run: &Run<'_>, all: &[Behind]) {
    thread::scope(|scope| {
        for behind in all {
            scope.spawn(|| asks(behind, 1, longest(run.effort) * 2));
        }
    });
}

/// What it holds after that rest.
fn held(load: &Load, behind: &Behind, results: &mut Results) {
    let held = behind.running.held();
    let mut add = |what, value| results.add(what, load, behind.name(), value);
    add(What::Rss, held.rss as f64 / 1e6);
    add(What::Private, held.private as f64 / 1e6);
    add(What::Volume, behind.place.memory() as f64 / 1e6);
    add(What::Threads, held.threads as f64);
    add(What::Descriptors, held.descriptors as f64);
}

fn change(run: &Run<'_>, all: &[Behind]) {
    let change = run.load.change(run.consul);
    for behind in all {
        behind.place.shows(run.load, &change);
    }
    thread::sleep(SETTLED);
}

/// From one question to a later one, whole waits: between them are as many answers as there are questions.
fn rest(behind: &Behind, effort: Effort) -> [f64; 4] {
    thread::sleep(AT_REST);
    // The last change is over; from the next question on nothing happens.
    asks(behind, 1, longest(effort) * 2);
    let begun = behind.used();
    asks(behind, effort.waits, longest(effort) * (effort.waits as u32 + 1));
    behind.used().a_minute_since(&begun)
}

/// Consul adds up to a sixteenth to the wait that it is asked for.
fn longest(effort: Effort) -> Duration {
    Duration::from_secs(effort.wait) * 17 / 16
}

/// Waits for so many questions; not for ever, because a tool may have none.
fn asks(behind: &Behind, questions: u64, longest: Duration) {
    let (begun, already) = (Instant::now(), behind.gate.traffic().requests);
    while behind.gate.traffic().requests < already + questions && begun.elapsed() < longest {
        thread::sleep(LOOK);
    }
    // The question is then held.
    thread::sleep(LOOK);
}

/// Bytes and requests as they are with the usual wait: what happens at rest happens once in each.
fn record(
    load: &Load,
    name: &'static str,
    wait: u64,
    [kb, requests, wakes, cpu]: [f64; 4],
    results: &mut Results,
) {
    let usual = wait as f64 / WAIT as f64;
    results.add(What::RestBytes, load, name, kb * usual);
    results.add(What::RestRequests, load, name, requests * usual);
    results.add(What::RestCpu, load, name, cpu);
    results.add(What::RestWakes, load, name, wakes);
}
