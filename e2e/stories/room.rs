//! A volume without room: refused before anything is written, and the old files stay.

use std::path::PathBuf;

use super::Kind;
use crate::consul::Consul;
use crate::rig::{Mount, Pod, Sidecar};

told_on_both!(
    init_ends_73_where_the_content_does_not_fit,
    init_ends_73_where_there_are_too_few_inodes,
    what_does_not_fit_leaves_the_old_files_and_is_published_once_it_fits,
);

fn init_ends_73_where_the_content_does_not_fit(kind: Kind) {
    let consul = Consul::start(kind);
    consul.put("app/large", vec![b'x'; 300 * 1024]);
    assert_refused(&consul, Mount::Small, "bytes");
}

fn init_ends_73_where_there_are_too_few_inodes(kind: Kind) {
    let consul = Consul::start(kind);
    (0..20).for_each(|n| consul.put(&format!("app/{n}"), "1"));
    assert_refused(&consul, Mount::FewInodes, "inodes");
}

fn what_does_not_fit_leaves_the_old_files_and_is_published_once_it_fits(kind: Kind) {
    let consul = Consul::start(kind);
    consul.put("app/small", "1");
    let mut pod = Pod::new(consul.addr(), "app");
    pod.mount_volume(Mount::Small);
    let sidecar = pod.run(&["--seed"]);
    sidecar.until("it is seeded and followed", |s| s.keys == 1 && s.mechanisms["watch"].up);

    consul.put("app/large", vec![b'x'; 300 * 1024]);
    let full = crate::wait::eventually("it says that there is no room", crate::rig::SOON, || {
        sidecar.status().volume_error
    });
    assert_eq!(full.kind, "full");
    assert!(full.text.contains("sizeLimit"), "what to do: {}", full.text);
    assert!(sidecar.metric("seedcar_publish_errors_total{kind=\"full\"}").unwrap() >= 1.0);
    assert_eq!(inside(&pod, &sidecar, "small").unwrap(), b"1");
    assert!(inside(&pod, &sidecar, "large").is_none());

    consul.put("app/large", "smaller");
    sidecar.until("it fits", |s| s.keys == 2);
    assert_eq!(inside(&pod, &sidecar, "large").unwrap(), b"smaller");
    sidecar.until_fresh();
}

#[track_caller]
fn assert_refused(consul: &Consul, mount: Mount, unit: &str) {
    let mut pod = Pod::new(consul.addr(), "app");
    pod.mount_volume(mount);
    let ended = pod.seedcar(&["init"]);
    assert_eq!(ended.code(), 73, "{}\n{}", ended.err, ended.log);
    assert!(ended.err.contains("no room") && ended.err.contains(unit), "{}", ended.err);
    assert!(ended.events("published").is_empty());
}

/// A file as the sidecar's own mount namespace has it.
fn inside(pod: &Pod, sidecar: &Sidecar<'_>, path: &str) -> Option<Vec<u8>> {
    let root = PathBuf::from(format!("/proc/{}/root", sidecar.pid()));
    let live = pod.live();
    let below = live.strip_prefix("/").expect("an absolute path");
    std::fs::read(root.join(below).join("..data").join(path)).ok()
}
