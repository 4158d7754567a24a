//! What a tool holds after many changes, beside what it held after the first of them.

use std::thread;
use std::time::Duration;

use super::Run;
use super::process::{Held, Running};
use super::result::{Results, What};
use super::tool::{Place, Tool};

/// Until an old generation is gone, and the memory of the last change is given back.
const AT_REST: Duration = Duration::from_secs(6);

/// What is there at one moment.
struct Size {
    held: Held,
    inodes: usize,
}

/// One of each kind follows the same changes. In a full run seedcar has shown each of them before the next one;
/// consul-template, which would take ten times as long, may put several into one.
pub fn measure(run: &Run<'_>, results: &mut Results) {
    let one_each = |tool: &&Tool| matches!(tool, Tool::SeedcarTree | Tool::TemplateJson);
    let tools = run.tools.iter().filter(one_each);
    let all: Vec<(Tool, Place)> = tools.map(|tool| (*tool, tool.place())).collect();
    let running: Vec<Running> =
        all.iter().map(|(_, place)| place.follow(run.consul.addr())).collect();
    let (first, last) = run.effort.growth;
    changes(run, &all, first);
    let before = sizes(&all, &running);
    changes(run, &all, last - first);
    for (((tool, _), before), after) in all.iter().zip(before).zip(sizes(&all, &running)) {
        let grown = |now: u64, then: u64| now as f64 - then as f64;
        let mut add = |what, value| results.add(what, run.load, tool.name(), value);
        add(What::GrowthPrivate, grown(after.held.private, before.held.private) / 1e6);
        add(What::GrowthRss, grown(after.held.rss, before.held.rss) / 1e6);
        add(What::GrowthDescriptors, grown(after.held.descriptors, before.held.descriptors));
        add(What::GrowthInodes, grown(after.inodes as u64, before.inodes as u64));
    }
}

fn changes(run: &Run<'_>, all: &[(Tool, Place)], count: usize) {
    for n in 1..=count {
        let change = run.load.change(run.consul);
        for (tool, place) in all {
            if n == count || (run.effort.each_is_shown && tool.is_seedcar()) {
                place.shows(run.load, &change);
            }
        }
        if !run.effort.each_is_shown {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn sizes(all: &[(Tool, Place)], running: &[Running]) -> Vec<Size> {
    thread::sleep(AT_REST);
    let size = |((_, place), running): (&(Tool, Place), &Running)| Size {
        held: running.held(),
        inodes: place.inodes(),
    };
    all.iter().zip(running).map(size).collect()
}
