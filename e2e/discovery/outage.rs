//! Consul is down, and backups.

use seedcar::model::confirmation::Origin;
use serde_json::json;

use super::scene::{ids, pod, register, register_on};
use crate::consul::{Consul, Kind};
use crate::rig::{Pod, SOON};
use crate::stories::scene::{stopped, until_origin};
use crate::wait::eventually;

#[test]
fn consul_is_down_and_the_backup_serves() {
    let consul = Consul::start(Kind::Real);
    register(&consul, "a", 1, &[]);
    register_on(&consul, "n1", &json!({"ID": "b", "Service": "web", "Meta": {"k": "v\n\""}}));
    let pod = pod(&consul, &json!({}));
    pod.init();
    let sidecar = pod.run(&["--backup-delay", "0s"]);
    sidecar.until("there is a backup", |s| s.backup.is_some());
    let full = pod.tree();
    consul.kill();
    sidecar.until("the outage is seen", |s| !s.mechanisms["watch"].up);
    assert_eq!(pod.tree(), full);
    stopped(sidecar);
    // Another pod with the same backup.
    pod.wipe_volume();
    pod.init();
    assert_eq!(pod.tree(), full);
    until_origin(&pod, Origin::Backup);
    let sidecar = pod.run(&["--wait", "1s"]);
    consul.restart();
    register(&consul, "c", 3, &[]);
    eventually("Consul's word again", SOON, || {
        (ids(&pod)?.contains(&"c".to_owned()) && sidecar.source().origin == Origin::Consul)
            .then_some(())
    });
    stopped(sidecar);
}

#[test]
fn another_question_has_another_backup() {
    let consul = Consul::start(Kind::Real);
    register(&consul, "a", 1, &["blue"]);
    consul.put("service/web/k", "1");
    let blue = pod(&consul, &json!({"tag": "blue"}));
    let sidecar = blue.run(&["--seed", "--backup-delay", "0s"]);
    sidecar.until("there is a backup", |s| s.backup.is_some());
    stopped(sidecar);
    consul.kill();
    blue.wipe_volume();
    blue.init();
    // The same directory, another tag; and keys of a prefix that reads alike.
    let backup = blue.backup();
    let address = consul.addr().to_string();
    for other in [
        json!([{"name": "default", "service": {"name": "web", "tag": "green"}}]),
        json!([{"name": "default", "service": {"name": "web"}}]),
        json!([{"name": "default", "prefix": "service/web"}]),
    ] {
        blue.wipe_volume();
        let config = json!({"sources": other}).to_string();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_seedcar"));
        command.env_clear().args(["init", "--seed-timeout", "1s", "--consul", &address]);
        command.args(["--config", &config]).arg("--volume").arg(blue.volume());
        let output = command.arg("--backup").arg(&backup).output().expect("run seedcar");
        assert_eq!(output.status.code(), Some(69), "{config}");
    }
}

#[test]
fn instances_are_restored_and_not_exported() {
    let consul = Consul::start(Kind::Real);
    register(&consul, "a", 1, &[]);
    consul.put("app/a", "1");
    let sources = json!([
        {"name": "web", "service": {"name": "web", "file": "web.json"}},
        {"name": "app", "prefix": "app"},
    ]);
    let pod = Pod::configured(consul.addr(), &json!({"sources": sources}));
    let sidecar = pod.run(&["--seed", "--backup-delay", "0s"]);
    eventually("both are backed up", SOON, || {
        sidecar.status().sources.values().all(|s| s.backup.is_some()).then_some(())
    });
    stopped(sidecar);
    let full = pod.tree();
    let exported = pod.seedcar(&["backup", "export"]);
    assert_eq!(exported.code(), 0, "{}", exported.err);
    assert!(exported.err.contains("source web (service web) has no keys"), "{}", exported.err);
    assert!(exported.log.contains("app/a") && !exported.log.contains("10.0.0.1"));
    let name = |of: &str| {
        let files = pod.backups().into_iter();
        let mut names = files.map(|file| file.file_name().unwrap().to_string_lossy().into_owned());
        names.find(|name| name.contains(of)).expect("a backup")
    };
    let web = name("service_web");
    let refused = pod.seedcar(&["backup", "export", &web]);
    assert_eq!(refused.code(), 2, "{}", refused.log);
    assert!(refused.err.contains("the backup is of service web"), "{}", refused.err);
    pod.wipe_volume();
    let restored = pod.seedcar(&["backup", "restore", &web]);
    assert_eq!(restored.code(), 0, "{}", restored.err);
    assert_eq!(pod.tree(), full, "with the keys beside it");
    // Nobody says what there was: the backup knows.
    let bare = Pod::bare();
    let from = pod.backup().join(&web);
    std::fs::copy(from, bare.backup().join(&web)).expect("copied");
    let restored = bare.seedcar(&["backup", "restore", &web]);
    assert_eq!(restored.code(), 0, "{}", restored.err);
    assert_eq!(bare.read("default.json"), pod.read("web.json"));
}
