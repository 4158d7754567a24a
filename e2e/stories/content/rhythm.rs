//! How fast changes arrive, how many questions that takes, and how many generations.

use std::time::{Duration, Instant};

use super::{names, rename, volume::current};
use crate::consul::{Consul, Kind};
use crate::rig::{Pod, SOON, Sidecar};
use crate::stories::scene::{content, until_files};
use crate::stories::{measured, seeded, watching};
use crate::wait::eventually;
use seedcar::demo::server::{Fault, Requests};

told_on_both!(
    the_time_from_put_to_file_is_measured,
    a_storm_of_changes_is_few_generations_and_ends_right,
    rewriting_the_same_value_publishes_nothing,
    what_is_put_back_before_it_was_seen_stays,
    a_large_nested_prefix_is_watched_by_its_doorbell,
    a_large_flat_prefix_is_watched_whole,
    of_a_very_large_prefix_only_what_has_changed_is_read,
);

/// A writer that is slower than this is never made to wait for the one before.
const UNHURRIED: Duration = Duration::from_millis(150);

fn the_time_from_put_to_file_is_measured(kind: Kind) {
    let (consul, pod) = seeded(kind, &[("app/a", "0"), ("app/b", "0")]);
    let _sidecar = watching(&pod, &[]);
    let mut took = Vec::new();
    for n in 0..100 {
        let value = n.to_string();
        let put = Instant::now();
        consul.put("app/a", &value);
        while pod.read("a").as_deref() != Some(value.as_bytes()) {
            assert!(put.elapsed() < SOON, "the change does not arrive");
            std::thread::sleep(Duration::from_micros(200));
        }
        took.push(put.elapsed());
        // The pace of the writer, not a wait for something.
        std::thread::sleep(UNHURRIED.saturating_sub(put.elapsed()));
    }
    took.sort();
    let (median, p95) = (took[50], took[95]);
    measured(&format!("put to file, {kind:?}: median {median:.1?}, 95 % within {p95:.1?}"));
}

fn a_storm_of_changes_is_few_generations_and_ends_right(kind: Kind) {
    const WRITERS: usize = 10;
    const CHANGES: usize = 1_000;
    let (consul, pod) = seeded(kind, &[("app/still", "1")]);
    let sidecar = watching(&pod, &[]);
    let before = sidecar.events("published").len();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let consul = &consul;
            let own = (writer..CHANGES).step_by(WRITERS);
            scope.spawn(move || own.for_each(|n| consul.put(&key_of(n), n.to_string())));
        }
    });
    consul.put("app/last", "word");
    sidecar.shows("last", "word");
    let took = begun.elapsed();
    for n in CHANGES - 100..CHANGES {
        let path = key_of(n);
        let path = path.trim_start_matches("app/");
        assert_eq!(pod.read(path).unwrap(), n.to_string().as_bytes());
    }
    assert_eq!(names(&pod).len(), 100 + 3, "and k/, last and still");
    let generations = sidecar.events("published").len() - before;
    measured(&format!("{CHANGES} puts in {took:.1?}, {kind:?}: {generations} generations"));
    // At most one each 100 ms, and a few before the rhythm sets in.
    let most = took.as_millis() as usize / 100 + 3;
    assert!(generations <= most, "{generations} generations in {took:?}");
    assert!(generations < CHANGES / 4, "{generations} generations");
}

/// A hundred keys, each written ten times, always by the same writer.
fn key_of(n: usize) -> String {
    format!("app/k/{:02}", n % 100)
}

fn rewriting_the_same_value_publishes_nothing(kind: Kind) {
    let (consul, pod) = seeded(kind, &[("app/a", "1"), ("app/b", "2")]);
    let sidecar = watching(&pod, &[]);
    let generation = current(&pod);
    for _ in 0..3 {
        let before = consul.index("app/");
        consul.put("app/a", "1");
        // Consul knows that one from no change at all; not so a deletion and a new key of old content.
        rename(&consul, "app/a", "app/a", "MQ==");
        let index = consul.index("app/");
        assert!(index > before);
        sidecar.until("the rewrite is read", |s| s.index == Some(index));
    }
    assert_eq!(current(&pod), generation);
    assert_eq!(sidecar.events("published").len(), 0);
    consul.put("app/a", "2");
    sidecar.shows("a", "2");
    // It is said once it is there.
    eventually("it is said", SOON, || (sidecar.events("published").len() == 1).then_some(()));
}

fn what_is_put_back_before_it_was_seen_stays(kind: Kind) {
    let (consul, pod) = seeded(kind, &[("app/a", "0"), ("app/b", "2")]);
    let sidecar = watching(&pod, &[]);
    for n in 1..=20 {
        let value = n.to_string();
        consul.put("app/a", &value);
        sidecar.shows("a", &value);
        // The next publish waits a tenth of a second for its turn; the watch does not.
        consul.put("app/a", "in between");
        consul.put("app/a", &value);
        let index = consul.index("app/");
        sidecar.until("all of it is read", |s| s.index == Some(index));
        sidecar.shows("a", &value);
    }
}

/// What the watch has asked the embedded Consul so far.
fn asked_by_watch(consul: &Consul) -> Vec<String> {
    let asked = consul.requests().take();
    let of_watch = asked.into_iter().filter(|r| r.agent.contains("watch"));
    of_watch.map(|r| r.target).collect()
}

fn seeded_with(kind: Kind, keys: &[String], value: &[u8]) -> (Consul, Pod) {
    let consul = Consul::start(kind);
    let pairs: Vec<(&str, &[u8])> = keys.iter().map(|key| (key.as_str(), value)).collect();
    consul.txn_set(&pairs);
    let pod = Pod::new(consul.addr(), "app");
    pod.init();
    (consul, pod)
}

/// Changes a file so many times, and waits for each.
fn change(consul: &Consul, sidecar: &Sidecar<'_>, path: &str, times: usize) {
    for n in 0..times {
        let value = format!("change {n}");
        consul.put(&format!("app/{path}"), &value);
        sidecar.shows(path, &value);
    }
}

fn a_large_nested_prefix_is_watched_by_its_doorbell(kind: Kind) {
    let keys: Vec<String> = (0..200).map(|n| format!("app/{:02}/{n:03}", n % 20)).collect();
    let (consul, pod) = seeded_with(kind, &keys, &[b'v'; 1024]);
    let sidecar = watching(&pod, &[]);
    if kind == Kind::Embedded {
        ring_five_times(&consul, &sidecar);
    }
    change(&consul, &sidecar, "07/007", 5);
    consul.delete("app/08/008");
    sidecar.until("the deletion arrives", |s| s.keys == 199);
    assert!(pod.read("08/008").is_none());
}

fn of_a_very_large_prefix_only_what_has_changed_is_read(kind: Kind) {
    let consul = Consul::start(kind);
    let value = [b'v'; 4096];
    let keys: Vec<String> = (0..640).map(|n| format!("app/{:02}/{n:03}", n % 40)).collect();
    for some in keys.chunks(64) {
        let pairs: Vec<(&str, &[u8])> = some.iter().map(|key| (key.as_str(), &value[..])).collect();
        consul.txn_set(&pairs);
    }
    let pod = Pod::new(consul.addr(), "app");
    let sidecar = pod.run(&["--seed"]);
    sidecar.shows("07/007", value);
    let counted = |result: &str| {
        let metric = format!("seedcar_part_reads_total{{result=\"{result}\",source=\"default\"}}");
        sidecar.metric(&metric).unwrap_or_default()
    };
    // One change after another: of two at once one question may find both.
    let settled = || {
        let index = Some(consul.index("app/"));
        sidecar.until("it is published", |s| s.index == index);
    };
    settled();
    for n in 0..5 {
        consul.put("app/07/007", format!("change {n}"));
        settled();
    }
    consul.put("app/07/new/below", "1");
    settled();
    consul.delete("app/08/008");
    settled();
    consul.txn_set(&[("app/10/010", b"1"), ("app/31/031", b"2")]);
    settled();
    until_files(&pod, &content(&consul));
    assert_eq!((counted("part"), counted("whole")), (8.0, 0.0));
    consul.put("app/name", "1");
    settled();
    assert_eq!((counted("part"), counted("whole")), (8.0, 1.0), "there is a new name");
    until_files(&pod, &content(&consul));
    if kind == Kind::Embedded {
        for fault in [Fault::denied(), Fault::NeverAnswer] {
            let group = Requests::all().to("/v1/kv/app/0?keys");
            consul.faults().add(group.clone(), fault.clone());
            let whole = counted("whole");
            consul.put("app/07/007", format!("beside {fault:?}"));
            settled();
            assert_eq!(counted("whole"), whole + 1.0, "one question fails, not the change");
            assert_eq!(sidecar.events("consul_failed").len(), 0);
            consul.faults().remove(&group, &fault);
        }
        until_files(&pod, &content(&consul));
    }
}

fn ring_five_times(consul: &Consul, sidecar: &Sidecar<'_>) {
    let is_bell = |target: &str| target.contains("?keys&separator=/");
    let waits = |target: &str| target.contains("index=") && target.contains("wait=30000ms");
    let mut asked = Vec::new();
    for n in 0..5 {
        eventually("the watch waits at the doorbell", SOON, || {
            asked.append(&mut asked_by_watch(consul));
            let last = asked.last()?;
            (is_bell(last) && waits(last)).then_some(())
        });
        consul.put("app/03/003", format!("ring {n}"));
        sidecar.shows("03/003", format!("ring {n}"));
    }
    asked.append(&mut asked_by_watch(consul));
    let (bells, reads): (Vec<_>, Vec<_>) = asked.iter().partition(|target| is_bell(target));
    let rung = bells.iter().filter(|bell| waits(bell)).count();
    assert!(rung >= 5, "{asked:#?}");
    assert_eq!(reads.len(), 5, "each change is read once: {asked:#?}");
    assert!(reads.iter().all(|r| r.contains("&stale&index=")), "{asked:#?}");
}

fn a_large_flat_prefix_is_watched_whole(kind: Kind) {
    // Names so long that listing them costs as much as reading everything.
    let filler = "n".repeat(200);
    let keys: Vec<String> = (0..500).map(|n| format!("app/{n:03}-{filler}")).collect();
    let (consul, pod) = seeded_with(kind, &keys, b"v");
    let sidecar = watching(&pod, &[]);
    change(&consul, &sidecar, &format!("007-{filler}"), 5);
    if kind == Kind::Embedded {
        let asked = asked_by_watch(&consul);
        let blocking = asked.iter().filter(|target| target.contains("index="));
        let by_bell = blocking.filter(|target| target.contains("keys")).count();
        assert!(by_bell <= 1, "{asked:#?}");
    }
}
