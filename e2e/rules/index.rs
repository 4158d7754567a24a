//! What an answer's index means.

use std::time::Duration;

use crate::consul::{Consul, Kind};
use crate::ledger::Tally;
use crate::rig::{Pod, SOON};
use crate::rules::{
    asked_by, embedded, filled, outcome, published, shared, until_published, watched,
};
use crate::stories::content::volume::current;
use crate::stories::scene::{content, stopped, watching};
use crate::wait::{eventually, throughout};

const GROUP: &str = "rules::index";

/// The library of Debian's `faketime`: it moves the wall clock of a program, and no other clock.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

#[test]
fn rule_07_the_first_question_carries_no_index() {
    let mut tally = Tally::of(GROUP);
    let (consul, pod) = embedded(&[("a", "1")]);
    let _sidecar = watching(&pod, &["--heartbeat", "1s"]);
    eventually("everybody has asked", SOON, || {
        (!asked_by(&consul, "heartbeat").is_empty()).then_some(())
    });
    for mechanism in ["seed", "watch", "heartbeat"] {
        let asked = asked_by(&consul, mechanism);
        let first = &asked[0].target;
        tally.check(!first.contains("index="), || format!("{mechanism} begins with {first}"));
    }
    tally.finish();
}

#[test]
fn rule_10_a_higher_index_is_new_state_and_the_next_question_blocks_on_it() {
    let mut tally = Tally::of(GROUP);
    let (consul, pod) = embedded(&[("a", "0")]);
    let sidecar = watching(&pod, &["--no-heartbeat"]);
    for n in 1..=3 {
        consul.put("app/a", n.to_string());
        sidecar.shows("a", n.to_string());
        let blocks = format!("index={}&", consul.index("app/"));
        eventually("it blocks on the new index", SOON, || {
            asked_by(&consul, "watch").last()?.target.contains(&blocks).then_some(())
        });
        tally.case();
    }
    tally.finish();
}

#[test]
fn rule_11_equal_and_late_is_no_change_and_asks_again_at_once() {
    let mut tally = Tally::of("rules::pace");
    let consul = shared();
    consul.put("r11/a", "1");
    let pod = filled(&consul, "r11");
    let sidecar = watching(&pod, &["--wait", "1s", "--no-heartbeat"]);
    let generation = current(&pod);
    let begun = std::time::Instant::now();
    eventually("four questions were waited out", SOON, || {
        (watched(&sidecar, "unchanged") >= 5.0).then_some(())
    });
    let took = begun.elapsed();
    tally.check(took < Duration::from_secs(12), || format!("five rounds of 1 s took {took:?}"));
    tally.check(current(&pod) == generation && published(&sidecar) == 0, || "it wrote".to_owned());
    tally.check(watched(&sidecar, "index_reset") == 0.0, || "it read again".to_owned());
    tally.finish();
}

#[test]
fn rule_12_equal_and_early_reads_again() {
    let mut tally = Tally::of(GROUP);
    for kind in [Kind::Real, Kind::Embedded] {
        let consul = Consul::start(kind);
        consul.put("app/a", "before");
        let pod = filled(&consul, "app");
        // The wait is longer than anything here is waited for.
        let sidecar = watching(&pod, &["--wait", "1m", "--no-heartbeat"]);
        let snapshot = consul.snapshot();
        consul.put("app/a", "after");
        sidecar.shows("a", "after");
        until_published(&sidecar, 1);
        consul.restore(&snapshot);
        sidecar.shows("a", "before");
        until_published(&sidecar, 2);
        tally.case();
        tally.check(watched(&sidecar, "index_reset") >= 1.0, || format!("{kind:?}: not noticed"));
        consul.put("app/a", "again");
        sidecar.shows("a", "again");
        stopped(sidecar);
    }
    tally.finish();
}

#[test]
fn rule_12_what_follows_equal_and_early_is_one_plain_read_and_a_block_at_its_index() {
    let mut tally = Tally::of(GROUP);
    let (consul, pod) = embedded(&[("a", "before")]);
    let sidecar = watching(&pod, &["--wait", "1m", "--no-heartbeat"]);
    let snapshot = consul.snapshot();
    consul.put("app/a", "after");
    sidecar.shows("a", "after");
    let high = format!("index={}&", consul.index("app/"));
    eventually("it blocks", SOON, || {
        asked_by(&consul, "watch").last()?.target.contains(&high).then_some(())
    });
    consul.requests().take();
    consul.restore(&snapshot);
    sidecar.shows("a", "before");
    let low = format!("index={}&", consul.index("app/"));
    let asked = eventually("it blocks again", SOON, || {
        let asked = asked_by(&consul, "watch");
        asked.last()?.target.contains(&low).then_some(asked)
    });
    // Content below the published index is borne out by a consistent read before it is believed.
    let (evidence, asked): (Vec<_>, Vec<_>) = asked
        .iter()
        .map(|a| a.target.as_str())
        .partition(|target| target.contains("consistent") || target.contains("authorize"));
    let plain = asked.len() == 2 && !asked[0].contains("index=");
    tally.check(plain && !evidence.is_empty(), || format!("{asked:?} {evidence:?}"));
    tally.finish();
}

#[test]
fn rule_13_a_lower_index_is_read_plainly_and_the_old_one_forgotten() {
    let mut tally = Tally::of(GROUP);
    let (consul, pod) = embedded(&[("a", "1"), ("b", "2")]);
    consul.delete("app/b");
    let sidecar = watching(&pod, &["--wait", "1s", "--no-heartbeat"]);
    sidecar.until("the deletion is published", |s| s.keys == 1);
    until_published(&sidecar, 1);
    let files = pod.tree();
    let high = consul.index("app/");
    // As a quarter of an hour after the deletion: the prefix's index falls back, nothing is wrong.
    consul.kv().reap_tombstones();
    let low = consul.index("app/");
    assert!(low < high);
    let blocks = format!("index={low}&");
    eventually("it blocks on the lower index", SOON, || {
        asked_by(&consul, "watch").last()?.target.contains(&blocks).then_some(())
    });
    let asked = asked_by(&consul, "watch");
    tally.check(!asked[asked.len() - 2].target.contains("index="), || "no plain read".to_owned());
    tally.check(published(&sidecar) == 1 && pod.tree() == files, || "it wrote".to_owned());
    consul.put("app/a", "new");
    sidecar.shows("a", "new");
    tally.case();
    tally.finish();
}

#[test]
fn rule_15_older_entries_are_taken_from_a_default_read() {
    let mut tally = Tally::of(GROUP);
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "old");
    let snapshot = consul.snapshot();
    consul.put("app/a", "new");
    let modified = |consul: &Consul| {
        let answer = consul.ask("GET", "/v1/kv/app/a", b"").expect("an answer").json();
        answer.and_then(|v| v[0]["ModifyIndex"].as_u64()).expect("an entry")
    };
    let before = modified(&consul);
    let pod = filled(&consul, "app");
    let sidecar = watching(&pod, &["--wait", "1m", "--no-heartbeat"]);
    consul.restore(&snapshot);
    assert!(modified(&consul) < before);
    sidecar.shows("a", "old");
    tally.check(!sidecar.events("index_back").is_empty(), || "no line tells of it".to_owned());
    tally.check(pod.tree() == content(&consul), || "not what Consul holds".to_owned());
    tally.finish();
}

#[test]
fn rule_70_a_wall_clock_that_jumps_changes_no_meaning() {
    let mut tally = Tally::of(GROUP);
    assert!(std::path::Path::new(FAKETIME).exists(), "run ./e2e/run tools");
    let consul = shared();
    consul.put("r70/a", "1");
    let clock = tempfile::NamedTempFile::new().expect("a file");
    let set = |clock_says: &str| std::fs::write(clock.path(), clock_says).expect("set the clock");
    set("+0");
    let pod = Pod::new(consul.addr(), "r70")
        .env("LD_PRELOAD", FAKETIME)
        .env("FAKETIME_TIMESTAMP_FILE", clock.path().to_str().expect("UTF-8"))
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    pod.init();
    let sidecar = watching(&pod, &["--wait", "1s", "--no-heartbeat"]);
    let rounds = watched(&sidecar, "unchanged");
    let mut jumps = ["+3650d", "-3650d", "+1d", "-1h", "+0"].iter().cycle();
    throughout("the content is confirmed in time", Duration::from_secs(5), || {
        set(jumps.next().expect("endless"));
        sidecar.source().confirmed_age.is_some_and(|age| age < 4.0)
    });
    let rounds = watched(&sidecar, "unchanged") - rounds;
    tally.check(rounds >= 2.0, || format!("only {rounds} rounds were waited out"));
    tally.check(watched(&sidecar, "index_reset") == 0.0, || "late was taken for early".to_owned());
    tally.check(outcome(&sidecar, "timeout") == 0.0, || "a deadline fired".to_owned());
    consul.put("r70/a", "2");
    sidecar.shows("a", "2");
    stopped(sidecar);
    tally.finish();
}
