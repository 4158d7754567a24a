//! At rest beside writers: of a sibling prefix, and of anything while the own prefix is empty.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Run;
use super::load::PREFIX;
use super::rest::{Behind, SELDOM};
use super::result::{Results, What};
use super::tool::{Setup, WAIT};
use crate::consul::Consul;
use crate::wait::Curtain;

/// Between two writes: 50 in a second.
const PACE: Duration = Duration::from_millis(20);
/// Until the tools have started and found their pace.
const SETTLED: Duration = Duration::from_secs(3);

/// All tools at once, beside the same writes.
pub fn measure(run: &Run<'_>, results: &mut Results) {
    let busy = [What::BusyBytes, What::BusyRequests, What::BusyWakes, What::BusyCpu];
    beside_writes(run, PREFIX, busy, results);
    let empty = [What::EmptyBytes, What::EmptyRequests, What::EmptyWakes, What::EmptyCpu];
    beside_writes(run, "nothing", empty, results);
}

fn beside_writes(run: &Run<'_>, prefix: &'static str, whats: [What; 4], results: &mut Results) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _curtain = Curtain(&over);
        scope.spawn(|| write(run.consul, &over));
        let setup = Setup { prefix, wait: WAIT, heartbeat: SELDOM };
        let start = |tool: &_| Behind::start(*tool, setup, run);
        let all: Vec<_> = run.tools.iter().map(start).collect();
        thread::sleep(SETTLED);
        let before: Vec<_> = all.iter().map(Behind::used).collect();
        thread::sleep(Duration::from_secs(run.effort.beside));
        for (behind, before) in all.iter().zip(&before) {
            let minute = behind.used().a_minute_since(before);
            for (what, figure) in whats.into_iter().zip(minute) {
                results.add(what, run.load, behind.name(), figure);
            }
        }
    });
}

/// Writes to a prefix beside ours until it is over.
fn write(consul: &Consul, over: &AtomicBool) {
    let begun = Instant::now();
    for n in 0_u32.. {
        if over.load(Ordering::Relaxed) {
            return;
        }
        consul.put(&format!("sibling/k{}", n % 10), n.to_string());
        thread::sleep((begun + PACE * (n + 1)).saturating_duration_since(Instant::now()));
    }
}
