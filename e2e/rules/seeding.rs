//! The first fill: the leader, any server, the backup, in this order and in time.

use std::time::{Duration, Instant};

use seedcar::demo::server::{Fault, Requests};
use seedcar::model::confirmation::Origin;

use crate::consul::{Consul, Kind};
use crate::ledger::Tally;
use crate::rig::{Pod, SOON, Sidecar};
use crate::rules::{filled, outcome, text};
use crate::stories::scene::{backed_up, consul_with, content, manifest, stopped, watching};
use crate::wait::{eventually, throughout};

const GROUP: &str = "rules::seeding";

/// Whatever is not asked with `stale`.
fn led() -> Requests {
    Requests::from_agent("seedcar").without("stale")
}

#[test]
fn rule_15_older_entries_of_a_stale_read_do_not_beat_the_backup() {
    let mut tally = Tally::of(GROUP);
    let consul = consul_with(Kind::Embedded, 5, 1);
    let old = consul.snapshot();
    consul.put("app/few/k0", "new");
    let pod = filled(&consul, "app");
    let sidecar = watching(&pod, &["--heartbeat", "1s"]);
    sidecar.until("there is a backup", |s| s.backup.is_some());
    stopped(sidecar);
    consul.restore(&old);
    consul.faults().add(led(), Fault::NeverAnswer);
    pod.wipe_volume();
    let ended = pod.seedcar(&["init", "--seed-timeout", "6s"]);
    let newest = text(&pod, "few/k0").as_deref() == Some("new");
    tally.check(ended.code() == 0 && newest, || ended.log.clone());
    // The leader's word counts, however old it looks.
    consul.faults().clear();
    let sidecar = watching(&pod, &["--no-heartbeat"]);
    sidecar.shows("few/k0", "app/few/k0");
    tally.case();
    stopped(sidecar);
    tally.finish();
}

#[test]
fn rule_49_a_server_without_leader_seeds_but_never_deletes() {
    let mut tally = Tally::of(GROUP);
    let (consul, pod) = backed_up(Kind::Embedded, 5, 3);
    let full = pod.tree();
    consul.faults().add(led(), Fault::no_leader());
    let leaderless = Fault::Header("X-Consul-KnownLeader".to_owned(), "false".to_owned());
    consul.faults().add(Requests::from_agent("seedcar").to("stale"), leaderless);
    pod.wipe_volume();
    pod.init();
    let part = manifest(&pod).sources[0].clone();
    tally.check(part.stale && part.origin == Origin::Consul, || format!("{part:?}"));
    tally.check(pod.tree() == full, || "not what the server has".to_owned());

    consul.delete("app/few/k1");
    pod.wipe_volume();
    pod.init();
    let part = manifest(&pod).sources[0].clone();
    tally.check(part.origin == Origin::Backup && pod.tree() == full, || format!("{part:?}"));
    tally.finish();
}

#[test]
fn rule_50_the_leader_then_any_server_then_the_backup_then_the_deadline() {
    let mut tally = Tally::of(GROUP);
    // A leader that says no at once, and one that says nothing.
    for fault in [Fault::no_leader(), Fault::status(500, "rpc error making call: EOF")] {
        let consul = consul_with(Kind::Embedded, 5, 1);
        let pod = Pod::new(consul.addr(), "app").arg(&["--no-backup", "--seed-timeout", "6s"]);
        consul.faults().add(led(), fault.clone());
        let ended = pod.seedcar(&["init"]);
        let stale = ended.code() == 0 && manifest(&pod).sources[0].stale;
        tally.check(stale && pod.tree() == content(&consul), || format!("{fault:?} {}", ended.err));
    }
    let (consul, pod) = backed_up(Kind::Embedded, 5, 1);
    let files = pod.tree();
    consul.faults().add(Requests::from_agent("seedcar"), Fault::no_leader());
    pod.wipe_volume();
    let begun = Instant::now();
    let ended = pod.seedcar(&["init", "--seed-timeout", "6s"]);
    tally.check(ended.code() == 0 && pod.tree() == files, || ended.err.clone());
    let took = begun.elapsed();
    tally.check(took < Duration::from_secs(5), || format!("the backup only after {took:?}"));

    let alone = Pod::new(consul.addr(), "app").arg(&["--no-backup", "--seed-timeout", "2s"]);
    let begun = Instant::now();
    let ended = alone.seedcar(&["init"]);
    let took = begun.elapsed();
    let honest = ended.code() == 69 && ended.err.contains("No cluster leader");
    tally.check(honest && !alone.live().join("..data").exists(), || ended.err.clone());
    tally.check(took < Duration::from_secs(6), || format!("given up only after {took:?}"));
    tally.finish();
}

#[test]
fn rule_51_a_consul_that_never_had_a_leader_gets_its_share_and_then_the_backup_is_used() {
    let mut tally = Tally::of(GROUP);
    let (consul, pod) = backed_up(Kind::Embedded, 5, 1);
    let files = pod.tree();
    drop(consul);
    pod.wipe_volume();
    let leaderless = Consul::start_leaderless();
    // The first address refuses, this one keeps silent for seven seconds, stale or not.
    let pod = pod.arg(&["--consul", &leaderless.addr().to_string()]);
    let begun = Instant::now();
    let ended = pod.seedcar(&["init", "--seed-timeout", "6s"]);
    let took = begun.elapsed();
    tally.check(ended.code() == 0 && pod.tree() == files, || ended.err.clone());
    let origin = manifest(&pod).sources[0].origin;
    tally.check(origin == Origin::Backup, || format!("{origin:?}"));
    tally.check(took < Duration::from_millis(5_500), || format!("only after {took:?}"));
    tally.finish();
}

#[test]
fn rule_67_whether_there_is_a_leader_is_learned_from_the_data() {
    let mut tally = Tally::of("rules::freshness");
    let consul = Consul::start(Kind::Embedded);
    consul.put("app/a", "1");
    let pod = filled(&consul, "app").arg(&["--no-heartbeat"]);
    drop(consul);
    let leaderless = Consul::start_leaderless();
    let said = leaderless.ask("GET", "/v1/status/leader", b"").expect("an answer");
    tally.check((said.status, said.text().as_str()) == (200, "\"\""), || said.text());
    let pod = pod.arg(&["--consul", &leaderless.addr().to_string()]);
    let sidecar = pod.run(&[]);
    eventually("it was told that there is none", Duration::from_secs(40), || {
        (outcome(&sidecar, "server_error") >= 1.0).then_some(())
    });
    until_unreachable(&sidecar);
    throughout("the pod is ready", Duration::from_secs(1), || sidecar.get("/readyz").0 == 200);
    tally.check(text(&pod, "a").as_deref() == Some("1"), || "the file changed".to_owned());
    stopped(sidecar);
    tally.finish();
}

/// Waits until the metric says that no server answered, and the status that the watch is down.
#[track_caller]
fn until_unreachable(sidecar: &Sidecar<'_>) {
    eventually("Consul counts as out of reach", SOON, || {
        (sidecar.metric("seedcar_consul_reachable")? == 0.0).then_some(())
    });
    sidecar.until("the watch is down", |s| !s.mechanisms["watch"].up);
}
