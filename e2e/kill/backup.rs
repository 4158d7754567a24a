//! Writing a backup and pruning the older ones, killed at each call of the thread that owns the
//! backup volume; and the order of its calls, which is what survives a power cut.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use super::after::Killed;
use super::points::{Reach, changes, chosen};
use super::scene::Scene;
use super::strace::{Call, Inject, Point, Tracer, is_gone, thread, waits};
use crate::ledger::Tally;
use crate::rig::{SOON, Sidecar};
use crate::wait::eventually;

/// After so many contents each new one makes an older backup superfluous.
const BEFORE: usize = 4;

#[test]
fn killed_at_every_call() {
    let mut tally = Tally::of("kill::backup::killed_at_every_call");
    let (scene, calls) = recorded();
    let mut reach = Reach::default();
    for call in chosen(calls.iter().filter(|call| scene.touches(call)), changes, 6) {
        if tally.is_broken() {
            break;
        }
        reach.point(&call.point, || kill_at(&scene, &call.point, &mut tally));
    }
    reach.judge(&mut tally);
    what_is_left_is_swept(&scene, &mut tally);
    tally.finish();
}

#[test]
fn the_calls_come_in_the_order_that_survives_a_power_cut() {
    let mut tally =
        Tally::of("kill::backup::the_calls_come_in_the_order_that_survives_a_power_cut");
    let (scene, calls) = recorded();
    let backup = scene.pod.backup().display().to_string();
    let lines: Vec<String> = calls
        .iter()
        .filter(|call| scene.touches(call))
        .map(|call| call.line.replace(&backup, "BACKUP"))
        .collect();
    let at = |what: &str, from: usize, is: &dyn Fn(&str) -> bool| {
        let found = lines[from..].iter().position(|line| is(line)).map(|at| from + at);
        found.ok_or_else(|| format!("no {what} after call {from} of {lines:#?}"))
    };
    let in_order = || -> Result<(), String> {
        let made =
            at("new file", 0, &|l| l.starts_with("openat(") && l.contains("O_CREAT|O_EXCL"))?;
        let temporary = lines[made].split('"').nth(1).expect("a name").to_owned();
        let of_it = |call: &str| format!("{call}(").to_owned();
        let write = of_it("write");
        let written = at("write", made, &|l| l.starts_with(&write) && l.contains(&temporary))?;
        let last = lines.iter().rposition(|l| l.starts_with(&write) && l.contains(&temporary));
        let synced =
            at("fsync of it", written, &|l| l.starts_with("fsync(") && l.contains(&temporary))?;
        let renamed =
            at("rename", synced, &|l| l.starts_with("renameat") && l.contains(&temporary))?;
        let name = lines[renamed].split('"').nth(3).expect("a name").to_owned();
        let durable = at("fsync of the directory", renamed, &|l| {
            l.starts_with("fsync(") && l.contains("<BACKUP>")
        })?;
        let read =
            at("read of the new file", durable, &|l| l.starts_with("read(") && l.contains(&name))?;
        let removed = lines.iter().position(|l| l.starts_with("unlinkat("));
        match removed {
            _ if last > Some(synced) => Err(format!("written after its fsync: {lines:#?}")),
            None => Err(format!("nothing was pruned: {lines:#?}")),
            Some(removed) if removed < read => {
                Err(format!("pruned before the new file was read back: {lines:#?}"))
            }
            Some(_) => Ok(()),
        }
    };
    let held = in_order();
    tally.check(held.is_ok(), || held.unwrap_err());
    tally.finish();
}

/// A scene with several backups, and what the keeper calls to write one more.
pub fn recorded() -> (Scene, Vec<Call>) {
    let scene = Scene::new();
    scene.pod.init();
    let sidecar = scene.pod.run(&[]);
    for _ in 0..BEFORE {
        backed_up(&scene);
        scene.change();
    }
    backed_up(&scene);
    let tid = keeper(&sidecar);
    let tracer = Tracer::attach(tid, None);
    scene.change();
    backed_up(&scene);
    eventually("the keeper waits", SOON, || waits(tid).then_some(()));
    let calls = tracer.detach();
    sidecar.crash();
    (scene, calls)
}

/// Waits until the newest backup holds Consul's content.
#[track_caller]
pub fn backed_up(scene: &Scene) {
    eventually("it is backed up", SOON, || (scene.backed_up() == Ok(scene.number())).then_some(()));
}

/// The keeper's thread, once it waits.
pub fn keeper(sidecar: &Sidecar<'_>) -> i32 {
    let tid = thread(sidecar.pid(), "keeper");
    eventually("the keeper waits", SOON, || waits(tid).then_some(()));
    tid
}

fn kill_at(scene: &Scene, point: &Point, tally: &mut Tally) -> bool {
    let sidecar = scene.run();
    // A new process writes at once what is in no backup yet.
    backed_up(scene);
    let tid = keeper(&sidecar);
    let tracer = Tracer::attach(tid, Some((point, Inject::Kill)));
    let written = sidecar.events("backup_written").len();
    scene.change();
    let over = || sidecar.events("backup_written").len() > written;
    let dead = eventually("it is killed, or has written", SOON, || {
        (is_gone(tid) || over() && waits(tid)).then(|| is_gone(tid))
    });
    let calls = if dead { tracer.ended() } else { tracer.detach() };
    let acknowledged = over();
    sidecar.crash();
    if !dead {
        return false;
    }
    let killed = Killed::new(scene, point, &calls);
    let number = scene.number();
    let found = scene.backed_up();
    let allowed = if acknowledged { number..=number } else { number - 1..=number };
    tally.check(found.as_ref().is_ok_and(|n| allowed.contains(n)), || {
        format!("{killed}: the newest backup is {found:?}, not of {allowed:?}")
    });
    let sidecar = scene.run();
    backed_up(scene);
    killed.is_over(number, &scene.generations(), tally);
    sidecar.crash();
    true
}

/// Files of dead writers stay for an hour, because a living replica could be writing them; then the
/// next writer removes them.
fn what_is_left_is_swept(scene: &Scene, tally: &mut Tally) {
    let long_ago = SystemTime::now() - Duration::from_secs(7200);
    let temporary = || {
        let names = fs::read_dir(scene.pod.backup()).into_iter().flatten().flatten();
        let paths = names.map(|entry| entry.path());
        paths
            .filter(|path| path.to_string_lossy().contains(".seedcar-tmp-"))
            .collect::<BTreeSet<_>>()
    };
    for path in temporary() {
        let file = File::options().append(true).open(path).expect("a left-over file");
        file.set_modified(long_ago).expect("an older time");
    }
    let sidecar = scene.run();
    scene.change();
    backed_up(scene);
    eventually("the keeper waits", SOON, || waits(keeper(&sidecar)).then_some(()));
    let left = temporary();
    tally.check(left.is_empty(), || format!("never swept: {left:?}"));
    let files = scene.listed().len();
    tally.check(files <= 8, || format!("{files} backups are kept"));
}
