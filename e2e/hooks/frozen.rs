//! Operators who stop changes, on a real Consul.

use std::time::{Duration, Instant};

use crate::consul::{Consul, Kind};
use crate::rig::{Pod, SOON};
use crate::wait::{eventually, throughout};

#[test]
fn a_key_stops_changes_of_the_whole_fleet_and_its_end_catches_up() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    let pods = [0, 1].map(|_| {
        let pod = Pod::new(consul.addr(), "app").arg(&["--control", "ops/web"]);
        pod.init();
        pod
    });
    let sidecars = pods.each_ref().map(|pod| pod.run(&[]));
    consul.put("app/a", "2");
    sidecars.iter().for_each(|sidecar| sidecar.shows("a", "2"));
    consul.put("ops/web/freeze", "because I say so");
    let began = Instant::now();
    for sidecar in &sidecars {
        eventually("it is frozen", SOON, || sidecar.status().frozen.filter(|by| by == "fleet"));
        assert_eq!(sidecar.metric("seedcar_frozen"), Some(1.0));
        assert!(!sidecar.get("/status").1.contains("because I say so"));
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    consul.put("app/a", "3");
    consul.put("app/b", "3");
    let as_before =
        || pods.iter().all(|p| p.read("a").as_deref() == Some(b"2") && p.read("b").is_none());
    throughout("nothing changes", Duration::from_secs(2), as_before);

    // Nor after a restart, whatever answers first.
    let [first, second] = sidecars;
    first.crash();
    let first = pods[0].run(&[]);
    eventually("it is frozen still", SOON, || first.status().frozen);
    throughout("nothing changes", Duration::from_secs(3), as_before);
    // An application that starts is not kept from it.
    let late = Pod::new(consul.addr(), "app").arg(&["--control", "ops/web"]);
    late.init();
    assert_eq!(late.read("a").as_deref(), Some(&b"3"[..]));

    consul.delete("ops/web/freeze");
    for sidecar in [&first, &second] {
        sidecar.shows("a", "3");
        sidecar.shows("b", "3");
        eventually("it says so", SOON, || sidecar.status().frozen.is_none().then_some(()));
    }
}

#[test]
fn a_freeze_outlives_consul() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    consul.put("ops/web/freeze", "");
    let pod = Pod::new(consul.addr(), "app").arg(&["--control", "ops/web"]);
    pod.init();
    let sidecar = pod.run(&[]);
    eventually("it is frozen", SOON, || sidecar.status().frozen);
    consul.put("app/a", "2");
    consul.kill();
    sidecar.crash();
    let sidecar = pod.run(&[]);
    eventually("it knows without asking", SOON, || sidecar.status().frozen);
    consul.restart();
    sidecar.until("the watch works", |s| s.mechanisms["watch"].up);
    throughout("nothing changes", Duration::from_secs(2), || {
        pod.read("a").as_deref() == Some(b"1")
    });
}

#[test]
fn a_person_freezes_one_volume() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    let pod = Pod::new(consul.addr(), "app");
    pod.init();
    let sidecar = pod.run(&[]);
    sidecar.until("the watch works", |s| s.mechanisms["watch"].up);
    assert_eq!(pod.seedcar(&["freeze"]).code(), 0);
    consul.put("app/a", "2");
    throughout("nothing changes", Duration::from_secs(2), || {
        pod.read("a").as_deref() == Some(b"1")
    });
    eventually("it says so", SOON, || sidecar.status().frozen.filter(|by| by == "volume"));
    assert_eq!(pod.seedcar(&["freeze", "--off"]).code(), 0);
    sidecar.shows("a", "2");
}

#[test]
fn a_key_lets_a_held_answer_through_everywhere() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    for i in 0..20 {
        consul.put(&format!("app/old/{i}"), "1");
    }
    let pods = [0, 1].map(|_| {
        let pod = Pod::new(consul.addr(), "app").arg(&["--control", "ops/web"]);
        pod.init();
        pod
    });
    let sidecars = pods.each_ref().map(|pod| pod.run(&[]));
    sidecars.iter().for_each(|s| drop(s.until("the watch works", |s| s.mechanisms["watch"].up)));
    consul.delete_recurse("app/old");
    let held = sidecars.each_ref().map(|s| s.until("it is held", |s| s.held.is_some()).held);
    let digest = held[0].as_ref().and_then(|held| held.digest.clone()).expect("whole");
    assert_eq!(held[1].as_ref().and_then(|held| held.digest.clone()).as_deref(), Some(&*digest));
    consul.put("ops/web/accept", format!("{}\n", &digest[..12]));
    for (pod, sidecar) in pods.iter().zip(&sidecars) {
        eventually("it is let through", SOON, || pod.read("old/1").is_none().then_some(()));
        sidecar.until("nothing is held", |s| s.held.is_none());
    }
}

#[test]
fn a_token_that_may_not_read_the_key_any_more_ends_no_freeze() {
    let consul = Consul::start_with_acl();
    let rules = |prefixes: &[&str]| {
        let rule = |p: &&str| format!("key_prefix \"{p}/\" {{ policy = \"read\" }}\n");
        prefixes.iter().map(rule).collect::<String>()
    };
    consul.set_policy("web", &rules(&["app", "ops/web"]));
    let token = consul.create_token(&["web"]);
    consul.put("app/a", "1");
    consul.put("ops/web/freeze", "");
    let pod = Pod::new(consul.addr(), "app")
        .arg(&["--control", "ops/web", "--wait", "1s"])
        .env("CONSUL_HTTP_TOKEN", &token);
    pod.init();
    let sidecar = pod.run(&[]);
    eventually("it is frozen", SOON, || sidecar.status().frozen);
    consul.set_policy("web", &rules(&["app"]));
    eventually("it is said", SOON, || sidecar.events("control_denied").pop());
    consul.put("app/a", "2");
    throughout("nothing changes", Duration::from_secs(2), || {
        pod.read("a").as_deref() == Some(b"1")
    });
    assert_eq!(sidecar.status().frozen.as_deref(), Some("fleet"));
}

#[test]
fn a_repair_publishes_nothing_that_waits() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    let pod = Pod::new(consul.addr(), "app");
    pod.init();
    let sidecar = pod.run(&["--heartbeat", "1s"]);
    sidecar.until("the watch works", |s| s.mechanisms["watch"].up);
    assert_eq!(pod.seedcar(&["freeze"]).code(), 0);
    consul.put("app/a", "2");
    eventually("it says so", SOON, || sidecar.status().frozen);
    let file = pod.live().join("a");
    std::fs::remove_file(std::fs::canonicalize(file).expect("it is there")).expect("remove it");
    eventually("it is put back", SOON, || sidecar.events("repaired").pop());
    assert_eq!(pod.read("a").as_deref(), Some(&b"1"[..]));
    assert_eq!(pod.seedcar(&["freeze", "--off"]).code(), 0);
    sidecar.shows("a", "2");
}
