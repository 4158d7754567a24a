//! Prefixes and keys that are hostile, or only odd.

use std::collections::BTreeMap;

use seedcar::demo::server::{Fault, Requests};

use crate::consul::{Consul, Kind};
use crate::ledger::Tally;
use crate::rig::{Pod, SOON, Sidecar};
use crate::rules::{asked_by, filled, published, shared};
use crate::stories::content::names;
use crate::stories::scene::{requests_counted, stopped, watching};
use crate::wait::{eventually, throughout};

const GROUP: &str = "rules::keys";

/// Waits until the status names exactly these keys as skipped, with these reasons.
#[track_caller]
fn until_skipped(sidecar: &Sidecar<'_>, expected: &[(String, &str)]) {
    let expected: BTreeMap<String, String> =
        expected.iter().map(|(key, why)| (key.clone(), (*why).to_owned())).collect();
    eventually("the skipped keys are named", SOON, || {
        (sidecar.source().skipped == expected).then_some(())
    });
    assert_eq!(sidecar.metric("seedcar_skipped_keys"), Some(expected.len() as f64));
}

/// Stores these below `prefix`, each with the value `x`; nothing of it may become a file.
fn skipped_all(tally: &mut Tally, consul: &Consul, prefix: &str, bad: &[(String, &str)]) {
    let bad: Vec<_> = bad.iter().map(|(key, why)| (format!("{prefix}/{key}"), *why)).collect();
    for (key, _) in &bad {
        consul.txn_set(&[(key, b"x")]);
    }
    consul.put(&format!("{prefix}/good"), "1");
    let pod = filled(consul, prefix);
    let sidecar = watching(&pod, &["--no-heartbeat"]);
    until_skipped(&sidecar, &bad);
    tally.cases(bad.len() as u64);
    tally.check(names(&pod) == ["good"], || format!("{:?}", names(&pod)));
    // The rest is kept up to date all the same.
    consul.put(&format!("{prefix}/good"), "2");
    sidecar.shows("good", "2");
    stopped(sidecar);
}

#[test]
fn rule_33_a_prefix_ends_with_its_slash() {
    let mut tally = Tally::of(GROUP);
    let consul = shared();
    for key in ["r33/foo/x", "r33/foobar/x", "r33/foo.d/x", "r33/foo"] {
        consul.put(key, "1");
    }
    let pod = filled(&consul, "r33/foo");
    tally.check(names(&pod) == ["x"], || format!("{:?}", names(&pod)));
    let sidecar = watching(&pod, &["--no-heartbeat"]);
    let before = requests_counted(&sidecar);
    throughout("neighbours wake nobody", std::time::Duration::from_secs(1), || {
        consul.put("r33/foobar/y", fastrand::u32(..).to_string());
        requests_counted(&sidecar) - before <= 1.0
    });
    tally.case();
    let exact = Pod::new(consul.addr(), "r33/foo").arg(&["--exact-prefix"]);
    exact.init();
    let expected = ["foo.d/", "foo.d/x", "foo/", "foo/x", "foobar/", "foobar/x", "foobar/y"];
    tally.check(names(&exact) == expected, || format!("{:?}", names(&exact)));
    stopped(sidecar);
    tally.finish();
}

#[test]
fn rule_34_the_whole_store_is_mirrored_only_where_that_is_allowed() {
    let mut tally = Tally::of(GROUP);
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    let pod = Pod::new(consul.addr(), "");
    let ended = pod.seedcar(&["init"]);
    tally.check(ended.code() == 78 && !pod.live().exists(), || ended.err.clone());
    let pod = Pod::new(consul.addr(), "").arg(&["--allow-root-prefix"]);
    pod.init();
    let sidecar = watching(&pod, &["--no-heartbeat"]);
    consul.put("other/b", "2");
    sidecar.shows("other/b", "2");
    tally.case();
    stopped(sidecar);
    tally.finish();
}

#[test]
fn rule_35_hostile_keys_are_named_and_are_no_files() {
    let mut tally = Tally::of(GROUP);
    let bad = [
        ("../up", "dot_segment"),
        ("../../../../tmp/up", "dot_segment"),
        ("d/../../up", "dot_segment"),
        ("./here", "dot_segment"),
        ("d/.", "dot_segment"),
        ("/lead", "empty_segment"),
        ("a//b", "empty_segment"),
        ("..data", "reserved"),
        ("..data/x", "reserved"),
        ("..manifest.json", "reserved"),
        ("nul\0", "control"),
        ("line\nfeed", "control"),
        ("back\\slash", "backslash"),
    ];
    let bad = bad.map(|(key, why)| (key.to_owned(), why));
    skipped_all(&mut tally, &shared(), "r35", &bad);
    tally.finish();
}

#[test]
fn rule_36_where_key_and_folder_want_one_name_the_folder_wins_and_nothing_flaps() {
    let mut tally = Tally::of(GROUP);
    let consul = shared();
    for key in ["r36/a", "r36/a/b", "r36/a/", "r36/c"] {
        consul.txn_set(&[(key, b"1")]);
    }
    let pod = filled(&consul, "r36");
    tally.check(names(&pod) == ["a/", "a/b", "c"], || format!("{:?}", names(&pod)));
    let sidecar = watching(&pod, &["--wait", "1s", "--heartbeat", "1s"]);
    until_skipped(
        &sidecar,
        &[("r36/a".to_owned(), "shadowed"), ("r36/a/".to_owned(), "marker_value")],
    );
    throughout("it publishes nothing", std::time::Duration::from_secs(2), || {
        published(&sidecar) == 0
    });
    consul.delete("r36/a/b");
    consul.txn_set(&[("r36/c", b"2")]);
    sidecar.shows("c", "2");
    tally.case();
    stopped(sidecar);
    tally.finish();
}

#[test]
fn rule_37_a_folder_marker_is_a_directory() {
    let mut tally = Tally::of(GROUP);
    let consul = shared();
    for key in ["r37/", "r37/empty/", "r37/deep/er/", "r37/full/", "r37/full/key"] {
        consul.txn_set(&[(key, b"")]);
    }
    let pod = filled(&consul, "r37");
    let expected = ["deep/", "deep/er/", "empty/", "full/", "full/key"];
    tally.check(names(&pod) == expected, || format!("{:?}", names(&pod)));
    tally.finish();
}

#[test]
fn rule_39_names_too_long_for_a_file_are_skipped() {
    let mut tally = Tally::of(GROUP);
    let bad = [
        ("n".repeat(256), "too_long"),
        (format!("d/{}", "n".repeat(300)), "too_long"),
        (format!("{}leaf", "folder/".repeat(600)), "too_long"),
        ("n".repeat(200_000), "too_long"),
    ];
    skipped_all(&mut tally, &shared(), "r39", &bad);
    let consul = shared();
    let long = "n".repeat(255);
    consul.put(&format!("r39b/{long}"), "1");
    let pod = filled(&consul, "r39b");
    tally.check(names(&pod) == [long], || "the longest name is no file".to_owned());
    tally.finish();
}

#[test]
fn rule_40_names_whose_bytes_were_lost_are_skipped() {
    let mut tally = Tally::of(GROUP);
    let consul = shared();
    for bytes in ["%FF%FE", "x%C3", "d/%80"] {
        let target = format!("/v1/kv/r40/{bytes}");
        assert_eq!(consul.ask("PUT", &target, b"x").expect("an answer").status, 200);
    }
    consul.put("r40/good", "1");
    let pod = filled(&consul, "r40");
    let sidecar = watching(&pod, &["--no-heartbeat"]);
    let bad = ["r40/\u{FFFD}\u{FFFD}", "r40/x\u{FFFD}", "r40/d/\u{FFFD}"];
    until_skipped(&sidecar, &bad.map(|key| (key.to_owned(), "not_utf8")));
    tally.cases(bad.len() as u64);
    tally.check(names(&pod) == ["good"], || format!("{:?}", names(&pod)));
    stopped(sidecar);
    tally.finish();
}

#[test]
fn rule_69_names_that_a_newer_consul_refuses_to_read_one_by_one_are_listed() {
    let mut tally = Tally::of(GROUP);
    let consul = Consul::start(Kind::Embedded);
    let odd = ["a b", "x@y", "\u{e9}", "p%q", "c:d"];
    for name in odd {
        consul.kv().put(&format!("app/{name}"), name);
    }
    let invalid = Fault::status(500, "invalid key name, keys should respect the key name format");
    let single = Requests::from_agent("seedcar").to("/v1/kv/").without("/app/?");
    consul.faults().add(single, invalid);
    let pod = filled(&consul, "app");
    let sidecar = watching(&pod, &["--wait", "1s", "--heartbeat", "1s"]);
    consul.kv().put("app/a b", "new");
    sidecar.shows("a b", "new");
    for name in &odd[1..] {
        tally.check(pod.read(name).as_deref() == Some(name.as_bytes()), || (*name).to_owned());
    }
    for mechanism in ["seed", "watch", "heartbeat"] {
        for asked in asked_by(&consul, mechanism) {
            let listed = asked.target.contains("/v1/kv/app/?");
            tally.check(listed, || format!("{mechanism}: {}", asked.target));
        }
    }
    stopped(sidecar);
    tally.finish();
}
