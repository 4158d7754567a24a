//! Indexes and headers that Consul should not send, and some servers do.

use std::time::Duration;

use seedcar::demo::server::{Fault, Requests};

use crate::ledger::Tally;
use crate::rig::SOON;
use crate::rules::{asked_by, embedded, embedded_large, outcome, shared, watched};
use crate::rules::{filled, text, until_published};
use crate::stories::scene::{content, stopped, watching};
use crate::wait::{eventually, throughout};

const GROUP: &str = "rules::index";

/// How long the requests are counted.
const COUNTED: Duration = Duration::from_secs(3);

#[test]
fn rule_08_an_answer_without_an_index_is_none() {
    let mut tally = Tally::of(GROUP);
    for fault in [Fault::NoIndex, Fault::Header("X-Consul-Index".to_owned(), "soon".to_owned())] {
        let (consul, pod) = embedded(&[("a", "1")]);
        let sidecar = watching(&pod, &["--wait", "1s", "--no-heartbeat"]);
        let files = content(&consul);
        consul.faults().add(Requests::from_agent("seedcar"), fault.clone());
        consul.put("app/a", "2");
        eventually("it counts as malformed", SOON, || {
            (outcome(&sidecar, "malformed") >= 2.0).then_some(())
        });
        consul.requests().take();
        throughout("it asks again seldom", COUNTED, || asked_by(&consul, "watch").len() <= 15);
        // What was answered before the fault may have arrived.
        let expected = [files.clone(), content(&consul)];
        tally.check(expected.contains(&pod.tree()), || format!("{fault:?}: {:?}", pod.tree()));
        consul.faults().clear();
        consul.put("app/a", "3");
        sidecar.shows("a", "3");
        stopped(sidecar);
    }
    tally.finish();
}

#[test]
fn rule_09_an_index_of_zero_is_never_asked_with() {
    let mut tally = Tally::of(GROUP);
    let (consul, pod) = embedded(&[("a", "1")]);
    consul.faults().add(Requests::from_agent("seedcar"), Fault::Index(0));
    let sidecar = watching(&pod, &["--wait", "1s", "--no-heartbeat"]);
    throughout("it asks again seldom", COUNTED, || asked_by(&consul, "watch").len() <= 20);
    let asked = asked_by(&consul, "watch");
    for one in &asked {
        tally.check(!one.target.contains("index=0"), || one.target.clone());
    }
    tally.check(asked.iter().any(|a| a.target.contains("index=1&")), || "it spins".to_owned());
    consul.put("app/a", "2");
    sidecar.shows("a", "2");
    stopped(sidecar);
    tally.finish();
}

#[test]
fn rule_14_a_server_behind_is_not_believed_the_leader_is() {
    let mut tally = Tally::of(GROUP);
    let (consul, pod) = embedded_large();
    let old = consul.ask("GET", "/v1/kv/app/?recurse", b"").expect("an answer");
    let sidecar = watching(&pod, &["--no-heartbeat"]);
    eventually("it waits at the doorbell", SOON, || {
        asked_by(&consul, "watch").last()?.target.contains("keys&separator=/&index").then_some(())
    });
    let behind = Requests::from_agent("watch").to("stale");
    consul.faults().add(behind.clone(), Fault::Index(old.index().expect("an index")));
    consul.faults().add(behind, Fault::Body(old.body));
    consul.requests().take();
    consul.put("app/0/0", "new");
    sidecar.shows("0/0", "new");
    let asked = asked_by(&consul, "watch");
    let stale = asked.iter().position(|a| a.target.contains("stale")).expect("it tried");
    tally.check(asked[stale + 1].target.ends_with("?recurse"), || asked[stale + 1].target.clone());
    until_published(&sidecar, 1);
    tally.case();
    stopped(sidecar);
    tally.finish();
}

#[test]
fn rule_16_a_question_above_consuls_index_ends_with_the_wait() {
    let mut tally = Tally::of("rules::deadlines");
    let (consul, pod) = embedded(&[("a", "1")]);
    let sidecar = watching(&pod, &["--wait", "2s", "--no-heartbeat"]);
    consul.faults().add(Requests::from_agent("watch").times(1), Fault::Index(1_000_000));
    eventually("it asks with an index that Consul has not reached", SOON, || {
        asked_by(&consul, "watch").last()?.target.contains("index=1000000&").then_some(())
    });
    consul.put("app/a", "2");
    tally.check(text(&pod, "a").as_deref() == Some("1"), || "Consul woke it".to_owned());
    sidecar.shows("a", "2");
    tally.case();
    stopped(sidecar);

    let printed = pod.seedcar(&["config", "print"]).log;
    let wait = printed.lines().find(|line| line.starts_with("wait ")).expect("a wait").to_owned();
    tally.check(wait.contains(" 30s "), || wait);
    let warned = pod.seedcar(&["config", "check", "--wait", "2m"]);
    tally.check(warned.err.contains("warning: ") && warned.err.contains("2m"), || warned.err);
    tally.finish();
}

#[test]
fn rule_48_a_blocking_answer_confirms_as_of_when_it_was_asked() {
    let mut tally = Tally::of("rules::freshness");
    let consul = shared();
    consul.put("r48/a", "1");
    let pod = filled(&consul, "r48");
    let sidecar = watching(&pod, &["--wait", "1s", "--no-heartbeat"]);
    // The first may have been a plain read.
    eventually("questions were waited out", SOON, || {
        (watched(&sidecar, "unchanged") >= 3.0).then_some(())
    });
    throughout("the confirmation is as old as its question", COUNTED, || {
        sidecar.source().confirmed_age.is_some_and(|age| age >= 0.9)
    });
    tally.case();
    tally.finish();
}

#[test]
fn rule_48_what_a_blocking_answer_says_of_the_leader_is_as_old_and_ignored() {
    let mut tally = Tally::of("rules::freshness");
    let (consul, pod) = embedded(&[("a", "1")]);
    for (name, value) in [("X-Consul-KnownLeader", "false"), ("X-Consul-LastContact", "86400000")] {
        let header = Fault::Header(name.to_owned(), value.to_owned());
        consul.faults().add(Requests::from_agent("watch").to("index="), header);
    }
    let sidecar = watching(&pod, &["--no-heartbeat"]);
    for n in 2..5 {
        consul.put("app/a", n.to_string());
        sidecar.shows("a", n.to_string());
        tally.case();
    }
    tally.check(sidecar.source().held.is_none(), || "it is held".to_owned());
    sidecar.until_fresh();
    stopped(sidecar);
    tally.finish();
}
