//! A fleet of real sidecars on three real Consul servers: what it asks of the leader and of the
//! followers, at rest and when something happens to all of them at once.
//!
//! `e2e/bench --fleet` tells the figures, with other fleets beside them. What must hold of them in any
//! run is a test: `quorum::fleet`.

pub mod gate;
mod picture;
pub mod play;
pub mod report;
mod servers;
pub mod sidecars;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use play::{Plan, What};
use sidecars::Tool;

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// In some minutes.
const QUICK: Plan = Plan {
    sidecars: 40,
    keys: 2_400,
    wait: seconds(5),
    rest: seconds(11),
    changes: 3,
    outage: seconds(8),
    recovery: seconds(12),
    rollout: seconds(8),
};

/// As a cluster is used: 2.4 MB, and two waits of 30 s at rest.
const FULL: Plan = Plan {
    sidecars: 300,
    wait: seconds(30),
    rest: seconds(65),
    outage: seconds(20),
    recovery: seconds(15),
    rollout: seconds(60),
    ..QUICK
};

/// Of a tool that takes so much of the servers that a whole fleet of it would stop them.
const OTHERS: usize = 40;

const ALL: [What; 5] =
    [What::Rest, What::Change, What::Outage, What::OutageAndChange, What::Rollout];

/// Plays the stories of all fleets, or of those that `only` names, with commas between; prints the table under a line
/// about the machine, and writes everything below `target/bench/`.
pub fn bench(quick: bool, only: Option<&str>, machine: &str) -> ExitCode {
    let plan = if quick { QUICK } else { FULL };
    let mut tools = vec![Tool::Seedcar, Tool::OneAddress];
    if std::env::var_os("SEEDCAR_BEFORE").is_some() {
        tools.insert(0, Tool::Before);
    }
    if std::env::var_os("CONSUL_TEMPLATE_BIN").is_some() {
        tools.push(Tool::ConsulTemplate);
    } else {
        eprintln!("consul-template is not measured: there is no Go to build it with");
    }
    tools.retain(|tool| only.is_none_or(|only| only.split(',').any(|name| name == tool.name())));
    if tools.is_empty() {
        eprintln!("none has this name");
        return ExitCode::FAILURE;
    }
    let play = |tool: &Tool| {
        let sidecars = match tool {
            Tool::ConsulTemplate => plan.sidecars.min(OTHERS),
            _ => plan.sidecars,
        };
        play::play(*tool, Plan { sidecars, ..plan }, &ALL)
    };
    let stories: Vec<_> = tools.iter().map(play).collect();
    let into = PathBuf::from(if quick { "target/bench/quick" } else { "target/bench" });
    report::write(&stories, machine, &into).expect("write the results");
    println!("{}", report::markdown(&stories, machine));
    println!("the table, the figures and the picture are in {}: fleet.*", into.display());
    ExitCode::SUCCESS
}
