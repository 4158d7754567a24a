//! An answer that would take too much away, or bring too much, is held and shown; the files stay.

mod doorbell;
mod token;

use seedcar::model::confirmation::Origin;
use seedcar::model::guard::Reason;

use super::scene::{
    A_WHILE, Files, accept, backed_up, content, fill, held_metric, manifest, seeded, status_file,
    stopped, until_files, until_free, until_held, watching,
};
use crate::consul::{Consul, Kind};
use crate::rig::{Pod, Sidecar};
use crate::wait::throughout;

told_on_both!(
    a_shrunken_answer_is_held_until_a_person_accepts_it,
    a_small_shrinkage_passes,
    keys_that_come_back_end_a_hold,
    a_hold_survives_a_restart_and_a_kill,
    an_empty_prefix_empties_the_files_where_that_is_allowed,
    too_many_keys_are_held_until_they_fit_again,
    too_many_bytes_are_held_until_they_fit_again,
    three_keys_of_a_wiped_consul_do_not_beat_the_backup_at_the_first_seed,
    a_digest_accepted_at_init_is_seeded_from_consul,
    the_root_prefix_is_refused_unless_it_is_allowed,
);

/// The sidecar of a pod from whose 20 keys 17 have just been deleted at once.
fn shrunken(kind: Kind) -> (Consul, Pod) {
    let (consul, pod) = seeded(kind, 17, 3);
    let sidecar = watching(&pod, &[]);
    consul.delete_recurse("app/many/");
    until_held(&sidecar, &pod, Reason::Shrunken);
    stopped(sidecar);
    (consul, pod)
}

fn a_shrunken_answer_is_held_until_a_person_accepts_it(kind: Kind) {
    let (consul, pod) = seeded(kind, 17, 3);
    let full = content(&consul);
    // Two seconds bring several blocking queries and heartbeats of the same answer.
    let sidecar = watching(&pod, &["--wait", "1s", "--heartbeat", "1s"]);
    consul.delete_recurse("app/many/");
    let held = until_held(&sidecar, &pod, Reason::Shrunken);
    assert_eq!((held.keys, held.published_keys), (3, 20));
    assert!(sidecar.status().reason.contains("held (shrunken)"));
    throughout("the files stay", A_WHILE, || pod.tree() == full);
    let still = until_held(&sidecar, &pod, Reason::Shrunken);
    assert_eq!(still, held, "asked again, it is the same hold since the same moment");
    assert_eq!(sidecar.events("held").len(), 1, "and one line in the log");

    accept(&pod, held.digest.as_ref().expect("a digest to accept"));
    until_files(&pod, &content(&consul));
    until_free(&sidecar, &pod);
    assert_eq!(held_metric(&sidecar, Reason::Shrunken), Some(0.0));
    sidecar.until_fresh();
    stopped(sidecar);
}

fn a_small_shrinkage_passes(kind: Kind) {
    let (consul, pod) = seeded(kind, 15, 25);
    let sidecar = watching(&pod, &[]);
    consul.delete_recurse("app/many/");
    until_files(&pod, &content(&consul));
    sidecar.until("the status says so too", |s| s.keys == 25);
    assert!(sidecar.events("held").is_empty());
    stopped(sidecar);
}

fn keys_that_come_back_end_a_hold(kind: Kind) {
    let (consul, pod) = shrunken(kind);
    let sidecar = watching(&pod, &[]);
    until_held(&sidecar, &pod, Reason::Shrunken);
    fill(&consul, "many", 17);
    consul.put("app/new", "1");
    until_free(&sidecar, &pod);
    until_files(&pod, &content(&consul));
    sidecar.until_fresh();
    stopped(sidecar);
}

fn a_hold_survives_a_restart_and_a_kill(kind: Kind) {
    let (consul, pod) = shrunken(kind);
    let before = status_file(&pod).expect("a status").sources["default"].held_digest;
    // Nobody can tell it anew.
    consul.kill();
    let restarted = pod.run(&[]);
    let held = until_held(&restarted, &pod, Reason::Shrunken);
    assert_eq!(held.digest, before.map(|digest| digest.hex()));
    restarted.crash();
    let killed = pod.run(&[]);
    assert_eq!(until_held(&killed, &pod, Reason::Shrunken).digest, held.digest);
    assert_eq!(killed.source().keys, 20);
    stopped(killed);
}

fn an_empty_prefix_empties_the_files_where_that_is_allowed(kind: Kind) {
    let (consul, pod) = seeded(kind, 17, 3);
    let sidecar = watching(&pod, &["--allow-empty"]);
    consul.delete_recurse("app/");
    until_files(&pod, &content(&consul));
    assert!(pod.tree().is_empty());
    assert!(sidecar.events("held").is_empty());
    sidecar.until_fresh();
    stopped(sidecar);
}

fn too_many_keys_are_held_until_they_fit_again(kind: Kind) {
    let (consul, pod) = seeded(kind, 2, 3);
    let sidecar = watching(&pod, &["--max-keys", "10"]);
    let before = pod.tree();
    fill(&consul, "flood", 20);
    too_large_until(&sidecar, &pod, &before, || consul.delete_recurse("app/flood/"));
    consul.put("app/new", "1");
    until_files(&pod, &content(&consul));
    stopped(sidecar);
}

fn too_many_bytes_are_held_until_they_fit_again(kind: Kind) {
    let (consul, pod) = seeded(kind, 2, 3);
    let sidecar = watching(&pod, &["--max-bytes", "32Ki"]);
    let before = pod.tree();
    consul.put("app/flood", vec![b'x'; 64 * 1024]);
    too_large_until(&sidecar, &pod, &before, || consul.delete("app/flood"));
    consul.put("app/new", "1");
    until_files(&pod, &content(&consul));
    stopped(sidecar);
}

fn too_large_until(sidecar: &Sidecar<'_>, pod: &Pod, before: &Files, shrink: impl Fn()) {
    let held = until_held(sidecar, pod, Reason::TooLarge);
    assert_eq!(held.digest, None, "what was not read cannot be accepted");
    throughout("the files stay", A_WHILE, || pod.tree() == *before);
    shrink();
    until_free(sidecar, pod);
    assert_eq!(pod.tree(), *before);
    sidecar.until_fresh();
}

fn three_keys_of_a_wiped_consul_do_not_beat_the_backup_at_the_first_seed(kind: Kind) {
    let (consul, pod) = backed_up(kind, 17, 3);
    let full = content(&consul);
    consul.restart_empty();
    fill(&consul, "few", 3);
    pod.wipe_volume();
    let ended = pod.init();
    assert_eq!(pod.tree(), full);
    assert_eq!(ended.events("seeded_from_backup").len(), 1, "{}", ended.log);
    assert_eq!(manifest(&pod).sources[0].origin, Origin::Backup);
    let status = status_file(&pod).expect("a status");
    assert_eq!(status.held.as_deref(), Some("shrunken"));

    let sidecar = watching(&pod, &["--heartbeat", "1s"]);
    let held = until_held(&sidecar, &pod, Reason::Shrunken);
    assert_eq!((held.keys, held.published_keys), (3, 20));
    throughout("the files stay", A_WHILE, || pod.tree() == full);
    assert_eq!(pod.backups().len(), 1, "and so does the backup");
    accept(&pod, &held.digest.expect("a digest"));
    until_files(&pod, &content(&consul));
    until_free(&sidecar, &pod);
    stopped(sidecar);
}

fn a_digest_accepted_at_init_is_seeded_from_consul(kind: Kind) {
    let (consul, pod) = backed_up(kind, 17, 3);
    consul.delete_recurse("app/many/");
    pod.wipe_volume();
    pod.init();
    let held = status_file(&pod).expect("a status").sources["default"].held_digest;
    let digest = held.expect("a digest to accept").hex();
    pod.wipe_volume();
    let ended = pod.seedcar(&["init", "--accept", &digest]);
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert_eq!(pod.tree(), content(&consul));
    assert_eq!(manifest(&pod).sources[0].origin, Origin::Consul);
}

fn the_root_prefix_is_refused_unless_it_is_allowed(kind: Kind) {
    let consul = Consul::start(kind);
    consul.put("app/a", "1");
    consul.put("other/b", "2");
    let pod = Pod::new(consul.addr(), "");
    let ended = pod.seedcar(&["init"]);
    assert_eq!(ended.code(), 78, "{}", ended.err);
    assert!(ended.err.contains("allow-root-prefix"), "{}", ended.err);
    assert!(!pod.live().exists(), "nothing was written");
    let pod = Pod::new(consul.addr(), "").arg(&["--allow-root-prefix"]);
    pod.init();
    assert_eq!(pod.read("app/a").unwrap(), b"1");
    assert_eq!(pod.read("other/b").unwrap(), b"2");
}
