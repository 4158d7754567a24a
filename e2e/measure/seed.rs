//! First starts: a process begins, and all files are there. The floor has its turn among them.

use std::time::Instant;

use super::Run;
use super::floor;
use super::process::ended;
use super::result::{Results, What, millis};

/// Each tool in turn, again and again; the first turn warms up and does not count.
pub fn measure(run: &Run<'_>, results: &mut Results) {
    let places: Vec<_> = run.tools.iter().map(|tool| (tool, tool.place())).collect();
    for turn in 0..=run.effort.seeds {
        let bare = floor::seed(run);
        if turn > 0 {
            bare.add_to(run, results);
        }
        for (tool, place) in &places {
            place.wipe();
            let ended = ended(&place.once(run.way(**tool)));
            place.wipe();
            let begun = Instant::now();
            let running = place.follow(run.way(**tool));
            let ready = place.is_ready(run.load).duration_since(begun);
            drop(running);
            if turn > 0 {
                let mut add = |what, value| results.add(what, run.load, tool.name(), value);
                add(What::Seed, millis(ended.wall));
                add(What::SeedCpu, millis(ended.cpu));
                add(What::SeedPeak, ended.peak as f64 / 1e6);
                add(What::Ready, millis(ready));
            }
        }
    }
}
