//! Holds of a large prefix, which is watched by its doorbell: the cheap question says that nothing
//! has changed, and that must not be taken for "the files are current".

use std::time::Duration;

use seedcar::demo::server::{Fault, Requests};
use seedcar::model::guard::Reason;

use super::super::scene::{
    accept, content, stopped, until_files, until_free, until_held, watching,
};
use crate::consul::{Consul, Kind};
use crate::rig::{Pod, Sidecar};
use crate::wait::throughout;

told_on_both!(
    a_held_answer_of_a_large_prefix_confirms_nothing,
    a_held_answer_of_a_large_prefix_is_not_read_over_and_over,
);

/// Long enough for several questions of a watch that waits a second.
const ROUNDS: Duration = Duration::from_secs(4);

/// What two clocks read one after the other may differ by, in seconds.
const ROUNDING: f64 = 0.1;

/// Puts `count` keys of a kilobyte each, all under one name at the top.
fn fill_large(consul: &Consul, folder: &str, count: usize) {
    let keys: Vec<String> = (0..count).map(|n| format!("app/{folder}/k{n}")).collect();
    let value = [b'x'; 1024];
    let pairs: Vec<(&str, &[u8])> = keys.iter().map(|k| (k.as_str(), value.as_slice())).collect();
    consul.txn_set(&pairs);
}

/// A pod whose prefix is large, and still is when two thirds of its keys are gone.
fn large(kind: Kind) -> (Consul, Pod) {
    let consul = Consul::start(kind);
    fill_large(&consul, "many", 200);
    fill_large(&consul, "few", 100);
    let pod = Pod::new(consul.addr(), "app").arg(&["--wait", "1s"]);
    pod.init();
    (consul, pod)
}

fn reads(sidecar: &Sidecar<'_>) -> f64 {
    let text = sidecar.get("/metrics").1;
    let of_watch = |line: &&str| {
        line.starts_with("seedcar_syncs_total{") && line.contains("trigger=\"watch\"")
    };
    let values = text.lines().filter(of_watch).filter_map(|line| line.rsplit(' ').next());
    values.filter_map(|value| value.parse::<f64>().ok()).sum()
}

fn a_held_answer_of_a_large_prefix_confirms_nothing(kind: Kind) {
    let (consul, pod) = large(kind);
    let full = content(&consul);
    let sidecar = watching(&pod, &["--no-heartbeat"]);
    consul.delete_recurse("app/many/");
    let held = until_held(&sidecar, &pod, Reason::Shrunken);
    let confirmed = confirmed_at(&sidecar);
    throughout("nobody calls the old files current", ROUNDS, || {
        pod.tree() == full && confirmed_at(&sidecar) < confirmed + ROUNDING
    });
    accept(&pod, &held.digest.expect("a digest"));
    until_files(&pod, &content(&consul));
    until_free(&sidecar, &pod);
    sidecar.until_fresh();
    assert!(confirmed_at(&sidecar) > confirmed + ROUNDING, "confirmed again");
    stopped(sidecar);
}

/// When Consul last confirmed what is published, by our own clock.
#[track_caller]
fn confirmed_at(sidecar: &Sidecar<'_>) -> f64 {
    let metric = r#"seedcar_confirmed_timestamp_seconds{source="default"}"#;
    sidecar.metric(metric).expect("a metric")
}

fn a_held_answer_of_a_large_prefix_is_not_read_over_and_over(kind: Kind) {
    let (consul, pod) = large(kind);
    let full = content(&consul);
    let sidecar = watching(&pod, &[]);
    sidecar.until("there is a backup", |s| s.backup.is_some());
    stopped(sidecar);
    // Another cluster, whose index is lower than the backup's.
    consul.restart_empty();
    fill_large(&consul, "few", 100);
    pod.wipe_volume();
    pod.init();
    assert_eq!(pod.tree(), full);
    let sidecar = watching(&pod, &["--no-heartbeat"]);
    until_held(&sidecar, &pod, Reason::Shrunken);
    let before = reads(&sidecar);
    throughout("the files stay", ROUNDS, || pod.tree() == full);
    let read = reads(&sidecar) - before;
    assert!(read <= 2.0, "{read} full reads of what is held already");
    assert_eq!(sidecar.source().confirmed, None, "and nobody calls the backup current");
    stopped(sidecar);
}

#[test]
fn a_large_prefix_hidden_from_its_token_takes_no_file_away() {
    let (consul, pod) = large(Kind::Embedded);
    let full = content(&consul);
    let sidecar = watching(&pod, &["--no-heartbeat"]);
    let seedcar = || Requests::from_agent("seedcar");
    consul.faults().add(seedcar(), Fault::HideKeys);
    consul.faults().add(seedcar(), Fault::DenyAuthorize);
    until_held(&sidecar, &pod, Reason::Empty);
    throughout("the files stay", ROUNDS, || pod.tree() == full);
    consul.faults().clear();
    until_free(&sidecar, &pod);
    consul.put("app/new", "1");
    sidecar.shows("new", "1");
    sidecar.until_fresh();
    stopped(sidecar);
}
