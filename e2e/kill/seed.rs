//! The first fill of a volume, from Consul and from a backup, killed at each call of the thread that
//! owns the volume.

use std::process::{Child, Command, Stdio};

use super::after::Killed;
use super::gate::{Gate, ended, is_shifted};
use super::points::{Reach, changes, chosen};
use super::scene::Scene;
use super::strace::{Call, Inject, Point, Tracer};
use crate::ledger::Tally;

#[test]
fn killed_at_every_call_from_consul() {
    let mut tally = Tally::of("kill::seed::killed_at_every_call_from_consul");
    let scene = Scene::new();
    before_the_lock(&scene, &mut tally);
    killed_at_every_call(&scene, &mut tally);
    tally.finish();
}

#[test]
fn killed_at_every_call_from_a_backup() {
    let mut tally = Tally::of("kill::seed::killed_at_every_call_from_a_backup");
    let scene = Scene::new();
    let sidecar = scene.pod.run(&["--seed"]);
    sidecar.until("there is a backup", |s| s.backup.is_some());
    sidecar.crash();
    scene.consul.kill();
    killed_at_every_call(&scene, &mut tally);
    tally.finish();
}

fn killed_at_every_call(scene: &Scene, tally: &mut Tally) {
    let calls = loop {
        let (calls, _) = init(scene, None);
        if !is_shifted(&calls) {
            break calls;
        }
    };
    let mut reach = Reach::default();
    for call in chosen(calls.iter().filter(|call| scene.touches(call)), changes, 4) {
        if tally.is_broken() {
            break;
        }
        reach.point(&call.point, || kill_at(scene, &call.point, tally));
    }
    reach.judge(tally);
}

/// `init` on an empty volume; what its publisher called, and whether it was killed.
fn init(scene: &Scene, inject: Option<(&Point, Inject)>) -> (Vec<Call>, bool) {
    scene.pod.wipe_volume();
    let gate = Gate::shut(&scene.pod);
    let child = spawn(scene);
    let (_, tracer) = gate.open(child.id() as i32, inject);
    let status = ended(child);
    (tracer.ended(), status.code().is_none())
}

fn spawn(scene: &Scene) -> Child {
    let mut command = scene.pod.command(&["init"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("start seedcar")
}

fn kill_at(scene: &Scene, point: &Point, tally: &mut Tally) -> bool {
    let (calls, dead) = init(scene, Some((point, Inject::Kill)));
    if !dead {
        return false;
    }
    settle(&Killed::new(scene, point, &calls), tally);
    !is_shifted(&calls)
}

/// The directories and the lock come before the gate: these kills count from the first call on. Only
/// the publisher makes directories.
fn before_the_lock(scene: &Scene, tally: &mut Tally) {
    for nth in [1, 2] {
        scene.pod.wipe_volume();
        let point = Point { call: "mkdirat".to_owned(), nth };
        let mut program = Command::new("env");
        let init = scene.pod.command(&["init"]);
        program.arg("-i").arg(init.get_program()).args(init.get_args());
        let calls = Tracer::run_all_threads(&program, &point, Inject::Kill);
        assert!(scene.current().is_none(), "killed");
        settle(&Killed::new(scene, &point, &calls), tally);
    }
}

fn settle(killed: &Killed<'_>, tally: &mut Tally) {
    let scene = killed.scene;
    killed.holds_nothing_or(scene.number(), tally);
    let old = scene.generations();
    let ended = scene.pod.seedcar(&["init"]);
    tally.check(ended.code() == 0, || format!("{killed}: the next init: {}", ended.err));
    killed.is_over(scene.number(), &old, tally);
}
