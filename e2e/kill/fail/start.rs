//! The start of a sidecar on a seeded volume that an earlier one littered.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::super::adopt::{litter, record};
use super::super::gate::Gate;
use super::super::scene::Scene;
use super::super::strace::{Call, Inject, Point, is_gone};
use super::{decides, each, injected};
use crate::ledger::Tally;
use crate::rig::SOON;
use crate::wait::within;

#[test]
fn each_call_fails_once() {
    let mut tally = Tally::of("kill::fail::start::each_call_fails_once");
    let scene = Scene::new();
    scene.pod.init();
    let calls = record(&scene);
    let opening = calls.iter().take_while(|call| !call.line.contains("..manifest.json"));
    let deciding: Vec<_> = opening.filter(|call| decides(call)).map(|call| &call.point).collect();
    each(&scene, &calls, 6, &mut tally, |point, error, tally| {
        litter(&scene);
        if deciding.contains(&point) {
            earlier(&scene);
        }
        fail_at(&scene, point, error, tally)
    });
    tally.finish();
}

/// A generation that was replaced a moment ago. When it has gone, what was taken for one like it has
/// gone as well.
fn earlier(scene: &Scene) {
    let earlier = scene.pod.live().join("..2026_01_01_00_00_00.whole");
    fs::create_dir_all(&earlier).expect("a generation");
    fs::set_permissions(&earlier, fs::Permissions::from_mode(0o755)).expect("a mode");
}

/// Whatever fails, the files stay, and a moment later the sidecar follows Consul.
fn fail_at(scene: &Scene, point: &Point, error: &'static str, tally: &mut Tally) -> Vec<Call> {
    let number = scene.number();
    let gate = Gate::shut(&scene.pod);
    let sidecar = scene.pod.run(&[]);
    let (tid, tracer) = gate.open(sidecar.pid(), Some((point, Inject::Fail(error))));
    let mut wrong = None;
    let mut look = || {
        let seen = scene.seen_inside();
        if seen != Ok(number) {
            wrong.get_or_insert(seen);
        }
    };
    let fresh = within(SOON, || {
        look();
        sidecar.source().mechanisms["watch"].up && scene.is_published()
    });
    let mut left = Vec::new();
    // The one that was there before goes when no reader can be in it any more.
    let tidy = fresh
        && within(SOON, || {
            look();
            left = scene.left_over(number, &Default::default());
            left.is_empty() && sidecar.status().volume_error.is_none()
        });
    look();
    let alive = !is_gone(tid);
    let calls = tracer.detach();
    let Some(failed) = injected(&calls) else { return calls };
    let what = format!("{error} of {}", failed.line);
    tally.check(wrong.is_none(), || format!("{what}: readers see {wrong:?}"));
    tally.check(fresh && alive, || format!("{what}: it does not follow Consul: {}", sidecar.log()));
    tally.check(!fresh || tidy, || {
        format!("{what}: left {left:?}, says {:?}", sidecar.status().volume_error)
    });
    calls
}
