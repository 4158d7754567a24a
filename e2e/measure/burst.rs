//! Many changes at once, behind a gate that counts.

use std::thread;
use std::time::{Duration, Instant};

use super::Run;
use super::load::{Change, Load, SMALL};
use super::result::{Results, What, millis};
use super::tool::{Place, Tool};
use crate::consul::Consul;
use crate::fleet::gate::Gate;
use crate::marked::Stamp;

/// How many keys are written at once.
const KEYS: usize = 1_000;
/// After the last publish: long enough for another one.
const QUIET: Duration = Duration::from_millis(700);
/// How often it is looked whether there was a publish: each tool needs longer for one.
const LOOK: Duration = Duration::from_millis(2);

/// A way in which so many keys are written, and what is told of it.
struct Burst {
    write: fn(&Load, &Consul, usize) -> Change,
    took: What,
    cpu: What,
    requests: What,
    publishes: What,
}

/// Few and large steps of the index.
const TRANSACTIONS: Burst = Burst {
    write: Load::burst,
    took: What::Burst,
    cpu: What::BurstCpu,
    requests: What::BurstRequests,
    publishes: What::BurstPublishes,
};

/// A step of the index for each key.
const PUTS: Burst = Burst {
    write: Load::storm,
    took: What::Storm,
    cpu: What::StormCpu,
    requests: What::StormRequests,
    publishes: What::StormPublishes,
};

/// Not with large values: a thousand of them would be the server's work alone.
pub fn is_measured(load: &Load) -> bool {
    load.value <= 2048
}

/// Each tool in turn, again and again.
pub fn measure(run: &Run<'_>, results: &mut Results) {
    if !is_measured(run.load) {
        return;
    }
    for _ in 0..run.effort.bursts {
        for tool in run.tools {
            once(run, *tool, &TRANSACTIONS, results);
            // Of a large prefix the server's work would be most of it.
            if *run.load == SMALL {
                once(run, *tool, &PUTS, results);
            }
        }
    }
}

fn once(run: &Run<'_>, tool: Tool, burst: &Burst, results: &mut Results) {
    let gate = Gate::before(run.way(tool));
    let place = tool.place();
    let running = place.follow(gate.addr());
    place.shows(run.load, &run.load.change(run.consul));
    publishes(&place, run, || ());
    let (cpu, requests) = (running.cpu(), gate.traffic().requests);
    let mut took = Duration::ZERO;
    let publishes = publishes(&place, run, || {
        let last = (burst.write)(run.load, run.consul, KEYS);
        took = place.shows(run.load, &last).saturating_duration_since(last.begun);
    });
    let mut add = |what, value| results.add(what, run.load, tool.name(), value);
    add(burst.took, millis(took));
    add(burst.cpu, millis(running.cpu() - cpu));
    add(burst.requests, (gate.traffic().requests - requests) as f64);
    add(burst.publishes, publishes as f64);
}

/// How often the files were published anew while something was done, and until it is quiet again.
fn publishes(place: &Place, run: &Run<'_>, act: impl FnOnce()) -> usize {
    let acting = std::sync::atomic::AtomicBool::new(true);
    thread::scope(|scope| {
        let counter = scope.spawn(|| {
            let mut seen: Option<Stamp> = place.stamp(run.load);
            let (mut count, mut last) = (0, Instant::now());
            while acting.load(std::sync::atomic::Ordering::Relaxed) || last.elapsed() < QUIET {
                let now = place.stamp(run.load);
                if now.is_some() && now != seen {
                    (seen, count, last) = (now, count + 1, Instant::now());
                }
                thread::sleep(LOOK);
            }
            count
        });
        act();
        acting.store(false, std::sync::atomic::Ordering::Relaxed);
        counter.join().expect("it counts")
    })
}
