//! Validation before a generation is published, on a real Consul.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::service::{SILENT, Service};
use crate::consul::{Consul, Kind};
use crate::rig::{Pod, SOON, Sidecar};
use crate::wait::{eventually, throughout};

/// A pod of the prefix `app` with this validation.
fn pod(consul: &Consul, validate: &Value) -> Pod {
    let config = json!({"sources": [{"name": "app", "prefix": "app"}], "validate": validate});
    Pod::configured(consul.addr(), &config)
}

/// A pod of `base` and `app` whose JSON has to be JSON; in Consul it is.
fn pod_of_two(consul: &Consul) -> Pod {
    consul.put("base/a.json", "{}");
    consul.put("app/b", "1");
    let config = json!({
        "sources": [{"name": "base", "prefix": "base"}, {"name": "app", "prefix": "app"}],
        "validate": {"files": [{"files": "*.json"}]},
    });
    Pod::configured(consul.addr(), &config)
}

fn script(at: &Path, text: &str) -> String {
    std::fs::write(at, format!("#!/bin/sh\n{text}\n")).expect("write it");
    std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    at.to_str().expect("UTF-8").to_owned()
}

fn until_refused(sidecar: &Sidecar<'_>, what: &str) {
    eventually(what, SOON, || sidecar.status().invalid.filter(|i| i.text.contains(what)));
}

#[test]
fn what_does_not_pass_is_never_seen_and_shown_and_let_through_by_a_person() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/app.json", "{\"port\": 1}");
    consul.put("app/db/host", "here");
    let scratch = TempDir::new().expect("a directory");
    let schema = scratch.path().join("app.schema.json");
    let says = json!({"type": "object", "properties": {"port": {"type": "integer"}}});
    std::fs::write(&schema, says.to_string()).expect("write it");
    let files = json!([{"files": "*.json", "schema": schema}, {"files": "rules/*", "as": "yaml"}]);
    let pod = pod(&consul, &json!({"required": ["db/*"], "files": files}));
    pod.init();
    let sidecar = pod.run(&[]);
    sidecar.until("the watch works", |s| s.mechanisms["watch"].up);
    let generation = sidecar.status().generation;
    let is_as_before = || {
        sidecar.status().generation == generation
            && pod.read("app.json").as_deref() == Some(b"{\"port\": 1}")
    };

    consul.put("app/app.json", "{\"port\": S3CRET}");
    until_refused(&sidecar, "app.json: is not JSON (line 1, column 10)");
    consul.put("app/app.json", "{\"port\": \"S3CRET\"}");
    until_refused(&sidecar, "app.schema.json says at /properties/port/type");
    consul.txn_set(&[("app/app.json", b"{\"port\": 2}"), ("app/rules/a", b"a: @")]);
    until_refused(&sidecar, "rules/a: is not YAML");
    assert!(is_as_before());
    let held = sidecar.source().held.expect("it is held");
    assert_eq!(serde_json::to_value(held.reason).expect("JSON"), "invalid");
    assert_eq!(sidecar.metric("seedcar_held{reason=\"invalid\",source=\"app\"}"), Some(1.0));
    assert!(!sidecar.log().contains("S3CRET"));

    // It is no reason to ask Consul again and again.
    let series = "seedcar_syncs_total{result=\"changed\",source=\"app\",trigger=\"watch\"}";
    let before = sidecar.metric(series).expect("it has read");
    let reads_no_more = || sidecar.metric(series) == Some(before);
    throughout("nothing is read", Duration::from_secs(2), reads_no_more);

    // A repaired key is all it takes, and what was held came with it.
    consul.put("app/rules/a", "a: 1");
    sidecar.shows("app.json", "{\"port\": 2}");
    let whole = sidecar.status();
    assert!(whole.invalid.is_none() && whole.sources["app"].held.is_none());

    consul.delete("app/db/host");
    until_refused(&sidecar, "no file is db/*, which is required");
    assert_eq!(pod.read("db/host").as_deref(), Some(&b"here"[..]));
    let digest = sidecar.source().held.expect("held").digest.expect("whole");
    let accepted = pod.seedcar(&["accept", &digest]);
    assert_eq!(accepted.code(), 0);
    eventually("it is gone", SOON, || pod.read("db/host").is_none().then_some(()));
    assert!(sidecar.status().invalid.is_none());
}

#[test]
fn init_starts_from_the_backup_where_consul_has_what_does_not_pass() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/app.json", "{}");
    let pod = pod(&consul, &json!({"files": [{"files": "*.json"}]}));
    pod.init();
    let sidecar = pod.run(&["--backup-delay", "0s"]);
    eventually("there is a backup", SOON, || (!pod.backups().is_empty()).then_some(()));
    drop(sidecar);
    pod.wipe_volume();
    consul.put("app/app.json", "{");
    let ended = pod.seedcar(&["init"]);
    assert_eq!(ended.code(), 0);
    assert_eq!(pod.read("app.json").as_deref(), Some(&b"{}"[..]));
    let sidecar = pod.run(&[]);
    until_refused(&sidecar, "app.json: is not JSON");
    assert_eq!(pod.read("app.json").as_deref(), Some(&b"{}"[..]));
    consul.put("app/app.json", "[]");
    sidecar.shows("app.json", "[]");
}

#[test]
fn what_comes_from_a_backup_is_not_asked_about() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    let scratch = TempDir::new().expect("a directory");
    let command = script(&scratch.path().join("check"), "exit 0");
    let pod = pod(&consul, &json!({"command": [command]}));
    pod.init();
    let sidecar = pod.run(&["--backup-delay", "0s"]);
    eventually("there is a backup", SOON, || (!pod.backups().is_empty()).then_some(()));
    drop(sidecar);
    pod.wipe_volume();
    consul.kill();
    std::fs::remove_file(scratch.path().join("check")).expect("remove it");
    assert_eq!(pod.seedcar(&["init"]).code(), 0);
    assert_eq!(pod.read("a").as_deref(), Some(&b"1"[..]));
}

#[test]
fn init_without_a_backup_says_what_is_wrong() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/app.json", "{");
    let pod = pod(&consul, &json!({"files": [{"files": "*.json"}]}));
    let began = Instant::now();
    let ended = pod.seedcar(&["init"]);
    assert_eq!(ended.code(), 69);
    assert!(began.elapsed() < Duration::from_secs(20), "it waits for nothing");
    let said = &ended.err;
    assert!(said.contains("refused (invalid: app.json: is not JSON (line 1, column 1)"), "{said}");
    assert!(pod.read("app.json").is_none());

    // And a sidecar that fills the volume itself goes on asking.
    let sidecar = pod.run(&["--seed"]);
    until_refused(&sidecar, "app.json: is not JSON");
    consul.put("app/app.json", "{}");
    sidecar.shows("app.json", "{}");
}

#[test]
fn a_source_whose_news_are_refused_does_not_stop_another() {
    let consul = Consul::start(Kind::Real);
    let pod = pod_of_two(&consul);
    pod.init();
    let sidecar = pod.run(&[]);
    // What was adopted is known by its digest alone until Consul has answered, or a backup is there.
    eventually("both are read", SOON, || {
        let read = |s: &seedcar::status::Source| s.mechanisms["watch"].up;
        sidecar.status().sources.values().all(read).then_some(())
    });
    consul.put("base/a.json", "{");
    until_refused(&sidecar, "a.json: is not JSON");
    consul.put("app/b", "2");
    sidecar.shows("b", "2");
    assert_eq!(pod.read("a.json").as_deref(), Some(&b"{}"[..]));
    let held = |name: &str| sidecar.status().sources[name].held.is_some();
    assert!(held("base") && !held("app"));
    // What repairs it may come from the other source.
    consul.put("app/a.json", "[1]");
    sidecar.shows("a.json", "[1]");
    eventually("nothing is held", SOON, || (!held("base")).then_some(()));
}

#[test]
fn a_command_is_asked_about_what_nobody_sees_yet() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "good");
    let scratch = TempDir::new().expect("a directory");
    let text = "test -z \"$CONSUL_HTTP_TOKEN\" && grep -q good \"$SEEDCAR_DIR/a\"";
    let command = script(&scratch.path().join("check"), text);
    let pod = pod(&consul, &json!({"command": [command, "x"]}));
    let pod = pod.env("CONSUL_HTTP_TOKEN", "");
    pod.init();
    let sidecar = pod.run(&[]);
    sidecar.until("the watch works", |s| s.mechanisms["watch"].up);
    consul.put("app/a", "bad");
    until_refused(&sidecar, "says no (exit code 1)");
    assert_eq!(pod.read("a").as_deref(), Some(&b"good"[..]));
    let kept = std::fs::read_dir(pod.live()).expect("it is there").flatten();
    let generations = kept.filter(|e| e.file_name().to_string_lossy().starts_with("..2")).count();
    assert_eq!(generations, 1, "nothing of what was refused is left");
    consul.put("app/a", "as good");
    sidecar.shows("a", "as good");
}

#[test]
fn a_command_that_hangs_delays_nothing_that_comes_after_it() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    let scratch = TempDir::new().expect("a directory");
    let pids = scratch.path().join("pids");
    let text = format!(
        "grep -q hang \"$SEEDCAR_DIR/a\" && echo $$ >> {} && exec sleep 1000; exit 0",
        pids.display()
    );
    let command = script(&scratch.path().join("check"), &text);
    let pod = pod(&consul, &json!({"command": [command], "timeout": "30s"}));
    pod.init();
    let sidecar = pod.run(&[]);
    sidecar.until("the watch works", |s| s.mechanisms["watch"].up);
    consul.put("app/a", "hang");
    let hanging = eventually("it hangs", SOON, || std::fs::read_to_string(&pids).ok());
    let began = Instant::now();
    consul.put("app/a", "2");
    sidecar.shows("a", "2");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?} of 30 s", began.elapsed());
    let runs = Path::new("/proc").join(hanging.trim());
    eventually("it is killed", SOON, || (!runs.exists()).then_some(()));

    // Nor the end.
    consul.put("app/a", "hang");
    eventually("it hangs again", SOON, || {
        (std::fs::read_to_string(&pids).ok()?.lines().count() == 2).then_some(())
    });
    let (status, took) = sidecar.stop();
    assert!(status.success() && took < Duration::from_secs(2), "{status} after {took:?}");
}

#[test]
fn a_service_is_asked_and_one_that_gives_no_answer_refuses() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    let service = Service::start(|body| {
        let directory = Path::new(body["directory"].as_str().expect("a path"));
        assert!(directory.join("a").is_file(), "it can be read: {body}");
    });
    let pod = pod(&consul, &json!({"url": service.url, "timeout": "1s"}));
    pod.init();
    let sidecar = pod.run(&[]);
    sidecar.until("the watch works", |s| s.mechanisms["watch"].up);
    for (answers, said) in
        [(422, "answered 422"), (503, "answered 503"), (SILENT, "no answer within 1s")]
    {
        service.answers(answers);
        consul.put("app/a", answers.to_string());
        until_refused(&sidecar, said);
        assert_eq!(pod.read("a").as_deref(), Some(&b"1"[..]));
    }
    // A service that said nothing is asked again although nothing has changed.
    service.answers(204);
    let before = service.heard().len();
    eventually("it is asked again", Duration::from_secs(90), || {
        (service.heard().len() > before).then_some(())
    });
    sidecar.shows("a", "0");
}

#[test]
fn init_asks_anew_whatever_an_earlier_one_was_told() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    let scratch = TempDir::new().expect("a directory");
    let command = script(&scratch.path().join("check"), "exit 1");
    let pod = pod(&consul, &json!({"command": [command]}));
    assert_eq!(pod.seedcar(&["init"]).code(), 69);
    script(&scratch.path().join("check"), "sleep 1.5");
    assert_eq!(pod.seedcar(&["init"]).code(), 0);
    assert_eq!(pod.read("a").as_deref(), Some(&b"1"[..]));
}

#[test]
fn a_command_that_takes_its_time_is_asked_once() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    let scratch = TempDir::new().expect("a directory");
    let asked = scratch.path().join("asked");
    let text = format!("echo x >> {}; sleep 2", asked.display());
    let command = script(&scratch.path().join("check"), &text);
    let pod = pod(&consul, &json!({"command": [command]}));
    pod.init();
    let times = || std::fs::read_to_string(&asked).unwrap_or_default().lines().count();
    assert_eq!(times(), 1);
    let sidecar = pod.run(&[]);
    sidecar.until("the watch works", |s| s.mechanisms["watch"].up);
    consul.put("app/a", "2");
    sidecar.shows("a", "2");
    assert_eq!(times(), 2);
}

#[test]
fn after_a_restart_too_a_refused_source_stops_no_other() {
    let consul = Consul::start(Kind::Real);
    let pod = pod_of_two(&consul);
    pod.init();
    let sidecar = pod.run(&["--backup-delay", "0s"]);
    eventually("there are backups", SOON, || (pod.backups().len() >= 2).then_some(()));
    drop(sidecar);
    consul.put("base/a.json", "{");
    let sidecar = pod.run(&[]);
    until_refused(&sidecar, "a.json: is not JSON");
    consul.put("app/b", "2");
    sidecar.shows("b", "2");
    drop(sidecar);

    // Nor does it in a pod that starts: what is in order comes from Consul.
    pod.wipe_volume();
    consul.put("app/b", "3");
    assert_eq!(pod.seedcar(&["init"]).code(), 0);
    assert_eq!(pod.read("a.json").as_deref(), Some(&b"{}"[..]));
    assert_eq!(pod.read("b").as_deref(), Some(&b"3"[..]));
}
