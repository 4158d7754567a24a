//! The files of a service, while it changes.

use serde_json::{Value, json};

use super::scene::{
    deregister, fill, ids, ids_in, note_on, pod, register, register_on, remove_node, tell,
};
use crate::consul::{Consul, Kind};
use crate::rig::{Pod, SOON, Sidecar};
use crate::stories::scene::{A_WHILE, manifest, stopped};
use crate::wait::{eventually, throughout};

/// By the watch alone: the heartbeat is far away.
fn watching(pod: &Pod) -> Sidecar<'_> {
    let sidecar = pod.run(&["--heartbeat", "1h"]);
    eventually("each watch works", SOON, || {
        sidecar.status().sources.values().all(|s| s.mechanisms["watch"].up).then_some(())
    });
    sidecar
}

#[track_caller]
fn until_ids(pod: &Pod, expected: &[&str]) {
    eventually(&format!("the instances are {expected:?}"), SOON, || {
        (ids(pod)? == expected).then_some(())
    });
}

#[test]
fn instances_that_join_leave_and_fail_show_at_once() {
    let consul = Consul::start(Kind::Real);
    register(&consul, "a", 1, &["blue", "primary"]);
    register(&consul, "b", 2, &["blue"]);
    let source = |name: &str, service: Value| json!({"name": name, "service": service});
    let sources = json!([
        source("all", json!({"name": "web", "file": "web.json"})),
        source("primary", json!({"name": "web", "tag": "primary"})),
        source("lenient", json!({"name": "web", "passing": false, "format": "lines"})),
        source("nginx", json!({"name": "web", "file": "up.conf", "line": "server {};"})),
    ]);
    let pod = Pod::configured(consul.addr(), &json!({"sources": sources}));
    pod.init();
    let first: Value = serde_json::from_slice(&pod.read("web.json").expect("a file")).unwrap();
    let node = first[0]["node"].as_str().expect("a node").to_owned();
    assert_eq!(
        first[0],
        json!({"id": "a", "name": "web", "node": node, "address": "10.0.0.1", "port": 1,
               "tags": ["blue", "primary"], "meta": {}, "datacenter": "dc1",
               "weights": {"passing": 1, "warning": 1}, "status": "passing"})
    );
    assert_eq!(ids_in(&pod, "primary.json").expect("a file"), ["a"]);
    let sidecar = watching(&pod);
    sidecar.shows("up.conf", "server 10.0.0.1:1;\nserver 10.0.0.1:2;\n");

    register(&consul, "c", 3, &["primary"]);
    until_ids(&pod, &["a", "b", "c"]);
    sidecar.shows("lenient.txt", "10.0.0.1:1\n10.0.0.1:2\n10.0.0.1:3\n");
    tell(&consul, "warn", "a", "slow");
    until_ids(&pod, &["b", "c"]);
    sidecar.shows("up.conf", "server 10.0.0.1:2;\nserver 10.0.0.1:3;\n");
    sidecar.shows("lenient.txt", "10.0.0.1:1\n10.0.0.1:2\n10.0.0.1:3\n");
    tell(&consul, "fail", "a", "dead");
    sidecar.shows("lenient.txt", "10.0.0.1:2\n10.0.0.1:3\n");
    tell(&consul, "pass", "a", "well");
    until_ids(&pod, &["a", "b", "c"]);
    deregister(&consul, "b");
    until_ids(&pod, &["a", "c"]);
    eventually("those with the tag", SOON, || {
        (ids_in(&pod, "primary.json")? == ["a", "c"]).then_some(())
    });
    // It moves to another port.
    register(&consul, "c", 33, &["primary"]);
    sidecar.shows("up.conf", "server 10.0.0.1:1;\nserver 10.0.0.1:33;\n");
    assert_eq!(sidecar.status().sources["primary"].keys, 2);
    let table = pod.seedcar(&["status", "--http", &sidecar.addr().to_string()]).log;
    assert!(table.contains("source primary (service web, tag primary)"), "{table}");
    stopped(sidecar);
}

#[test]
fn what_means_nothing_to_an_application_publishes_nothing() {
    let consul = Consul::start(Kind::Real);
    let service = json!({"ID": "a", "Service": "web", "Port": 1});
    register_on(&consul, "n1", &service);
    let pod = pod(&consul, &json!({}));
    pod.init();
    let sidecar = watching(&pod);
    let before = (manifest(&pod).generation, sidecar.source().digest);
    // Each moves the index and wakes the watch.
    let mut n = 0;
    throughout("the generation stays", A_WHILE, || {
        n += 1;
        note_on(&consul, "n1", &service, &format!("note {n}"));
        (manifest(&pod).generation, sidecar.source().digest) == before
    });
    let asked = "/v1/health/service/web?passing";
    let now = consul.ask("GET", asked, b"").expect("Consul answers");
    assert!(now.text().contains(&format!("note {n}")));
    let index = now.index().expect("an index");
    sidecar.until("the watch has seen the last of them", |s| s.index == Some(index));
    assert_eq!((manifest(&pod).generation, sidecar.source().digest), before);
    let published = sidecar.events("published").len();
    register_on(&consul, "n2", &service);
    eventually("another instance", SOON, || (ids(&pod)? == ["a", "a"]).then_some(()));
    // The line comes after what it tells of.
    let told = eventually("it is told of", SOON, || {
        Some(sidecar.events("published").len()).filter(|told| *told > published)
    });
    assert_eq!(told, published + 1);
    stopped(sidecar);
}

#[test]
fn a_service_and_keys_are_one_generation() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    register(&consul, "a", 1, &[]);
    let sources = json!([
        {"name": "app", "prefix": "app"},
        {"name": "web", "service": {"name": "web", "file": "etc/web.txt", "format": "lines"}},
    ]);
    let pod = Pod::configured(consul.addr(), &json!({"sources": sources}));
    pod.init();
    let tree: Vec<_> = pod.tree().into_iter().collect();
    let file = |path: &str, value: &str| (path.to_owned(), value.as_bytes().to_vec());
    assert_eq!(tree, [file("a", "1"), file("etc/", ""), file("etc/web.txt", "10.0.0.1:1\n")]);
    let said = manifest(&pod);
    let parts: Vec<_> = said.sources.iter().map(|p| (&*p.prefix, p.keys)).collect();
    assert_eq!(parts, [("app/", 1), ("/service/web?passing/", 1)]);

    let sidecar = watching(&pod);
    let inode = |path: &str| {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(pod.live().join(path)).map(|meta| meta.ino()).ok()
    };
    // What is adopted is linked once all of it has been read.
    register(&consul, "b", 2, &[]);
    sidecar.shows("etc/web.txt", "10.0.0.1:1\n10.0.0.1:2\n");
    let (keys, lines) = (inode("a"), inode("etc/web.txt"));
    register(&consul, "c", 3, &[]);
    sidecar.shows("etc/web.txt", "10.0.0.1:1\n10.0.0.1:2\n10.0.0.1:3\n");
    assert_eq!((inode("a"), inode("etc/web.txt") == lines), (keys, false));
    let lines = inode("etc/web.txt");
    consul.put("app/a", "2");
    sidecar.shows("a", "2");
    assert_eq!(inode("etc/web.txt"), lines, "what did not change is the same file");
    // A restart adopts both as they are.
    stopped(sidecar);
    let sidecar = watching(&pod);
    eventually("it is adopted", SOON, || (sidecar.events("adopted").len() == 1).then_some(()));
    assert!(sidecar.events("made_again").is_empty());
    stopped(sidecar);
    let diff = pod.seedcar(&["diff", "--all"]);
    assert!(diff.log.contains("etc/web.txt"), "{}", diff.log);
}

#[test]
fn a_large_service_is_followed_too() {
    let consul = Consul::start(Kind::Real);
    // Above what is watched by a doorbell, of which a service has none.
    fill(&consul, 200);
    let pod = pod(&consul, &json!({}));
    pod.init();
    let sidecar = watching(&pod);
    assert_eq!(sidecar.source().keys, 200);
    for n in 0..5 {
        register_on(&consul, &format!("m{n}"), &json!({"ID": "web", "Service": "web"}));
        eventually("it joins", SOON, || (ids(&pod)?.len() == 201).then_some(()));
        remove_node(&consul, &format!("m{n}"));
        eventually("it leaves", SOON, || (ids(&pod)?.len() == 200).then_some(()));
    }
    consul.restart();
    sidecar.until("the watch works again", |s| s.mechanisms["watch"].up);
    register_on(&consul, "m", &json!({"ID": "web", "Service": "web"}));
    eventually("it joins", SOON, || (ids(&pod)?.len() == 201).then_some(()));
    stopped(sidecar);
}
