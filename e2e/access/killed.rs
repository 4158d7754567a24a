//! `run`, killed at the calls of the thread that logs in and out. Nothing of a login is on a volume: the
//! next run has one of its own, and a token that was left behind ends by its own time.

use std::cell::Cell;
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::scene::{Scene, logins};
use crate::kill::points::{Reach, chosen};
use crate::kill::strace::{Call, Inject, Point, TALK, Tracer, is_gone, thread};
use crate::ledger::{Tally, nightly};
use crate::rig::{Pod, SOON, Sidecar};
use crate::stories::scene::stopped;
use crate::wait::{eventually, within};

const GROUP: &str = "access::killed";
/// The shortest life that Consul gives a token, and what it takes to remove one.
const EXPIRED: Duration = Duration::from_secs(150);

/// A pod that logs in, and the number of what Consul holds for it.
struct Killed {
    scene: Arc<Scene>,
    name: &'static str,
    pod: Pod,
    number: Cell<u32>,
}

/// What is done with a sidecar that may be killed at a point: what its thread called, and whether it was.
type Act<'a> = &'a dyn Fn(&Killed, Option<&Point>) -> (Vec<Call>, bool);

#[test]
fn as_it_logs_in() {
    each_call("d1", &|killed, point| {
        let sidecar = killed.run();
        let (tid, tracer) = attach(&sidecar, point);
        // Its token is refused: another login follows.
        killed.scene.revoke(killed.name);
        let dead = eventually("it is killed, or logged in", SOON, || {
            let works = !is_gone(tid) && killed.tokens().len() == 1 && is_up(&sidecar);
            (is_gone(tid) || works).then(|| is_gone(tid))
        });
        let calls = if dead { tracer.ended() } else { tracer.detach() };
        sidecar.crash();
        (calls, dead)
    });
}

#[test]
fn as_it_logs_out() {
    each_call("d2", &|killed, point| {
        let sidecar = killed.run();
        let (_, tracer) = attach(&sidecar, point);
        let (status, _) = sidecar.stop();
        (tracer.ended(), status.signal() == Some(9))
    });
}

/// Kills at calls of a recorded run of `act`, and looks each time.
fn each_call(name: &'static str, act: Act<'_>) {
    let mut tally = Tally::of(GROUP);
    let killed = Killed::new(name);
    let (calls, _) = act(&killed, None);
    let sends = |call: &Call| ["sendto", "write", "writev"].contains(&&*call.point.call);
    tally.check(calls.iter().any(sends), || format!("nothing is said: {calls:?}"));
    let mut reach = Reach::default();
    for call in chosen(calls.iter(), |_| false, 6) {
        if tally.is_broken() {
            break;
        }
        reach.point(&call.point, || {
            let (_, dead) = act(&killed, Some(&call.point));
            if dead {
                killed.goes_on(&call.point, &mut tally);
            }
            dead
        });
    }
    reach.judge(&mut tally);
    if nightly() {
        let gone = within(EXPIRED, || killed.tokens().is_empty());
        tally.check(gone, || format!("left behind for good: {:?}", killed.tokens()));
    }
    tally.finish();
}

fn attach(sidecar: &Sidecar<'_>, point: Option<&Point>) -> (i32, Tracer) {
    let tid = thread(sidecar.pid(), "login");
    (tid, Tracer::attach_for(TALK, tid, point.map(|point| (point, Inject::Kill))))
}

fn is_up(sidecar: &Sidecar<'_>) -> bool {
    let up = |status: seedcar::status::Status| {
        status.sources.values().all(|source| source.mechanisms["watch"].up)
    };
    sidecar.try_status().is_some_and(up)
}

// === impl Killed ===

impl Killed {
    fn new(name: &'static str) -> Self {
        let scene = Scene::shared();
        scene.method(name, &json!({"MaxTokenTTL": "60s"}));
        let pod = scene.pod(name).arg(&["--wait", "1s", "--heartbeat", "1s"]);
        pod.init();
        Self { scene, name, pod, number: Cell::new(1) }
    }

    fn tokens(&self) -> Vec<Value> {
        self.scene.tokens(self.name)
    }

    /// A sidecar that is logged in and follows.
    fn run(&self) -> Sidecar<'_> {
        let sidecar = self.pod.run(&[]);
        sidecar.until("the watch works", |s| s.mechanisms["watch"].up);
        sidecar
    }

    /// The files are what they were; the next run has one login, follows, and takes that away again;
    /// what was left behind has an end.
    fn goes_on(&self, point: &Point, tally: &mut Tally) {
        let read = || self.pod.read("a").map(|read| String::from_utf8_lossy(&read).into_owned());
        let old = self.number.get().to_string();
        tally.check(read().as_ref() == Some(&old), || format!("{point}: {:?}", read()));
        let left = self.tokens();
        let endless = left.iter().find(|token| token["ExpirationTime"].is_null());
        tally.check(endless.is_none(), || format!("{point}: {endless:?} has no end"));

        let sidecar = self.run();
        self.number.set(self.number.get() + 1);
        let new = self.number.get().to_string();
        self.scene.consul.put(&format!("{}/a", self.name), &new);
        let follows = within(SOON, || read().as_ref() == Some(&new));
        tally.check(follows, || format!("{point}: then {:?}, not {new}", read()));
        let count = logins(&sidecar, "ok");
        tally.check(count == 1.0, || format!("{point}: then {count} logins"));
        stopped(sidecar);
        let known = |token: &Value| left.iter().any(|l| l["AccessorID"] == token["AccessorID"]);
        let more: Vec<_> = self.tokens().into_iter().filter(|token| !known(token)).collect();
        tally.check(more.is_empty(), || format!("{point}: the next run left {more:?}"));
    }
}
