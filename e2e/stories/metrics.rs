//! What Prometheus and a log collector get.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use seedcar::metrics::TABLE;
use serde_json::Value;

use super::{measured, seeded, watching};
use crate::consul::Kind;
use crate::consul::http::request;
use crate::rig::{Pod, SOON, Sidecar};
use crate::wait::{eventually, free_port};

told_on_both!(
    promtool_has_nothing_to_say_about_the_metrics,
    every_family_is_there_from_the_start_within_the_budget,
    a_log_line_is_a_json_object_with_time_level_message_and_event,
    a_log_for_people_is_text,
);

/// Series of a pod with one source; each more costs money somewhere.
const BUDGET: usize = 130;

fn scrape(sidecar: &Sidecar<'_>) -> String {
    let (status, text) = sidecar.get("/metrics");
    assert_eq!(status, 200);
    text
}

/// A sidecar that has seen all there is to see on a good day.
fn after_a_good_day<'p>(pod: &'p Pod, consul: &crate::consul::Consul) -> Sidecar<'p> {
    let sidecar = watching(pod, &["--heartbeat", "1s", "--backup-delay", "0s"]);
    consul.put("app/a", "changed");
    sidecar.shows("a", "changed");
    sidecar.until("it is backed up", |s| s.backup.as_ref().map(|b| &b.digest) == s.digest.as_ref());
    sidecar.until("the heart has beaten", |s| s.mechanisms["heartbeat"].up);
    sidecar
}

fn promtool_has_nothing_to_say_about_the_metrics(kind: Kind) {
    let (consul, pod) = seeded(kind, &[("app/a", "1"), ("app/b", "2")]);
    let sidecar = after_a_good_day(&pod, &consul);
    lint(&scrape(&sidecar));
    consul.delete_recurse("app/");
    sidecar.until("the empty answer is held", |s| s.held.is_some());
    consul.kill();
    sidecar.until("the watch is down", |s| !s.mechanisms["watch"].up);
    lint(&scrape(&sidecar));
}

fn lint(exposition: &str) {
    let promtool = std::env::var_os("PROMTOOL_BIN").expect("run ./e2e/run, or set PROMTOOL_BIN");
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start promtool");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(exposition.as_bytes()).expect("feed it");
    drop(input);
    let output = child.wait_with_output().expect("wait for promtool");
    let said = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&said), "");
    assert!(output.status.success());
}

/// The families of an exposition that have a series.
fn families(exposition: &str) -> BTreeSet<&str> {
    let typed = exposition.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    typed.filter_map(|line| line.split(' ').next()).collect()
}

fn every_family_is_there_from_the_start_within_the_budget(kind: Kind) {
    let (consul, pod) = seeded(kind, &[("app/a", "1"), ("app/b", "2")]);
    let sidecar = after_a_good_day(&pod, &consul);
    let text = scrape(&sidecar);
    let found = families(&text);
    // The exceptions: this volume was filled by init, and there is no application of `seedcar exec`, no
    // hook and no login.
    let absent = [
        "seedcar_seed_duration_seconds",
        "seedcar_exec_pending",
        "seedcar_exec_actions_total",
        "seedcar_hook_pending",
        "seedcar_hook_requests_total",
        "seedcar_consul_logins_total",
        "seedcar_consul_token_expiry_timestamp_seconds",
    ];
    for metric in TABLE.iter().filter(|metric| !absent.contains(&metric.name)) {
        assert!(found.contains(metric.name), "{} is missing", metric.name);
    }
    let known = TABLE.iter().map(|metric| metric.name).collect();
    assert!(found.is_subset(&known), "{found:?}");
    for counter in ["held_answers", "publish_errors", "repairs"] {
        let name = format!("seedcar_{counter}_total");
        let mut values = text.lines().filter(|line| line.starts_with(&name));
        assert!(values.all(|line| line.ends_with(" 0")), "{name} counts nothing yet");
    }
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    measured(&format!("series of one source, {kind:?}: {series} of {BUDGET}"));
    assert!(series <= BUDGET, "{series} series:\n{text}");
}

/// Every line of a log as JSON.
fn lines(log: &str) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    log.lines().map(parse).collect()
}

fn assert_is_a_log_line(line: &Value) {
    let text = |name: &str| line[name].as_str().unwrap_or_else(|| panic!("{name}: {line}"));
    text("ts").parse::<jiff::Timestamp>().expect("RFC 3339");
    assert!(["debug", "info", "warn", "error"].contains(&text("level")), "{line}");
    assert!(!text("msg").is_empty(), "{line}");
    let event = text("event");
    let is_word = |c: char| c.is_ascii_lowercase() || c == '_';
    assert!(!event.is_empty() && event.chars().all(is_word), "{line}");
}

fn a_log_line_is_a_json_object_with_time_level_message_and_event(kind: Kind) {
    let (consul, pod) = seeded(kind, &[("app/a", "1"), ("app/b", "2")]);
    let sidecar = watching(&pod, &["--log-level", "debug", "--heartbeat", "1s"]);
    consul.put("app/quote\"\u{e9}", "2");
    sidecar.shows("quote\"\u{e9}", "2");
    consul.delete_recurse("app/");
    sidecar.until("the empty answer is held", |s| s.held.is_some());
    consul.kill();
    sidecar.until("the watch is down", |s| !s.mechanisms["watch"].up);
    consul.restart();
    sidecar.until("the watch is up again", |s| s.mechanisms["watch"].up);
    let log = eventually("all of it is in the log", SOON, || {
        let log = sidecar.log();
        let expected = ["published", "held", "consul_failed", "consul_recovered"];
        let there = |event: &&str| !sidecar.events(event).is_empty();
        expected.iter().all(there).then_some(log)
    });
    // The last line may be in the making.
    let whole = &log[..=log.rfind('\n').expect("a line")];
    sidecar.stop();
    let init = pod.init().log;
    for line in lines(whole).iter().chain(&lines(&init)) {
        assert_is_a_log_line(line);
    }
}

fn a_log_for_people_is_text(kind: Kind) {
    let (_consul, pod) = seeded(kind, &[("app/a", "1")]);
    let address = format!("127.0.0.1:{}", free_port());
    let log = tempfile::NamedTempFile::new().expect("a file");
    let mut command = pod.command(&["run", "--http", &address, "--log-format", "text"]);
    command.stdout(log.reopen().expect("the file")).stderr(Stdio::inherit());
    let mut sidecar = command.spawn().expect("start seedcar");
    let at = address.parse().expect("an address");
    eventually("it is ready", SOON, || {
        let ready = request(at, "GET", "/readyz", &[], b"").ok()?;
        (ready.status == 200).then_some(())
    });
    let text = eventually("it says so", SOON, || {
        let text = std::fs::read_to_string(&log).ok()?;
        // Two threads say it, in either order.
        let is_said = text.contains("adopted what is published") && text.contains("seedcar ");
        is_said.then_some(text)
    });
    sidecar.kill().expect("kill it");
    sidecar.wait().expect("wait for it");
    let line = text.lines().find(|line| line.contains("seedcar ")).expect("a line");
    assert!(line.contains(" INFO  seedcar ") && line.contains(&address), "{line}");
    assert!(!text.contains('{') && !text.contains('\u{1b}'), "{text}");
}
