//! Answers that are none, and none at all: no file and no index moves.

use std::time::Duration;

use seedcar::demo::server::{Fault, Requests};
use serde_json::json;

use crate::consul::{Consul, Kind};
use crate::ledger::Tally;
use crate::rig::{Pod, SOON, Sidecar};
use crate::rules::{
    asked_by, embedded, filled, outcome, published, shared, text, until_blocked, until_published,
};
use crate::stories::scene::{content, requests_counted, stopped, watching};
use crate::wait::{eventually, throughout};

const GROUP: &str = "rules::answers";

/// Long enough for a retry that was to come at once, also on a machine that is busy.
const A_MOMENT: Duration = Duration::from_secs(3);

/// A passing trouble is asked about again after 0.1 to 0.25 s at first, a lasting one after half a
/// second to one.
const PASSING: (Duration, Duration) = (Duration::from_millis(100), A_MOMENT);
const LASTING: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(4));

/// The watch meets `fault`, which counts as `outcome`: its files stay, its first pause is within
/// `bounds`, and afterwards a change arrives.
fn endured(tally: &mut Tally, fault: Fault, counts_as: &str, bounds: (Duration, Duration)) {
    let (consul, pod) = embedded(&[("a", "1"), ("b", "2")]);
    let files = content(&consul);
    let sidecar = watching(&pod, &["--wait", "1s", "--no-heartbeat"]);
    consul.faults().add(Requests::from_agent("watch"), fault.clone());
    consul.requests().take();
    let asked = eventually("it has failed twice", SOON, || {
        let failed = outcome(&sidecar, counts_as) >= 2.0;
        Some(asked_by(&consul, "watch")).filter(|asked| failed && asked.len() >= 2)
    });
    let pause = asked[1].at - asked[0].at;
    tally.check(bounds.0 <= pause && pause <= bounds.1, || format!("{fault:?}: pause {pause:?}"));
    let keeps = pod.tree() == files && published(&sidecar) == 0;
    tally.check(keeps, || format!("{fault:?}: the files changed"));
    tally.check(sidecar.get("/readyz").0 == 200, || format!("{fault:?}: not ready"));
    consul.faults().clear();
    consul.put("app/a", "new");
    sidecar.shows("a", "new");
    stopped(sidecar);
}

#[test]
fn rule_21_what_consul_may_add_to_the_wait_is_waited_for() {
    let mut tally = Tally::of("rules::deadlines");
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    let pod = filled(&consul, "app");
    let sidecar = watching(&pod, &["--wait", "1s", "--no-heartbeat"]);
    // A server without a leader holds a question seven seconds longer; a stopped one looks so.
    consul.freeze();
    throughout("no deadline fires", Duration::from_millis(7_500), || {
        sidecar.source().mechanisms["watch"].up
    });
    tally.case();
    consul.thaw();
    consul.put("app/a", "2");
    sidecar.shows("a", "2");
    tally.check(outcome(&sidecar, "timeout") == 0.0, || "a deadline fired".to_owned());
    let seconds = Duration::from_secs;
    let deadline = seedcar::consul::blocking_deadline(seconds(30));
    tally.check(deadline > seconds(38) && deadline < seconds(45), || format!("{deadline:?}"));
    tally.finish();
}

#[test]
fn rule_22_an_agent_that_takes_the_question_and_never_answers_is_left() {
    let mut tally = Tally::of("rules::deadlines");
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    let pod = filled(&consul, "app");
    let sidecar = watching(&pod, &["--wait", "1s", "--no-heartbeat"]);
    consul.freeze();
    eventually("the deadline fires", Duration::from_secs(30), || {
        (outcome(&sidecar, "timeout") >= 1.0).then_some(())
    });
    tally.check(text(&pod, "a").as_deref() == Some("1"), || "the file changed".to_owned());
    tally.check(sidecar.get("/livez").0 == 200, || "not live".to_owned());
    consul.thaw();
    consul.put("app/a", "2");
    sidecar.shows("a", "2");
    stopped(sidecar);
    tally.finish();
}

#[test]
fn rule_23_a_body_cut_after_its_index_moves_neither_index_nor_files() {
    let mut tally = Tally::of(GROUP);
    let (consul, pod) = embedded(&[("a", "1"), ("b", "2")]);
    let sidecar = watching(&pod, &["--no-heartbeat"]);
    let whole = consul.ask("GET", "/v1/kv/app/?recurse", b"").expect("an answer").body.len();
    for (n, cut) in [0, 1, whole / 2, whole - 1].into_iter().enumerate() {
        until_blocked(&consul);
        let mine = Requests::from_agent("watch").to("recurse");
        consul.faults().add(mine, Fault::CutBody(cut));
        // What is under way is answered whole; the answer to the next change is cut.
        consul.put("app/b", n.to_string());
        sidecar.shows("b", n.to_string());
        let (files, generations) = (content(&consul), 2 * n + 1);
        until_published(&sidecar, generations);
        let failed = failures(&sidecar);
        consul.put("app/a", format!("cut {n}"));
        eventually("cut answers came", SOON, || (failures(&sidecar) >= failed + 2.0).then_some(()));
        let keeps = pod.tree() == files && published(&sidecar) == generations;
        tally.check(keeps, || format!("cut at {cut}: the files changed"));
        let cut_index = format!("index={}&", consul.index("app/"));
        let moved = asked_by(&consul, "watch").iter().any(|a| a.target.contains(&cut_index));
        tally.check(!moved, || format!("cut at {cut}: its index was used"));
        consul.faults().clear();
        sidecar.shows("a", format!("cut {n}"));
        until_published(&sidecar, generations + 1);
    }
    stopped(sidecar);
    tally.finish();
}

fn failures(sidecar: &Sidecar<'_>) -> f64 {
    outcome(sidecar, "malformed") + outcome(sidecar, "connect_error")
}

#[test]
fn rule_24_what_a_proxy_says_with_200_is_no_answer() {
    let mut tally = Tally::of(GROUP);
    for body in ["<html>try later</html>", "{}", "null", "[{\"Key\":\"app/a\",\"Value\":\"!\"}]"] {
        endured(&mut tally, Fault::Body(body.into()), "malformed", PASSING);
    }
    tally.finish();
}

#[test]
fn rule_25_without_a_leader_the_files_are_served_and_it_asks_ever_more_seldom() {
    let mut tally = Tally::of(GROUP);
    endured(&mut tally, Fault::no_leader(), "server_error", PASSING);
    tally.finish();
}

#[test]
fn rule_26_lost_servers_are_asked_again_soon() {
    let mut tally = Tally::of(GROUP);
    for said in [
        "rpc error making call: EOF",
        "rpc error getting client: failed to get conn: dial tcp 127.0.0.1:8300: connection refused",
        "No known Consul servers",
    ] {
        endured(&mut tally, Fault::status(500, said), "server_error", PASSING);
    }
    tally.finish();
}

#[test]
fn rule_27_a_call_that_a_client_agent_cuts_is_harmless() {
    let mut tally = Tally::of(GROUP);
    let said = "rpc error making call: i/o deadline reached";
    endured(&mut tally, Fault::status(500, said), "server_error", PASSING);
    tally.finish();
}

#[test]
fn rule_28_too_many_requests_are_fewer_afterwards() {
    let mut tally = Tally::of(GROUP);
    endured(&mut tally, Fault::status(429, ""), "rate_limited", LASTING);
    let told = (Duration::from_secs(2), Duration::from_secs(6));
    endured(&mut tally, Fault::too_many_requests(2), "rate_limited", told);
    tally.finish();
}

#[test]
fn rule_29_a_connection_closed_before_any_byte_is_no_reason_to_hurry() {
    let mut tally = Tally::of(GROUP);
    let most = 4;
    let consul = Consul::start_real(json!({"limits": {"http_max_conns_per_client": most}}));
    consul.put("app/a", "1");
    let pod = filled(&consul, "app");
    let others = eventually("the others have all connections", SOON, || {
        let all: Result<Vec<_>, _> =
            (0..most + 2).map(|_| std::net::TcpStream::connect(consul.addr())).collect();
        Some(all.expect("connections"))
    });
    let sidecar = pod.run(&["--no-heartbeat"]);
    eventually("it was shut out", SOON, || {
        (outcome(&sidecar, "connect_error") >= 1.0).then_some(())
    });
    let before = requests_counted(&sidecar);
    throughout("the file stays", A_MOMENT, || text(&pod, "a").as_deref() == Some("1"));
    let asked = requests_counted(&sidecar) - before;
    tally.check(asked <= 15.0, || format!("{asked} requests in {A_MOMENT:?}"));
    drop(others);
    sidecar.until("it is let in", |s| s.mechanisms["watch"].up);
    consul.put("app/a", "2");
    sidecar.shows("a", "2");
    stopped(sidecar);
    tally.finish();
}

#[test]
fn rule_30_a_redirect_is_an_error_that_names_the_prefix_and_is_not_followed() {
    let mut tally = Tally::of(GROUP);
    let elsewhere = Fault::Answer {
        status: 301,
        headers: vec![("Location".to_owned(), "/v1/kv/other/?recurse".to_owned())],
        body: Vec::new(),
    };
    endured(&mut tally, elsewhere.clone(), "redirected", LASTING);
    let consul = Consul::start(Kind::Embedded);
    consul.put("app/a", "1");
    consul.put("other/a", "stolen");
    consul.faults().add(Requests::from_agent("seedcar").to("/app/"), elsewhere);
    let pod = Pod::new(consul.addr(), "app").arg(&["--seed-timeout", "1s"]);
    let ended = pod.seedcar(&["init"]);
    let named = ended.err.contains("prefix app/") && ended.err.contains("not a clean path");
    tally.check(ended.code() == 69 && named, || ended.err.clone());
    let asked = consul.requests().all();
    tally.check(asked.iter().all(|r| !r.target.contains("other/?")), || format!("{asked:?}"));
    for prefix in ["a//b", "a/../b", "./a", "/a", "a/."] {
        let ended = Pod::new(consul.addr(), prefix).seedcar(&["init"]);
        tally.check(ended.code() == 78 && ended.err.contains(prefix), || ended.err.clone());
    }
    tally.finish();
}

#[test]
fn rule_31_a_bad_request_is_said_and_asked_again_slowly() {
    let mut tally = Tally::of(GROUP);
    let consul = shared();
    consul.put("r31/a", "1");
    let pod = filled(&consul, "r31");
    // An open-source Consul refuses whoever names a namespace.
    let sidecar = pod.run(&["--no-heartbeat", "--namespace", "team"]);
    eventually("it is refused", SOON, || (outcome(&sidecar, "bad_request") >= 1.0).then_some(()));
    let before = requests_counted(&sidecar);
    throughout("the file stays", A_MOMENT, || text(&pod, "a").as_deref() == Some("1"));
    let asked = requests_counted(&sidecar) - before;
    tally.check(asked <= 6.0, || format!("{asked} requests in {A_MOMENT:?}"));
    let error = sidecar.source().mechanisms["watch"].last_error.clone().expect("an error");
    tally.check(error.kind == "bad_request" && error.text.contains("400"), || error.text.clone());
    stopped(sidecar);
    tally.finish();
}

#[test]
fn rule_32_an_unknown_datacenter_is_named() {
    let mut tally = Tally::of(GROUP);
    let consul = shared();
    consul.put("r32/a", "1");
    let pod = Pod::new(consul.addr(), "r32").arg(&["--datacenter", "atlantis"]);
    let ended = pod.seedcar(&["init", "--seed-timeout", "2s"]);
    let named = ended.err.contains("No path to datacenter") && ended.err.contains("atlantis");
    tally.check(ended.code() == 69 && named, || ended.err.clone());
    tally.finish();
}

#[test]
fn rule_65_a_namespace_that_an_open_source_consul_refuses_is_explained() {
    let mut tally = Tally::of(GROUP);
    let consul = shared();
    consul.put("r65/a", "1");
    let pod = Pod::new(consul.addr(), "r65").arg(&["--namespace", "default"]);
    let ended = pod.seedcar(&["init", "--seed-timeout", "1s"]);
    let clear = ended.err.contains("Enterprise") && ended.err.contains("check prefix");
    tally.check(ended.code() == 69 && clear, || ended.err.clone());
    tally.finish();
}
