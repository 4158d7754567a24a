//! `seedcar backup`: what is listed, checked, given back to Consul and put on a volume.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::exits::flip_a_bit;
use crate::consul::{Consul, Kind};
use crate::rig::{Pod, Sidecar};
use crate::stories::watching;

told_on_both!(
    backups_are_listed_shown_and_verified,
    an_export_is_what_consuls_own_tool_imports,
    an_older_backup_can_be_restored,
    nothing_is_restored_under_a_running_sidecar,
);

const OLD: &[u8] = b"the old value";
const NEW: &[u8] = b"the new value";

/// A Consul whose keys changed once, and a pod that has a backup of either state.
fn backed_up_twice(kind: Kind) -> (Consul, Pod) {
    let consul = Consul::start(kind);
    let every_byte: Vec<u8> = (0..=255).collect();
    consul.put("app/changes", OLD);
    consul.put_flags("app/bytes", &every_byte, u64::MAX);
    consul.put_flags("app/empty", b"", 42);
    consul.put("app/a name: \u{e9}", b"odd");
    consul.txn_set(&[("app/folder/", b"")]);
    let pod = Pod::new(consul.addr(), "app").arg(&["--backup-delay", "0s"]);
    pod.init();
    let sidecar = watching(&pod, &[]);
    until_backed_up(&sidecar);
    consul.put("app/changes", NEW);
    sidecar.shows("changes", NEW);
    until_backed_up(&sidecar);
    sidecar.stop();
    assert_eq!(pod.backups().len(), 2);
    (consul, pod)
}

fn until_backed_up(sidecar: &Sidecar<'_>) {
    sidecar.until("what is published is backed up", |s| {
        s.digest.is_some() && s.backup.as_ref().map(|b| &b.digest) == s.digest.as_ref()
    });
}

/// The names in `backup ls`, newest first.
fn listed(pod: &Pod) -> Vec<String> {
    let listed = pod.seedcar(&["backup", "ls", "-o", "json"]);
    assert_eq!(listed.code(), 0, "{}", listed.err);
    let rows: Vec<Value> = serde_json::from_str(&listed.log).expect("a JSON array");
    let name = |row: &Value| row["name"].as_str().expect("a name").to_owned();
    rows.iter().map(name).collect()
}

fn backups_are_listed_shown_and_verified(kind: Kind) {
    let (_consul, pod) = backed_up_twice(kind);
    let names = listed(&pod);
    let table = pod.seedcar(&["backup", "ls"]).log;
    let at = |name: &str| table.find(name).expect("listed");
    assert!(at(&names[0]) < at(&names[1]), "newest first: {table}");
    assert!(table.contains("valid, prefix app/") && table.contains("5 keys"), "{table}");
    for form in ["table", "json"] {
        let shown = pod.seedcar(&["backup", "show", &names[0], "-o", form]);
        assert_eq!(shown.code(), 0, "{}", shown.err);
        assert!(shown.log.contains("app/changes"), "{}", shown.log);
        assert!(!shown.log.contains("the new value"), "{}", shown.log);
    }
    assert_eq!(pod.seedcar(&["backup", "verify"]).code(), 0);
    flip_a_bit(&pod.backup().join(&names[1]));
    let verified = pod.seedcar(&["backup", "verify"]);
    assert_eq!(verified.code(), 65);
    assert_eq!(verified.log.matches("DAMAGED").count(), 1, "{}", verified.log);
    for action in ["show", "export", "restore"] {
        let refused = pod.seedcar(&["backup", action, &names[1]]);
        assert_eq!((refused.code(), refused.log.as_str()), (65, ""), "{action}");
        assert!(refused.err.contains(&names[1]), "{}", refused.err);
    }
    let unknown = pod.seedcar(&["backup", "show", "no-such.backup"]);
    assert_ne!(unknown.code(), 0);
    assert!(unknown.err.contains("no-such.backup"), "{}", unknown.err);
}

/// Key, flags and value of all there is.
fn contents(consul: &Consul) -> BTreeMap<String, (u64, Value)> {
    let answer = consul.ask("GET", "/v1/kv/?recurse", b"").expect("an answer");
    let rows: Vec<Value> = serde_json::from_slice(&answer.body).expect("JSON");
    let row = |row: &Value| {
        let flags = row["Flags"].as_u64().expect("flags");
        (row["Key"].as_str().expect("a key").to_owned(), (flags, row["Value"].clone()))
    };
    rows.iter().map(row).collect()
}

fn an_export_is_what_consuls_own_tool_imports(kind: Kind) {
    let (consul, pod) = backed_up_twice(kind);
    let expected = contents(&consul);
    assert_eq!(expected.len(), 5);
    consul.kill();
    let exported = pod.seedcar(&["backup", "export"]);
    assert_eq!(exported.code(), 0, "{}", exported.err);
    let other = Consul::start(Kind::Real);
    let mut import = Command::new(std::env::var("CONSUL_BIN").expect("run ./e2e/run"))
        .args(["kv", "import", &format!("-http-addr={}", other.addr()), "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("start consul kv import");
    let mut input = import.stdin.take().expect("piped");
    input.write_all(exported.log.as_bytes()).expect("feed it");
    drop(input);
    assert!(import.wait().expect("wait for it").success());
    assert_eq!(contents(&other), expected);
}

fn an_older_backup_can_be_restored(kind: Kind) {
    let (consul, pod) = backed_up_twice(kind);
    let older = &listed(&pod)[1];
    consul.kill();
    let restored = pod.seedcar(&["backup", "restore", older]);
    assert_eq!(restored.code(), 0, "{}", restored.err);
    assert_eq!(pod.read("changes").unwrap(), OLD);
    assert_eq!(pod.read("bytes").unwrap().len(), 256);
    let sidecar = pod.run(&[]);
    sidecar.until("it is adopted as what it is", |s| s.origin.word() == "backup");
    consul.restart();
    sidecar.shows("changes", NEW);
    sidecar.until("Consul speaks for it", |s| s.origin.word() == "consul");
}

fn nothing_is_restored_under_a_running_sidecar(kind: Kind) {
    let (_consul, pod) = backed_up_twice(kind);
    let names = listed(&pod);
    let sidecar = watching(&pod, &[]);
    let refused = pod.seedcar(&["backup", "restore", &names[1]]);
    assert_eq!(refused.code(), 73, "{}", refused.err);
    assert!(refused.err.contains("in use by another seedcar"), "{}", refused.err);
    assert_eq!(pod.read("changes").unwrap(), NEW);
    let elsewhere = tempfile::TempDir::new().expect("a directory");
    let to = elsewhere.path().to_str().expect("UTF-8");
    let restored = pod.seedcar(&["backup", "restore", &names[1], "--to", to]);
    assert_eq!(restored.code(), 0, "{}", restored.err);
    let there = std::fs::read(elsewhere.path().join("live/changes"));
    assert_eq!(there.expect("restored"), OLD);
    assert_eq!(pod.read("changes").unwrap(), NEW);
    sidecar.stop();
}
