//! A stop that operators put on changes, killed while it is put there or taken away.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use super::points::{Reach, changes, chosen};
use super::scene::Scene;
use super::strace::{Call, Inject, Point, Tracer, is_gone, thread, waits};
use crate::ledger::Tally;
use crate::rig::{SOON, Sidecar};
use crate::wait::{eventually, within};

/// How long a change that must not come is looked for. One that may come takes a tenth of it.
const A_WHILE: Duration = Duration::from_millis(1500);
/// The key that freezes the fleet.
const KEY: &str = "ops/freeze";

#[test]
fn the_command_killed_at_every_call() {
    let mut tally = Tally::of("kill::freeze::the_command_killed_at_every_call");
    let scene = Scene::new();
    scene.pod.init();
    let sidecar = scene.run();
    let mut reach = Reach::default();
    // Whether it is frozen before, and what is killed then.
    for (before, args) in
        [(false, &["freeze"][..]), (true, &["freeze"]), (true, &["freeze", "--off"])]
    {
        put(&scene, before);
        let calls = Tracer::run(&scene.pod.command(args), None);
        let calls = calls.iter().filter(|call| scene.touches(call));
        for call in chosen(calls, changes, 2) {
            if tally.is_broken() {
                break;
            }
            reach
                .point(&call.point, || kill_command(&scene, before, args, &call.point, &mut tally));
        }
    }
    reach.judge(&mut tally);
    drop(sidecar);
    tally.finish();
}

/// Whether the command came to `point`; either way what it left is what changes go by.
fn kill_command(
    scene: &Scene,
    before: bool,
    args: &[&str],
    point: &Point,
    tally: &mut Tally,
) -> bool {
    put(scene, before);
    let calls = Tracer::run(&scene.pod.command(args), Some((point, Inject::Kill)));
    let after = is_frozen(scene);
    let what = || format!("{args:?} killed at {point}");
    let stays = after || !before || args.len() > 1;
    tally.check(stays, || format!("{}: a freeze is lost", what()));
    let number = scene.number();
    scene.change();
    let waits = !within(A_WHILE, || scene.seen() != Ok(number));
    tally.check(waits == after, || format!("{}: frozen {after}, waits {waits}", what()));
    put(scene, false);
    scene.published();
    calls.last().is_some_and(|call| call.line.ends_with("= ?"))
}

#[test]
fn a_fleet_killed_at_every_call() {
    let mut tally = Tally::of("kill::freeze::a_fleet_killed_at_every_call");
    let scene = Scene::configured(&json!({"control": {"prefix": "ops"}}));
    scene.pod.init();
    for freezes in [true, false] {
        let (calls, _) = turn(&scene, freezes, None);
        let mut reach = Reach::default();
        let calls = calls.iter().filter(|call| scene.touches(call));
        for call in chosen(calls, is_of_the_state, 2) {
            if tally.is_broken() {
                break;
            }
            reach.point(&call.point, || {
                let (calls, dead) = turn(&scene, freezes, Some(&call.point));
                if dead {
                    let last = calls.last().map_or("nothing", |call| &call.line);
                    let what = format!("freezes {freezes}: {} at {last}", call.point);
                    settle(&scene, freezes, &what, &mut tally);
                }
                dead
            });
        }
        reach.judge(&mut tally);
    }
    tally.finish();
}

/// Whether the call has to do with what survives a restart.
fn is_of_the_state(call: &Call) -> bool {
    changes(call) && call.line.contains("state.json")
}

/// Has the fleet freeze, or thaw while a change waits; what the publisher called meanwhile, and whether
/// it was killed.
fn turn(scene: &Scene, freezes: bool, point: Option<&Point>) -> (Vec<Call>, bool) {
    scene.consul.delete(KEY);
    let sidecar = scene.run();
    eventually("it is not frozen", SOON, || (kept(scene) == Some(false)).then_some(()));
    if !freezes {
        scene.consul.put(KEY, "");
        until_frozen(&sidecar);
        eventually("it is kept", SOON, || (kept(scene) == Some(true)).then_some(()));
        scene.change();
    }
    let tid = thread(sidecar.pid(), "publisher");
    eventually("the publisher waits", SOON, || waits(tid).then_some(()));
    let tracer = Tracer::attach(tid, point.map(|point| (point, Inject::Kill)));
    if freezes {
        scene.consul.put(KEY, "");
    } else {
        scene.consul.delete(KEY);
    }
    let dead = eventually("it is killed, or over", SOON, || {
        let over = kept(scene) == Some(freezes) && (freezes || scene.is_published());
        (is_gone(tid) || over && waits(tid)).then(|| is_gone(tid))
    });
    let calls = if dead { tracer.ended() } else { tracer.detach() };
    sidecar.crash();
    (calls, dead)
}

/// While the key is there nothing changes, whoever answers first; after it everything has.
fn settle(scene: &Scene, frozen: bool, what: &str, tally: &mut Tally) {
    let whole = scene.own_is_whole();
    tally.check(whole.is_ok(), || format!("{what}: {whole:?}"));
    let known = kept(scene) == Some(true);
    let before = scene.seen();
    tally.check(before.is_ok(), || format!("{what}: {before:?}"));
    scene.change();
    if frozen {
        if known {
            scene.consul.freeze();
            let sidecar = scene.pod.run(&[]);
            let knows = within(SOON, || says_frozen(&sidecar));
            tally.check(knows, || format!("{what}: forgotten without Consul"));
            sidecar.crash();
            scene.consul.thaw();
        }
        let sidecar = scene.pod.run(&[]);
        until_frozen(&sidecar);
        sidecar.until("the watch works", |s| s.mechanisms["watch"].up);
        let stays = !within(A_WHILE, || scene.seen() != before);
        tally.check(stays, || format!("{what}: published while the fleet is frozen"));
        sidecar.crash();
    }
    scene.consul.delete(KEY);
    let sidecar = scene.pod.run(&[]);
    let catches_up = within(SOON, || scene.is_published());
    tally.check(catches_up, || format!("{what}: then readers see {:?}", scene.seen()));
    sidecar.crash();
}

/// Freezes the volume or thaws it, by a command that is not killed.
fn put(scene: &Scene, frozen: bool) {
    let args: &[&str] = if frozen { &["freeze"] } else { &["freeze", "--off"] };
    assert_eq!(scene.pod.seedcar(args).code(), 0);
    assert_eq!(is_frozen(scene), frozen);
}

fn is_frozen(scene: &Scene) -> bool {
    scene.pod.volume().join(".seedcar/freeze").exists()
}

fn until_frozen(sidecar: &Sidecar<'_>) {
    eventually("it is frozen", SOON, || says_frozen(sidecar).then_some(()));
}

fn says_frozen(sidecar: &Sidecar<'_>) -> bool {
    sidecar.status().frozen.as_deref() == Some("fleet")
}

/// What the volume says of the fleet's key.
fn kept(scene: &Scene) -> Option<bool> {
    let state = fs::read(scene.pod.volume().join(".seedcar/state.json")).ok()?;
    serde_json::from_slice::<Value>(&state).ok()?["fleet_frozen"].as_bool()
}
