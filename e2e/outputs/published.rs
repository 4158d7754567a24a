//! Files of all keys, from a real Consul.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, Mode, OFlags, openat};
use serde_json::{Value, json};

use crate::consul::{Consul, Kind};
use crate::rig::{Pod, SOON};
use crate::wait::{Curtain, eventually};

const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC);

/// A file of one opened generation, or nothing if that has gone.
fn read_at(directory: &std::os::fd::OwnedFd, name: &str) -> Option<String> {
    let file = openat(directory, name, READ, Mode::empty()).ok()?;
    std::io::read_to_string(std::fs::File::from(file)).ok()
}

#[test]
fn one_transaction_is_never_seen_mixed_across_the_tree_and_the_files() {
    let consul = Consul::start(Kind::Real);
    let set = |n: usize| {
        let value = n.to_string();
        consul.txn_set(&[
            ("app/a", value.as_bytes()),
            ("app/b", value.as_bytes()),
            ("app/c/d", value.as_bytes()),
        ]);
    };
    set(0);
    let pod = Pod::new(consul.addr(), "app").arg(&["--file", "all.json", "--file", "etc/all.env"]);
    pod.init();
    let sidecar = pod.run(&[]);
    sidecar.until("the watch works", |s| s.mechanisms["watch"].up);
    let stop = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let curtain = Curtain(&stop);
        let reader = scope.spawn(|| {
            let mut seen = std::collections::BTreeSet::new();
            while !stop.load(Ordering::Relaxed) {
                let data = pod.live().join("..data/");
                let Ok(directory) = openat(CWD, data, READ | OFlags::DIRECTORY, Mode::empty())
                else {
                    continue;
                };
                let names = ["a", "b", "c/d", "all.json", "etc/all.env"];
                let read: Option<Vec<String>> =
                    names.iter().map(|name| read_at(&directory, name)).collect();
                let Some(read) = read else { continue };
                let n = &read[0];
                assert!(read[1] == *n && read[2] == *n, "{read:?}");
                let parsed: Value = serde_json::from_str(&read[3]).expect("JSON");
                assert_eq!(parsed, json!({"a": n, "b": n, "c": {"d": n}}));
                assert_eq!(read[4], format!("A={n}\nB={n}\nC_D={n}\n"));
                seen.insert(n.clone());
            }
            seen
        });
        for n in 1..40 {
            set(n);
            let value = n.to_string();
            sidecar.shows("a", value.as_bytes());
        }
        drop(curtain);
        reader.join().expect("the reader")
    });
    assert!(seen.len() > 10, "{seen:?}");
}

#[test]
fn layers_are_laid_over_each_other_as_the_output_says_and_not_as_the_sources_stand() {
    let consul = Consul::start(Kind::Real);
    for (key, value) in [("base/a", "base"), ("base/b", "base"), ("app/b", "app"), ("app/c", "app")]
    {
        consul.put(key, value);
    }
    let config = json!({
        "sources": [{"name": "app", "prefix": "app"}, {"name": "base", "prefix": "base"}],
        "outputs": [
            {"tree": {"layers": ["base", "app"]}},
            {"file": {"path": "turned.json", "layers": ["app", "base"]}},
            {"file": {"path": "base.yaml", "layers": ["base"]}},
        ],
    });
    let pod = Pod::configured(consul.addr(), &config);
    pod.init();
    let sidecar = pod.run(&[]);
    for (file, value) in [("a", "base"), ("b", "app"), ("c", "app")] {
        sidecar.shows(file, value);
    }
    let turned = json!({"a": "base", "b": "base", "c": "app"});
    let read = pod.read("turned.json").expect("it is there");
    assert_eq!(serde_json::from_slice::<Value>(&read).expect("JSON"), turned);
    sidecar.shows("base.yaml", "a: base\nb: base\n");
    consul.put("base/a", "new");
    sidecar.shows("base.yaml", "a: new\nb: base\n");
    sidecar.shows("a", "new");
}

#[test]
fn what_a_file_cannot_hold_is_named_in_the_status_and_in_the_tree_all_the_same() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/bin", [0xff, 0xfe]);
    consul.put("app/x-y", "1");
    consul.put("app/x_y", "2");
    let pod = Pod::new(consul.addr(), "app").arg(&["--file", "all.env"]);
    pod.init();
    let sidecar = pod.run(&[]);
    sidecar.shows("all.env", "X_Y=1\n");
    sidecar.shows("bin", [0xff, 0xfe]);
    let source = sidecar.until("they are named", |source| source.skipped_total == 2);
    assert_eq!(source.skipped["app/bin"], "not_text");
    assert_eq!(source.skipped["app/x_y"], "same_name");
}

#[test]
fn a_file_that_is_asked_for_later_is_made_without_a_change_in_consul() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    let pod = Pod::new(consul.addr(), "app");
    pod.init();
    assert!(pod.read("all.json").is_none());
    let sidecar = pod.run(&["--file", "all.json"]);
    sidecar.shows("all.json", "{\n  \"a\": \"1\"\n}\n");
    sidecar.shows("a", "1");
}

#[test]
fn a_file_of_a_large_prefix_is_made_as_soon_though_its_values_were_not_to_be_read_again() {
    let consul = Consul::start(Kind::Real);
    let large = "x".repeat(100_000);
    consul.put("app/a", &large);
    let pod = Pod::new(consul.addr(), "app").arg(&["--no-heartbeat"]);
    pod.init();
    // A fresh generation of a prefix of this size is taken up with a question for its index alone.
    let sidecar = pod.run(&["--file", "all.env"]);
    sidecar.shows("all.env", format!("A={large}\n"));
    eventually("it is said once", SOON, || (sidecar.events("made_again").len() == 1).then_some(()));
}

#[test]
fn a_file_that_would_be_too_large_leaves_what_is_there_and_says_so() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    let args = ["--file", "all.json", "--max-bytes", "4Ki"];
    let pod = Pod::new(consul.addr(), "app").arg(&args);
    pod.init();
    let sidecar = pod.run(&[]);
    sidecar.until("the watch works", |s| s.mechanisms["watch"].up);
    // Within the guard, and six times as large in JSON.
    consul.put("app/b", "\0".repeat(3000));
    eventually("it is said", SOON, || {
        let held = sidecar.events("held");
        let text = held.first()?["error"].as_str()?.to_owned();
        text.contains("all.json would be larger than 4505 bytes").then_some(())
    });
    assert!(pod.read("b").is_none());
    assert_eq!(pod.read("all.json").as_deref(), Some(&b"{\n  \"a\": \"1\"\n}\n"[..]));
    consul.put("app/b", "2");
    sidecar.shows("all.json", "{\n  \"a\": \"1\",\n  \"b\": \"2\"\n}\n");
}

#[test]
fn a_source_that_was_adopted_and_is_held_stops_no_other() {
    let consul = Consul::start(Kind::Real);
    for key in ["base/a", "base/b", "app/c"] {
        consul.put(key, "1");
    }
    let addr = consul.addr().to_string();
    let pod = Pod::bare().arg(&["--consul", &addr, "--source", "base=base", "--source", "app=app"]);
    pod.init();
    let sidecar = pod.run(&["--backup-delay", "0s"]);
    eventually("there are backups", SOON, || (pod.backups().len() >= 2).then_some(()));
    drop(sidecar);
    // What comes of the one is refused from the first answer on; of it nothing is known but its digest.
    consul.delete_recurse("base/");
    let sidecar = pod.run(&[]);
    eventually("it is held", SOON, || sidecar.status().sources["base"].held.clone());
    consul.put("app/c", "2");
    sidecar.shows("c", "2");
    sidecar.shows("a", "1");
}
