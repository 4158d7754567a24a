//! The start of a sidecar on a seeded volume that an earlier one littered.

use super::super::adopt::{litter, record};
use super::super::gate::Gate;
use super::super::scene::Scene;
use super::super::strace::{Inject, Point, is_gone};
use super::{cases, injected};
use crate::ledger::Tally;
use crate::rig::SOON;
use crate::wait::within;

#[test]
fn each_call_fails_once() {
    let mut tally = Tally::of("kill::fail::start::each_call_fails_once");
    let scene = Scene::new();
    scene.pod.init();
    let calls = record(&scene);
    for (point, error) in cases(&scene, &calls, 6) {
        if tally.is_broken() {
            break;
        }
        fail_at(&scene, &point, error, &mut tally);
    }
    tally.finish();
}

/// Whatever fails, the files stay, and a moment later the sidecar follows Consul.
fn fail_at(scene: &Scene, point: &Point, error: &'static str, tally: &mut Tally) {
    litter(scene);
    let number = scene.number();
    let gate = Gate::shut(&scene.pod);
    let sidecar = scene.pod.run(&[]);
    let (tid, tracer) = gate.open(sidecar.pid(), Some((point, Inject::Fail(error))));
    let mut wrong = None;
    let fresh = within(SOON, || {
        let seen = scene.seen_inside();
        if seen != Ok(number) {
            wrong.get_or_insert(seen);
        }
        sidecar.source().mechanisms["watch"].up && scene.is_published()
    });
    let mut left = Vec::new();
    // The one that was there before goes when no reader can be in it any more.
    let tidy = fresh
        && within(SOON, || {
            left = scene.left_over(number, &Default::default());
            left.is_empty() && sidecar.status().volume_error.is_none()
        });
    let alive = !is_gone(tid);
    let calls = tracer.detach();
    let Some(failed) = injected(&calls) else {
        return;
    };
    let what = format!("{error} of {}", failed.line);
    tally.check(wrong.is_none(), || format!("{what}: readers see {wrong:?}"));
    tally.check(fresh && alive, || format!("{what}: it does not follow Consul: {}", sidecar.log()));
    tally.check(!fresh || tidy, || {
        format!("{what}: left {left:?}, says {:?}", sidecar.status().volume_error)
    });
}
