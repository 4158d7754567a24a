//! A sidecar at rest holds little of its own program, and so it is again after each question.

use super::memory;
use crate::consul::{Consul, Kind};
use crate::rig::{Pod, SOON};
use crate::wait::eventually;

/// Finished questions of the watch that told of nothing.
const QUIET: &str = "seedcar_watch_requests_total{result=\"unchanged\",source=\"default\"}";

#[test]
fn what_a_question_took_is_given_back() {
    let consul = Consul::start(Kind::Embedded);
    // Enough to be asked for by its names: an answer with values is work in any case.
    consul.put("app/k", "v".repeat(100_000));
    let pod = Pod::new(consul.addr(), "app");
    // No heartbeat meanwhile: it gives back by itself.
    let sidecar = pod.run(&["--seed", "--wait", "7s", "--heartbeat", "24h"]);
    sidecar.until_fresh();
    let mapped = || memory::of(sidecar.pid() as u32).file;
    let before = sidecar.metric(QUIET).unwrap_or_default();
    // The first one may fall into the rest after the start.
    for answers in 1..=2 {
        eventually("Consul says that nothing is new", SOON, || {
            (sidecar.metric(QUIET)? >= before + f64::from(answers)).then_some(())
        });
    }
    let taken = mapped();
    eventually("pages of the program are given back", SOON, || {
        let left = mapped();
        (left * 10 <= taken * 8).then(|| eprintln!("{taken} -> {left} KiB"))
    });
}
