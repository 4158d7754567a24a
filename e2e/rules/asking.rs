//! What is asked, and how.

use seedcar::demo::proxy::{Mode, Proxy};

use crate::ledger::Tally;
use crate::rig::{Pod, SOON};
use crate::rules::raw::Raw;
use crate::rules::{Asked, asked_by, embedded, embedded_large, shared, text, until_blocked};
use crate::stories::scene::{stopped, watching};
use crate::wait::eventually;

const GROUP: &str = "rules::pace";

/// One key `app/a` with the value `1`.
const BODY: &[u8] =
    br#"[{"LockIndex":0,"Key":"app/a","Flags":0,"Value":"MQ==","CreateIndex":5,"ModifyIndex":7}]"#;

#[test]
fn rule_46_each_byte_of_a_prefix_arrives_as_it_is() {
    let mut tally = Tally::of("rules::keys");
    let consul = shared();
    let names = [
        "a b",
        "100%",
        "%2F",
        "%41",
        "a+b",
        "q?x=1&y=2",
        "h#h",
        "\u{fc}\u{1f600}",
        ":@;,=!$'()*",
        "~-_.",
        "\"<>\\^`{|}",
    ];
    let mut pod = Pod::bare().arg(&["--consul", &consul.addr().to_string()]);
    for (n, name) in names.iter().enumerate() {
        let (key, value) = (format!("r46/{name}/key-{n}"), n.to_string());
        consul.txn_set(&[(&key, value.as_bytes())]);
        pod = pod.arg(&["--source", &format!("s{n}=r46/{name}")]);
    }
    let ended = pod.seedcar(&["init", "--seed-timeout", "5s"]);
    assert_eq!(ended.code(), 0, "{}\n{}", ended.err, ended.log);
    for (n, name) in names.iter().enumerate() {
        let found = text(&pod, &format!("key-{n}"));
        tally.check(found == Some(n.to_string()), || format!("{name}: {found:?}"));
    }
    tally.finish();
}

#[test]
fn rule_47_header_names_are_read_in_any_case() {
    let mut tally = Tally::of("rules::index");
    for name in ["X-Consul-Index", "x-consul-index", "X-CONSUL-INDEX", "x-cOnSuL-iNdEx"] {
        let server = Raw::with(&format!("{name}: 7\r\n"), BODY);
        let pod = Pod::new(server.addr(), "app");
        pod.init();
        tally.check(text(&pod, "a").as_deref() == Some("1"), || name.to_owned());
    }
    tally.finish();
}

#[test]
fn rule_58_a_doorbell_is_followed_by_a_read_whose_index_is_blocked_on() {
    let mut tally = Tally::of(GROUP);
    let (consul, pod) = embedded_large();
    let sidecar = watching(&pod, &["--heartbeat", "1s"]);
    for n in 0..3 {
        until_blocked(&consul);
        consul.requests().take();
        consul.put("app/0/0", format!("rung {n}"));
        sidecar.shows("0/0", format!("rung {n}"));
        let read = asked_by(&consul, "watch");
        let reads = read.iter().filter(|a| a.target.contains("?recurse")).count();
        tally.check(reads == 1, || format!("{:?}", targets(&read)));
        until_blocked(&consul);
        let asked = asked_by(&consul, "watch");
        let last = &asked.last().expect("a question").target;
        tally.check(last.contains("?keys&separator=/&index="), || last.clone());
    }
    eventually("the heartbeat reads everything", SOON, || {
        let asked = asked_by(&consul, "heartbeat");
        asked.iter().any(|a| a.target.contains("?recurse")).then_some(())
    });
    tally.case();
    stopped(sidecar);
    tally.finish();
}

#[test]
fn rule_59_small_prefixes_are_watched_whole_and_large_ones_by_their_doorbell() {
    let mut tally = Tally::of(GROUP);
    for ((consul, pod), by) in [(embedded(&[("a", "1")]), "recurse"), (embedded_large(), "keys")] {
        let sidecar = watching(&pod, &["--wait", "1s", "--no-heartbeat"]);
        until_blocked(&consul);
        let rounds = crate::rules::watched(&sidecar, "unchanged");
        eventually("questions were waited out", SOON, || {
            (crate::rules::watched(&sidecar, "unchanged") >= rounds + 2.0).then_some(())
        });
        let asked = asked_by(&consul, "watch");
        let blocking = asked.iter().filter(|a| a.target.contains("wait=1000ms"));
        for one in blocking {
            tally.check(one.target.contains(by), || one.target.clone());
        }
        stopped(sidecar);
    }
    tally.finish();
}

fn targets(asked: &[Asked]) -> Vec<&str> {
    asked.iter().map(|a| a.target.as_str()).collect()
}

#[test]
fn rule_60_nothing_is_compressed() {
    let mut tally = Tally::of(GROUP);
    let server = Raw::with("X-Consul-Index: 7\r\n", BODY);
    let pod = Pod::new(server.addr(), "app");
    pod.init();
    let heads = server.heads();
    assert!(!heads.is_empty());
    for head in heads {
        tally.check(!head.contains("accept-encoding"), || head.clone());
    }
    // Whoever compresses all the same is not understood, however much it would unpack to.
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x8b, 0x8e, 5, 0];
    let server = Raw::with("X-Consul-Index: 7\r\nContent-Encoding: gzip\r\n", &gzip);
    let pod = Pod::new(server.addr(), "app");
    let ended = pod.seedcar(&["init", "--seed-timeout", "1s"]);
    tally.check(ended.code() == 69 && ended.err.contains("not a list"), || ended.err.clone());
    tally.finish();
}

#[test]
fn rule_62_the_heartbeat_repairs_a_watch_that_hangs() {
    let mut tally = Tally::of("rules::deadlines");
    let consul = shared();
    consul.put("r62/a", "1");
    let proxy = Proxy::start(consul.addr().to_string()).expect("a proxy");
    let pod = Pod::new(proxy.addr(), "r62");
    pod.init();
    let sidecar = watching(&pod, &["--heartbeat", "1s"]);
    proxy.set_for("(watch)", Mode::Hang);
    for n in 2..=4 {
        consul.put("r62/a", n.to_string());
        sidecar.shows("a", n.to_string());
        tally.case();
    }
    eventually("what the watch missed is counted", SOON, || {
        let missed = sidecar.metric("seedcar_watch_missed_total{source=\"default\"}")?;
        (missed >= 1.0).then_some(())
    });
    tally.case();
    proxy.clear();
    stopped(sidecar);
    tally.finish();
}

#[test]
fn rule_66_no_question_is_conditional() {
    let mut tally = Tally::of(GROUP);
    let server = Raw::with("X-Consul-Index: 7\r\nETag: \"7\"\r\n", BODY);
    let pod = Pod::new(server.addr(), "app");
    pod.init();
    let sidecar = pod.run(&["--wait", "1s", "--heartbeat", "1s"]);
    let heads = eventually("it has asked four times", SOON, || {
        Some(server.heads()).filter(|heads| heads.len() >= 4)
    });
    for head in heads {
        let plain = head.starts_with("get /v1/kv/app/?") && !head.contains("\r\nif-");
        tally.check(plain, || head.clone());
    }
    stopped(sidecar);
    tally.finish();
}
