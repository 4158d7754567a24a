//! A publish that a service is told of, killed: at each call of the thread that publishes, and of the one
//! that tells. The next run tells, and nobody is ever told of what cannot be seen yet.

mod plain;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};

use super::after::Killed;
use super::points::{Reach, changes, chosen};
use super::publish;
use super::scene::Scene;
use super::strace::{Call, Inject, Point, TALK, Tracer, is_gone, thread, waits};
use crate::hooks::service::Service;
use crate::ledger::Tally;
use crate::rig::{SOON, Sidecar};
use crate::wait::{eventually, within};

/// How long a call is held up: a request on this machine takes a hundredth of it.
const HELD_UP: Duration = Duration::from_millis(200);

/// The scene, and who is told of it.
struct Told {
    scene: Scene,
    service: Service,
    seen: Seen,
}

/// In order: the generation that readers saw, and the one that was told of at that moment, if one was.
type Seen = Arc<Mutex<Vec<(Option<String>, Option<String>)>>>;

#[test]
fn the_publisher_killed_at_every_call() {
    let mut tally = Tally::of("kill::hook::the_publisher_killed_at_every_call");
    let told = Told::new();
    let calls = publish::record(&told.scene);
    let mut reach = Reach::default();
    // After the swap there is something to tell.
    let after = swap(&calls);
    let is_after =
        |call: &Call| changes(call) && calls[after..].iter().any(|c| c.point == call.point);
    for call in chosen(calls.iter().filter(|call| told.scene.touches(call)), is_after, 4) {
        if tally.is_broken() {
            break;
        }
        reach.point(&call.point, || {
            let killed = publish::kill(&told.scene, &call.point);
            killed.map(|killed| told.next_run_tells(&killed, &mut tally)).is_some()
        });
    }
    reach.judge(&mut tally);
    told.was_never_early(&mut tally);
    tally.finish();
}

#[test]
fn whoever_tells_killed_at_every_call() {
    let mut tally = Tally::of("kill::hook::whoever_tells_killed_at_every_call");
    let told = Told::new();
    let calls = told.tell(None).1;
    let is_sent = |call: &Call| ["connect", "sendto", "writev"].contains(&&*call.point.call);
    tally.check(calls.iter().any(is_sent), || format!("who tells nobody? {calls:?}"));
    let mut reach = Reach::default();
    for call in chosen(calls.iter(), is_sent, 6) {
        if tally.is_broken() {
            break;
        }
        reach.point(&call.point, || {
            let (dead, calls) = told.tell(Some(&call.point));
            if dead {
                let killed = Killed::new(&told.scene, &call.point, &calls);
                told.next_run_tells(&killed, &mut tally);
            }
            dead
        });
    }
    reach.judge(&mut tally);
    told.was_never_early(&mut tally);
    tally.finish();
}

#[test]
fn nobody_is_told_of_what_is_not_visible() {
    let mut tally = Tally::of("kill::hook::nobody_is_told_of_what_is_not_visible");
    let told = Told::new();
    let calls = publish::record(&told.scene);
    let swap = &calls[swap(&calls)];
    let before = calls.iter().take_while(|call| call.point != swap.point);
    let is_swap = |call: &Call| call.point == swap.point;
    let held = before.chain([swap]).filter(|call| changes(call) && told.scene.touches(call));
    for call in chosen(held, is_swap, 4) {
        let sidecar = held_up(&told.scene, &call.point);
        told.is_told(&sidecar, &mut tally, || format!("held up at {}", call.point));
        sidecar.crash();
    }
    told.was_never_early(&mut tally);
    tally.finish();
}

/// A sidecar whose last publish was held up at this point.
fn held_up<'s>(scene: &'s Scene, point: &Point) -> Sidecar<'s> {
    let (sidecar, tid) = publish::prepared(scene);
    let tracer = Tracer::attach(tid, Some((point, Inject::Hold(HELD_UP))));
    scene.change();
    scene.published();
    tracer.detach();
    sidecar
}

/// Where the rename to `..data` is among the calls.
fn swap(calls: &[Call]) -> usize {
    let is_swap = |call: &Call| call.point.call == "renameat" && call.line.contains("\"..data\"");
    calls.iter().position(is_swap).expect("a publish swaps")
}

// === impl Told ===

impl Told {
    /// `init` has published content 1, of which nobody has been told.
    fn new() -> Self {
        let (seen, live) = (Seen::default(), Arc::new(OnceLock::<PathBuf>::new()));
        let (sees, at) = (seen.clone(), live.clone());
        let service = Service::start(move |body: &Value| {
            let visible = at.get().and_then(|live| fs::read_link(live.join("..data")).ok());
            let visible = visible.map(|name| name.to_string_lossy().into_owned());
            let named = body["generation"].as_str().map(str::to_owned);
            sees.lock().expect("whole").push((visible, named));
        });
        let scene = Scene::configured(&json!({"hook": {"url": service.url}}));
        live.set(scene.pod.live()).expect("set once");
        scene.pod.init();
        Self { scene, service, seen }
    }

    /// A change, and what the thread called that told of it; killed at `point`, or not.
    fn tell(&self, point: Option<&Point>) -> (bool, Vec<Call>) {
        let sidecar = self.scene.run();
        eventually("all is told", SOON, || is_all_told(&sidecar).then_some(()));
        let publisher = thread(sidecar.pid(), "publisher");
        let tid = thread(sidecar.pid(), "hook");
        let tracer = Tracer::attach_for(TALK, tid, point.map(|point| (point, Inject::Kill)));
        self.note_visible();
        self.scene.change();
        let dead = eventually("it is killed, or has told", SOON, || {
            let told = self.scene.is_published() && waits(publisher) && !is_gone(tid);
            (is_gone(tid) || told && is_all_told(&sidecar)).then(|| is_gone(tid))
        });
        let calls = if dead { tracer.ended() } else { tracer.detach() };
        sidecar.crash();
        (dead, calls)
    }

    /// Whatever readers see after a kill has been told of once the next run is there, also without a
    /// word from Consul; and so is the change that was cut off.
    fn next_run_tells(&self, killed: &Killed<'_>, tally: &mut Tally) {
        self.note_visible();
        self.scene.consul.freeze();
        let sidecar = self.scene.pod.run(&[]);
        self.is_told(&sidecar, tally, || format!("{killed}, without Consul"));
        self.scene.consul.thaw();
        self.scene.published();
        self.is_told(&sidecar, tally, || killed.to_string());
        self.note_visible();
        sidecar.crash();
    }

    /// The generation that readers see is the last one told of.
    fn is_told(&self, sidecar: &Sidecar<'_>, tally: &mut Tally, when: impl Fn() -> String) {
        let is_told = || {
            let heard = self.service.heard();
            let last = heard.last().and_then(|(_, body)| body["generation"].as_str());
            last.is_some() && last == self.scene.current().as_deref() && is_all_told(sidecar)
        };
        tally.check(within(SOON, is_told), || {
            let (current, last) = (self.scene.current(), self.service.heard().pop());
            format!("{}: {current:?} is not told, but {last:?}", when())
        });
    }

    fn note_visible(&self) {
        self.seen.lock().expect("whole").push((self.scene.current(), None));
    }

    /// Each generation that was told of was visible then, or had been.
    fn was_never_early(&self, tally: &mut Tally) {
        let mut visible = BTreeSet::new();
        for (seen, told) in self.seen.lock().expect("whole").iter() {
            visible.extend(seen.clone());
            let early = told.as_ref().is_some_and(|told| !visible.contains(told));
            tally.check(!early, || format!("told of {told:?} while readers saw {seen:?}"));
        }
    }
}

fn is_all_told(sidecar: &Sidecar<'_>) -> bool {
    sidecar.try_status().and_then(|s| s.hook).is_some_and(|hook| !hook.pending)
}
