//! Sources that are read in one transaction, where something is in its way.

use std::time::Duration;

use seedcar::demo::server::{Fault, Requests};
use serde_json::json;

use crate::consul::{Consul, Kind};
use crate::rig::{Pod, SOON};
use crate::wait::{eventually, throughout};

const SOURCES: [&str; 3] = ["base", "env", "app"];

/// Each prefix has one key, named as the source.
fn pod(consul: &Consul, config: &serde_json::Value) -> Pod {
    SOURCES.iter().fold(Pod::configured(consul.addr(), config), |pod, name| {
        pod.arg(&["--source", &format!("{name}={name}"), "--atomic", name])
    })
}

fn write(consul: &Consul, values: [&str; 3]) {
    let keys = SOURCES.map(|name| format!("{name}/{name}"));
    let pairs = keys.iter().zip(&values).map(|(key, value)| (key.as_str(), value.as_bytes()));
    consul.txn_set(&pairs.collect::<Vec<_>>());
}

fn shown(pod: &Pod) -> Vec<String> {
    let read = |name: &&str| String::from_utf8_lossy(&pod.read(name).unwrap_or_default()).into();
    SOURCES.iter().map(read).collect()
}

#[test]
fn news_of_one_come_once_another_is_back_as_it_was() {
    let consul = Consul::start(Kind::Real);
    write(&consul, ["1", "1", "1"]);
    let pod = pod(&consul, &json!({}));
    let sidecar = pod.run(&["--seed"]);
    sidecar.shows("app", "1");
    consul.delete_recurse("env/");
    eventually("it is held", SOON, || sidecar.status().sources["env"].held.clone());
    consul.put("app/app", "2");
    throughout("what is read with it waits", Duration::from_secs(2), || {
        pod.read("app").as_deref() == Some(b"1")
    });
    consul.put("env/env", "1");
    // Long before the watch asks again by itself, or the heartbeat comes.
    sidecar.shows("app", "2");
    sidecar.until_fresh();
}

#[test]
fn where_the_first_answer_is_refused_all_start_from_backups() {
    let consul = Consul::start(Kind::Real);
    write(&consul, ["1", "1", "1"]);
    let pod = pod(&consul, &json!({"validate": {"files": [{"files": "base", "as": "json"}]}}));
    let sidecar = pod.run(&["--seed", "--backup-delay", "0s"]);
    eventually("each has a backup", SOON, || (pod.backups().len() >= 3).then_some(()));
    drop(sidecar);
    pod.wipe_volume();
    write(&consul, ["{", "2", "2"]);
    let init = pod.seedcar(&["init", "--seed-timeout", "10s"]);
    assert_eq!(init.code(), 0, "{} {}", init.err, init.log);
    assert_eq!(shown(&pod), ["1", "1", "1"], "{}", init.err);

    // Whoever accepts one part accepts what belongs to it.
    let sidecar = pod.run(&[]);
    let held = eventually("it is held", SOON, || sidecar.status().sources["env"].held.clone());
    assert_eq!(held.reason.word(), "invalid");
    assert_eq!(pod.seedcar(&["accept", &held.digest.expect("a digest")]).code(), 0);
    sidecar.shows("app", "2");
    assert_eq!(shown(&pod), ["{", "2", "2"]);
}

#[test]
fn a_start_asks_for_one_transaction_and_a_failing_one_is_asked_for_ever_more_seldom() {
    let consul = Consul::start(Kind::Embedded);
    write(&consul, ["1", "1", "1"]);
    let pod = pod(&consul, &json!({}));
    let transactions = |agent: &str| {
        let all = consul.requests().all();
        let is_one = |r: &&seedcar::demo::server::Logged| {
            r.target.starts_with("/v1/txn") && r.agent.contains(agent)
        };
        all.iter().filter(is_one).count()
    };
    assert_eq!(pod.init().code(), 0);
    assert_eq!(transactions("seedcar"), 1, "one for all three");

    let sidecar = pod.run(&["--wait", "2s"]);
    // The watch asks, or the heartbeat, if it was rung before the watch began.
    eventually("all are known", SOON, || (transactions("seedcar") > 1).then_some(()));
    sidecar.until_fresh();
    let (status, headers, body) = (500, Vec::new(), b"no".to_vec());
    let transaction = Requests::from_agent("seedcar").to("/v1/txn");
    consul.faults().add(transaction, Fault::Answer { status, headers, body });
    let before = transactions("watch");
    consul.put("app/app", "2");
    eventually("it is asked for", SOON, || (transactions("watch") > before).then_some(()));
    throughout("ever more seldom", Duration::from_secs(5), || transactions("watch") < before + 20);
    consul.faults().clear();
    sidecar.shows("app", "2");
}
