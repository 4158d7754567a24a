//! How often Consul is asked, and over how many connections.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use seedcar::demo::kv::Put;
use seedcar::demo::server::{Fault, Requests};
use seedcar::model::guard::Reason;
use seedcar::model::moment::Moment;
use seedcar::model::pace::{Backoff, Bucket, Trouble};

use crate::consul::{Consul, Kind};
use crate::ledger::Tally;
use crate::rig::{Pod, SOON, Sidecar};
use crate::rules::{asked_by, embedded, filled, published, shared};
use crate::stories::content::volume::{current, inode};
use crate::stories::scene::{requests_counted, stopped, until_held, watching};
use crate::wait::{eventually, throughout};

const GROUP: &str = "rules::pace";

/// How long somebody writes.
const BUSY: Duration = Duration::from_secs(4);

#[test]
fn rule_17_a_wake_without_news_writes_nothing() {
    let mut tally = Tally::of(GROUP);
    let consul = shared();
    consul.put("r17/a", "1");
    let pod = filled(&consul, "r17");
    let sidecar = watching(&pod, &["--no-heartbeat"]);
    let (generation, file) = (current(&pod), inode(&pod, "a"));
    let session = consul.ask("PUT", "/v1/session/create", br#"{"LockDelay":"0s"}"#);
    let session = session.expect("an answer").json().expect("JSON");
    let session = session["ID"].as_str().expect("an id");
    let locks = [
        format!("/v1/kv/r17/a?acquire={session}"),
        format!("/v1/kv/r17/a?release={session}"),
        format!("/v1/kv/r17/a?acquire={session}"),
        // A plain write of the same value takes the lock away.
        "/v1/kv/r17/a".to_owned(),
    ];
    for lock in locks {
        let before = consul.index("r17/");
        consul.ask("PUT", &lock, b"1").expect("an answer");
        let index = consul.index("r17/");
        assert!(index > before, "{lock} moves the index");
        sidecar.until("the wake is over", |s| s.index == Some(index));
        tally.check(published(&sidecar) == 0 && current(&pod) == generation, || lock.clone());
        tally.check(inode(&pod, "a") == file, || lock.clone());
    }
    tally.finish();
}

#[test]
fn rule_18_a_missing_prefix_of_a_busy_store_is_asked_for_each_second() {
    let mut tally = Tally::of(GROUP);
    let consul = Consul::start(Kind::Real);
    let pod = Pod::new(consul.addr(), "r18/none").arg(&["--allow-empty"]);
    pod.init();
    let sidecar = watching(&pod, &["--no-heartbeat"]);
    let before = requests_counted(&sidecar);
    let writes = write_for(BUSY, |n| consul.put(&format!("r18/other/{n}"), "1"));
    let asked = requests_counted(&sidecar) - before;
    assert!(writes >= 20, "{writes} writes are no busy store");
    // A burst of two, one a second, and what was under way at either end.
    tally.check(asked <= 9.0, || format!("{asked} requests for {writes} writes elsewhere"));
    tally.check(asked >= 2.0, || format!("{asked} requests: nothing woke it"));
    tally.finish();
}

#[test]
fn rule_18_also_while_its_emptiness_is_held() {
    let mut tally = Tally::of(GROUP);
    let (consul, pod) = embedded(&[("a", "1")]);
    let sidecar = watching(&pod, &["--no-heartbeat"]);
    consul.delete("app/a");
    until_held(&sidecar, &pod, Reason::Empty);
    consul.kv().reap_tombstones();
    consul.requests().take();
    let writes = write_for(BUSY, |n| consul.kv().put(&format!("other/{n}"), "1"));
    let asked = asked_by(&consul, "watch").len();
    tally.check(asked <= 9, || format!("{asked} requests for {writes} writes elsewhere"));
    tally.check(text_is(&pod, "a", "1"), || "the file is gone".to_owned());
    tally.finish();
}

#[test]
fn rule_19_a_fast_writer_is_read_in_a_rhythm_and_the_first_change_at_once() {
    let mut tally = Tally::of(GROUP);
    let (consul, pod) = embedded(&[("a", "0")]);
    let sidecar = watching(&pod, &["--no-heartbeat"]);
    eventually("it blocks", SOON, || {
        asked_by(&consul, "watch").last()?.target.contains("index=").then_some(())
    });
    consul.requests().take();
    let begun = Instant::now();
    let writes = write_for(BUSY, |n| consul.kv().put("app/a", n.to_string()));
    let took = begun.elapsed();
    let asked = asked_by(&consul, "watch").len();
    assert!(writes >= 100, "{writes} writes are no fast writer");
    let most = took.as_millis() as usize / 100 + 4;
    tally.check(asked <= most, || format!("{asked} reads of {writes} writes in {took:?}"));
    sidecar.shows("a", (writes - 1).to_string());
    tally.case();
    let mut bucket = Bucket::new(2, Duration::from_millis(100));
    tally.check(bucket.take(Moment(1)).is_zero(), || "the first wake waits".to_owned());
    tally.finish();
}

/// Writes as long as that, a hundred times a second at most; returns how often.
fn write_for(window: Duration, write: impl Fn(usize)) -> usize {
    let (begun, mut n) = (Instant::now(), 0);
    while begun.elapsed() < window {
        write(n);
        n += 1;
        // The pace of the writer, not a wait for something.
        std::thread::sleep(Duration::from_millis(10));
    }
    n
}

fn text_is(pod: &Pod, path: &str, value: &str) -> bool {
    pod.read(path).as_deref() == Some(value.as_bytes())
}

#[test]
fn rule_20_a_burst_of_commits_is_a_few_states_and_ends_with_the_last() {
    let mut tally = Tally::of(GROUP);
    let consul = shared();
    consul.put("r20/k", "0");
    let pod = filled(&consul, "r20");
    let sidecar = watching(&pod, &["--no-heartbeat"]);
    for n in 1..=200 {
        consul.put("r20/k", n.to_string());
        consul.put(&format!("r20/k{}", n % 7), n.to_string());
    }
    consul.put("r20/last", "word");
    sidecar.shows("last", "word");
    tally.check(text_is(&pod, "k", "200"), || "k is not the last one".to_owned());
    for n in 0..7 {
        let last = (194..=200).find(|last| last % 7 == n).expect("one of seven").to_string();
        tally.check(text_is(&pod, &format!("k{n}"), &last), || format!("k{n} is not {last}"));
    }
    let states = published(&sidecar);
    tally.check(states < 200, || format!("{states} generations of 401 commits"));
    tally.finish();
}

#[test]
fn rule_55_of_a_thousand_clients_no_two_return_in_the_same_instant() {
    let mut tally = Tally::of(GROUP);
    let busy = Trouble::Busy { retry_after: Some(Duration::from_secs(3)) };
    for trouble in [Trouble::Passing, Trouble::Lasting, busy] {
        let first = |dice: f64| Backoff::default().fail(trouble, dice).as_micros();
        let pauses: BTreeSet<u128> = (0..1000).map(|n| first(f64::from(n) / 1000.0)).collect();
        tally.check(pauses.len() == 1000, || format!("{trouble:?}: {} instants", pauses.len()));
    }
    tally.finish();
}

#[test]
fn rule_56_one_connection_is_kept_and_no_question_waits_long() {
    let mut tally = Tally::of(GROUP);
    let consul = shared();
    consul.put("r56/a", "0");
    let pod = filled(&consul, "r56");
    let sidecar = watching(&pod, &["--no-heartbeat"]);
    let first = eventually("it is connected", SOON, || {
        Some(connections(&sidecar, &consul)).filter(|open| !open.is_empty())
    });
    for n in 1..=10 {
        consul.put("r56/a", n.to_string());
        sidecar.shows("a", n.to_string());
        let now = connections(&sidecar, &consul);
        tally.check(now.is_subset(&first), || format!("{now:?} after {first:?}"));
    }
    stopped(sidecar);
    // What Consul is asked to hold, it holds after the client is gone.
    let (consul, pod) = embedded(&[("a", "1")]);
    let _sidecar = watching(&pod, &["--no-heartbeat"]);
    eventually("it waits half a minute", SOON, || {
        asked_by(&consul, "watch").last()?.target.contains("&wait=30000ms").then_some(())
    });
    tally.case();
    tally.finish();
}

#[test]
fn rule_57_watch_and_heartbeat_need_a_connection_each() {
    let mut tally = Tally::of(GROUP);
    let consul = shared();
    consul.put("r57/a", "0");
    let pod = filled(&consul, "r57");
    let sidecar = watching(&pod, &["--wait", "1s", "--heartbeat", "1s"]);
    let mut n = 0;
    throughout("there are two connections at most", Duration::from_secs(3), || {
        n += 1;
        consul.put("r57/a", n.to_string());
        tally.case();
        connections(&sidecar, &consul).len() <= 2
    });
    stopped(sidecar);
    tally.finish();
}

/// The local ports of the sidecar's open connections to Consul.
fn connections(sidecar: &Sidecar<'_>, consul: &Consul) -> BTreeSet<String> {
    let process = format!("/proc/{}", sidecar.pid());
    let own = std::fs::read_dir(format!("{process}/fd")).expect("its descriptors").flatten();
    let own: BTreeSet<String> = own
        .filter_map(|fd| std::fs::read_link(fd.path()).ok()?.to_str().map(str::to_owned))
        .collect();
    let table = std::fs::read_to_string(format!("{process}/net/tcp")).expect("its sockets");
    let remote = format!(":{:04X}", consul.addr().port());
    let connected = table.lines().filter_map(|line| {
        let field: Vec<&str> = line.split_whitespace().collect();
        let open = field[2].ends_with(&remote) && field[3] == "01";
        let ours = own.contains(&format!("socket:[{}]", field.get(9)?));
        (open && ours).then(|| field[1].to_owned())
    });
    connected.collect()
}

#[test]
fn rule_61_watch_and_heartbeat_ask_the_leader() {
    let mut tally = Tally::of(GROUP);
    let (consul, pod) = embedded(&[("a", "1")]);
    let sidecar = watching(&pod, &["--wait", "1s", "--heartbeat", "1s"]);
    for n in 0..3 {
        consul.put("app/a", n.to_string());
        sidecar.shows("a", n.to_string());
    }
    eventually("the heartbeat has read", SOON, || {
        (asked_by(&consul, "heartbeat").len() >= 2).then_some(())
    });
    for mechanism in ["watch", "heartbeat"] {
        for asked in asked_by(&consul, mechanism) {
            let led = !asked.target.contains("stale") && !asked.target.contains("consistent");
            tally.check(led, || format!("{mechanism}: {}", asked.target));
        }
    }
    tally.finish();
}

#[test]
fn rule_66_only_the_list_and_the_doorbell_are_asked() {
    let mut tally = Tally::of(GROUP);
    let (consul, pod) = embedded(&[("a", "1")]);
    let sidecar = watching(&pod, &["--wait", "1s", "--heartbeat", "1s"]);
    consul.kv().change(|kv| kv.put("app/b", Put::value("2")));
    sidecar.shows("b", "2");
    consul.faults().add(Requests::from_agent("heartbeat").times(2), Fault::no_leader());
    eventually("the heartbeat has failed and read", SOON, || {
        (asked_by(&consul, "heartbeat").len() >= 4).then_some(())
    });
    let ours = consul.requests().all().into_iter().filter(|r| r.agent.starts_with("seedcar/"));
    for asked in ours {
        let list = ["/v1/kv/app/?recurse", "/v1/kv/app/?keys&separator=/"];
        let known = list.iter().any(|list| asked.target.starts_with(list));
        tally.check(known && asked.method == "GET", || format!("{asked:?}"));
    }
    tally.finish();
}
