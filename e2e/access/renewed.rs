//! `run`: a token is renewed, kept, and replaced.

use std::time::{Duration, Instant};

use seedcar::model::health::Health;
use serde_json::json;

use super::jwt::Claims;
use super::scene::{Scene, is_known, logins, requests};
use crate::ledger::Tally;
use crate::rig::{Pod, SOON, Sidecar};
use crate::stories::scene::stopped;
use crate::wait::{eventually, throughout, within};

const GROUP: &str = "access::renewed";
const STORM: &str = "access::renewed::storm";

/// Longer than two thirds of the shortest life that Consul gives a token, a minute.
const RENEWED: Duration = Duration::from_secs(60);

/// The questions of the watch that have their answer.
fn watched(sidecar: &Sidecar<'_>) -> f64 {
    requests(sidecar, "watch", "ok")
}

/// No request of a mechanism was denied.
fn never_denied(tally: &mut Tally, sidecar: &Sidecar<'_>) {
    for mechanism in ["watch", "heartbeat"] {
        let denied = requests(sidecar, mechanism, "denied");
        tally.check(denied == 0.0, || format!("{mechanism}: {denied} denied\n{}", sidecar.log()));
    }
}

fn until_logins(sidecar: &Sidecar<'_>, result: &str, count: f64, patience: Duration) {
    eventually(&format!("{count} logins: {result}"), patience, || {
        (logins(sidecar, result) >= count).then_some(())
    });
}

#[test]
fn a_token_is_renewed_and_the_old_one_ends_after_its_last_question() {
    let mut tally = Tally::of(GROUP);
    let scene = Scene::shared();
    scene.method("r1", &json!({"MaxTokenTTL": "60s"}));
    let pod = scene.pod("r1");
    // This one is over when the token is to be renewed: the file has to be read again by then.
    scene.write_jwt("r1", &Claims::of("web").good_for(20));
    let sidecar = pod.run(&["--seed", "--wait", "10s", "--heartbeat", "5s"]);
    sidecar.shows("a", "1");
    scene.write_jwt("r1", &Claims::of("web"));
    let status = sidecar.status().login.expect("a login");
    tally.check(status.method == "r1" && status.open, || format!("{status:?}"));
    let expiry = sidecar.metric("seedcar_consul_token_expiry_timestamp_seconds").expect("one");
    let left = expiry - seedcar::sys::wall_seconds() as f64;
    tally.check((20.0..=61.0).contains(&left), || format!("{left} s left"));
    let old = scene.secrets("r1").pop().expect("a token");

    // A question is held all the time: the one that is when the token is replaced has to be answered
    // before the old one ends, however short the moment between the two is.
    let mut before = watched(&sidecar);
    eventually("another login", RENEWED, || {
        let now = watched(&sidecar);
        let is_renewed = logins(&sidecar, "ok") >= 2.0;
        before = if is_renewed { before } else { now };
        is_renewed.then_some(())
    });
    eventually("the old one is logged out", Duration::from_secs(15), || {
        (!is_known(&scene, &old)).then_some(())
    });
    let answered = watched(&sidecar) - before;
    tally.check(answered >= 1.0, || "logged out while Consul held a question under it".to_owned());
    let left = scene.tokens("r1").len();
    tally.check(left == 1, || format!("{left} tokens"));
    scene.consul.put("r1/a", "2");
    sidecar.shows("a", "2");
    never_denied(&mut tally, &sidecar);
    stopped(sidecar);
    tally.check(scene.tokens("r1").is_empty(), || "not logged out at the end".to_owned());
    tally.finish();
}

#[test]
fn a_token_that_cannot_be_renewed_is_used_as_long_as_it_works() {
    let mut tally = Tally::of(GROUP);
    let scene = Scene::shared();
    let rule = scene.method("r2", &json!({"MaxTokenTTL": "60s"}));
    let pod = scene.pod("r2");
    let sidecar = pod.run(&["--seed", "--wait", "1s", "--heartbeat", "1s"]);
    sidecar.shows("a", "1");
    scene.unbind(&rule);
    until_logins(&sidecar, "denied", 1.0, RENEWED);
    let status = sidecar.status();
    let login = status.login.clone().expect("a login");
    let told = login.open && login.last_error.as_ref().is_some_and(|e| e.kind == "denied");
    tally.check(told, || format!("{login:?}"));
    let worried = status.state == Health::Degraded && status.reason.contains("binding rules");
    tally.check(worried, || format!("{:?} {}", status.state, status.reason));
    let fine = within(Duration::from_secs(3), || {
        scene.consul.put("r2/a", "2");
        pod.read("a").as_deref() == Some(b"2")
    });
    tally.check(fine, || "a token that works is not used".to_owned());
    never_denied(&mut tally, &sidecar);
    scene.bind("r2");
    until_logins(&sidecar, "ok", 2.0, SOON);
    never_denied(&mut tally, &sidecar);
    sidecar.until_fresh();
    stopped(sidecar);
    tally.finish();
}

#[test]
fn an_outage_costs_no_login() {
    let mut tally = Tally::of(GROUP);
    let scene = Scene::start();
    scene.method("r3", &json!({}));
    let pod = scene.pod("r3");
    let sidecar = pod.run(&["--seed", "--wait", "1s", "--heartbeat", "1s"]);
    sidecar.shows("a", "1");
    let token = scene.secrets("r3");
    scene.consul.kill();
    sidecar.until("it is noticed", |s| s.mechanisms.iter().any(|(_, m)| m.last_error.is_some()));
    scene.consul.restart();
    scene.consul.put("r3/a", "2");
    sidecar.shows("a", "2");
    never_denied(&mut tally, &sidecar);
    tally.check(scene.secrets("r3") == token, || "another token".to_owned());
    let count = logins(&sidecar, "ok");
    tally.check(count == 1.0, || format!("{count} logins"));
    let endless = sidecar.status().login.expect("a login");
    tally.check(endless.open && endless.expires.is_none(), || format!("{endless:?}"));
    // The end is not Consul's to delay.
    scene.consul.freeze();
    stopped(sidecar);
    scene.consul.thaw();
    tally.case();
    tally.finish();
}

/// A pod of two sources, each with a watch and a heartbeat that ask every second.
fn busy(scene: &Scene, name: &str) -> Pod {
    scene.consul.put(&format!("{name}/deep/b"), "1");
    let more = format!("more={name}/deep");
    let pod = scene.pod(name).arg(&["--source", &more]);
    pod.arg(&["--wait", "1s", "--heartbeat", "1s"])
}

#[test]
fn whoever_is_refused_there_is_one_login() {
    let mut tally = Tally::of(STORM);
    let scene = Scene::shared();
    scene.method("r4", &json!({}));
    let pod = busy(&scene, "r4");
    let sidecar = pod.run(&["--seed"]);
    sidecar.shows("a", "1");
    scene.revoke("r4");
    until_logins(&sidecar, "ok", 2.0, SOON);
    scene.consul.put("r4/a", "2");
    sidecar.shows("a", "2");
    let all_up = || {
        let sources = sidecar.status().sources;
        sources.values().all(|s| s.mechanisms["watch"].up && s.mechanisms["heartbeat"].up)
    };
    eventually("all work", SOON, || all_up().then_some(()));
    throughout("no more logins", Duration::from_secs(3), || logins(&sidecar, "ok") == 2.0);
    tally.case();
    tally.check(scene.tokens("r4").len() == 1, || format!("{:?}", scene.tokens("r4")));
    stopped(sidecar);
    tally.finish();
}

#[test]
fn logins_that_do_not_help_become_fewer() {
    let mut tally = Tally::of(STORM);
    let scene = Scene::shared();
    scene.method("r5", &json!({}));
    let pod = busy(&scene, "r5");
    let sidecar = pod.run(&["--seed"]);
    sidecar.shows("a", "1");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(10) {
        scene.revoke("r5");
        // How often it is revoked, not what is waited for.
        std::thread::sleep(Duration::from_millis(50));
    }
    // Pauses of at least 1/4, 1/2, 1, 2 and 4 s.
    let count = logins(&sidecar, "ok") - 1.0;
    tally.check((2.0..=6.0).contains(&count), || format!("{count} logins in ten seconds"));
    eventually("it heals", SOON, || (sidecar.status().state == Health::Fresh).then_some(()));
    stopped(sidecar);
    tally.finish();
}

#[test]
fn a_new_jwt_counts_at_once() {
    let mut tally = Tally::of(GROUP);
    let scene = Scene::shared();
    scene.method("r6", &json!({}));
    let pod = scene.pod("r6");
    scene.write_jwt("r6", &Claims::of("web").good_for(-60));
    let sidecar = pod.run(&["--seed"]);
    // The pauses have grown to 4 s by then, and reach 30.
    until_logins(&sidecar, "denied", 5.0, Duration::from_secs(40));
    scene.write_jwt("r6", &Claims::of("web"));
    let soon = within(Duration::from_secs(3), || logins(&sidecar, "ok") == 1.0);
    tally.check(soon, || format!("not logged in\n{}", sidecar.log()));
    sidecar.shows("a", "1");
    stopped(sidecar);
    tally.finish();
}

#[test]
fn a_consul_without_the_method_is_waited_for() {
    let mut tally = Tally::of(GROUP);
    let scene = Scene::shared();
    let pod = scene.pod("r7");
    let sidecar = pod.run(&["--seed", "--seed-timeout", "1s"]);
    until_logins(&sidecar, "denied", 2.0, SOON);
    tally.check(sidecar.get("/livez").0 == 200, || "not alive".to_owned());
    tally.check(sidecar.get("/readyz").0 == 503, || "ready".to_owned());
    scene.method("r7", &json!({}));
    sidecar.shows("a", "1");
    stopped(sidecar);
    tally.finish();
}
