//! Instructions of our own program, counted by valgrind: the same on a busy machine as on an idle one.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use super::Run;
use super::auxv;
use super::follow::APART;
use super::process::{Running, behind};
use super::result::{Results, What};
use super::tool::Tool;
use crate::scratch::in_memory;

/// Between so many changes and so many the rest is what the changes took.
const CHANGES: [usize; 2] = [3, 13];

/// Of a first seed, and of a change, for a tree. Says so where it cannot count.
pub fn measure(run: &Run<'_>, results: &mut Results) {
    if !cfg!(target_arch = "x86_64") {
        eprintln!("instructions are not counted: their budgets are for x86-64");
        return;
    }
    if !Command::new("valgrind").arg("--version").output().is_ok_and(|it| it.status.success()) {
        eprintln!("instructions are not counted: there is no valgrind");
        return;
    }
    let name = Tool::SeedcarTree.name();
    results.add(What::SeedInstructions, run.load, name, seed(run) as f64 / 1e6);
    let [few, many] = CHANGES.map(|changes| follow(run, changes) as f64 / 1e6);
    let each = (many - few) / (CHANGES[1] - CHANGES[0]) as f64;
    results.add(What::ChangeInstructions, run.load, name, each);
}

fn seed(run: &Run<'_>) -> u64 {
    let (place, scratch) = (Tool::SeedcarTree.place(), in_memory());
    let log = scratch.path().join("log");
    let status = counting(&log, &place.once(run.consul.addr())).status().expect("start it");
    assert!(status.success(), "under valgrind it ended with {status}");
    counted(&log)
}

fn follow(run: &Run<'_>, changes: usize) -> u64 {
    let (place, scratch) = (Tool::SeedcarTree.place(), in_memory());
    let log = scratch.path().join("log");
    let running = Running::start(&mut counting(&log, &place.follows(run.consul.addr())));
    place.is_ready(run.load);
    for _ in 0..changes {
        place.shows(run.load, &run.load.change(run.consul));
        thread::sleep(APART);
    }
    running.terminate();
    counted(&log)
}

/// The same command under valgrind.
fn counting(log: &Path, command: &Command) -> Command {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    valgrind.arg(format!("--log-file={}", log.display()));
    let mut counting = behind(valgrind, command);
    auxv::hide(&mut counting);
    counting.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    counting
}

fn counted(log: &Path) -> u64 {
    let text = fs::read_to_string(log).expect("valgrind has a log");
    let line = text.lines().find_map(|line| line.split_once("Collected : "));
    line.and_then(|(_, count)| count.trim().parse().ok()).expect("valgrind counts")
}
