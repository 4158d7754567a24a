//! `wait`, `healthcheck`, `status`, `accept` and `config`.

use std::process::Stdio;

use seedcar::model::health::Health;
use seedcar::status::Status;

use crate::consul::{Consul, Kind};
use crate::rig::{Ended, Pod, SOON};
use crate::stories::content::volume::current;
use crate::stories::{seeded, watching};
use crate::wait::{eventually, free_port};

told_on_both!(
    wait_ends_when_the_volume_is_filled,
    healthcheck_tells_a_live_sidecar_from_a_dead_one,
    status_is_for_people_and_programs,
);

fn wait_ends_when_the_volume_is_filled(kind: Kind) {
    let consul = Consul::start(kind);
    consul.put("app/a", "1");
    let pod = Pod::new(consul.addr(), "app");
    let early = pod.seedcar(&["wait", "--timeout", "200ms"]);
    assert_eq!(early.code(), 75);
    assert!(early.err.contains("not filled within 0.2 s"), "{}", early.err);
    let mut command = pod.command(&["wait", "--timeout", "60s"]);
    let mut waiting = command.stderr(Stdio::inherit()).spawn().expect("start wait");
    pod.init();
    let ended = eventually("wait ends", SOON, || waiting.try_wait().expect("wait for it"));
    assert!(ended.success(), "{ended}");
    assert_eq!(pod.seedcar(&["wait", "--timeout", "0s"]).code(), 0);
}

fn healthcheck_tells_a_live_sidecar_from_a_dead_one(kind: Kind) {
    let (consul, pod) = seeded(kind, &[("app/a", "1")]);
    let sidecar = watching(&pod, &[]);
    let url = format!("http://{}", sidecar.addr());
    let check = || pod.seedcar(&["healthcheck", "--url", &url]);
    assert_eq!(check().code(), 0);
    consul.kill();
    sidecar.until("the watch is down", |s| !s.mechanisms["watch"].up);
    assert_eq!(check().code(), 0, "liveness never looks at Consul");
    sidecar.stop();
    let dead = check();
    assert_eq!(dead.code(), 75);
    assert!(dead.err.contains(&url), "{}", dead.err);
}

fn status_is_for_people_and_programs(kind: Kind) {
    let (consul, pod) = seeded(kind, &[("app/a", "1"), ("app/b", "2"), ("app/b/c", "3")]);
    let sidecar = watching(&pod, &[]);
    sidecar.until_fresh();
    sidecar.until("the skipped key is known", |s| s.skipped_total == 1);
    let url = format!("http://{}", sidecar.addr());
    let ask = |args: &[&str]| pod.seedcar(&[&["status", "--url", &url], args].concat());
    let fresh = ask(&["--check", "-o", "json"]);
    assert_eq!(fresh.code(), 0, "{}", fresh.err);
    let status: Status = serde_json::from_str(&fresh.log).expect("a status");
    assert_eq!((status.schema, status.state), (1, Health::Fresh));
    assert_eq!(status.generation, Some(current(&pod)));
    assert_eq!(status.sources["default"].keys, 3);
    let table = ask(&[]).log;
    for line in ["state       fresh", "source default (prefix app/)", "3 keys", "skipped    1"] {
        assert!(table.contains(line), "{line}: {table}");
    }
    consul.kill();
    sidecar.until("the watch is down", |s| !s.mechanisms["watch"].up);
    let degraded = ask(&["--check"]);
    assert_eq!(degraded.code(), 75);
    assert!(degraded.log.contains("state       degraded"), "{}", degraded.log);
    assert!(degraded.log.contains("because     default: watch down"), "{}", degraded.log);
    assert_eq!(ask(&[]).code(), 0, "asked without --check it only shows");
    sidecar.stop();
    let gone = ask(&[]);
    assert_eq!((gone.code(), gone.log.as_str()), (75, ""));
    assert!(gone.err.contains("is `seedcar run` up there?"), "{}", gone.err);
}

#[test]
fn accept_wants_a_digest_and_a_volume_of_ours() {
    let accept = |pod: &Pod, digest: &str| pod.seedcar(&["accept", digest]);
    let says = |ended: &Ended, words: &str| {
        let all = format!("{}{}", ended.log, ended.err);
        assert!(all.contains(words), "{words}: {all}");
    };
    let pod = Pod::bare();
    for bad in ["", "1234567", "not-hexadecimal", &"a".repeat(65), "../../x", "12345678/.."] {
        let refused = accept(&pod, bad);
        assert_eq!(refused.code(), 2, "{bad}");
        says(&refused, "not a digest");
    }
    let nowhere = accept(&pod, "0123456789ab");
    assert_eq!(nowhere.code(), 73);
    says(&nowhere, "is this the volume of a seedcar?");
    let (_consul, pod) = seeded(Kind::Embedded, &[("app/a", "1")]);
    let early = accept(&pod, "0123456789AB");
    assert_eq!(early.code(), 0, "{}", early.err);
    says(&early, "nothing with this digest is held");
}

#[test]
fn the_configuration_can_be_checked_printed_and_sampled() {
    let pod = Pod::bare();
    let sample = pod.seedcar(&["config", "sample"]);
    assert_eq!(sample.code(), 0, "{}", sample.err);
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(&file, &sample.log).expect("write");
    let path = file.path().to_str().expect("UTF-8");
    let checked = pod.seedcar(&["config", "check", "--config", path]);
    assert_eq!(checked.code(), 0, "{}", checked.err);
    assert_eq!(checked.log, "the configuration is valid\n");

    let pod = pod.env("CONSUL_HTTP_TOKEN", "canary-token").env("SEEDCAR_PREFIX", "app");
    let printed = pod.seedcar(&["config", "print", "--wait", "12s"]);
    assert_eq!(printed.code(), 0, "{}", printed.err);
    let line = |name: &str| {
        let lines = printed.log.lines();
        let mut found = lines.filter(|line| line.starts_with(&format!("{name} ")));
        found.next().unwrap_or_else(|| panic!("{name}: {}", printed.log)).to_owned()
    };
    assert!(line("wait").contains("12s") && line("wait").contains("--wait"), "{}", line("wait"));
    assert!(line("source").contains("SEEDCAR_PREFIX"), "{}", line("source"));
    assert!(line("heartbeat").contains("15m"), "{}", line("heartbeat"));
    assert!(line("token").contains("(not shown)"), "{}", line("token"));

    let wrong = pod.seedcar(&["config", "check", "--wait", "5", "--http", "x"]);
    assert_eq!(wrong.code(), 78);
    assert_eq!(wrong.err.lines().count(), 2, "{}", wrong.err);
}

#[test]
fn a_taken_port_ends_run_with_one_line_that_says_so() {
    let (_consul, pod) = seeded(Kind::Embedded, &[("app/a", "1")]);
    let address = format!("127.0.0.1:{}", free_port());
    let _taken = std::net::TcpListener::bind(&address).expect("bind");
    let ended = pod.seedcar(&["run", "--http", &address]);
    assert_eq!(ended.code(), 1);
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    assert!(ended.err.contains(&address) && ended.err.contains("--http"), "{}", ended.err);
}
