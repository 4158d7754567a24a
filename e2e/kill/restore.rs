//! `seedcar backup restore`, killed at each call of its only thread.

use super::after::Killed;
use super::points::{Reach, changes, chosen};
use super::scene::Scene;
use super::strace::{Inject, Tracer};
use crate::ledger::Tally;

#[test]
fn killed_at_every_call() {
    let mut tally = Tally::of("kill::restore::killed_at_every_call");
    let scene = Scene::new();
    let sidecar = scene.pod.run(&["--seed"]);
    sidecar.until("there is a backup", |s| s.backup.is_some());
    sidecar.crash();
    let name = scene.listed()[0].name.clone();
    let restored = scene.number();
    scene.change();
    let restore = || scene.pod.command(&["backup", "restore", &name]);

    let newer = || {
        scene.pod.init();
        assert_eq!(scene.seen(), Ok(scene.number()));
    };
    newer();
    let calls = Tracer::run(&restore(), None);
    assert_eq!(scene.seen(), Ok(restored));
    let mut reach = Reach::default();
    for call in chosen(calls.iter().filter(|call| scene.touches(call)), changes, 4) {
        if tally.is_broken() {
            break;
        }
        reach.point(&call.point, || {
            newer();
            let mut older = scene.generations();
            let calls = Tracer::run(&restore(), Some((&call.point, Inject::Kill)));
            let killed = Killed::new(&scene, &call.point, &calls);
            killed.readers_see(&[restored, scene.number()], &mut tally);
            older.extend(scene.generations());
            let again = scene.pod.seedcar(&["backup", "restore", &name]);
            tally.check(again.code() == 0, || format!("{killed}: the next restore: {}", again.err));
            killed.is_over(restored, &older, &mut tally);
            calls.last().is_some_and(|call| call.line.ends_with("= ?"))
        });
    }
    reach.judge(&mut tally);
    tally.finish();
}
