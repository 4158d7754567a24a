//! First starts: a process begins, and ends when all files are there.

use super::Effort;
use super::floor::millis;
use super::load::Load;
use super::process::ended;
use super::result::{Results, What};
use super::tool::Tool;
use crate::consul::Consul;

/// Each tool in turn, again and again; the first turn warms up and does not count.
pub fn measure(
    consul: &Consul,
    load: &Load,
    tools: &[Tool],
    effort: Effort,
    results: &mut Results,
) {
    let places: Vec<_> = tools.iter().map(|tool| (tool, tool.place())).collect();
    for turn in 0..=effort.seeds {
        for (tool, place) in &places {
            place.wipe();
            let ended = ended(&mut place.once(consul.addr()));
            if turn > 0 {
                results.add(What::Seed, load, tool.name(), &[millis(ended.wall)]);
                results.add(What::SeedCpu, load, tool.name(), &[millis(ended.cpu)]);
                results.add(What::SeedPeak, load, tool.name(), &[ended.peak as f64 / 1e6]);
            }
        }
    }
}
