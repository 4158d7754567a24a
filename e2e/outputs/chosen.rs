//! Which keys an output takes, what it calls them, and how its files are.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::consul::{Consul, Kind};
use crate::rig::{Pod, SOON};
use crate::wait::eventually;

/// A pod with these outputs of the prefix `app`.
fn pod(consul: &Consul, outputs: &Value) -> Pod {
    let config = json!({"sources": [{"name": "app", "prefix": "app"}], "outputs": outputs});
    Pod::configured(consul.addr(), &config)
}

fn mode(pod: &Pod, path: &str) -> Option<u32> {
    let there = std::fs::metadata(pod.live().join(path)).ok()?;
    Some(there.permissions().mode() & 0o7777)
}

#[test]
fn keys_are_chosen_renamed_and_decoded_and_files_have_their_modes() {
    let consul = Consul::start(Kind::Real);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(b"unpacked").expect("pack it");
    for (key, value) in [
        ("app/db/host", &b"here"[..]),
        ("app/db/tls/key", b"c2VjcmV0"),
        ("app/db/tls/bad", b"***"),
        ("app/db/notes.md", b"read me"),
        ("app/web/Pool-Size", b"7"),
        ("app/web/rules", &gzip.finish().expect("pack it")),
    ] {
        consul.put(key, value);
    }
    let outputs = json!([
        {"tree": {
            "path": "etc", "include": ["db/**"], "exclude": ["**/*.md"], "strip": "db",
            "decode": [{"keys": "db/tls/*", "as": "base64"}],
            "modes": [{"keys": "db/tls/*", "mode": "0400"}, {"keys": "**", "mode": "0440"}],
        }},
        {"tree": {
            "path": "flat", "include": ["web/*"], "separator": "_", "case": "upper",
            "decode": [{"keys": "web/rules", "as": "gzip"}],
        }},
        {"file": {"path": "web.env", "include": ["web/Pool-*"], "strip": "web", "mode": "0555"}},
        {"file": {"path": "host.txt", "key": "db/host", "mode": "0400"}},
        {"file": {"path": "port.txt", "key": "db/port", "default": "5432\n"}},
    ]);
    let pod = pod(&consul, &outputs);
    pod.init();
    let sidecar = pod.run(&["--heartbeat", "1s"]);
    let expected = [
        ("etc/host", "here", 0o440),
        ("etc/tls/key", "secret", 0o400),
        ("flat/WEB_POOL-SIZE", "7", 0o444),
        ("flat/WEB_RULES", "unpacked", 0o444),
        ("host.txt", "here", 0o400),
        ("port.txt", "5432\n", 0o444),
        ("web.env", "POOL_SIZE=7\n", 0o555),
    ];
    let tree: Vec<_> = pod.tree().into_iter().filter(|(path, _)| !path.ends_with('/')).collect();
    let contents = expected.map(|(path, value, _)| (path.to_owned(), value.as_bytes().to_vec()));
    assert_eq!(tree, contents);
    let modes = || expected.iter().all(|(path, _, is)| mode(&pod, path) == Some(*is));
    assert!(modes());
    let source = sidecar.until("it is named", |source| source.skipped_total == 1);
    assert_eq!(source.skipped["app/db/tls/bad"], "not_decoded");

    // An unchanged file is the same one in the next generation, and keeps its mode there.
    consul.put("app/db/port", "1");
    sidecar.shows("port.txt", "1");
    assert!(modes());

    // Another mode is damage, as another content is.
    let key = pod.live().join("etc/tls/key");
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o444)).expect("chmod");
    eventually("it is put right", SOON, || modes().then_some(()));
    // It is said once it is done.
    eventually("it is said", SOON, || (!sidecar.events("repaired").is_empty()).then_some(()));
    drop(sidecar);

    // And what is adopted is what was published: nothing is made again.
    let sidecar = pod.run(&[]);
    sidecar.until_fresh();
    eventually("it is adopted", SOON, || (sidecar.events("adopted").len() == 1).then_some(()));
    assert!(sidecar.events("made_again").is_empty());
}

#[test]
fn a_value_that_unpacks_to_more_than_is_allowed_leaves_what_is_there() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    let outputs = json!([{"tree": {"decode": [{"keys": "bomb", "as": "gzip"}]}}]);
    let pod = pod(&consul, &outputs);
    let pod = pod.arg(&["--max-bytes", "1Mi"]);
    pod.init();
    let sidecar = pod.run(&[]);
    sidecar.until("the watch works", |s| s.mechanisms["watch"].up);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&vec![0; 100 << 20]).expect("pack it");
    consul.txn_set(&[("app/a", b"2"), ("app/bomb", &gzip.finish().expect("pack it"))]);
    eventually("it is said", SOON, || {
        let held = sidecar.events("held");
        held.first()?["error"].as_str()?.contains("bomb would be larger").then_some(())
    });
    assert_eq!(pod.read("a").as_deref(), Some(&b"1"[..]));
    let peak = peak_kib(sidecar.pid());
    assert!(peak < 60 << 10, "{peak} KiB for a value of 100 MiB");
    consul.put("app/bomb", "");
    sidecar.shows("a", "2");
}

/// The most memory that a process has had.
fn peak_kib(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line of it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
