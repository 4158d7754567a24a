//! Volumes that were shared, left half done, or watched.

use std::os::unix::fs::symlink;
use std::sync::mpsc;

use notify::{RecursiveMode, Watcher};

use crate::consul::{Consul, Kind};
use crate::ledger::Tally;
use crate::rig::{Pod, SOON};
use crate::stories::scene::{seeded, stopped, watching};
use crate::wait::eventually;

/// What another process has written to the shared backups says nothing of our own files.
#[test]
fn two_pods_that_share_backups_both_see_a_change() {
    let mut tally = Tally::of("incidents::volumes::two_pods_that_share_backups_both_see_a_change");
    let consul = Consul::start(Kind::Embedded);
    consul.put("app/a", "1");
    let pods = [(); 2].map(|()| Pod::new(consul.addr(), "app"));
    std::fs::remove_dir(pods[1].backup()).expect("remove the backup directory");
    symlink(pods[0].backup(), pods[1].backup()).expect("share the backups");
    let sidecars = pods.each_ref().map(|pod| {
        pod.init();
        watching(pod, &["--backup-delay", "0s"])
    });
    for n in 0..5 {
        let value = format!("value {n}");
        consul.put("app/a", &value);
        for sidecar in &sidecars {
            sidecar.shows("a", &value);
            let is_saved = |s: &seedcar::status::Source| {
                s.backup.as_ref().map(|b| &b.digest) == s.digest.as_ref()
            };
            sidecar.until("its backup holds it", is_saved);
        }
        tally.cases(2);
    }
    sidecars.into_iter().for_each(stopped);
    consul.kill();
    for pod in &pods {
        pod.wipe_volume();
        pod.init();
        let found = pod.read("a");
        tally.check(found.as_deref() == Some(b"value 4"), || format!("seeded with {found:?}"));
    }
    tally.finish();
}

/// A process killed between the swap of a generation and the links to its names.
#[test]
fn a_name_whose_link_was_never_made_gets_it_at_the_next_start() {
    let (_consul, pod) = seeded(Kind::Embedded, 2, 1);
    let link = pod.live().join("few");
    std::fs::remove_file(&link).expect("remove a link");
    pod.init();
    assert!(pod.read("few/k0").is_some(), "after another init");
    std::fs::remove_file(&link).expect("remove a link");
    let sidecar = pod.run(&[]);
    eventually("the sidecar makes it", SOON, || pod.read("few/k0").map(drop));
    stopped(sidecar);
}

/// A machine that went down may leave files without a byte in them.
#[test]
fn empty_files_of_ours_stop_nothing() {
    let (consul, pod) = seeded(Kind::Embedded, 2, 1);
    stopped(watching(&pod, &[]));
    let files = pod.tree();
    let own = pod.volume().join(".seedcar");
    let named: Vec<_> = std::fs::read_dir(&own).expect("ours").flatten().collect();
    assert!(named.len() >= 2, "{named:?}");
    for entry in named {
        std::fs::write(entry.path(), "").expect("empty it");
    }
    pod.init();
    let manifest = pod.live().join("..data/..manifest.json");
    std::fs::remove_file(&manifest).expect("remove the manifest");
    std::fs::write(&manifest, "").expect("empty it");
    pod.init();
    assert_eq!(pod.tree(), files);
    let sidecar = watching(&pod, &[]);
    consul.put("app/new", "1");
    sidecar.shows("new", "1");
    sidecar.until_fresh();
    stopped(sidecar);
}

/// A program that watches the directory, as the reloaders of ConfigMaps do.
#[test]
fn a_watcher_of_the_directory_hears_of_every_generation() {
    let (consul, pod) = seeded(Kind::Embedded, 2, 1);
    let sidecar = watching(&pod, &[]);
    let (tell, told) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(tell).expect("inotify");
    watcher.watch(&pod.live(), RecursiveMode::NonRecursive).expect("a watch");
    for n in 0..5 {
        let value = n.to_string();
        consul.put("app/few/k0", &value);
        let swapped = |event: notify::Event| event.paths.iter().any(|p| p.ends_with("..data"));
        loop {
            let event = told.recv_timeout(SOON).expect("an event").expect("no error");
            if swapped(event) && pod.read("few/k0").as_deref() == Some(value.as_bytes()) {
                break;
            }
        }
    }
    stopped(sidecar);
}
