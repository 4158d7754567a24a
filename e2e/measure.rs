//! One run: what is measured, in which order, and where it is written.

mod auxv;
mod budget;
mod burst;
mod floor;
mod follow;
mod growth;
mod instructions;
mod load;
mod machine;
mod neighbours;
mod outage;
mod page;
mod picture;
mod process;
mod rest;
mod result;
mod seed;
mod table;
mod tool;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use crate::consul::{Consul, Kind};
use crate::fleet::gate::Gate;
use load::Load;
use machine::Machine;
use result::Results;
use tool::Tool;

/// How much is measured.
#[derive(Clone, Copy)]
pub struct Effort {
    /// Whether it is little: times are then told apart only roughly.
    pub quick: bool,
    /// First seeds of each tool.
    pub seeds: usize,
    /// Changes of each tool, in as many blocks; between two blocks the others have their turn.
    pub changes: usize,
    /// How often each tool has its turn.
    pub blocks: usize,
    /// Bursts of each tool.
    pub bursts: usize,
    /// How long Consul holds a question at rest, in seconds.
    pub wait: u64,
    /// For how many such waits nothing changes.
    pub waits: u64,
    /// How long the neighbours write, in seconds.
    pub beside: u64,
    /// How long Consul is away, in seconds.
    pub outages: &'static [u64],
    /// After how many changes it is asked what a tool holds, and after how many again.
    pub growth: (usize, usize),
}

// === impl Run ===

impl Run<'_> {
    /// Where a tool finds Consul.
    pub fn way(&self, tool: Tool) -> SocketAddr {
        if tool == Tool::TemplatePlain { self.plain.addr() } else { self.consul.addr() }
    }
}

// === impl Effort ===

impl Effort {
    fn place(&self) -> &'static Path {
        Path::new(if self.quick { QUICK_INTO } else { INTO })
    }
}

const QUICK: Effort = Effort {
    quick: true,
    seeds: 5,
    changes: 20,
    blocks: 2,
    bursts: 2,
    wait: 8,
    waits: 1,
    beside: 8,
    outages: &[5],
    growth: (100, 1_000),
};
const FULL: Effort = Effort {
    quick: false,
    seeds: 9,
    changes: 1_000,
    blocks: 4,
    bursts: 5,
    wait: tool::WAIT,
    waits: 2,
    beside: 60,
    outages: &[20, 70],
    growth: (1_000, 10_000),
};

/// Where everything is written. A quick run has a place of its own: it must not take a long one's.
const INTO: &str = "target/bench";
const QUICK_INTO: &str = "target/bench/quick";

/// What one load is measured with.
pub struct Run<'a> {
    /// The server, which holds the keys.
    pub consul: &'a Consul,
    /// The keys.
    pub load: &'a Load,
    /// Who is measured.
    pub tools: &'a [Tool],
    /// The way to it for those that are to have no compressed answers.
    pub plain: &'a Gate,
    /// How much.
    pub effort: Effort,
}

/// Measures, prints the table, and writes everything below `target/bench/`, of a quick run below
/// `target/bench/quick/`. Fails if a budget is missed.
/// With `--page` it only writes the README's section from what the last run left there.
pub fn run() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let Some((process::ALONE, words)) =
        args.split_first().map(|(first, rest)| (first.as_str(), rest))
    {
        process::alone(words);
        return ExitCode::SUCCESS;
    }
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    if has("--page") {
        return page::write(Path::new(INTO));
    }
    let quick = has("--quick");
    let only = args.iter().find(|arg| !arg.starts_with("--"));
    if has("--fleet") {
        let machine = Machine::here(quick).line();
        return crate::fleet::bench(quick, only.map(String::as_str), &machine);
    }
    let effort = if quick { QUICK } else { FULL };
    let loads = loads(effort, only.map(String::as_str));
    if loads.is_empty() {
        eprintln!("no load has this in its name");
        return ExitCode::FAILURE;
    }
    let results = measure_all(effort, &loads);
    println!("{}", table::markdown(&results));
    let missed = budget::report(&results);
    let into = effort.place().display();
    println!(
        "\n{} budgets missed, {} known to be; the table, the samples and the picture are in {into}",
        missed.anew, missed.pending
    );
    if missed.anew == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Those whose names contain `only`.
fn loads(effort: Effort, only: Option<&str>) -> Vec<&'static Load> {
    let loads = if effort.quick && only.is_none() { load::QUICK } else { load::FULL };
    loads.iter().filter(|load| only.is_none_or(|only| load.to_string().contains(only))).collect()
}

/// Writes after each load, so that a long run that is broken off has left something. What the same programs
/// have left of other loads stays.
fn measure_all(effort: Effort, loads: &[&Load]) -> Results {
    // Pages of a program that was just built count as written, as long as they are not on the disk.
    rustix::fs::sync();
    let tools = Tool::all(effort.quick);
    if let [_] = process::cores() {
        eprintln!("there is one core only: the server and the tools share it");
    }
    process::stay_aside();
    let mut results = Results::continued(effort.place(), Machine::here(effort.quick), loads);
    for load in loads {
        eprintln!("=== {load}");
        measure(load, &tools, effort, &mut results);
        results.write(effort.place()).expect("write the results");
    }
    results
}

fn measure(load: &Load, tools: &[Tool], effort: Effort, results: &mut Results) {
    let consul = start_server();
    load.fill(&consul);
    let plain = Gate::without_compression(consul.addr());
    let run = Run { consul: &consul, load, tools, plain: &plain, effort };
    let mut stage = |name: &str, measure: fn(&Run<'_>, &mut Results)| {
        let begun = Instant::now();
        measure(&run, results);
        eprintln!("{name}: {:.1} s", begun.elapsed().as_secs_f64());
    };
    stage("first seeds", seed::measure);
    stage("changes", follow::measure);
    stage("bursts", burst::measure);
    stage("rest", rest::measure);
    // What does not depend on the keys, or is long: under one load.
    if *load == load::SMALL {
        stage("neighbours", neighbours::measure);
        stage("outages", outage::measure);
    }
    if *load == load::MIDDLE {
        stage("growth", growth::measure);
        stage("instructions", instructions::measure);
    }
}

/// An empty server on its own core, with an ordinary configuration: one that is started with `-dev` answers
/// with longer bodies.
fn start_server() -> Consul {
    process::on_server_core(|| Consul::start(Kind::Real))
}
