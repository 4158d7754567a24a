//! The start of a sidecar on a seeded volume where an earlier one was killed: the lock, the sweep, the
//! adoption, the names; killed at each call itself.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use seedcar::model::layout::Layout;

use super::after::Killed;
use super::gate::{Gate, is_shifted};
use super::points::{Reach, changes, chosen};
use super::scene::Scene;
use super::strace::{Call, Inject, Point, is_gone, waits};
use crate::ledger::Tally;
use crate::rig::{SOON, Sidecar};
use crate::wait::eventually;

#[test]
fn killed_at_every_call() {
    let mut tally = Tally::of("kill::adopt::killed_at_every_call");
    kill_everywhere(&Scene::new(), &mut tally);
    tally.finish();
}

#[test]
fn killed_at_every_call_in_the_plain_layout() {
    let mut tally = Tally::of("kill::adopt::killed_at_every_call_in_the_plain_layout");
    kill_everywhere(&Scene::of(Layout::Plain), &mut tally);
    tally.finish();
}

fn kill_everywhere(scene: &Scene, tally: &mut Tally) {
    scene.pod.init();
    let calls = record(scene);
    let mut reach = Reach::default();
    for call in chosen(calls.iter().filter(|call| scene.touches(call)), changes, 8) {
        if tally.is_broken() {
            break;
        }
        // Numbered from the gate on, at which the publisher may have knocked once more.
        reach.point(&call.point, || kill_at(scene, &call.point, tally));
    }
    reach.judge(tally);
    let _sidecar = scene.run();
    scene.only_one_generation_stays(tally);
}

/// What the publisher calls while it opens a littered volume. Consul, which says nothing meanwhile,
/// has no part in it.
pub fn record(scene: &Scene) -> Vec<Call> {
    scene.consul.freeze();
    let calls = opening(scene);
    scene.consul.thaw();
    calls
}

fn opening(scene: &Scene) -> Vec<Call> {
    loop {
        litter(scene);
        let gate = Gate::shut(&scene.pod);
        let sidecar = scene.pod.run(&[]);
        let (tid, tracer) = gate.open(sidecar.pid(), None);
        eventually("it has adopted", SOON, || is_done(&sidecar, tid).then_some(()));
        let calls = tracer.detach();
        sidecar.crash();
        if !is_shifted(&calls) {
            return calls;
        }
    }
}

fn kill_at(scene: &Scene, point: &Point, tally: &mut Tally) -> bool {
    litter(scene);
    let gate = Gate::shut(&scene.pod);
    let sidecar = scene.pod.run(&[]);
    let (tid, tracer) = gate.open(sidecar.pid(), Some((point, Inject::Kill)));
    let dead = eventually("it is killed, or has adopted", SOON, || {
        (is_gone(tid) || is_done(&sidecar, tid)).then(|| is_gone(tid))
    });
    let calls = if dead { tracer.ended() } else { tracer.detach() };
    sidecar.crash();
    if !dead {
        return false;
    }
    let killed = Killed::new(scene, point, &calls);
    let number = scene.number();
    killed.readers_see(&[number], tally);
    killed.is_over_without_consul(tally);
    let sidecar = scene.run();
    killed.is_over(number, &scene.generations(), tally);
    sidecar.crash();
    !is_shifted(&calls)
}

/// Whether this publisher has adopted what it found, and waits.
pub fn is_done(sidecar: &Sidecar<'_>, tid: i32) -> bool {
    !sidecar.events("adopted").is_empty() && waits(tid)
}

/// What kills at several points leave, all at once.
pub fn litter(scene: &Scene) {
    let (live, home) = (scene.pod.live(), scene.home());
    let half = home.join("..2026_01_01_00_00_00.half");
    let _ = fs::create_dir_all(half.join("dir"));
    fs::set_permissions(&half, fs::Permissions::from_mode(0o700)).expect("a mode");
    let _ = fs::write(half.join("dir/changing"), "half");
    let _ = symlink("..2026_01_01_00_00_00.half", home.join("..data_tmp"));
    let number = scene.number();
    let _ = fs::remove_file(live.join(format!("only-{number}")));
    let old = format!("only-{}", number - 1);
    match scene.layout {
        Layout::Links => {
            let _ = symlink("..data/same", live.join("..link_tmp"));
            let _ = symlink(format!("..data/{old}"), live.join(old));
        }
        Layout::Plain => {
            let _ = fs::create_dir_all(home.join("..plain_tmp/half"));
            let _ = fs::write(live.join(old), (number - 1).to_string());
        }
    }
}
