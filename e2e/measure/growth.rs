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

/// Ours, and after it in a full run one of theirs: at once it would take the core from ours, and the server.
pub fn measure(run: &Run<'_>, results: &mut Results) {
    grow(run, Tool::SeedcarTree, results);
    if !run.effort.quick && run.tools.contains(&Tool::TemplateJson) {
        grow(run, Tool::TemplateJson, results);
    }
}

fn grow(run: &Run<'_>, tool: Tool, results: &mut Results) {
    let place = tool.place();
    let running = place.follow(run.consul.addr());
    let (first, last) = run.effort.growth;
    changes(run, tool, &place, first);
    let before = size(&place, &running);
    changes(run, tool, &place, last - first);
    let after = size(&place, &running);
    let grown = |now: u64, then: u64| now as f64 - then as f64;
    let mut add = |what, value| results.add(what, run.load, tool.name(), value);
    add(What::GrowthPrivate, grown(after.held.private, before.held.private) / 1e6);
    add(What::GrowthRss, grown(after.held.rss, before.held.rss) / 1e6);
    add(What::GrowthDescriptors, grown(after.held.descriptors, before.held.descriptors));
    add(What::GrowthInodes, grown(after.inodes as u64, before.inodes as u64));
}

/// In a full run seedcar has shown each before the next one; consul-template, which would take ten times as long, may
/// put several into one.
fn changes(run: &Run<'_>, tool: Tool, place: &Place, count: usize) {
    let is_each_shown = !run.effort.quick && tool.is_seedcar();
    for n in 1..=count {
        let change = run.load.change(run.consul);
        if is_each_shown || n == count {
            place.shows(run.load, &change);
        } else {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn size(place: &Place, running: &Running) -> Size {
    thread::sleep(AT_REST);
    Size { held: running.held(), inodes: place.inodes() }
}
