//! A running process that gets no descriptor any more: there are fewer than its questions to Consul
//! want, so that one which is free for a moment is gone.

use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::memory;
use crate::consul::http::request_within;
use crate::consul::{Consul, Kind};
use crate::ledger::Tally;
use crate::rig::{Pod, SOON, Sidecar};
use crate::wait::{eventually, throughout};

/// Each waits for its changes on a connection of its own.
const SOURCES: usize = 40;
/// Enough for a process and a few of its connections.
const FEW: u64 = 48;
/// A probe is given up by the kubelet after one second.
const PROBE: Duration = Duration::from_secs(1);

fn pod(consul: &Consul) -> Pod {
    let pod = Pod::bare().arg(&["--consul", &consul.addr().to_string(), "--heartbeat", "1s"]);
    (0..SOURCES).fold(pod, |pod, n| {
        consul.put(&format!("app{n}/{n}"), "0");
        pod.arg(&["--source", &format!("app{n}=app{n}")])
    })
}

fn limit(sidecar: &Sidecar<'_>, soft: u64) {
    let pid = Pid::from_raw(sidecar.pid());
    let limit = Rlimit { current: Some(soft), maximum: Some(4_096) };
    prlimit(pid, Resource::Nofile, limit).expect("prlimit");
}

/// The limit in force, which is one on numbers: what is open above it stays.
fn soft_limit(sidecar: &Sidecar<'_>) -> u64 {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", sidecar.pid()));
    let limits = limits.expect("procfs");
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
    soft.expect("a limit of open files")
}

/// Waits until every number below the limit is taken.
#[track_caller]
fn until_starved(sidecar: &Sidecar<'_>) {
    eventually("all descriptors are taken", SOON, || {
        let open = memory::open_descriptors(sidecar.pid() as u32);
        (0..soft_limit(sidecar)).all(|number| open.contains(&number)).then_some(())
    });
}

fn probes_are_answered(pod: &Pod, sidecar: &Sidecar<'_>, what: &str, tally: &mut Tally) {
    let alive = || {
        let answer = request_within(PROBE, sidecar.addr(), "GET", "/livez", &[], b"");
        answer.is_ok_and(|answer| answer.status == 200)
    };
    throughout("the files stay", Duration::from_secs(2), || {
        // The kubelet, too, tries three times.
        tally.check((0..3).any(|_| alive()), || format!("{what}: no answer"));
        pod.read("0").is_some()
    });
}

#[test]
fn probes_are_answered_and_it_heals() {
    let mut tally = Tally::of("bounded::descriptors");
    let consul = Consul::start(Kind::Embedded);
    let pod = pod(&consul);
    let sidecar = pod.run(&["--seed"]);
    sidecar.until_fresh();
    for round in 0..3 {
        let few = FEW + round;
        limit(&sidecar, few);
        // Every connection has to be made anew.
        consul.restart();
        until_starved(&sidecar);
        let value = format!("{round}");
        consul.put("app0/0", &value);
        probes_are_answered(&pod, &sidecar, &format!("{few} descriptors"), &mut tally);
        limit(&sidecar, 1_024);
        let what = format!("0 is {value} with descriptors again");
        eventually(&what, SOON, || (pod.read("0")? == value.as_bytes()).then_some(()));
        sidecar.until_fresh();
    }
    let restarts = sidecar.metric("seedcar_thread_restarts_total{thread=\"publisher\"}");
    tally.check(restarts.unwrap_or(0.0) == 0.0, || format!("{restarts:?} panics"));
    tally.finish();
}

/// Where the limit that a process is given is all that there can be, it keeps below that from the start.
#[test]
fn probes_are_answered_under_a_limit_that_cannot_be_raised() {
    let mut tally = Tally::of("bounded::descriptors");
    let consul = Consul::start(Kind::Embedded);
    let mut pod = pod(&consul);
    pod.init();
    pod.limit_descriptors(FEW);
    let sidecar = pod.run(&[]);
    until_starved(&sidecar);
    probes_are_answered(&pod, &sidecar, "from the start", &mut tally);
    tally.finish();
}
