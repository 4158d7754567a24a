//! What is in Consul is in the files, whatever it looks like.

mod names;
mod rhythm;
pub mod volume;

use std::time::Duration;

use serde_json::json;

use super::{seeded, watching};
use crate::consul::{Consul, Kind};
use crate::rig::{Pod, SOON};
use crate::wait::eventually;

told_on_both!(
    a_change_arrives_within_milliseconds,
    a_new_key_is_a_new_file,
    a_deleted_key_takes_its_file_and_its_link_along,
    a_rename_is_never_seen_half_done,
    a_thousand_keys_at_once_arrive,
    values_arrive_byte_for_byte,
    the_largest_values_arrive,
    deep_keys_are_deep_directories,
    a_change_of_flags_alone_is_in_the_backup_and_rewrites_no_file,
    the_later_source_wins_key_by_key,
);

fn a_change_arrives_within_milliseconds(kind: Kind) {
    let (consul, pod) = seeded(kind, &[("app/greeting", "hello")]);
    assert_eq!(pod.read("greeting").unwrap(), b"hello");
    let sidecar = watching(&pod, &[]);
    consul.put("app/greeting", "hello again");
    sidecar.shows("greeting", "hello again");
    let (status, took) = sidecar.stop();
    assert!(status.success() && took < Duration::from_secs(1), "{status} after {took:?}");
}

fn a_new_key_is_a_new_file(kind: Kind) {
    let (consul, pod) = seeded(kind, &[("app/old", "1")]);
    let sidecar = watching(&pod, &[]);
    consul.put("app/new", "2");
    sidecar.shows("new", "2");
    consul.put("app/db/host", "db.example");
    sidecar.shows("db/host", "db.example");
    consul.put("app/db/port", "5432");
    sidecar.shows("db/port", "5432");
    assert_eq!(names(&pod), ["db/", "db/host", "db/port", "new", "old"], "and nothing else");
}

fn a_deleted_key_takes_its_file_and_its_link_along(kind: Kind) {
    let keys = [("app/stays", "1"), ("app/goes", "2"), ("app/db/host", "3")];
    let (consul, pod) = seeded(kind, &keys);
    let _sidecar = watching(&pod, &[]);
    for (key, name) in [("app/goes", "goes"), ("app/db/host", "db")] {
        consul.delete(key);
        let link = pod.live().join(name);
        eventually("the link is gone", SOON, || link.symlink_metadata().is_err().then_some(()));
    }
    assert_eq!(names(&pod), ["stays"]);
}

fn a_rename_is_never_seen_half_done(kind: Kind) {
    let (consul, pod) = seeded(kind, &[("app/a", "the value"), ("app/other", "1")]);
    let sidecar = watching(&pod, &[]);
    let steps = [("app/a", "app/b"), ("app/b", "app/a"), ("app/a", "app/b")];
    for (from, to) in steps {
        rename(&consul, from, to, "dGhlIHZhbHVl");
        let new = to.trim_start_matches("app/");
        eventually("the new name is there", SOON, || {
            let names = names(&pod);
            assert_eq!(names.len(), 2, "one of a and b, and the other key");
            names.iter().any(|name| name == new).then_some(())
        });
    }
    // The name beside ..data comes a moment after it.
    sidecar.shows("b", "the value");
}

fn rename(consul: &Consul, from: &str, to: &str, value: &str) {
    let ops = json!([
        {"KV": {"Verb": "delete", "Key": from}},
        {"KV": {"Verb": "set", "Key": to, "Value": value}},
    ]);
    let answer = consul.ask("PUT", "/v1/txn", ops.to_string().as_bytes());
    assert_eq!(answer.expect("Consul answers").status, 200);
}

fn a_thousand_keys_at_once_arrive(kind: Kind) {
    let (consul, pod) = seeded(kind, &[("app/old", "1")]);
    let sidecar = watching(&pod, &[]);
    let keys: Vec<String> = (0..1_000).map(|n| format!("app/k/{n:04}")).collect();
    let pairs: Vec<(&str, &[u8])> = keys.iter().map(|k| (k.as_str(), k.as_bytes())).collect();
    consul.txn_set(&pairs);
    sidecar.until("all keys are published", |s| s.keys == 1_001);
    for key in &keys {
        let path = key.trim_start_matches("app/");
        assert_eq!(pod.read(path).unwrap(), key.as_bytes());
    }
}

fn values_arrive_byte_for_byte(kind: Kind) {
    let (consul, pod) = seeded(kind, &[("app/old", "1")]);
    let sidecar = watching(&pod, &[]);
    let every_byte: Vec<u8> = (0..=255).collect();
    let values: [(&str, &[u8]); 5] = [
        ("bytes", &every_byte),
        ("empty", b""),
        ("newline", b"line\r\n"),
        ("zero", b"\0"),
        ("not-utf8", b"\xFF\xFE\xC3("),
    ];
    for (name, value) in values {
        consul.put(&format!("app/{name}"), value);
        sidecar.shows(name, value);
    }
    consul.put("app/old", "");
    sidecar.shows("old", "");
}

fn the_largest_values_arrive(kind: Kind) {
    let (consul, pod) = seeded(kind, &[("app/old", "1")]);
    let sidecar = watching(&pod, &[]);
    // Consul's own limit, and each byte unlike its neighbours.
    let large: Vec<u8> = (0..512 * 1024_u32).map(|n| (n * 31 + n / 251) as u8).collect();
    for n in 0..3 {
        let mut value = large.clone();
        value[0] = n;
        consul.put(&format!("app/large/{n}"), &value);
        sidecar.shows(&format!("large/{n}"), &value);
    }
}

fn deep_keys_are_deep_directories(kind: Kind) {
    let (consul, pod) = seeded(kind, &[("app/old", "1")]);
    let sidecar = watching(&pod, &[]);
    let path: String = (0..60).map(|n| format!("level-{n}/")).collect();
    consul.put(&format!("app/{path}leaf"), "deep down");
    sidecar.shows(&format!("{path}leaf"), "deep down");
    consul.delete(&format!("app/{path}leaf"));
    eventually("all levels are gone", SOON, || (names(&pod) == ["old"]).then_some(()));
}

fn a_change_of_flags_alone_is_in_the_backup_and_rewrites_no_file(kind: Kind) {
    let (consul, pod) = seeded(kind, &[("app/a", "1"), ("app/b", "2")]);
    let sidecar = watching(&pod, &["--backup-delay", "0s"]);
    let before = sidecar.source().digest;
    let inode = volume::inode(&pod, "a");
    consul.put_flags("app/a", "1", 1 << 63);
    let changed = sidecar.until("the digest tells", |s| s.digest != before);
    assert_eq!(volume::inode(&pod, "a"), inode);
    sidecar.until("it is backed up", |s| {
        s.backup.as_ref().map(|b| &b.digest) == changed.digest.as_ref()
    });
    let exported = pod.seedcar(&["backup", "export"]).log;
    let exported: serde_json::Value = serde_json::from_str(&exported).expect("JSON");
    assert_eq!(exported[0]["flags"], 1_u64 << 63);
}

fn the_later_source_wins_key_by_key(kind: Kind) {
    let consul = Consul::start(kind);
    for (key, value) in [("shared/a", "shared"), ("shared/b", "shared"), ("app/b", "app")] {
        consul.put(key, value);
    }
    let pod = Pod::bare().arg(&["--consul", &consul.addr().to_string()]);
    let pod = pod.arg(&["--source", "shared=shared", "--source", "app=app"]);
    pod.init();
    assert_eq!(pod.read("a").unwrap(), b"shared");
    assert_eq!(pod.read("b").unwrap(), b"app");
    let sidecar = pod.run(&[]);
    consul.put("app/a", "app");
    sidecar.shows("a", "app");
    consul.put("shared/c", "shared");
    sidecar.shows("c", "shared");
    consul.put("shared/a", "hidden");
    consul.delete("app/b");
    sidecar.shows("b", "shared");
    consul.delete("app/a");
    // The last key of a source: held, as an empty answer always is.
    eventually("the empty source is held", SOON, || sidecar.status().sources["app"].held.clone());
    assert_eq!(pod.read("a").unwrap(), b"app");
    assert_eq!(names(&pod), ["a", "b", "c"]);
}

/// All paths of the tree, directories with a slash.
pub fn names(pod: &Pod) -> Vec<String> {
    pod.tree().into_keys().collect()
}
