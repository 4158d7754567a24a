//! Servers that stop, start and change their papers.

use std::time::Duration;

use crate::consul::{Consul, Kind};
use crate::ledger::Tally;
use crate::rig::SOON;
use crate::rules::{filled, outcome, text};
use crate::stories::scene::{requests_counted, stopped, watching};
use crate::stories::transport::{Authority, Secured};
use crate::wait::{eventually, throughout};

#[test]
fn rule_53_a_server_that_stops_properly_is_not_asked_in_a_hot_loop() {
    let mut tally = Tally::of("rules::deadlines");
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    let pod = filled(&consul, "app");
    let sidecar = watching(&pod, &["--wait", "1m", "--no-heartbeat"]);
    let before = requests_counted(&sidecar);
    consul.terminate();
    throughout("the file stays", Duration::from_secs(2), || {
        text(&pod, "a").as_deref() == Some("1")
    });
    let asked = requests_counted(&sidecar) - before;
    tally.check((1.0..=15.0).contains(&asked), || format!("{asked} requests"));
    consul.restart();
    consul.put("app/a", "2");
    sidecar.shows("a", "2");
    tally.case();
    stopped(sidecar);
    tally.finish();
}

#[test]
fn rule_54_a_restarted_agent_is_found_again_soon() {
    let mut tally = Tally::of("rules::deadlines");
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "0");
    let pod = filled(&consul, "app");
    let sidecar = watching(&pod, &["--wait", "1m", "--no-heartbeat"]);
    for n in 1..=2 {
        consul.restart();
        consul.put("app/a", n.to_string());
        // The longest pause is five seconds.
        eventually("the change arrives", Duration::from_secs(10), || {
            (text(&pod, "a")? == n.to_string()).then_some(())
        });
        tally.case();
    }
    stopped(sidecar);
    tally.finish();
}

#[test]
fn rule_68_rotated_certificates_count_without_a_restart() {
    let mut tally = Tally::of("rules::transport");
    let secured = Secured::start();
    let other = tempfile::TempDir::new().expect("a directory");
    Authority::new(other.path(), "ca");
    let (mut args, now) = (secured.known(), secured.file("now.pem"));
    let become_ = |from: &std::path::Path| {
        let new = format!("{now}.new");
        std::fs::copy(from, &new).expect("copied");
        std::fs::rename(&new, &now).expect("replaced");
    };
    let ours = secured.file("ca.pem");
    become_(ours.as_ref());
    args[1].clone_from(&now);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let pod = secured.pod().arg(&args);
    pod.init();
    let sidecar = watching(&pod, &["--wait", "1s", "--heartbeat", "1s"]);
    become_(&other.path().join("ca.pem"));
    eventually("the handshake fails", SOON, || {
        (outcome(&sidecar, "tls_error") >= 1.0).then_some(())
    });
    tally.check(text(&pod, "key").as_deref() == Some("value"), || "the file is gone".to_owned());
    become_(ours.as_ref());
    secured.consul.put("app/key", "new");
    sidecar.shows("key", "new");
    tally.case();
    stopped(sidecar);
    tally.finish();
}
