//! A publish, killed at each call of the thread that owns the volume: the new generation, the swap,
//! the names, the end of an older generation, `status.json`.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;

use seedcar::model::layout::Layout;

use super::after::Killed;
use super::points::{Reach, changes, chosen, shortest};
use super::scene::Scene;
use super::strace::{Call, Inject, Point, Tracer, is_gone, thread, waits};
use crate::ledger::Tally;
use crate::rig::{Pod, SOON, Sidecar};
use crate::wait::{Curtain, eventually};

/// After so many publishes the next one ends an older generation.
const BEFORE: usize = 2;

#[test]
fn killed_at_every_call() {
    let mut tally = Tally::of("kill::publish::killed_at_every_call");
    kill_everywhere(&Scene::new(), &mut tally);
    tally.finish();
}

#[test]
fn killed_at_every_call_in_the_plain_layout() {
    let mut tally = Tally::of("kill::publish::killed_at_every_call_in_the_plain_layout");
    let scene = Scene::of(Layout::Plain);
    scene.pod.init();
    let (wrong, looks) = watched(&scene.pod, || kill_everywhere(&scene, &mut tally));
    tally.check(wrong.is_none(), || format!("a reader finds {wrong:?}"));
    tally.check(looks > 1000, || format!("it looked {looks} times only"));
    tally.finish();
}

/// Reads files of a pod over and over that each content has. What was wrong with the first that was not
/// there or not whole, and how often they were read.
pub fn watched(pod: &Pod, work: impl FnOnce()) -> (Option<String>, u64) {
    let over = AtomicBool::new(false);
    let live = pod.live();
    scope(|scope| {
        let curtain = Curtain(&over);
        let reader = scope.spawn(|| {
            let mut looks = 0;
            while !over.load(Ordering::Relaxed) {
                for path in ["same", "changing", "dir/same", "dir/changing"] {
                    let read = fs::read(live.join(path)).map_err(|error| error.to_string());
                    if !read.as_ref().is_ok_and(|value| [4, 5000].contains(&value.len())) {
                        return (Some(format!("{path}: {:?}", read.map(|r| r.len()))), looks);
                    }
                }
                looks += 1;
            }
            (None, looks)
        });
        work();
        drop(curtain);
        reader.join().expect("a reader")
    })
}

fn kill_everywhere(scene: &Scene, tally: &mut Tally) {
    scene.pod.init();
    let calls = record(scene);
    let mut reach = Reach::default();
    for call in chosen(calls.iter().filter(|call| scene.touches(call)), changes, 4) {
        if tally.is_broken() {
            break;
        }
        reach.point(&call.point, || kill_at(scene, &call.point, tally));
    }
    reach.judge(tally);
    let _sidecar = scene.run();
    scene.only_one_generation_stays(tally);
}

/// What the publisher calls during one publish.
pub fn record(scene: &Scene) -> Vec<Call> {
    shortest(|| record_once(scene))
}

fn record_once(scene: &Scene) -> Vec<Call> {
    let (sidecar, tid) = prepared(scene);
    let tracer = Tracer::attach(tid, None);
    scene.change();
    eventually("it is published", SOON, || (scene.is_published() && waits(tid)).then_some(()));
    let calls = tracer.detach();
    sidecar.crash();
    calls
}

/// Kills a publish at `point`, looks, and has the next run set everything right. False where the
/// publish was over before that.
pub fn kill_at(scene: &Scene, point: &Point, tally: &mut Tally) -> bool {
    let Some(killed) = kill(scene, point) else { return false };
    is_over(&killed, tally);
    true
}

/// Kills a publish at `point`; nothing where it was over before that.
pub fn kill<'a>(scene: &'a Scene, point: &'a Point) -> Option<Killed<'a>> {
    let (sidecar, tid) = prepared(scene);
    let tracer = Tracer::attach(tid, Some((point, Inject::Kill)));
    scene.change();
    let reached = eventually("it is killed, or has published", SOON, || {
        let done = scene.is_published() && waits(tid);
        (is_gone(tid) || done).then(|| is_gone(tid))
    });
    if !reached {
        tracer.detach();
        sidecar.crash();
        return None;
    }
    let killed = Killed::new(scene, point, &tracer.ended());
    sidecar.crash();
    Some(killed)
}

/// What must be so after a kill, and that the next run sets everything right.
fn is_over(killed: &Killed<'_>, tally: &mut Tally) {
    let (scene, number) = (killed.scene, killed.scene.number());
    killed.readers_see(&[number - 1, number], tally);
    killed.is_over_without_consul(tally);
    let old = scene.generations();
    let sidecar = scene.run();
    killed.is_over(number, &old, tally);
    sidecar.crash();
}

/// A sidecar that waits, with as many publishes done as fill the queue of old generations.
pub fn prepared(scene: &Scene) -> (Sidecar<'_>, i32) {
    let sidecar = scene.run();
    for _ in 0..BEFORE {
        scene.change();
        scene.published();
    }
    let tid = thread(sidecar.pid(), "publisher");
    eventually("the publisher waits", SOON, || waits(tid).then_some(()));
    (sidecar, tid)
}
