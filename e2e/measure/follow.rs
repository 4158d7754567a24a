//! Changes, one after another, and what a tool holds after them.

use std::thread;
use std::time::Duration;

use super::Run;
use super::floor;
use super::load::Load;
use super::process::Running;
use super::result::{FLOOR, Results, What, millis};
use super::tool::{Place, Tool};

/// Changes where a median is all that is told: where it is not one of the two ways whose tails are compared, and of
/// a large prefix by the rival.
const FEW: usize = 200;
/// Changes that do not count, after each start.
const WARM: usize = 5;
/// Between two changes: longer than a tool waits to see whether more follow.
pub const APART: Duration = Duration::from_millis(150);
/// The same where a publish takes long: seedcar rests four times as long as it has published.
const FAR_APART: Duration = Duration::from_millis(500);

/// The floor and each tool in turn, in blocks: what else the machine does hits all of them.
pub fn measure(run: &Run<'_>, results: &mut Results) {
    let changes = run.effort.changes;
    let count = changes / run.effort.blocks;
    let few = changes.min(FEW) / run.effort.blocks;
    for _ in 0..run.effort.blocks {
        for wake in floor::wakes(run.consul, run.load, WARM, count) {
            results.add(What::Change, run.load, FLOOR, wake);
        }
        for tool in run.tools {
            let place = tool.place();
            let running = place.follow(run.way(*tool));
            let is_few = match tool {
                Tool::SeedcarTree => false,
                Tool::TemplateJson => is_large(run.load),
                _ => true,
            };
            changes_of(run, *tool, &place, &running, if is_few { few } else { count }, results);
        }
    }
}

fn is_large(load: &Load) -> bool {
    load.payload() >= 8_000_000
}

fn changes_of(
    run: &Run<'_>,
    tool: Tool,
    place: &Place,
    running: &Running,
    count: usize,
    results: &mut Results,
) {
    let change = || {
        let change = run.load.change(run.consul);
        let took = place.shows(run.load, &change).duration_since(change.begun);
        thread::sleep(if run.load.keys >= 10_000 && !run.load.nested { FAR_APART } else { APART });
        millis(took)
    };
    (0..WARM).for_each(|_| {
        change();
    });
    let before = running.cpu();
    for _ in 0..count {
        results.add(What::Change, run.load, tool.name(), change());
    }
    let each = millis(running.cpu() - before) / count as f64;
    results.add(What::ChangeCpu, run.load, tool.name(), each);
}
