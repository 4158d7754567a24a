//! Watch, heartbeat, backup: any one may fail, and the files go on.

mod backup;

use std::path::Path;
use std::time::Duration;

use seedcar::demo::proxy::{Mode, Proxy};

use super::scene::{A_WHILE, content, seeded, stopped, until_files, watching};
use crate::consul::{Consul, Kind};
use crate::rig::{Pod, SOON, Sidecar};
use crate::wait::{eventually, throughout};

told_on_both!(
    without_a_watch_the_heartbeat_brings_changes,
    without_a_heartbeat_the_watch_brings_changes,
    a_cut_watch_is_made_good_by_the_heartbeat_and_works_again_when_it_is_back,
    a_second_sidecar_waits_alive_and_takes_over_when_the_first_dies,
);

fn without_a_watch_the_heartbeat_brings_changes(kind: Kind) {
    let (consul, pod) = seeded(kind, 2, 1);
    let sidecar = pod.run(&["--no-watch", "--heartbeat", "1s"]);
    for value in ["1", "2"] {
        consul.put("app/new", value);
        sidecar.shows("new", value);
    }
    consul.delete("app/new");
    let files = content(&consul);
    until_files(&pod, &files);
    sidecar.until_fresh();
    let source = sidecar.source();
    assert!(!source.mechanisms["watch"].enabled && source.mechanisms["heartbeat"].up);
    assert_eq!(brought_by(&sidecar), "heartbeat");
    stopped(sidecar);
}

fn without_a_heartbeat_the_watch_brings_changes(kind: Kind) {
    let (consul, pod) = seeded(kind, 2, 1);
    let sidecar = watching(&pod, &["--no-heartbeat"]);
    consul.put("app/new", "1");
    sidecar.shows("new", "1");
    sidecar.until_fresh();
    assert!(!sidecar.source().mechanisms["heartbeat"].enabled);
    assert_eq!(brought_by(&sidecar), "watch");
    stopped(sidecar);
}

fn a_cut_watch_is_made_good_by_the_heartbeat_and_works_again_when_it_is_back(kind: Kind) {
    let consul = Consul::start(kind);
    consul.put("app/a", "1");
    let proxy = Proxy::start(consul.addr().to_string()).expect("a proxy");
    let pod = Pod::new(proxy.addr(), "app");
    pod.init();
    let sidecar = watching(&pod, &["--heartbeat", "1s"]);
    proxy.set_for("(watch)", Mode::Hang);
    consul.put("app/a", "2");
    sidecar.shows("a", "2");
    assert_eq!(brought_by(&sidecar), "heartbeat");
    eventually("the missed change is counted", SOON, || {
        let missed = sidecar.metric("seedcar_watch_missed_total{source=\"default\"}")?;
        (missed >= 1.0).then_some(())
    });

    proxy.clear();
    let mut round = 0;
    eventually("the watch brings a change again", SOON, || {
        round += 1;
        let value = format!("after {round}");
        consul.put("app/a", &value);
        sidecar.shows("a", &value);
        (brought_by(&sidecar) == "watch").then_some(())
    });
    sidecar.until_fresh();
    stopped(sidecar);
}

fn a_second_sidecar_waits_alive_and_takes_over_when_the_first_dies(kind: Kind) {
    let (consul, pod) = seeded(kind, 2, 1);
    let first = watching(&pod, &[]);
    let second = pod.run(&[]);
    eventually("the second waits", SOON, || second.status().waiting_for_lock.then_some(()));
    assert_eq!(second.get("/readyz").0, 503);
    consul.put("app/new", "1");
    first.shows("new", "1");
    throughout("the second is alive and waits", A_WHILE, || {
        second.get("/livez").0 == 200 && second.status().waiting_for_lock
    });
    first.crash();
    eventually("the second is ready", SOON, || (second.get("/readyz").0 == 200).then_some(()));
    consul.put("app/new", "2");
    second.shows("new", "2");
    second.until_fresh();
    stopped(second);
}

#[test]
fn a_rotated_token_counts_at_once_however_long_the_old_one_was_denied() {
    let consul = Consul::start_with_acl();
    consul.put("app/a", "1");
    consul.set_policy("reader", r#"key_prefix "app/" { policy = "read" }"#);
    let secrets = tempfile::TempDir::new().expect("a directory");
    let file = secrets.path().join("token");
    let old = consul.create_token(&["reader"]);
    replace(&file, &old);
    let pod = Pod::new(consul.addr(), "app").arg(&["--token-file", file.to_str().unwrap()]);
    eventually("the new token is known everywhere", SOON, || {
        (pod.seedcar(&["init", "--seed-timeout", "2s"]).code() == 0).then_some(())
    });
    let sidecar = watching(&pod, &["--wait", "1s"]);
    consul.delete_token(&old);
    let denied = r#"seedcar_consul_requests_total{mechanism="watch",outcome="denied"}"#;
    // By now the pause between two tries is four seconds at least.
    eventually("it was denied four times", Duration::from_secs(40), || {
        (sidecar.metric(denied)? >= 4.0).then_some(())
    });
    let source = sidecar.source();
    let watch = &source.mechanisms["watch"];
    assert!(!watch.up && watch.last_error.as_ref().unwrap().kind == "denied");
    assert_eq!(pod.read("a").unwrap(), b"1", "the files stay");

    consul.put("app/a", "2");
    replace(&file, &consul.create_token(&["reader"]));
    eventually("it heals at once", Duration::from_secs(3), || {
        (pod.read("a")? == b"2").then_some(())
    });
    sidecar.until_fresh();
    stopped(sidecar);
}

/// Puts a token where the old one was, as Kubernetes does: by a rename.
fn replace(file: &Path, token: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, token).expect("write a token");
    std::fs::rename(new, file).expect("replace a token");
}

/// The mechanism that brought what is published now.
fn brought_by(sidecar: &Sidecar<'_>) -> String {
    // It is logged a moment after it can be seen.
    let published = eventually("it is logged", SOON, || {
        let index = sidecar.source().index?;
        sidecar.events("published").pop().filter(|event| event["index"] == index)
    });
    published["mechanism"].as_str().expect("a word").to_owned()
}

#[test]
fn with_both_switched_off_it_does_not_start() {
    let pod = Pod::new(([127, 0, 0, 1], 1).into(), "app");
    let ended = pod.seedcar(&["run", "--no-watch", "--no-heartbeat"]);
    assert_eq!(ended.code(), 78, "{}", ended.err);
    assert!(!pod.live().exists());
}
