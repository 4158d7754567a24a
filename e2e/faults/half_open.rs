//! Half-open connections: a firewall drops every packet, and neither side is told.
//!
//! Consul and seedcar run in a network namespace of the test's own thread, with a loopback of its
//! own: nothing outside can be touched.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::consul::{Consul, Kind};
use crate::ledger::Tally;
use crate::rig::{Pod, SOON, Sidecar};
use crate::stories::measured;
use crate::wait::eventually;

/// P7: a change arrives this long after a silent death of the watch, its wait of 30 s included.
const DEAD_WATCH: Duration = Duration::from_secs(45);
/// With a wait of 2 s: 2 and a sixteenth, 7 for a leader, 3 for the network, 3 to connect anew.
const GIVEN_UP: Duration = Duration::from_secs(25);

#[test]
fn dropped_packets_are_noticed_and_healed() {
    let mut tally = Tally::of("faults::half_open::dropped_packets_are_noticed_and_healed");
    // A namespace belongs to a thread; this one ends with the test.
    std::thread::scope(|scope| scope.spawn(|| in_a_namespace(&mut tally)).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    tally.finish();
}

fn in_a_namespace(tally: &mut Tally) {
    // SAFETY: a system call without pointers.
    let done = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    assert_eq!(done, 0, "a network namespace: {}", std::io::Error::last_os_error());
    run(&["ip", "link", "set", "lo", "up"]);
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    let pods = [&["--wait", "30s", "--no-heartbeat"][..], &["--wait", "2s", "--heartbeat", "1s"]]
        .map(|args| (Pod::new(consul.addr(), "app").arg(args), args));
    let [(patient, _), (quick, _)] = &pods;
    let sidecars = [patient, quick].map(|pod| {
        pod.init();
        let sidecar = pod.run(&[]);
        sidecar.until("the watch works", |s| s.mechanisms["watch"].up);
        sidecar
    });
    let port = consul.addr().port().to_string();
    one_connection_dies(tally, &consul, &sidecars[0], patient, &port);
    everything_is_dropped(tally, &consul, &sidecars, [patient, quick], &port);
}

/// The watch's connection alone dies, as in a NAT that forgets it: new ones work.
fn one_connection_dies(
    tally: &mut Tally,
    consul: &Consul,
    sidecar: &Sidecar<'_>,
    pod: &Pod,
    port: &str,
) {
    let ours = eventually("it is connected", SOON, || connection_of(sidecar.pid(), port));
    for (direction, flag) in [("INPUT", "--dport"), ("INPUT", "--sport")] {
        run(&["iptables", "-A", direction, "-p", "tcp", flag, &ours, "-j", "DROP"]);
    }
    let begun = Instant::now();
    consul.put("app/a", "2");
    let arrived = eventually("the change arrives", DEAD_WATCH * 2, || {
        (pod.read("a")? == b"2").then(|| begun.elapsed())
    });
    measured(&format!("faults: a watch's connection dropped: a change after {arrived:.1?}"));
    tally.check(arrived <= DEAD_WATCH, || format!("a change after {arrived:?}"));
    run(&["iptables", "-F"]);
}

/// All packets to and from Consul are dropped; new connections hang, too.
fn everything_is_dropped(
    tally: &mut Tally,
    consul: &Consul,
    sidecars: &[Sidecar<'_>; 2],
    pods: [&Pod; 2],
    port: &str,
) {
    eventually("both have the change", SOON, || {
        pods.iter().all(|pod| pod.read("a").as_deref() == Some(b"2")).then_some(())
    });
    let files = pods.map(Pod::tree);
    for flag in ["--dport", "--sport"] {
        run(&["iptables", "-A", "INPUT", "-p", "tcp", flag, port, "-j", "DROP"]);
    }
    let begun = Instant::now();
    let quick = &sidecars[1];
    let noticed = eventually("both mechanisms say so", GIVEN_UP * 2, || {
        let source = quick.source();
        let down = ["watch", "heartbeat"].iter().all(|m| {
            let state = &source.mechanisms[*m];
            !state.up
                && state
                    .last_error
                    .as_ref()
                    .is_some_and(|e| e.kind == "timeout" || e.kind == "connect_error")
        });
        let whole = pods.map(Pod::tree) == files;
        tally.check(whole, || "the files are not whole".to_owned());
        tally.check(quick.get("/livez").0 == 200, || "not alive".to_owned());
        down.then(|| begun.elapsed())
    });
    tally.check(noticed <= GIVEN_UP, || format!("noticed after {noticed:?}"));
    run(&["iptables", "-F"]);
    let begun = Instant::now();
    consul.put("app/a", "3");
    let healed = eventually("the change arrives", DEAD_WATCH * 2, || {
        (pods[1].read("a")? == b"3").then(|| begun.elapsed())
    });
    measured(&format!(
        "faults: every packet dropped: noticed after {noticed:.1?}, healed after {healed:.1?}"
    ));
    tally.check(healed <= GIVEN_UP, || format!("healed after {healed:?}"));
    quick.until_fresh();
}

/// The local port of a process's connection to this port.
fn connection_of(pid: i32, port: &str) -> Option<String> {
    let output =
        Command::new("ss").args(["-Htnp", "state", "established", "dport", "=", port]).output();
    let text = String::from_utf8(output.expect("ss, of iproute2").stdout).expect("UTF-8");
    let line = text.lines().find(|line| line.contains(&format!("pid={pid},")))?;
    let local = line.split_whitespace().nth(2)?;
    Some(local.rsplit(':').next()?.to_owned())
}

#[track_caller]
fn run(command: &[&str]) {
    let output = Command::new(command[0]).args(&command[1..]).output().expect(command[0]);
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
