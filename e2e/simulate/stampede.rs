//! A thousand pods on one Consul that comes back after a minute: nothing is asked in step.
//!
//! Requests and bytes a second are written to `target/stampede-*.csv` and drawn to
//! `target/stampede-*.svg`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::chart::{Panel, draw};
use super::consul::{Net, Rights};
use super::pod::Pod;
use super::trouble::Trouble;
use super::world::World;
use crate::ledger::Tally;

const PODS: usize = 1_000;
/// Everything is well before this second, and Consul is gone until the next.
const GONE: u64 = 120;
/// Consul is back.
const BACK: u64 = 180;
/// The end.
const END: u64 = 300;

/// What Consul was asked and sent in one second.
#[derive(Clone, Copy)]
struct Second {
    arrived: u64,
    bytes: u64,
}

/// Prefixes as applications have them.
struct Case {
    name: &'static str,
    ballast: usize,
    /// Whether somebody changes a key while Consul is gone, so that every pod must read it anew.
    changed: bool,
    /// Consul stops in good order instead of vanishing.
    graceful: bool,
}

const CASES: &[Case] = &[
    Case { name: "small", ballast: 0, changed: true, graceful: false },
    Case { name: "large", ballast: 70_000, changed: true, graceful: false },
    Case { name: "large-unchanged", ballast: 70_000, changed: false, graceful: true },
];

fn play(case: &Case) -> (World, Vec<Second>) {
    let mut world = World::new(7, 0, 20, case.ballast);
    let begun = world.env.now;
    let at = |second: u64| begun + Duration::from_secs(second);
    world.pods = (0..PODS).map(Pod::new).collect();
    // A rollout: one after another, over twenty seconds.
    for pod in 0..PODS {
        world.run_until(begun + Duration::from_millis(20 * pod as u64));
        world.pods[pod].start(&mut world.env);
    }
    let mut seconds = Vec::new();
    for second in 21..END {
        if second == GONE {
            let gone = if case.graceful { Trouble::Stop } else { Trouble::Net(Net::Refused) };
            gone.strike(&mut world);
            if case.changed {
                world.env.change_one();
            }
        }
        if second == BACK {
            Trouble::Net(Net::Up).strike(&mut world);
        }
        let before = world.env.consul.served;
        world.run_until(at(second));
        let now = world.env.consul.served;
        seconds.push(Second { arrived: now.0 - before.0, bytes: now.1 - before.1 });
    }
    (world, seconds)
}

#[test]
fn stampede() {
    let mut tally = Tally::of("simulate::stampede");
    for case in CASES {
        let (mut world, seconds) = play(case);
        let wanted = world.env.consul.view(Rights::All).digest();
        let current = world.pods.iter().filter(|p| p.shows().is_some_and(|s| s.0 == wanted));
        let current = current.count();
        let back = (BACK - 21) as usize;
        let after = &seconds[back..back + 60];
        let most = after.iter().map(|s| s.arrived).max().unwrap_or(0);
        let bytes = after.iter().map(|s| s.bytes).max().unwrap_or(0);
        let sum: u64 = after.iter().map(|s| s.bytes).sum();
        crate::stories::measured(&format!(
            "stampede {}: at most {most} requests and {:.1} MB in one second of the minute after; {:.1} MB in all",
            case.name,
            bytes as f64 / 1e6,
            sum as f64 / 1e6,
        ));
        write(case.name, &seconds);
        tally.cases(PODS as u64);
        tally.check(current == PODS, || format!("{}: only {current} pods are current", case.name));
        // A pod asks a few questions when Consul is back; within a back-off of 5 s all of them do.
        tally.check(most <= PODS as u64, || format!("{}: {most} requests in a second", case.name));
        // Nobody reads everything but the few whose heartbeat falls into that minute.
        let full = world.env.consul.view(Rights::All).bytes() * 4 / 3;
        let few = !case.changed && case.ballast > 0;
        tally.check(!few || sum < full * PODS as u64 / 4, || format!("{}: {sum} bytes", case.name));
        // A full read each, and no second of the five carries half of them.
        let half = full.max(4_000) * PODS as u64 / 2;
        tally.check(bytes < half, || format!("{}: {bytes} bytes in a second", case.name));
        let violations = std::mem::take(&mut world.env.oracle.violations);
        tally.check(violations.is_empty(), || format!("{}: {violations:?}", case.name));
    }
    tally.finish();
}

/// The figures and their picture.
fn write(name: &str, seconds: &[Second]) {
    let mut csv = String::from("second,requests,bytes\n");
    for (at, second) in seconds.iter().enumerate() {
        let _ = writeln!(csv, "{},{},{}", at + 21, second.arrived, second.bytes);
    }
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    fs::write(target.join(format!("stampede-{name}.csv")), csv).expect("a table");
    let requests = format!("{name}: requests a second");
    let kilobytes = format!("{name}: kB a second");
    let line = |of: fn(&Second) -> u64| vec![("Consul", seconds.iter().map(of).collect())];
    let panels = [
        Panel { what: &requests, lines: line(|second| second.arrived) },
        Panel { what: &kilobytes, lines: line(|second| second.bytes / 1000) },
    ];
    draw(&target.join(format!("stampede-{name}.svg")), 21, &panels).expect("a picture");
}
