//! A publish of what was read in one transaction, killed at each call: of two parts both are the old ones
//! or both the new.

use std::cell::Cell;
use std::fs;
use std::path::Path;

use super::points::{Reach, changes, chosen, shortest};
use super::strace::{Call, Inject, Point, Tracer, is_gone, thread, waits};
use crate::consul::{Consul, Kind};
use crate::ledger::Tally;
use crate::rig::{Pod, SOON};
use crate::stories::scene::status_file;
use crate::wait::{eventually, within};

const PARTS: [&str; 2] = ["one", "two"];

/// A pod of two sources that belong together, each with a key of its own name, and the number that both
/// have in Consul.
struct Pair {
    consul: Consul,
    pod: Pod,
    number: Cell<u64>,
}

#[test]
fn both_parts_or_neither() {
    let mut tally = Tally::of("kill::atomic::both_parts_or_neither");
    let pair = Pair::new();
    let calls = shortest(|| pair.publish(None).0);
    let mut reach = Reach::default();
    let tried = calls.iter().filter(|call| call.touches(&[pair.pod.volume()]));
    for call in chosen(tried, changes, 4) {
        if tally.is_broken() {
            break;
        }
        reach.point(&call.point, || pair.kill_at(&call.point, &mut tally));
    }
    reach.judge(&mut tally);
    tally.finish();
}

/// What both parts are in the generation that `..data` leads to.
fn parts(live: &Path) -> Option<[String; 2]> {
    let generation = live.join(fs::read_link(live.join("..data")).ok()?);
    let [one, two] = PARTS.map(|name| fs::read_to_string(generation.join(name)).ok());
    Some([one?, two?])
}

// === impl Pair ===

impl Pair {
    fn new() -> Self {
        let consul = Consul::start(Kind::Real);
        let addr = consul.addr().to_string();
        let pod = PARTS.iter().fold(Pod::bare().arg(&["--consul", &addr]), |pod, name| {
            pod.arg(&["--source", &format!("{name}={name}"), "--atomic", name])
        });
        let pair = Self { consul, pod, number: Cell::new(0) };
        pair.change();
        pair.pod.init();
        pair
    }

    /// Changes both in one transaction.
    fn change(&self) {
        self.number.set(self.number.get() + 1);
        let number = self.number.get().to_string();
        let keys = PARTS.map(|name| format!("{name}/{name}"));
        let pairs = keys.each_ref().map(|key| (&**key, number.as_bytes()));
        self.consul.txn_set(&pairs);
    }

    /// Whether readers see this number of both.
    fn shows(&self, number: u64) -> bool {
        parts(&self.pod.live()) == Some(PARTS.map(|_| number.to_string()))
    }

    /// Whether what Consul has is published, and `status.json` says so: the last step.
    fn is_published(&self) -> bool {
        let told = || status_file(&self.pod)?.generation;
        let current = || fs::read_link(self.pod.live().join("..data")).ok();
        self.shows(self.number.get()) && told().is_some_and(|told| current() == Some(told.into()))
    }

    /// A change of both; what the publisher called, and whether it was killed.
    fn publish(&self, point: Option<&Point>) -> (Vec<Call>, bool) {
        let sidecar = self.pod.run(&[]);
        sidecar.until_fresh();
        eventually("it is published", SOON, || self.is_published().then_some(()));
        let tid = thread(sidecar.pid(), "publisher");
        eventually("the publisher waits", SOON, || waits(tid).then_some(()));
        let tracer = Tracer::attach(tid, point.map(|point| (point, Inject::Kill)));
        self.change();
        let dead = eventually("it is killed, or has published", SOON, || {
            let done = self.is_published() && waits(tid);
            (is_gone(tid) || done).then(|| is_gone(tid))
        });
        let calls = if dead { tracer.ended() } else { tracer.detach() };
        sidecar.crash();
        (calls, dead)
    }

    /// Readers see both of one number, and of the new one after the next run. False where the publish was
    /// over before the kill.
    fn kill_at(&self, point: &Point, tally: &mut Tally) -> bool {
        let (calls, dead) = self.publish(Some(point));
        if dead {
            let last = calls.last().map_or("nothing", |call| &call.line);
            let new = self.number.get();
            let is_whole = [new - 1, new].iter().any(|number| self.shows(*number));
            tally.check(is_whole, || {
                format!("{point} at {last}: not both of one: {:?}", parts(&self.pod.live()))
            });
            let sidecar = self.pod.run(&[]);
            tally.check(within(SOON, || self.is_published()), || {
                format!("{point} at {last}: then {:?}, not {new}", parts(&self.pod.live()))
            });
            sidecar.crash();
        }
        dead
    }
}
