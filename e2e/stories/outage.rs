//! Consul dies, freezes, lies, comes back, or comes back empty: the files stay, and it heals.

mod answers;
mod seeding;

use std::time::Duration;

use seedcar::model::confirmation::Origin;
use seedcar::model::guard::Reason;
use seedcar::model::health::Health;

use super::scene::{
    A_WHILE, accept, backed_up, content, held_metric, requests_counted, seeded, status_file,
    stopped, until_files, until_free, until_held, until_origin, up_metric, watching,
};
use crate::consul::Kind;
use crate::rig::{Pod, SOON, Sidecar};
use crate::wait::{eventually, throughout};

told_on_both!(
    while_consul_is_dead_the_files_stay_and_it_heals_by_itself,
    a_consul_that_comes_back_empty_empties_nothing_until_a_person_accepts_it,
    while_consul_is_frozen_the_files_and_the_probes_stay_good,
    a_pod_that_starts_without_consul_is_served_from_its_backup_and_heals_without_a_restart,
    a_restored_snapshot_is_seen_at_once_and_not_after_the_wait,
    what_others_change_in_the_files_is_put_back_at_the_next_heartbeat,
);

/// Requests that a dead Consul may cost in [`A_WHILE`]: watch and heartbeat, each with a pause that
/// grows to five seconds and is random below that. Fifteen in two seconds do not happen.
const FEW_REQUESTS: f64 = 30.0;

fn while_consul_is_dead_the_files_stay_and_it_heals_by_itself(kind: Kind) {
    let (consul, pod) = seeded(kind, 5, 1);
    let files = content(&consul);
    let sidecar = watching(&pod, &["--heartbeat", "1s"]);
    consul.kill();
    until_outage_shows(&sidecar);
    // An answer to the heartbeat that came just before may be counted after the watch has failed.
    eventually("the last request was not answered", SOON, || {
        (sidecar.metric("seedcar_consul_reachable")? == 0.0).then_some(())
    });
    let before = requests_counted(&sidecar);
    throughout("it serves and is ready", A_WHILE, || {
        pod.tree() == files && sidecar.get("/readyz").0 == 200 && sidecar.get("/livez").0 == 200
    });
    let asked = requests_counted(&sidecar) - before;
    assert!(asked <= FEW_REQUESTS, "{asked} requests");

    consul.restart();
    consul.put("app/new", "1");
    sidecar.shows("new", "1");
    sidecar.until_fresh();
    assert_eq!(sidecar.metric("seedcar_consul_reachable"), Some(1.0));
    assert_eq!(up_metric(&sidecar, "watch"), Some(1.0));
    stopped(sidecar);
}

/// Waits until status and metrics say that the watch fails.
#[track_caller]
fn until_outage_shows(sidecar: &Sidecar<'_>) {
    let within = Duration::from_secs(40);
    eventually("the outage is shown", within, || {
        let status = sidecar.status();
        let watch = &status.sources["default"].mechanisms["watch"];
        let is_said = status.reason.contains("watch down");
        (status.state == Health::Degraded && !watch.up && is_said).then_some(())
    });
    assert_eq!(up_metric(sidecar, "watch"), Some(0.0));
}

fn a_consul_that_comes_back_empty_empties_nothing_until_a_person_accepts_it(kind: Kind) {
    let (consul, pod) = backed_up(kind, 5, 1);
    let files = content(&consul);
    let sidecar = watching(&pod, &["--heartbeat", "1s", "--backup-delay", "0s"]);
    consul.restart_empty();
    let held = until_held(&sidecar, &pod, Reason::Empty);
    assert_eq!((held.keys, held.published_keys), (0, 6));
    assert_eq!(sidecar.status().state, Health::Degraded);
    throughout("the files stay", A_WHILE, || pod.tree() == files);
    assert_eq!(sidecar.source().backup.expect("a backup").index, backup_index(&pod));

    let digest = held.digest.expect("a digest to accept");
    let listed = pod.seedcar(&["status", "--url", &format!("http://{}", sidecar.addr())]);
    assert!(listed.log.contains(&format!("seedcar accept {}", &digest[..12])));
    accept(&pod, &digest);
    until_files(&pod, &content(&consul));
    assert!(pod.tree().is_empty());
    until_free(&sidecar, &pod);
    assert_eq!(held_metric(&sidecar, Reason::Empty), Some(0.0));

    consul.put("app/anew", "1");
    sidecar.shows("anew", "1");
    sidecar.until_fresh();
    stopped(sidecar);
}

/// The index in the name of the only backup.
fn backup_index(pod: &Pod) -> u64 {
    let backups = pod.backups();
    let [path] = backups.as_slice() else { panic!("not one backup: {backups:?}") };
    let name = path.file_name().and_then(|name| name.to_str());
    let index = name.and_then(|name| name.rsplit('-').nth(1)?.parse().ok());
    index.expect("an index in the name")
}

fn while_consul_is_frozen_the_files_and_the_probes_stay_good(kind: Kind) {
    let (consul, pod) = seeded(kind, 5, 1);
    let files = content(&consul);
    let sidecar = watching(&pod, &["--wait", "1s"]);
    consul.freeze();
    throughout("it serves and is ready", A_WHILE, || {
        pod.tree() == files && sidecar.get("/readyz").0 == 200 && sidecar.get("/livez").0 == 200
    });
    until_outage_shows(&sidecar);
    assert_eq!(pod.tree(), files);
    consul.thaw();
    consul.put("app/new", "1");
    sidecar.shows("new", "1");
    sidecar.until_fresh();
    stopped(sidecar);
}

fn a_pod_that_starts_without_consul_is_served_from_its_backup_and_heals_without_a_restart(
    kind: Kind,
) {
    let (consul, pod) = backed_up(kind, 5, 1);
    let files = content(&consul);
    consul.kill();
    pod.wipe_volume();
    let ended = pod.init();
    assert_eq!(pod.tree(), files);
    let told = ended.events("seeded_from_backup");
    assert_eq!(told.len(), 1, "{}", ended.log);
    assert_eq!(told[0]["keys"], 6);
    until_origin(&pod, Origin::Backup);
    assert!(status_file(&pod).expect("a status").confirmed.is_some(), "as of then");

    let sidecar = pod.run(&[]);
    until_outage_shows(&sidecar);
    assert_eq!(sidecar.source().origin, Origin::Backup);
    let backup = r#"seedcar_serving_origin{origin="backup",source="default"}"#;
    assert_eq!(sidecar.metric(backup), Some(1.0));
    assert_eq!(sidecar.get("/readyz").0, 200);
    assert_eq!(pod.tree(), files);

    consul.restart();
    sidecar.until_fresh();
    until_origin(&pod, Origin::Consul);
    assert_eq!(sidecar.metric(backup), Some(0.0));
    consul.put("app/new", "1");
    sidecar.shows("new", "1");
    stopped(sidecar);
}

fn a_restored_snapshot_is_seen_at_once_and_not_after_the_wait(kind: Kind) {
    let (consul, pod) = seeded(kind, 5, 1);
    let sidecar = watching(&pod, &["--wait", "1m"]);
    consul.put("app/new", "before");
    sidecar.shows("new", "before");
    let snapshot = consul.snapshot();
    consul.put("app/new", "after");
    sidecar.shows("new", "after");
    consul.restore(&snapshot);
    sidecar.shows("new", "before");
    consul.put("app/new", "at last");
    sidecar.shows("new", "at last");
    sidecar.until_fresh();
    stopped(sidecar);
}

fn what_others_change_in_the_files_is_put_back_at_the_next_heartbeat(kind: Kind) {
    let (consul, pod) = seeded(kind, 5, 1);
    let files = content(&consul);
    let sidecar = watching(&pod, &["--heartbeat", "1s"]);
    sidecar.until("the first heartbeat is over", |s| s.mechanisms["heartbeat"].up);
    let tamper: [fn(&std::path::Path); 4] = [
        |data| {
            let file = data.join("few/k0");
            std::fs::remove_file(&file).expect("delete");
            std::fs::write(&file, "mine").expect("replace");
        },
        |data| std::fs::write(data.join("few/k0"), "longer than it was").expect("change"),
        |data| std::fs::remove_file(data.join("many/k1")).expect("delete"),
        |data| std::fs::write(data.join("many/stranger"), "x").expect("add"),
    ];
    for (round, tamper) in tamper.into_iter().enumerate() {
        tamper(&pod.live().join("..data/").canonicalize().expect("a generation"));
        eventually("the repair is counted", SOON, || {
            let repairs = sidecar.metric("seedcar_repairs_total")?;
            (repairs >= (round + 1) as f64).then_some(())
        });
        assert_eq!(pod.tree(), files, "after change {round}");
    }
    assert_eq!(sidecar.events("repaired").len(), 4);
    stopped(sidecar);
}
