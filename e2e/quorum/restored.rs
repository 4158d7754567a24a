//! Consul's memory goes back: a snapshot is restored, data directories are wiped, another cluster
//! stands in the place of the first.

use std::time::Duration;

use seedcar::model::guard::Reason;

use super::history::{Files, Found};
use super::observer::{Observer, Tree};
use super::scene::{HEALED, Play, Scene};
use super::writer::{PREFIXES, Writer};
use crate::stories::scene::{A_WHILE, stopped};
use crate::wait::{eventually, throughout};

/// A restore is seen at once: this is for a busy machine, and far below the wait.
const AT_ONCE: Duration = Duration::from_secs(20);

/// A store as it was.
struct Memory {
    snapshot: Vec<u8>,
    mark: (Files, u64),
}

impl Memory {
    fn of(play: &Play<'_>, writer: &mut Writer) -> Self {
        let mark = writer.mark();
        Self { snapshot: play.cluster.snapshot(), mark }
    }

    fn restore(&self, play: &Play<'_>, writer: &mut Writer) {
        writer.rewind(self.mark.clone());
        restore(play, &self.snapshot);
    }
}

/// While every question is blocked: one that comes right after a restore waits at an index that is
/// too high, for as long as it asked to. Between a change and the next question is a pause.
fn restore(play: &Play<'_>, snapshot: &[u8]) {
    throughout("every question is blocked", A_WHILE, || true);
    play.cluster.restore(snapshot);
    play.fault();
}

#[test]
fn a_restored_snapshot_is_seen_at_once() {
    const TEST: &str = "quorum::restored::a_restored_snapshot_is_seen_at_once";
    let scene = Scene::start();
    let blank = scene.cluster.snapshot();
    scene.play(TEST, &["--wait", "60s"], |play| {
        let early = Memory::of(play, &mut play.halt());
        play.wait_written(30);
        let mut writer = play.halt();
        let late = Memory::of(play, &mut writer);
        play.heals_halted(&writer, HEALED);
        for memory in [&early, &late, &early] {
            memory.restore(play, &mut writer);
            play.heals_halted(&writer, AT_ONCE);
        }
        drop(writer);
        play.wait_written(10);
        play.heals();
        restored_to_little(play, &blank);
        deleted_for_the_most_part(play);
    });
}

/// A snapshot from before there was anything: nothing of it is believed.
fn restored_to_little(play: &Play<'_>, blank: &[u8]) {
    let mut writer = play.halt();
    let full = Memory::of(play, &mut writer);
    restore(play, blank);
    all_held(play);
    full.restore(play, &mut writer);
    play.heals_halted(&writer, AT_ONCE);
}

fn all_held(play: &Play<'_>) {
    let held = |reason| {
        move |source: &seedcar::status::Source| {
            source.held.as_ref().is_some_and(|held| held.reason == reason)
        }
    };
    play.until(PREFIXES[0], "no key is held", held(Reason::Empty));
    play.until(PREFIXES[1], "one key is held", held(Reason::Shrunken));
    throughout("they stay held", A_WHILE, || {
        play.cast.iter().all(|actor| actor.sidecar.source().held.is_some())
    });
}

/// Deleted by somebody, at a higher index, and put back before anyone has confirmed it.
fn deleted_for_the_most_part(play: &Play<'_>) {
    let mut writer = play.halt();
    for prefix in PREFIXES {
        let target = format!("/v1/kv/{prefix}/k?recurse");
        let answer = play.cluster.ask(play.cluster.leader(), "DELETE", &target, b"");
        assert_eq!(answer.expect("Consul answers").status, 200);
    }
    play.fault();
    play.until("", "the loss is held", |source| {
        source.held.as_ref().is_some_and(|held| held.reason == Reason::Shrunken)
    });
    writer.lost(|path| path.starts_with('k'));
    drop(writer);
    play.wait_written(1);
    play.heals();
}

#[test]
fn wiped_servers() {
    let scene = Scene::start();
    scene.play("quorum::restored::wiped_servers", &["--wait", "5s"], |play| {
        one_wiped(play, (play.cluster.leader() + 1) % 3);
        one_wiped(play, play.cluster.leader());
        all_wiped(play);
    });
}

fn one_wiped(play: &Play<'_>, position: usize) {
    play.cluster.kill(position);
    play.cluster.forget(position);
    play.fault();
    play.wait_written(5);
    play.cluster.restart(position);
    play.cluster.wait_writable();
    play.wait_written(5);
    play.heals();
}

/// A new cluster: first it does not know the token, then it has no key, then it has other keys at an
/// index that is lower than the old one's.
fn all_wiped(play: &Play<'_>) {
    let mut writer = play.halt();
    (0..3).for_each(|position| play.cluster.kill(position));
    (0..3).for_each(|position| play.cluster.forget(position));
    (0..3).for_each(|position| play.cluster.restart(position));
    play.fault();
    play.cluster.wait_writable();
    play.until("", "the token is unknown", |source| {
        let error = source.mechanisms["watch"].last_error.as_ref();
        error.is_some_and(|error| error.kind == "denied")
    });
    play.scene.admit();
    play.fault();
    all_held(play);
    writer.lost(|_| true);
    drop(writer);
    play.wait_written(1);
    play.heals();
    let last = play.cast.iter().filter_map(|actor| Tree::read(actor.pod));
    let back = last.filter(|tree| matches!(tree.find(play.history, 0), Found::At(_))).count();
    play.check(back == play.cast.len(), || format!("{back} pods follow the new cluster"));
}

/// The watch waits for a server that stands still, and what that one says in the end is from before
/// the restore. The heartbeat has asked another by then.
#[test]
fn the_heartbeat_repairs_and_an_old_answer_spoils_nothing() {
    const TEST: &str = "quorum::restored::the_heartbeat_repairs_and_an_old_answer_spoils_nothing";
    let scene = Scene::start();
    scene.play(TEST, &["--wait", "5s"], |play| {
        let early = Memory::of(play, &mut play.halt());
        play.wait_written(20);
        let frozen = (play.cluster.leader() + 1) % 3;
        let servers = [frozen, (frozen + 1) % 3, (frozen + 2) % 3];
        let pods: Vec<_> = PREFIXES.iter().map(|prefix| play.scene.pod(prefix, &servers)).collect();
        let run = |pod| crate::rig::Pod::run(pod, &["--wait", "20s", "--heartbeat", "2s"]);
        pods.iter().for_each(|pod| drop(pod.init()));
        let sidecars: Vec<_> = pods.iter().map(run).collect();
        let mut observers: Vec<_> = pods.iter().map(|pod| Observer::new("a pod", pod)).collect();
        let mut writer = play.halt();
        let before = play.history.len() - 1;
        let mut all_at = |position: usize| {
            eventually("the heartbeat brings what the watch misses", HEALED, || {
                observers.iter_mut().for_each(|observer| play.look(observer));
                observers.iter().all(|observer| observer.position() >= position).then_some(())
            });
        };
        all_at(before);
        play.cluster.freeze(frozen);
        let begun = std::time::Instant::now();
        play.fault();
        eventually("another server leads", HEALED, || {
            play.cluster.leader_now().filter(|leader| *leader != frozen)
        });
        early.restore(play, &mut writer);
        all_at(before + 1);
        let pause = Duration::from_secs(22).saturating_sub(begun.elapsed());
        throughout("the restored content stays", pause, || {
            observers.iter_mut().for_each(|observer| play.look(observer));
            true
        });
        play.cluster.thaw(frozen);
        throughout("the restored content stays", A_WHILE * 2, || {
            observers.iter_mut().for_each(|observer| play.look(observer));
            true
        });
        drop(writer);
        play.wait_written(10);
        play.heals();
        sidecars.into_iter().for_each(stopped);
    });
}
