//! One run: what is measured, in which order, and where it is written.

mod budget;
mod floor;
mod follow;
mod load;
mod picture;
mod process;
mod result;
mod seed;
mod table;
mod tool;
mod traffic;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::consul::{Consul, Kind};
use load::Load;
use result::Results;
use tool::Tool;

/// How much is measured.
#[derive(Clone, Copy)]
pub struct Effort {
    /// First seeds of each tool.
    pub seeds: usize,
    /// Changes of each tool, in as many blocks; between two blocks the others have their turn.
    pub changes: usize,
    /// How often each tool has its turn.
    pub blocks: usize,
    /// How long nothing changes, in seconds, while bytes and wake-ups are counted.
    pub rest: u64,
}

const QUICK: Effort = Effort { seeds: 5, changes: 60, blocks: 2, rest: 5 };
const FULL: Effort = Effort { seeds: 9, changes: 1000, blocks: 4, rest: 65 };

/// Measures, prints the table, and writes everything below `target/bench/`. Fails if a budget is missed.
pub fn run() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let quick = args.iter().any(|arg| arg == "--quick");
    let only = args.iter().find(|arg| !arg.starts_with("--"));
    if args.iter().any(|arg| arg == "--fleet") {
        return crate::fleet::bench(quick, only.map(String::as_str));
    }
    let effort = if quick { QUICK } else { FULL };
    let loads = if quick && only.is_none() { load::QUICK } else { load::FULL };
    let chosen = |load: &&Load| only.is_none_or(|only| load.to_string().contains(only.as_str()));
    // Server, writer and reader share the first core; the tools have the second.
    process::pin(0);
    let mut results = Results::new();
    for load in loads.iter().filter(chosen) {
        measure(load, effort, &mut results);
    }
    let into = PathBuf::from("target/bench");
    results.write(&into).expect("write the results");
    println!("{}", table::markdown(&results));
    let missed = budget::report(&results);
    println!(
        "{missed} budgets missed; the table, the samples and the picture are in {}",
        into.display()
    );
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure(load: &Load, effort: Effort, results: &mut Results) {
    eprintln!("=== {load}");
    let consul = Consul::start(Kind::Real);
    load.fill(&consul);
    floor::measure(&consul, load, effort, results);
    let tools = Tool::all();
    seed::measure(&consul, load, &tools, effort, results);
    follow::measure(&consul, load, &tools, effort, results);
    traffic::measure(&consul, load, &tools, effort, results);
}
