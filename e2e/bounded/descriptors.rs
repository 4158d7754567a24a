//! A running process that gets no descriptor any more.

use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::memory;
use crate::consul::http::request;
use crate::consul::{Consul, Kind};
use crate::ledger::Tally;
use crate::rig::{Pod, SOON, Sidecar};
use crate::wait::{eventually, throughout};

fn limit(sidecar: &Sidecar<'_>, soft: u64) {
    let pid = Pid::from_raw(sidecar.pid());
    let limit = Rlimit { current: Some(soft), maximum: Some(4_096) };
    prlimit(pid, Resource::Nofile, limit).expect("prlimit");
}

#[test]
fn probes_are_answered_and_it_heals() {
    let mut tally = Tally::of("bounded::descriptors");
    let consul = Consul::start(Kind::Embedded);
    consul.put("app/a", "0");
    let pod = Pod::new(consul.addr(), "app").arg(&["--heartbeat", "1s"]);
    let sidecar = pod.run(&["--seed"]);
    sidecar.until_fresh();
    for (round, more) in [0, 1, 2, 3, 0].into_iter().enumerate() {
        let open = memory::descriptors(sidecar.pid() as u32) as u64;
        limit(&sidecar, open + more);
        let value = format!("{round}");
        consul.put("app/a", &value);
        throughout("probes are answered", Duration::from_secs(2), || {
            // The kubelet, too, tries three times.
            let alive = (0..3).any(|_| {
                let answer = request(sidecar.addr(), "GET", "/livez", &[], b"");
                answer.is_ok_and(|answer| answer.status == 200)
            });
            tally.check(alive, || format!("{more} more: no answer"));
            pod.read("a").is_some()
        });
        limit(&sidecar, 1_024);
        let what = format!("a is {value} with descriptors again");
        eventually(&what, SOON, || (pod.read("a")? == value.as_bytes()).then_some(()));
        sidecar.until_fresh();
    }
    let restarts = sidecar.metric("seedcar_thread_restarts_total{thread=\"publisher\"}");
    tally.check(restarts.unwrap_or(0.0) == 0.0, || format!("{restarts:?} panics"));
    tally.finish();
}
