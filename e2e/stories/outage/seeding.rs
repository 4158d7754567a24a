//! The first fill while Consul is dead, frozen or without a leader.

use std::path::Path;
use std::time::{Duration, Instant};

use seedcar::demo::server::{Fault, Requests};
use seedcar::model::confirmation::Origin;

use super::super::scene::{
    backed_up, consul_with, content, manifest, newest_backup, status_file, stopped, watching,
};
use crate::consul::{Consul, Kind};
use crate::rig::{Pod, SOON};
use crate::wait::eventually;

told_on_both!(
    a_damaged_backup_is_passed_over_for_an_older_one_and_the_reason_shown,
    with_every_backup_damaged_it_says_so_and_fills_nothing,
    a_sidecar_on_an_empty_volume_tries_past_its_deadline_until_consul_comes,
    init_leaves_a_frozen_consul_for_the_backup_within_its_share_of_the_deadline,
);

fn a_damaged_backup_is_passed_over_for_an_older_one_and_the_reason_shown(kind: Kind) {
    let (consul, pod) = backed_up(kind, 5, 1);
    let older = content(&consul);
    let sidecar = watching(&pod, &["--backup-delay", "0s"]);
    consul.put("app/new", "1");
    eventually("the change is backed up too", SOON, || (pod.backups().len() == 2).then_some(()));
    stopped(sidecar);
    consul.kill();
    pod.wipe_volume();
    let newest = newest_backup(&pod);
    flip_a_bit(&newest);
    let ended = pod.init();
    assert_eq!(pod.tree(), older);
    let refused = ended.events("backup_refused");
    assert_eq!(refused.len(), 1, "{}", ended.log);
    let name = newest.file_name().and_then(|name| name.to_str());
    assert_eq!(refused[0]["file"].as_str(), name);
    assert!(!refused[0]["error"].as_str().unwrap().is_empty());
    assert!(newest.exists(), "a reader moves nothing away");
}

fn with_every_backup_damaged_it_says_so_and_fills_nothing(kind: Kind) {
    let (consul, pod) = backed_up(kind, 5, 1);
    consul.kill();
    pod.wipe_volume();
    flip_a_bit(&newest_backup(&pod));
    let ended = pod.seedcar(&["init", "--seed-timeout", "1s"]);
    assert_eq!(ended.code(), 65, "{}", ended.err);
    assert!(ended.err.contains("damaged"), "{}", ended.err);
    assert!(!pod.live().join("..data").exists());
}

/// In the middle of the file: where the values are.
fn flip_a_bit(file: &Path) {
    let mut bytes = std::fs::read(file).expect("a backup");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).expect("write the backup");
}

fn a_sidecar_on_an_empty_volume_tries_past_its_deadline_until_consul_comes(kind: Kind) {
    let consul = consul_with(kind, 5, 1);
    let files = content(&consul);
    consul.kill();
    let pod = Pod::new(consul.addr(), "app").arg(&["--seed-timeout", "1s"]);
    let sidecar = pod.run(&[]);
    eventually("its deadline has passed twice", SOON, || {
        assert_eq!(sidecar.get("/startupz").0, 503);
        assert_eq!(sidecar.get("/readyz").0, 503);
        assert_eq!(sidecar.get("/livez").0, 200);
        (sidecar.events("not_seeded").len() >= 2).then_some(())
    });
    assert!(!pod.live().join("..data").exists());
    consul.restart();
    eventually("it is seeded", SOON, || (sidecar.get("/startupz").0 == 200).then_some(()));
    assert_eq!(pod.tree(), files);
    sidecar.until_fresh();
    stopped(sidecar);
}

fn init_leaves_a_frozen_consul_for_the_backup_within_its_share_of_the_deadline(kind: Kind) {
    let (consul, pod) = backed_up(kind, 5, 1);
    let files = content(&consul);
    pod.wipe_volume();
    consul.freeze();
    let begun = Instant::now();
    let ended = pod.seedcar(&["init", "--seed-timeout", "6s"]);
    let took = begun.elapsed();
    consul.thaw();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert_eq!(pod.tree(), files);
    assert_eq!(manifest(&pod).sources[0].origin, Origin::Backup);
    let seconds = Duration::from_secs;
    assert!(took >= seconds(2), "Consul has a third: {took:?}");
    assert!(took < seconds(5), "and no more: {took:?}");
}

/// Only stale questions are answered, as by a server that cannot reach its leader.
fn hang_the_leader(consul: &Consul) {
    let led = Requests::from_agent("seedcar").without("stale");
    consul.faults().add(led, Fault::NeverAnswer);
}

#[test]
fn a_stale_answer_seeds_where_the_leader_does_not_answer_and_says_so() {
    let consul = consul_with(Kind::Embedded, 5, 1);
    stale_seeds(&consul, &Pod::new(consul.addr(), "app"));
}

#[test]
fn a_stale_answer_seeds_also_where_there_are_no_backups() {
    let consul = consul_with(Kind::Embedded, 5, 1);
    let pod = Pod::new(consul.addr(), "app").arg(&["--no-backup"]);
    stale_seeds(&consul, &pod);
}

fn stale_seeds(consul: &Consul, pod: &Pod) {
    let files = content(consul);
    hang_the_leader(consul);
    let begun = Instant::now();
    pod.init();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(8), "before Consul's share is over: {took:?}");
    assert_eq!(pod.tree(), files);
    let part = &manifest(pod).sources[0];
    assert_eq!((part.origin, part.stale), (Origin::Consul, true));
    assert_eq!(status_file(pod).expect("a status").confirmed, None);

    let sidecar = pod.run(&[]);
    assert!(sidecar.source().stale_read);
    consul.faults().clear();
    sidecar.until("the leader has confirmed it", |s| !s.stale_read);
    sidecar.until_fresh();
    stopped(sidecar);
}

#[test]
fn a_stale_answer_with_fewer_keys_than_the_backup_does_not_seed() {
    let (consul, pod) = backed_up(Kind::Embedded, 5, 1);
    let files = content(&consul);
    consul.delete("app/few/k0");
    pod.wipe_volume();
    hang_the_leader(&consul);
    let ended = pod.seedcar(&["init", "--seed-timeout", "6s"]);
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert_eq!(manifest(&pod).sources[0].origin, Origin::Backup);
    assert_eq!(pod.tree(), files);
}
