//! `init` and `seedcar backup restore`: done, or ended with the code and the words for it.

use std::process::Stdio;

use super::super::gate::Gate;
use super::super::scene::Scene;
use super::super::strace::{Call, Inject, Point, Tracer};
use super::{each, injected};
use crate::ledger::Tally;

/// The volume cannot be written.
const VOLUME: i32 = 73;

#[test]
fn each_call_fails_once() {
    let mut tally = Tally::of("kill::fail::init::each_call_fails_once");
    let scene = Scene::new();
    let (calls, ..) = init(&scene, None);
    each(&scene, &calls, 4, &mut tally, |point, error, tally| fail_at(&scene, point, error, tally));
    tally.finish();
}

/// Whatever fails, there is nothing or all of it, and the next `init` works.
fn fail_at(scene: &Scene, point: &Point, error: &'static str, tally: &mut Tally) -> Vec<Call> {
    let (calls, code, words) = init(scene, Some((point, Inject::Fail(error))));
    let Some(failed) = injected(&calls) else { return calls };
    let what = format!("{error} of {}", failed.line);
    let told = code == 0 || code == VOLUME && words.contains("volume");
    tally.check(told, || format!("{what}: exit {code}, {words}"));
    let seen = scene.current().map(|_| scene.seen_inside());
    let whole = seen.as_ref().is_none_or(|seen| *seen == Ok(scene.number()));
    tally.check(whole && (code != 0 || seen.is_some()), || format!("{what}: there is {seen:?}"));
    let old = scene.generations();
    if code != 0 {
        scene.pod.init();
    }
    let (seen, left) = (scene.seen(), scene.left_over(scene.number(), &old));
    let well = seen == Ok(scene.number()) && left.is_empty();
    tally.check(well, || format!("{what}: exit {code}, in the end {seen:?}, left {left:?}"));
    calls
}

/// `init` on an empty volume: what its publisher called, its exit code and what it said.
fn init(scene: &Scene, inject: Option<(&Point, Inject)>) -> (Vec<Call>, i32, String) {
    scene.pod.wipe_volume();
    let gate = Gate::shut(&scene.pod);
    let mut command = scene.pod.command(&["init"]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().expect("start seedcar");
    let (_, tracer) = gate.open(child.id() as i32, inject);
    let output = child.wait_with_output().expect("wait for seedcar");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    (tracer.ended(), output.status.code().unwrap_or(-1), words)
}

#[test]
fn each_call_of_a_restore_fails_once() {
    let mut tally = Tally::of("kill::fail::init::each_call_of_a_restore_fails_once");
    let scene = Scene::new();
    let sidecar = scene.pod.run(&["--seed"]);
    sidecar.until("there is a backup", |s| s.backup.is_some());
    sidecar.crash();
    let name = scene.listed()[0].name.clone();
    let restored = scene.number();
    scene.change();
    scene.pod.init();
    let calls = restore(&scene, &name, None);
    each(&scene, &calls, 4, &mut tally, |point, error, tally| {
        scene.pod.init();
        let mut older = scene.generations();
        let calls = restore(&scene, &name, Some((point, Inject::Fail(error))));
        let Some(failed) = injected(&calls) else { return calls };
        let what = format!("{error} of {}", failed.line);
        let seen = scene.seen();
        let old_or_new = seen.as_ref().is_ok_and(|n| [restored, scene.number()].contains(n));
        tally.check(old_or_new, || format!("{what}: readers see {seen:?}"));
        older.extend(scene.generations());
        let again = scene.pod.seedcar(&["backup", "restore", &name]);
        tally.check(again.code() == 0, || format!("{what}: then {}", again.err));
        let (seen, left) = (scene.seen(), scene.left_over(restored, &older));
        let well = seen == Ok(restored) && left.is_empty();
        tally.check(well, || format!("{what}: in the end {seen:?}, left {left:?}"));
        calls
    });
    tally.finish();
}

fn restore(scene: &Scene, name: &str, inject: Option<(&Point, Inject)>) -> Vec<Call> {
    Tracer::run(&scene.pod.command(&["backup", "restore", name]), inject)
}
