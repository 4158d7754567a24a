//! Changes, one after another and many at once, and what a tool holds after them.

use std::thread;
use std::time::{Duration, Instant};

use super::Effort;
use super::floor::millis;
use super::load::{Load, PREFIX, token};
use super::process::Running;
use super::result::{Results, What};
use super::tool::{Place, Tool};
use crate::consul::Consul;

/// Changes that do not count, after each start.
const WARM: usize = 5;
/// Between two changes: longer than a tool waits to see whether more follow.
const APART: Duration = Duration::from_millis(150);
/// After this long without a change a tool is at rest.
const AT_REST: Duration = Duration::from_secs(3);
/// How many keys are written at once, and in how large transactions.
const BURST: (usize, usize) = (1_000, 64);

/// Each tool in turn, in blocks.
pub fn measure(
    consul: &Consul,
    load: &Load,
    tools: &[Tool],
    effort: Effort,
    results: &mut Results,
) {
    for _ in 0..effort.blocks {
        for tool in tools {
            let place = tool.place();
            let running = place.follow(consul.addr());
            for _ in 0..WARM {
                change(consul, load, &place);
                thread::sleep(APART);
            }
            let count = effort.changes / effort.blocks;
            let mut spent = Duration::ZERO;
            for _ in 0..count {
                let before = running.cpu();
                let begun = Instant::now();
                change(consul, load, &place);
                results.add(What::Change, load, tool.name(), &[millis(begun.elapsed())]);
                thread::sleep(APART);
                spent += running.cpu() - before;
            }
            let each = millis(spent) / count as f64;
            results.add(What::ChangeCpu, load, tool.name(), &[each]);
            thread::sleep(AT_REST);
            held(&running, load, *tool, results);
            burst(consul, load, &place, &running, *tool, results);
        }
    }
}

fn change(consul: &Consul, load: &Load, place: &Place) {
    let (n, token) = load.change(consul);
    place.shows(load, n, &token);
}

fn held(running: &Running, load: &Load, tool: Tool, results: &mut Results) {
    let held = running.held();
    results.add(What::Rss, load, tool.name(), &[held.rss as f64 / 1e6]);
    results.add(What::Private, load, tool.name(), &[held.private as f64 / 1e6]);
    results.add(What::Threads, load, tool.name(), &[held.threads as f64]);
    results.add(What::Descriptors, load, tool.name(), &[held.descriptors as f64]);
}

/// Many keys anew, in transactions as fast as Consul takes them. The time is from the last of them on.
fn burst(
    consul: &Consul,
    load: &Load,
    place: &Place,
    running: &Running,
    tool: Tool,
    results: &mut Results,
) {
    if load.value > 2048 {
        return;
    }
    let cpu = running.cpu();
    // Each write is another value: the same again is no change to Consul.
    let write = |n: usize| {
        let token = token();
        (format!("{PREFIX}/{}", load.path(n % load.keys)), load.value(&token), token)
    };
    let writes: Vec<_> = (0..BURST.0).map(write).collect();
    for some in writes.chunks(BURST.1) {
        let pairs = some.iter().map(|(key, value, _)| (key.as_str(), value.as_slice()));
        consul.txn_set(&pairs.collect::<Vec<_>>());
    }
    let begun = Instant::now();
    place.shows(load, (BURST.0 - 1) % load.keys, &writes[BURST.0 - 1].2);
    results.add(What::Burst, load, tool.name(), &[millis(begun.elapsed())]);
    thread::sleep(APART);
    results.add(What::BurstCpu, load, tool.name(), &[millis(running.cpu() - cpu)]);
}
