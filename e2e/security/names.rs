//! Hostile keys by the thousand, in a real Consul.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use seedcar::model::key::{Prefix, PrefixRules};
use seedcar::model::plan::Plan;
use seedcar::model::snapshot::{Entry, Snapshot};
use serde_json::{Value, json};

use crate::consul::{Consul, Kind};
use crate::ledger::{Tally, share};
use crate::rig::Pod;

/// So that whatever escapes is found.
const MARK: &str = "hostile-98fd1b";

/// Parts of names that mean something to somebody.
fn segment() -> impl Strategy<Value = String> {
    let special = [
        "",
        ".",
        "..",
        "...",
        "..data",
        "..data_tmp",
        "..link_tmp",
        "..manifest.json",
        "..2026_01_01_00_00_00.abcdefghij",
        ".seedcar",
        "live",
        "a",
        "A",
        "b",
        "caf\u{e9}",
        "cafe\u{301}",
        "CAF\u{c9}",
        "\u{0}",
        "a\nb",
        "\u{1b}[31m",
        "back\\slash",
        "..\\x",
        "%2e%2e",
        "%2F",
        "~",
        "$HOME",
        "-rf",
        "*",
        " ",
        " a ",
        "\u{fffd}",
        "\u{202e}txt",
        "\u{feff}",
        "con",
        "lost+found",
        "status.json",
        "lock",
        "\u{7f}",
        "\u{85}",
    ];
    prop_oneof![
        6 => prop::sample::select(special.to_vec()).prop_map(str::to_owned),
        2 => "[a-c]{1,2}",
        1 => (250usize..260).prop_map(|length| "n".repeat(length)),
        1 => (120usize..130).prop_map(|length| "\u{e9}".repeat(length)),
        1 => Just(MARK.to_owned()),
        1 => "\\PC{1,12}",
    ]
}

fn path() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::collection::vec(segment(), 1..6).prop_map(|parts| parts.join("/")),
        1 => prop::collection::vec(segment(), 1..4).prop_map(|parts| parts.join("/") + "/"),
        1 => (3700usize..4200).prop_map(|length| "long/".repeat(length / 5) + "x"),
        1 => (40usize..90).prop_map(|depth| "d/".repeat(depth) + MARK),
        1 => (1usize..9).prop_map(|up| "../".repeat(up) + MARK),
        1 => (1usize..3).prop_map(|up| "/".repeat(up) + "dev/shm/" + MARK),
    ]
}

/// What Consul has taken, whole.
fn store(consul: &Consul, keys: &BTreeSet<String>) -> Snapshot {
    let all: Vec<&String> = keys.iter().collect();
    for some in all.chunks(32) {
        let op = |key: &&String| {
            let value = STANDARD.encode(format!("value of {key}"));
            json!({"KV": {"Verb": "set", "Key": format!("app/{key}"), "Value": value}})
        };
        let ops = json!(some.iter().map(op).collect::<Vec<Value>>()).to_string();
        let answer = consul.ask("PUT", "/v1/txn", ops.as_bytes()).expect("Consul answers");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let listed = consul.ask("GET", "/v1/kv/app/?recurse", b"").expect("Consul answers");
    let entries = listed.json().expect("JSON");
    let entries = entries.as_array().expect("a list").iter().map(|entry| {
        let value = STANDARD.decode(entry["Value"].as_str().unwrap_or_default()).expect("base64");
        Arc::new(Entry::new(entry["Key"].as_str().expect("a key"), &value, 0, 1, 1))
    });
    Snapshot::new(1, entries.collect()).expect("distinct keys")
}

/// Whether a path can do no harm: an opinion of this test's own, not the model's.
fn is_harmless(path: &str) -> bool {
    let segments: Vec<&str> = path.split('/').collect();
    let plain = |s: &&str| !matches!(*s, "" | "." | "..") && s.len() <= 255;
    segments.iter().all(plain)
        && segments.len() <= 64
        && !path.starts_with("..")
        && path.len() < 4000
        && !path.chars().any(|c| c.is_control() || c == '\\')
}

#[test]
fn the_tree_is_the_models_and_nothing_is_outside() {
    let mut tally = Tally::of("security::names");
    let mut runner = TestRunner::deterministic();
    let mut keys = BTreeSet::new();
    while (keys.len() as u64) < share(3_000, 19_000) {
        keys.insert(path().new_tree(&mut runner).expect("a path").current());
    }
    let consul = Consul::start(Kind::Real);
    let snapshot = store(&consul, &keys);
    assert_eq!(snapshot.keys(), keys.len(), "Consul took them all");
    let prefix = Prefix::parse("app", PrefixRules::default()).expect("a prefix");
    let plan = Plan::tree(&[(&prefix, &snapshot)]);
    for file in &plan.files {
        tally.check(is_harmless(file.path()), || format!("{:?} would be a file", file.path()));
    }
    for directory in &plan.directories {
        tally.check(is_harmless(directory), || format!("{directory:?} would be a directory"));
    }
    let mut expected: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    expected.extend(plan.directories.iter().map(|d| (format!("{d}/"), Vec::new())));
    expected.extend(plan.files.iter().map(|f| (f.path().to_owned(), f.value().to_vec())));

    let pod = Pod::new(consul.addr(), "app");
    let sidecar = pod.run(&["--seed", "--heartbeat", "1s"]);
    let source = sidecar.until("it is seeded", |s| s.keys == keys.len());
    let tree = pod.tree();
    for (path, value) in &expected {
        tally.check(tree.get(path) == Some(value), || format!("{path:?} is not as it should be"));
    }
    for path in tree.keys() {
        tally.check(expected.contains_key(path), || format!("{path:?} should not be there"));
    }
    tally.check(source.skipped_total == plan.skipped.len(), || {
        format!("{} skipped, {} should be", source.skipped_total, plan.skipped.len())
    });
    let names: BTreeSet<_> =
        fs::read_dir(pod.volume()).expect("the volume").flatten().map(|e| e.file_name()).collect();
    tally.check(names.len() == 2, || format!("in the volume's root: {names:?}"));
    for outside in ["/", "/dev", "/dev/shm", "/tmp", "."] {
        let escaped = fs::symlink_metadata(format!("{outside}/{MARK}")).is_ok();
        tally.check(!escaped, || format!("{outside}/{MARK} was made"));
    }
    tally.finish();
}

/// One key with a great many segments must not stop the others: a walk holds a descriptor for each
/// level.
#[test]
fn a_deep_key_does_not_stop_the_others() {
    let mut tally = Tally::of("security::names");
    let consul = Consul::start(Kind::Embedded);
    let deep = format!("app/{}x", "d/".repeat(1_900));
    consul.txn_set(&[("app/a", b"1"), (&deep, b"2")]);
    let mut pod = Pod::new(consul.addr(), "app");
    pod.limit_descriptors(1_024);
    let ended = pod.seedcar(&["init"]);
    tally.check(ended.code() == 0, || ended.err.clone());
    tally.check(pod.read("a").as_deref() == Some(b"1"), || "the others are missing".to_owned());
    tally.finish();
}
