//! What looks like a loss is held; what Consul says by a default read is believed.

use seedcar::demo::server::{Fault, Requests};
use seedcar::model::guard::{Baseline, Candidate, PROBATION, Policy, Reason, Verdict, judge};
use seedcar::model::moment::Moment;
use seedcar::model::reading::Mode;
use seedcar::model::snapshot::Digest;

use crate::consul::{Consul, Kind};
use crate::ledger::Tally;
use crate::rig::{Mount, Pod};
use crate::rules::{embedded, filled, published, shared, text, until_blocked};
use crate::stories::scene::{
    A_WHILE, accept, backed_up, content, manifest, stopped, until_files, until_free, until_held,
    watching,
};
use crate::wait::{eventually, throughout};

const GROUP: &str = "rules::guards";

#[test]
fn rule_01_a_prefix_that_is_gone_is_held() {
    let mut tally = Tally::of(GROUP);
    let consul = shared();
    for n in 0..12 {
        consul.put(&format!("r01/k{n}"), "1");
    }
    let pod = filled(&consul, "r01");
    let files = pod.tree();
    let sidecar = watching(&pod, &["--wait", "1s", "--heartbeat", "1s"]);
    consul.delete_recurse("r01/");
    let held = until_held(&sidecar, &pod, Reason::Empty);
    throughout("the files stay", A_WHILE, || pod.tree() == files);
    tally.check(published(&sidecar) == 0, || "it published".to_owned());
    // A person's word, and only that.
    accept(&pod, &held.digest.expect("a digest"));
    until_free(&sidecar, &pod);
    tally.check(pod.tree().is_empty(), || "accepted, and still there".to_owned());
    stopped(sidecar);

    consul.put("r01b/a", "1");
    let pod = filled(&consul, "r01b");
    let sidecar = watching(&pod, &["--allow-empty"]);
    consul.delete_recurse("r01b/");
    eventually("where that is allowed it is emptied", crate::rig::SOON, || {
        pod.tree().is_empty().then_some(())
    });
    tally.case();
    stopped(sidecar);
    tally.finish();
}

#[test]
fn rule_02_a_large_loss_is_held_and_a_small_one_passes() {
    let mut tally = Tally::of(GROUP);
    let consul = shared();
    for n in 0..40 {
        consul.put(&format!("r02/{}/k{n}", if n < 10 { "few" } else { "many" }), "1");
    }
    let pod = filled(&consul, "r02");
    let sidecar = watching(&pod, &["--wait", "1s", "--heartbeat", "1s"]);
    for n in 0..9 {
        consul.delete(&format!("r02/few/k{n}"));
    }
    sidecar.until("nine keys of forty may go", |s| s.keys == 31);
    tally.check(sidecar.events("held").is_empty(), || "a small loss was held".to_owned());
    let files = pod.tree();
    consul.delete_recurse("r02/many/");
    let held = until_held(&sidecar, &pod, Reason::Shrunken);
    throughout("the files stay", A_WHILE, || pod.tree() == files);
    tally.check((held.keys, held.published_keys) == (1, 31), || format!("{held:?}"));
    stopped(sidecar);
    tally.finish();
}

#[test]
fn rule_02_the_same_loss_for_five_minutes_takes_a_consistent_read_to_pass() {
    let mut tally = Tally::of(GROUP);
    let policy = Policy { allow_empty: false, max_shrink_percent: 50 };
    let digest = |n: u8| Digest::from_bytes([n; 32]);
    let before = Baseline { digest: digest(1), keys: 20, index: 100 };
    let (filtered, hides) = (false, false);
    let seen = |index, mode| Candidate { digest: digest(2), keys: 3, index, mode, filtered, hides };
    let small = seen(101, Mode::Default);
    let ask = |hold: Option<_>, evidence: Option<&Candidate>, now| {
        judge(&policy, Some(&before), &small, false, hold, evidence, now)
    };
    let Verdict::Hold(hold) = ask(None, None, Moment(1)) else { panic!("not held") };
    let due = Moment(1) + PROBATION;
    let early = ask(Some(&hold), None, Moment(due.0 - 1));
    tally.check(early == Verdict::Hold(hold), || format!("{early:?}"));
    let asks = ask(Some(&hold), None, due);
    tally.check(asks == Verdict::Confirm(hold), || format!("{asks:?}"));
    for (evidence, expected) in [
        (seen(101, Mode::Consistent), Verdict::Accept),
        (seen(101, Mode::Default), Verdict::Hold(hold)),
        (seen(99, Mode::Consistent), Verdict::Hold(hold)),
        (Candidate { filtered: true, ..seen(101, Mode::Consistent) }, Verdict::Hold(hold)),
        (Candidate { digest: digest(3), ..seen(101, Mode::Consistent) }, Verdict::Hold(hold)),
    ] {
        let verdict = ask(Some(&hold), Some(&evidence), due);
        tally.check(verdict == expected, || format!("{evidence:?}: {verdict:?}"));
    }
    tally.finish();
}

#[test]
fn rule_03_what_is_said_to_be_filtered_deletes_nothing() {
    let mut tally = Tally::of(GROUP);
    let (consul, pod) = embedded(&[("a", "1"), ("b", "2"), ("c", "3")]);
    let sidecar = watching(&pod, &["--no-heartbeat"]);
    until_blocked(&consul);
    consul.faults().add(Requests::from_agent("seedcar"), Fault::FilteredByAcls);
    consul.put("app/d", "4");
    sidecar.shows("d", "4");
    until_blocked(&consul);
    let files = pod.tree();
    consul.delete("app/b");
    until_held(&sidecar, &pod, Reason::Filtered);
    throughout("the files stay", A_WHILE, || pod.tree() == files);
    consul.put("app/b", "2");
    consul.put("app/e", "5");
    sidecar.shows("e", "5");
    until_free(&sidecar, &pod);
    tally.cases(3);
    stopped(sidecar);
    tally.finish();
}

#[test]
fn rule_43_what_does_not_fit_is_known_before_it_is_written() {
    let mut tally = Tally::of(GROUP);
    let consul = shared();
    consul.put("r43/a", "1");
    let mut pod = Pod::new(consul.addr(), "r43");
    pod.mount_volume(Mount::Small);
    let sidecar = pod.run(&["--seed", "--no-heartbeat"]);
    let before = sidecar.until("it is filled", |s| s.keys == 1 && s.mechanisms["watch"].up);
    consul.put("r43/large", vec![b'x'; 300 * 1024]);
    let error = eventually("there is no room", crate::rig::SOON, || sidecar.status().volume_error);
    tally.check(error.kind == "full", || error.text.clone());
    let now = sidecar.source();
    tally.check(now.digest == before.digest, || "another generation".to_owned());
    tally.check(sidecar.get("/readyz").0 == 200, || "not ready".to_owned());
    consul.delete("r43/large");
    consul.put("r43/small", "2");
    sidecar.until("what fits is published", |s| s.keys == 2);
    stopped(sidecar);
    tally.finish();
}

#[test]
fn rule_52_live_data_below_the_backups_index_wins_and_is_told_of() {
    let mut tally = Tally::of(GROUP);
    let (consul, pod) = backed_up(Kind::Real, 5, 1);
    for n in 0..20 {
        consul.put("app/few/k0", n.to_string());
    }
    let sidecar = watching(&pod, &["--backup-delay", "0s"]);
    let high = consul.index("app/");
    sidecar.until("it is backed up", |s| s.backup.as_ref().is_some_and(|b| b.index == high));
    stopped(sidecar);
    consul.restart_empty();
    let keys: Vec<String> = pod.tree().into_keys().filter(|path| !path.ends_with('/')).collect();
    for key in keys {
        consul.put(&format!("app/{key}"), "of the new cluster");
    }
    let low = consul.index("app/");
    assert!(low < high, "{low} {high}");
    pod.wipe_volume();
    let ended = pod.init();
    until_files(&pod, &content(&consul));
    let origin = manifest(&pod).sources[0].origin;
    tally.check(origin.word() == "consul", || format!("{origin:?}"));
    let told = ended.events("index_back");
    let named = told.first().is_some_and(|e| e["index"] == low && e["index_before"] == high);
    tally.check(named, || ended.log.clone());
    tally.finish();
}

#[test]
fn rule_52_unless_it_looks_like_a_loss() {
    let mut tally = Tally::of(GROUP);
    let (consul, pod) = backed_up(Kind::Embedded, 17, 3);
    let files = pod.tree();
    consul.restart_empty();
    consul.put("app/few/k0", "of the new cluster");
    pod.wipe_volume();
    let ended = pod.init();
    tally.check(pod.tree() == files, || ended.log.clone());
    let sidecar = watching(&pod, &["--no-heartbeat"]);
    until_held(&sidecar, &pod, Reason::Shrunken);
    tally.check(text(&pod, "few/k0").as_deref() == Some("app/few/k0"), || "replaced".to_owned());
    stopped(sidecar);
    drop::<Consul>(consul);
    tally.finish();
}
