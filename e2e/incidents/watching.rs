//! Watches that died, lost a change, or asked too much.

use std::time::Duration;

use seedcar::demo::proxy::{Mode, Proxy};
use seedcar::demo::server::{Fault, Requests};

use crate::consul::{Consul, Kind};
use crate::ledger::{Tally, share};
use crate::rig::{Pod, SOON};
use crate::stories::scene::{A_WHILE, requests_counted, stopped, watching};
use crate::wait::{eventually, throughout};

/// Changes that each of these sees.
fn changes() -> u64 {
    share(5, 100)
}

/// The ring of the doorbell is not the content: when the read that follows it fails, the change must
/// come with the next one.
#[test]
fn a_change_whose_fetch_fails_is_not_lost() {
    let mut tally = Tally::of("incidents::watching::a_change_whose_fetch_fails_is_not_lost");
    let consul = Consul::start(Kind::Embedded);
    let keys: Vec<String> = (0..200).map(|n| format!("app/{:02}/{n:03}", n % 20)).collect();
    let pairs: Vec<_> = keys.iter().map(|key| (key.as_str(), [b'v'; 1024])).collect();
    consul.txn_set(&pairs.iter().map(|(key, value)| (*key, &value[..])).collect::<Vec<_>>());
    let pod = Pod::new(consul.addr(), "app");
    pod.init();
    let sidecar = watching(&pod, &["--no-heartbeat"]);
    for n in 1..=changes() {
        eventually("the watch waits at the doorbell", SOON, || {
            let asked = consul.requests().take();
            let waits = |target: &str| target.contains("?keys") && target.contains("wait=30000ms");
            asked.iter().any(|asked| waits(&asked.target)).then_some(())
        });
        let fetch = Requests::from_agent("(watch)").to("recurse");
        consul.faults().add(fetch.times(1), Fault::no_leader());
        consul.put("app/07/007", n.to_string());
        sidecar.shows("07/007", n.to_string());
        let failed = sidecar
            .metric("seedcar_consul_requests_total{mechanism=\"watch\",outcome=\"server_error\"}");
        tally.check(failed == Some(n as f64), || format!("{failed:?} reads failed, not {n}"));
        consul.faults().clear();
    }
    stopped(sidecar);
    tally.finish();
}

/// A proxy or load balancer whose idle time-out is shorter than the wait.
#[test]
fn a_proxy_that_cuts_every_block_delays_no_change() {
    let consul = Consul::start(Kind::Embedded);
    consul.put("app/a", "0");
    let proxy = Proxy::start(consul.addr().to_string()).expect("a proxy");
    let pod = Pod::new(proxy.addr(), "app");
    pod.init();
    let sidecar = watching(&pod, &["--no-heartbeat"]);
    for n in 1..=changes() {
        proxy.set_for("(watch)", Mode::Refuse);
        sidecar.until("the cut is noticed", |s| !s.mechanisms["watch"].up);
        proxy.clear();
        consul.put("app/a", n.to_string());
        sidecar.shows("a", n.to_string());
    }
    sidecar.until_fresh();
    stopped(sidecar);
}

/// Each source blocks by itself: a quiet one is waited for at the same time.
#[test]
fn a_quiet_source_does_not_delay_another() {
    let consul = Consul::start(Kind::Embedded);
    consul.put("quiet/q", "0");
    consul.put("busy/b", "0");
    let pod = Pod::bare().arg(&["--consul", &consul.addr().to_string()]);
    let pod = pod.arg(&["--source", "quiet=quiet", "--source", "busy=busy"]);
    pod.init();
    let sidecar = pod.run(&["--no-heartbeat", "--wait", "10m"]);
    for n in 1..=changes() {
        consul.put("busy/b", n.to_string());
        sidecar.shows("b", n.to_string());
    }
    stopped(sidecar);
}

#[test]
fn the_first_key_of_an_empty_prefix_arrives() {
    for kind in [Kind::Embedded, Kind::Real] {
        let consul = Consul::start(kind);
        consul.put("other/a", "1");
        let pod = Pod::new(consul.addr(), "app").arg(&["--allow-empty"]);
        pod.init();
        let sidecar = watching(&pod, &["--no-heartbeat"]);
        consul.put("app/first", "1");
        sidecar.shows("first", "1");
        consul.delete("app/first");
        sidecar.until("the last key goes", |s| s.keys == 0);
        consul.put("app/again", "1");
        sidecar.shows("again", "1");
        stopped(sidecar);
    }
}

/// A query for something missing may be woken by every change of the store.
#[test]
fn a_missing_prefix_costs_few_questions() {
    /// A burst of two, one a second, and what was under way.
    const FEW: f64 = 8.0;
    for kind in [Kind::Embedded, Kind::Real] {
        let consul = Consul::start(kind);
        consul.put("ap", "1");
        let pod = Pod::new(consul.addr(), "app").arg(&["--allow-empty"]);
        pod.init();
        let sidecar = watching(&pod, &["--no-heartbeat"]);
        let (before, mut n) = (requests_counted(&sidecar), 0);
        throughout("others write", A_WHILE + Duration::from_secs(1), || {
            n += 1;
            consul.put(&format!("apx{n}"), "1");
            true
        });
        let asked = requests_counted(&sidecar) - before;
        assert!(asked <= FEW, "{asked} questions for {n} changes of others");
        stopped(sidecar);
    }
}
