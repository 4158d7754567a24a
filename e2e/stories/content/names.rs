//! Keys that are awkward as file names, and those that are none.

use std::collections::BTreeMap;

use super::names;
use crate::consul::{Consul, Kind};
use crate::rig::{Pod, SOON, Sidecar};
use crate::stories::{seeded, watching};
use crate::wait::eventually;

told_on_both!(
    where_a_key_and_a_folder_want_one_name_the_folder_wins_and_the_key_is_named,
    folder_markers_are_directories,
    unsafe_keys_are_named_and_touch_nothing,
    odd_but_safe_names_are_files,
    a_prefix_does_not_reach_its_neighbour,
    an_exact_prefix_reaches_all_that_begins_so,
);

/// The keys that the status names as skipped, with the reason.
fn skipped(sidecar: &Sidecar<'_>) -> BTreeMap<String, String> {
    let source = sidecar.source();
    assert_eq!(source.skipped_total, source.skipped.len());
    source.skipped.into_iter().collect()
}

fn where_a_key_and_a_folder_want_one_name_the_folder_wins_and_the_key_is_named(kind: Kind) {
    let (consul, pod) = seeded(kind, &[("app/a", "a file"), ("app/b", "1")]);
    let sidecar = watching(&pod, &[]);
    assert_eq!(pod.read("a").unwrap(), b"a file");
    consul.put("app/a/b", "below");
    sidecar.shows("a/b", "below");
    assert_eq!(names(&pod), ["a/", "a/b", "b"]);
    eventually("the status names the key", SOON, || {
        (skipped(&sidecar).get("app/a")? == "shadowed").then_some(())
    });
    assert_eq!(sidecar.metric("seedcar_skipped_keys"), Some(1.0));
    consul.delete("app/a/b");
    sidecar.shows("a", "a file");
    sidecar.until("nothing is skipped", |s| s.skipped_total == 0);
}

fn folder_markers_are_directories(kind: Kind) {
    let consul = Consul::start(kind);
    consul.txn_set(&[
        ("app/", b""),
        ("app/empty/", b""),
        ("app/full/", b""),
        ("app/full/key", b"1"),
        ("app/with-value/", b"lost"),
    ]);
    let pod = Pod::new(consul.addr(), "app");
    pod.init();
    assert_eq!(names(&pod), ["empty/", "full/", "full/key", "with-value/"]);
    let sidecar = watching(&pod, &[]);
    let expected = [("app/with-value/".to_owned(), "marker_value".to_owned())];
    eventually("the lost value is named", SOON, || {
        (skipped(&sidecar) == BTreeMap::from(expected.clone())).then_some(())
    });
    consul.txn_set(&[("app/new/", b"")]);
    eventually("the new folder is there", SOON, || pod.live().join("new").is_dir().then_some(()));
    consul.delete("app/empty/");
    eventually("the old folder is gone", SOON, || {
        (!pod.live().join("empty").exists()).then_some(())
    });
}

fn unsafe_keys_are_named_and_touch_nothing(kind: Kind) {
    let long = format!("app/{}", "n".repeat(300));
    let bad = [
        ("app/../escaped", "dot_segment"),
        ("app/../../../escaped", "dot_segment"),
        ("app/d/../../../escaped", "dot_segment"),
        ("app/./escaped", "dot_segment"),
        ("app//escaped", "empty_segment"),
        ("app/a//escaped", "empty_segment"),
        ("app/..data", "reserved"),
        ("app/..data/escaped", "reserved"),
        ("app/..manifest.json", "reserved"),
        ("app/nul\0escaped", "control"),
        ("app/line\nescaped", "control"),
        ("app/back\\escaped", "backslash"),
        (long.as_str(), "too_long"),
    ];
    let consul = Consul::start(kind);
    let value: &[u8] = b"escaped";
    let pairs: Vec<(&str, &[u8])> = bad.iter().map(|(key, _)| (*key, value)).collect();
    consul.txn_set(&pairs);
    consul.txn_set(&[("app/good", b"1"), ("/app/leading", b"2")]);
    let pod = Pod::new(consul.addr(), "app");
    pod.init();
    assert_eq!(names(&pod), ["good"]);
    let sidecar = watching(&pod, &[]);
    consul.put("app/better", "2");
    sidecar.shows("better", "2");
    let expected = bad.map(|(key, why)| (key.to_owned(), why.to_owned()));
    assert_eq!(skipped(&sidecar), BTreeMap::from(expected));
    assert_eq!(sidecar.metric("seedcar_skipped_keys"), Some(13.0));
    assert_nothing_escaped(&pod);
}

fn assert_nothing_escaped(pod: &Pod) {
    let listed = |dir: &std::path::Path| {
        let entries = std::fs::read_dir(dir).expect("a directory");
        let mut names: Vec<_> = entries.flatten().map(|e| e.file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(listed(pod.volume()), [".seedcar", "live"]);
    let live = listed(&pod.live());
    let ours = |name: &&std::ffi::OsString| name.to_string_lossy().starts_with("..2");
    let others: Vec<_> = live.iter().filter(|name| !ours(name)).collect();
    assert_eq!(others, ["..data", "better", "good"]);
    let above = pod.volume().parent().expect("not the root");
    for dir in [above, std::path::Path::new("/")] {
        assert!(!dir.join("escaped").exists(), "in {}", dir.display());
    }
}

fn odd_but_safe_names_are_files(kind: Kind) {
    let odd = ["a b", "é", "a*b?", "a:b", "d/..x", ".hidden", "-rf", "$(x)", "a=b", "\u{1F600}"];
    let consul = Consul::start(kind);
    let keys = odd.map(|name| format!("app/{name}"));
    let pairs: Vec<(&str, &[u8])> = keys.iter().map(|k| (k.as_str(), k.as_bytes())).collect();
    consul.txn_set(&pairs);
    let pod = Pod::new(consul.addr(), "app");
    pod.init();
    for (name, key) in odd.iter().zip(&keys) {
        assert_eq!(pod.read(name).as_deref(), Some(key.as_bytes()), "{name}");
    }
}

fn a_prefix_does_not_reach_its_neighbour(kind: Kind) {
    let (consul, pod) = seeded(kind, &[("app/x", "1"), ("app2/x", "2"), ("app", "3")]);
    assert_eq!(names(&pod), ["x"]);
    let sidecar = watching(&pod, &[]);
    consul.put("app2/y", "2");
    consul.put("app/y", "1");
    sidecar.shows("y", "1");
    assert_eq!(names(&pod), ["x", "y"]);
}

fn an_exact_prefix_reaches_all_that_begins_so(kind: Kind) {
    let consul = Consul::start(kind);
    for (key, value) in [("conf/app/x", "1"), ("conf/app2/x", "2"), ("conf/app.yaml", "3")] {
        consul.put(key, value);
    }
    consul.put("conf/other", "4");
    let pod = Pod::new(consul.addr(), "conf/app").arg(&["--exact-prefix"]);
    pod.init();
    assert_eq!(names(&pod), ["app.yaml", "app/", "app/x", "app2/", "app2/x"]);
    let sidecar = watching(&pod, &[]);
    consul.put("conf/app3", "5");
    sidecar.shows("app3", "5");
}
