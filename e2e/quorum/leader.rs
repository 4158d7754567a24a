//! One server dies, or stands still.

use super::observer::Observer;
use super::scene::{HEALED, Play, Scene};
use super::writer::PREFIXES;
use crate::ledger;
use crate::rig::Pod;
use crate::stories::scene::{A_WHILE, stopped};
use crate::wait::{eventually, throughout};

/// Waits until another server than this leads.
fn another_leads(play: &Play<'_>, than: usize) -> usize {
    eventually("another server leads", HEALED, || {
        play.cluster.leader_now().filter(|leader| *leader != than)
    })
}

#[test]
fn killed_and_frozen_servers() {
    let scene = Scene::start();
    scene.play("quorum::leader::killed_and_frozen_servers", &["--wait", "2s"], |play| {
        for _ in 0..ledger::share(1, 50) {
            leader_killed(play);
            leader_frozen(play);
            follower_frozen(play);
        }
    });
}

fn leader_killed(play: &Play<'_>) {
    let leader = play.cluster.leader();
    play.cluster.kill(leader);
    play.fault();
    another_leads(play, leader);
    play.wait_written(20);
    play.cluster.restart(leader);
    play.fault();
    play.cluster.wait_writable();
    play.wait_written(20);
    play.heals();
}

fn leader_frozen(play: &Play<'_>) {
    let leader = play.cluster.leader();
    play.cluster.freeze(leader);
    play.fault();
    another_leads(play, leader);
    play.wait_written(20);
    play.cluster.thaw(leader);
    play.fault();
    play.cluster.wait_writable();
    play.wait_written(20);
    play.heals();
}

fn follower_frozen(play: &Play<'_>) {
    let follower = (play.cluster.leader() + 1) % 3;
    play.cluster.freeze(follower);
    play.fault();
    play.wait_written(20);
    play.cluster.thaw(follower);
    play.fault();
    play.wait_written(20);
    play.heals();
}

/// A leader that stood still while another one led does not know it at first, and answers what was
/// asked of it meanwhile from what it knew before.
#[test]
fn a_thawed_leader_turns_nothing_back() {
    const TEST: &str = "quorum::leader::a_thawed_leader_turns_nothing_back";
    let scene = Scene::start();
    scene.play(TEST, &["--wait", "2s"], |play| {
        for _ in 0..ledger::share(2, 50) {
            asked_while_frozen(play);
        }
    });
}

fn asked_while_frozen(play: &Play<'_>) {
    let leader = play.cluster.leader();
    let addr = |position: usize| play.cluster.addrs()[position].to_string();
    // Watch and heartbeat of each put a question to the frozen leader: many, for a moment's window.
    let pods: Vec<Pod> = (0..6).map(|_| play.scene.pod(PREFIXES[0], &[])).collect();
    pods.iter().for_each(|pod| {
        assert_eq!(pod.seedcar(&["init", "--consul", &addr(leader)]).code(), 0);
    });
    play.cluster.freeze(leader);
    play.fault();
    let next = another_leads(play, leader);
    play.wait_written(10);
    let run = |consul: usize| {
        let args = ["--wait", "2s", "--heartbeat", "1s", "--consul", &addr(consul)];
        pods.iter().map(|pod| pod.run(&args)).collect::<Vec<_>>()
    };
    let named = |pod| Observer::new("a pod", pod);
    let mut observers: Vec<_> = pods.iter().map(named).collect();
    let sidecars = run(next);
    all_reach(play, &mut observers, play.history.len() - 1);
    sidecars.into_iter().for_each(stopped);
    let sidecars = run(leader);
    throughout("the frozen leader is asked", A_WHILE, || {
        observers.iter_mut().for_each(|observer| play.look(observer));
        true
    });
    play.cluster.thaw(leader);
    play.fault();
    all_reach(play, &mut observers, play.history.len());
    sidecars.into_iter().for_each(stopped);
}

fn all_reach(play: &Play<'_>, observers: &mut [Observer<'_>], position: usize) {
    eventually("the pods have what the leader has", HEALED, || {
        observers.iter_mut().for_each(|observer| play.look(observer));
        observers.iter().all(|observer| observer.position() >= position).then_some(())
    });
}
