//! Two servers of three die, or all of them, or each in turn.

use std::time::Duration;

use jiff::Timestamp;
use seedcar::model::confirmation::Origin;
use seedcar::model::health::Health;

use super::history::Found;
use super::observer::Tree;
use super::scene::{Actor, HEALED, Play, Scene};
use super::writer::PREFIXES;
use crate::ledger;
use crate::rig::{Pod, SOON};
use crate::stories::scene::{status_file, stopped, up_metric};
use crate::wait::eventually;

/// How long a leader without followers may take to notice, on a busy machine.
const NOTICED: Duration = Duration::from_secs(2);

#[test]
fn without_a_quorum() {
    let scene = Scene::start();
    scene.play("quorum::majority::without_a_quorum", &["--wait", "5s"], |play| {
        let spare = backed_up(play, play.cluster.leader());
        quorum_lost(play, &spare);
        lagging_server_left(play);
        all_killed(play);
    });
}

#[test]
fn a_rolling_restart() {
    let scene = Scene::start();
    scene.play("quorum::majority::a_rolling_restart", &["--wait", "30s"], |play| {
        for _ in 0..ledger::share(1, 50) {
            (0..3).for_each(|position| restarted(play, position));
        }
    });
}

/// As an operator does it: one after another, each once the others are well.
fn restarted(play: &Play<'_>, position: usize) {
    play.cluster.stop(position);
    play.fault();
    play.wait_written(5);
    play.cluster.restart(position);
    play.fault();
    play.cluster.wait_writable();
    play.wait_written(5);
    // Far less than the wait: a server that stops answers its blocked queries, and with the old index.
    play.heals_within(HEALED / 4);
}

/// A pod with a backup and an empty volume.
fn backed_up(play: &Play<'_>, server: usize) -> Pod {
    let pod = play.scene.pod(PREFIXES[0], &[server]).arg(&["--seed-timeout", "12s"]);
    pod.init();
    let sidecar = pod.run(&[]);
    sidecar.until("there is a backup", |source| source.backup.is_some());
    stopped(sidecar);
    pod.wipe_volume();
    pod
}

/// The leader stays and leads no more.
fn quorum_lost(play: &Play<'_>, spare: &Pod) {
    let stays = play.cluster.leader();
    let others: Vec<usize> = (0..3).filter(|position| *position != stays).collect();
    others.iter().for_each(|position| play.cluster.kill(*position));
    let lost = Timestamp::now();
    play.fault();
    for actor in play.cast {
        shows_trouble(play, actor);
        // What was blocked when the quorum went is answered 200 after its wait, and proves nothing.
        let confirmed = actor.sidecar.source().confirmed.expect("it was confirmed");
        let confirmed: Timestamp = confirmed.parse().expect("a time");
        play.check(confirmed < lost + NOTICED, || {
            format!("{}: confirmed at {confirmed}, but the quorum was lost at {lost}", actor.name)
        });
    }
    a_stale_answer_seeds(play, stays);
    // Where nobody answers, the backup does.
    play.cluster.kill(stays);
    spare.init();
    serves(play, spare, Origin::Backup, false);
    (0..3).for_each(|position| play.cluster.restart(position));
    play.fault();
    play.wait_written(5);
    play.heals();
}

fn shows_trouble(play: &Play<'_>, Actor { name, sidecar, .. }: &Actor<'_>) {
    let trouble = eventually(&format!("{name} shows the outage"), HEALED, || {
        let watch = sidecar.source().mechanisms["watch"].clone();
        watch.last_error.filter(|_| !watch.up).map(|error| error.kind)
    });
    let known = ["server_error", "connect_error", "timeout", "malformed"];
    play.check(known.contains(&&*trouble), || format!("{name}: the trouble is {trouble}"));
    play.check(sidecar.status().state == Health::Degraded, || format!("{name} seems well"));
    play.check(up_metric(sidecar, "watch") == Some(0.0), || format!("{name}: the watch is up"));
}

fn a_stale_answer_seeds(play: &Play<'_>, server: usize) {
    let pod = play.scene.pod(PREFIXES[0], &[server]);
    pod.init();
    serves(play, &pod, Origin::Consul, true);
    let confirmed = status_file(&pod).expect("a status").confirmed;
    play.check(confirmed.is_none(), || format!("a stale answer confirms: {confirmed:?}"));
}

/// What a new pod was seeded with; returns where in the history that is.
fn serves(play: &Play<'_>, pod: &Pod, origin: Origin, stale: bool) -> usize {
    let tree = Tree::read(pod).expect("a generation");
    let part = &tree.manifest.sources[0];
    play.check((part.origin, part.stale) == (origin, stale), || tree.describe());
    match tree.find(play.history, 0) {
        Found::At(position) => {
            play.fault();
            position
        }
        other => panic!("a new pod was seeded with {other:?}: {}", tree.describe()),
    }
}

/// The server that is left stood still while the others went on, and knows less than the backup.
fn lagging_server_left(play: &Play<'_>) {
    let lagging = (play.cluster.leader() + 1) % 3;
    play.cluster.freeze(lagging);
    play.fault();
    let known = play.history.len();
    play.wait_written(20);
    let others: Vec<usize> = (0..3).filter(|position| *position != lagging).collect();
    let spare = backed_up(play, play.cluster.leader());
    others.iter().for_each(|position| play.cluster.kill(*position));
    play.cluster.thaw(lagging);
    play.fault();
    eventually("the server that lagged answers", SOON, || {
        let target = format!("/v1/kv/{}/?recurse&stale", PREFIXES[0]);
        let answer = play.cluster.ask(lagging, "GET", &target, b"").ok()?;
        (answer.status == 200).then_some(())
    });
    let asks_it = play.scene.pod(PREFIXES[0], &[lagging]).arg(&["--seed-timeout", "12s"]);
    std::fs::rename(spare.backup(), asks_it.backup()).expect("the backup moves");
    asks_it.init();
    let position = serves(play, &asks_it, Origin::Backup, false);
    play.check(position >= known, || "seeded with less than the backup knows".to_owned());
    others.iter().for_each(|position| play.cluster.restart(*position));
    play.fault();
    play.wait_written(5);
    play.heals();
}

fn all_killed(play: &Play<'_>) {
    (0..3).for_each(|position| play.cluster.kill(position));
    play.fault();
    play.cast.iter().for_each(|actor| shows_trouble(play, actor));
    (0..3).for_each(|position| play.cluster.restart(position));
    play.fault();
    play.wait_written(5);
    play.heals();
}
