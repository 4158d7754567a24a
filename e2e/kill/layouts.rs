//! The start of a sidecar on a volume of the other layout, killed at each call.

use seedcar::model::layout::Layout;

use super::adopt::is_done;
use super::after::Killed;
use super::gate::{Gate, is_shifted};
use super::points::{Reach, changes, chosen};
use super::publish::watched;
use super::scene::Scene;
use super::strace::{Call, Inject, Point, is_gone, thread};
use crate::ledger::Tally;
use crate::rig::SOON;
use crate::wait::eventually;

#[test]
fn killed_at_every_call_on_the_way_to_plain() {
    let mut tally = Tally::of("kill::layouts::killed_at_every_call_on_the_way_to_plain");
    kill_everywhere(Layout::Plain, &mut tally);
    tally.finish();
}

#[test]
fn killed_at_every_call_on_the_way_to_links() {
    let mut tally = Tally::of("kill::layouts::killed_at_every_call_on_the_way_to_links");
    kill_everywhere(Layout::Links, &mut tally);
    tally.finish();
}

fn kill_everywhere(to: Layout, tally: &mut Tally) {
    let scene = Scene::of(to);
    scene.pod.init();
    let (wrong, looks) = watched(&scene.pod, || {
        // One alone may be odd: what was before it may have been killed with work left to do.
        let mut earlier = Vec::new();
        let calls = eventually("two starts alike that nothing shifts", SOON, || {
            let (calls, _) = turn(&scene, None);
            let is_changing = |call: &&Call| scene.touches(call) && changes(call);
            let points: Vec<_> =
                calls.iter().filter(is_changing).map(|call| call.point.clone()).collect();
            let is_alike = points == earlier;
            earlier = points;
            (is_alike && !is_shifted(&calls)).then_some(calls)
        });
        let mut reach = Reach::default();
        for call in chosen(calls.iter().filter(|call| scene.touches(call)), changes, 8) {
            if tally.is_broken() {
                break;
            }
            reach.point(&call.point, || kill_at(&scene, &call.point, tally));
        }
        reach.judge(tally);
    });
    tally.check(wrong.is_none(), || format!("a reader finds {wrong:?}"));
    tally.check(looks > 1000, || format!("it looked {looks} times only"));
}

fn kill_at(scene: &Scene, point: &Point, tally: &mut Tally) -> bool {
    let (calls, dead) = turn(scene, Some((point, Inject::Kill)));
    if !dead {
        return false;
    }
    let killed = Killed::new(scene, point, &calls);
    killed.is_over_without_consul(tally);
    !is_shifted(&calls)
}

/// Has the volume in the other layout, and then starts a sidecar of this one. What its publisher called,
/// and whether it was killed.
fn turn(scene: &Scene, inject: Option<(&Point, Inject)>) -> (Vec<Call>, bool) {
    let other = match scene.layout {
        Layout::Links => "plain",
        Layout::Plain => "links",
    };
    let before = scene.pod.run(&["--layout", other]);
    let tid = thread(before.pid(), "publisher");
    eventually("it is of the other layout", SOON, || is_done(&before, tid).then_some(()));
    before.crash();
    let gate = Gate::shut(&scene.pod);
    let sidecar = scene.pod.run(&[]);
    let (tid, tracer) = gate.open(sidecar.pid(), inject);
    let dead = eventually("it is killed, or has adopted", SOON, || {
        (is_gone(tid) || is_done(&sidecar, tid)).then(|| is_gone(tid))
    });
    let calls = if dead { tracer.ended() } else { tracer.detach() };
    sidecar.crash();
    (calls, dead)
}
