//! Sources that are read in one transaction: a change over them is never half seen.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::consul::{Consul, Kind};
use crate::ledger::{Tally, share};
use crate::rig::{Pod, SOON};
use crate::wait::{eventually, throughout};

const GROUP: &str = "outputs::atomic::a_transaction_over_three_prefixes_is_never_seen_in_parts";
const SOURCES: [&str; 3] = ["base", "env", "app"];

/// Each prefix has one key, named as the source.
fn pod(consul: &Consul) -> Pod {
    let addr = consul.addr().to_string();
    let pod = Pod::bare().arg(&["--consul", &addr, "--file", "all.json"]);
    SOURCES
        .iter()
        .fold(pod, |pod, name| pod.arg(&["--source", &format!("{name}={name}"), "--atomic", name]))
}

fn write(consul: &Consul, n: u64) {
    let n = n.to_string();
    let pairs = SOURCES.map(|name| (format!("{name}/{name}"), n.as_bytes()));
    let pairs: Vec<(&str, &[u8])> = pairs.iter().map(|(key, n)| (key.as_str(), *n)).collect();
    consul.txn_set(&pairs);
}

/// What one generation says of each source, in the tree and in the file of all keys; `None` if it went
/// while it was read.
fn one_generation(live: &Path) -> Option<Vec<String>> {
    let generation = live.join(std::fs::read_link(live.join("..data")).ok()?);
    let text = |name: &str| std::fs::read_to_string(generation.join(name)).ok();
    let files: Option<Vec<String>> = SOURCES.iter().map(|name| text(name)).collect();
    let all: Value = serde_json::from_str(&text("all.json")?).expect("JSON");
    let values = SOURCES.iter().map(|name| all[name].as_str().expect("text").to_owned());
    Some(files?.into_iter().chain(values).collect())
}

#[test]
fn a_transaction_over_three_prefixes_is_never_seen_in_parts() {
    let mut tally = Tally::of(GROUP);
    let consul = Consul::start(Kind::Real);
    write(&consul, 0);
    let pod = pod(&consul);
    assert_eq!(pod.init().code(), 0);
    // Full reads come between those of the watch.
    let sidecar = pod.run(&["--heartbeat", "1s"]);
    let rounds = share(1_500, 20_000);
    let done = AtomicBool::new(false);
    let seen = scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = BTreeSet::new();
            while !done.load(Ordering::Relaxed) {
                let Some(values) = one_generation(&pod.live()) else { continue };
                let whole = values.windows(2).all(|two| two[0] == two[1]);
                tally.check(whole, || format!("a mix: {values:?}"));
                seen.insert(values);
            }
            seen.len()
        });
        (1..=rounds).for_each(|n| write(&consul, n));
        let last = rounds.to_string();
        SOURCES.iter().for_each(|name| sidecar.shows(name, &last));
        done.store(true, Ordering::Relaxed);
        reader.join().expect("the reader ends")
    });
    assert!(seen > 10, "only {seen} generations were seen");
    let status = sidecar.status();
    assert!(status.sources.values().all(|source| source.held.is_none()), "{status:?}");
    tally.finish();
}

#[test]
fn what_is_held_of_one_keeps_back_the_others_and_comes_with_them() {
    let consul = Consul::start(Kind::Real);
    write(&consul, 1);
    let many: Vec<String> = (0..20).map(|n| format!("env/many/{n}")).collect();
    let pairs: Vec<(&str, &[u8])> = many.iter().map(|key| (key.as_str(), &b"x"[..])).collect();
    consul.txn_set(&pairs);
    let pod = pod(&consul);
    let sidecar = pod.run(&["--seed", "--heartbeat", "1s"]);
    sidecar.shows("app", "1");
    sidecar.until_fresh();

    let operations = json!([
        {"KV": {"Verb": "delete-tree", "Key": "env/many/"}},
        {"KV": {"Verb": "set", "Key": "app/app", "Value": STANDARD.encode("2")}},
    ]);
    let answer = consul.ask("PUT", "/v1/txn", operations.to_string().as_bytes());
    assert_eq!(answer.expect("an answer").status, 200);
    let held = eventually("it is held", SOON, || sidecar.status().sources["env"].held.clone());
    assert_eq!(held.reason.word(), "shrunken");
    throughout("nothing of the transaction is seen", Duration::from_secs(3), || {
        pod.read("app").as_deref() == Some(b"1") && pod.read("many/0").is_some()
    });
    let digest = held.digest.expect("a digest");
    assert_eq!(pod.seedcar(&["accept", &digest]).code(), 0);
    sidecar.shows("app", "2");
    assert_eq!(pod.read("many/0"), None, "both parts came at once");
    // The next change of one alone comes, too.
    consul.put("base/base", "3");
    sidecar.shows("base", "3");
}

#[test]
fn they_start_from_backups_and_go_on() {
    let consul = Consul::start(Kind::Real);
    write(&consul, 1);
    let pod = pod(&consul);
    let sidecar = pod.run(&["--seed", "--backup-delay", "0s"]);
    eventually("each has a backup", SOON, || (pod.backups().len() >= 3).then_some(()));
    drop(sidecar);
    consul.kill();
    pod.wipe_volume();
    let init = pod.seedcar(&["init", "--seed-timeout", "6s"]);
    assert_eq!(init.code(), 0, "{}", init.err);
    let sidecar = pod.run(&["--wait", "1s"]);
    assert_eq!(sidecar.status().sources["env"].origin.word(), "backup");
    consul.restart();
    write(&consul, 2);
    SOURCES.iter().for_each(|name| sidecar.shows(name, "2"));
    sidecar.until_fresh();
}
