//! Sources that are read in one transaction: a change over them is never half seen.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::consul::{Consul, Kind};
use crate::ledger::{Tally, share};
use crate::rig::{Pod, SOON};
use crate::stories::scene::{A_WHILE, stopped};
use crate::wait::{Curtain, eventually, throughout};

const GROUP: &str = "outputs::atomic::a_transaction_over_three_prefixes_is_never_seen_in_parts";
const SOURCES: [&str; 3] = ["base", "env", "app"];
/// So many generations are to be seen at least, however fast they are written.
const GENERATIONS: usize = 10;

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
    let (done, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    scope(|scope| {
        let curtain = Curtain(&done);
        let reader = scope.spawn(|| {
            let mut seen = BTreeSet::new();
            while !done.load(Ordering::Relaxed) {
                let Some(values) = one_generation(&pod.live()) else { continue };
                let whole = values.windows(2).all(|two| two[0] == two[1]);
                tally.check(whole, || format!("a mix: {values:?}"));
                seen.insert(values);
                count.store(seen.len(), Ordering::Relaxed);
            }
        });
        let begun = Instant::now();
        let are_few = || count.load(Ordering::Relaxed) < GENERATIONS && begun.elapsed() < SOON;
        let mut last = 0;
        while last < rounds || are_few() {
            last += 1;
            write(&consul, last);
        }
        SOURCES.iter().for_each(|name| sidecar.shows(name, last.to_string()));
        drop(curtain);
        reader.join().expect("the reader ends");
    });
    let seen = count.into_inner();
    assert!(seen >= GENERATIONS, "only {seen} generations were seen");
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

/// The token loses a key of one source, then all of them, just before a change of the others.
#[test]
fn a_token_narrowed_on_one_of_them_holds_all() {
    let consul = Consul::start_with_acl();
    consul.put("env/secret", "1");
    write(&consul, 1);
    let all = "key_prefix \"\" { policy = \"read\" }\n";
    consul.set_policy("reader", all);
    let token = consul.create_token(&["reader"]);
    let pod = pod(&consul).env("CONSUL_HTTP_TOKEN", &token);
    let sidecar = pod.run(&["--seed", "--wait", "1s", "--heartbeat", "1s"]);
    sidecar.shows("app", "1");
    sidecar.until_fresh();
    let losses = [("key \"env/secret\"", "filtered"), ("key_prefix \"env/\"", "empty")];
    for (n, (hidden, reason)) in (2..).zip(losses) {
        consul.set_policy("reader", &format!("{all}{hidden} {{ policy = \"deny\" }}"));
        write(&consul, n);
        let is_held = || sidecar.status().sources["env"].held.clone();
        let held = eventually("it is held", SOON, is_held);
        assert_eq!(held.reason.word(), reason);
        let old = (n - 1).to_string();
        throughout("all files stay", A_WHILE, || {
            let same = |name: &&str| pod.read(name).as_deref() == Some(old.as_bytes());
            SOURCES.iter().all(same) && pod.read("secret").is_some()
        });
        consul.set_policy("reader", all);
        SOURCES.iter().for_each(|name| sidecar.shows(name, n.to_string()));
        let is_free = || sidecar.status().sources.values().all(|source| source.held.is_none());
        eventually("nothing is held", SOON, || is_free().then_some(()));
        assert!(pod.read("secret").is_some());
    }
    stopped(sidecar);
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
    eventually("each is of its backup", SOON, || {
        let sources = sidecar.status().sources;
        SOURCES.iter().all(|name| sources[*name].origin.word() == "backup").then_some(())
    });
    consul.restart();
    write(&consul, 2);
    SOURCES.iter().for_each(|name| sidecar.shows(name, "2"));
    sidecar.until_fresh();
}
