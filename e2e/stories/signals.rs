//! Killed at any moment it leaves whole files; told to stop it is gone within a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use seedcar::publisher::manifest::Manifest;

use super::scene::{A_WHILE, content, seeded, stopped, until_files, watching};
use crate::consul::http::request;
use crate::consul::{Consul, Kind};
use crate::rig::{Mount, Pod, SOON};
use crate::wait::{eventually, throughout};

told_on_both!(
    killed_at_random_moments_in_a_storm_of_changes_it_ends_with_what_consul_has,
    told_to_stop_in_a_blocking_query_it_is_gone_within_a_second,
    told_to_stop_between_two_tries_of_an_outage_it_is_gone_within_a_second,
    told_to_stop_in_a_storm_of_publishes_it_is_gone_within_a_second,
    told_to_stop_while_the_backup_volume_hangs_it_is_gone_within_a_second,
    told_to_stop_while_it_seeds_it_is_gone_within_a_second,
);

/// Changes keys as fast as Consul takes them, until dropped.
struct Storm {
    over: Arc<AtomicBool>,
    writer: Option<JoinHandle<()>>,
}

// === impl Storm ===

impl Storm {
    fn over(consul: &Consul) -> Self {
        let (addr, over) = (consul.addr(), Arc::new(AtomicBool::new(false)));
        let ended = over.clone();
        let write = move || {
            let mut round = 0_u32;
            while !ended.load(Ordering::Relaxed) {
                round += 1;
                let target = format!("/v1/kv/app/storm{}/k{}", round % 3, round % 7);
                let method = if round.is_multiple_of(5) { "DELETE" } else { "PUT" };
                let body = round.to_string();
                let answer = request(addr, method, &target, &[], body.as_bytes());
                assert_eq!(answer.expect("Consul answers").status, 200);
            }
        };
        Self { over, writer: Some(std::thread::spawn(write)) }
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(writer) = self.writer.take() {
            let ended = writer.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the storm broke");
        }
    }
}

fn killed_at_random_moments_in_a_storm_of_changes_it_ends_with_what_consul_has(kind: Kind) {
    let (consul, pod) = seeded(kind, 300, 300);
    let storm = Storm::over(&consul);
    for round in 0..20 {
        let moment = Duration::from_millis(fastrand::u64(0..250));
        if round % 2 == 0 {
            kill_from_the_start(&pod, moment);
        } else {
            let sidecar = pod.run(&["--backup-delay", "0s"]);
            std::thread::sleep(moment);
            sidecar.crash();
        }
        is_whole(&pod);
    }
    drop(storm);

    let sidecar = watching(&pod, &[]);
    until_files(&pod, &content(&consul));
    sidecar.until_fresh();
    eventually("nothing is left over in live/", SOON, || left_over(&pod).is_empty().then_some(()));
    stopped(sidecar);
    consul.kill();
    pod.wipe_volume();
    pod.init();
    is_whole(&pod);
}

/// Starts a sidecar and kills it, wherever in its start that finds it.
fn kill_from_the_start(pod: &Pod, moment: Duration) {
    let mut command = pod.command(&["run", "--http", "127.0.0.1:0", "--backup-delay", "0s"]);
    let mut child = command.stdout(std::process::Stdio::null()).spawn().expect("start seedcar");
    std::thread::sleep(moment);
    child.kill().expect("kill seedcar");
    child.wait().expect("wait for seedcar");
}

/// The files are those that the manifest beside them speaks of.
#[track_caller]
fn is_whole(pod: &Pod) {
    let root = pod.live().join("..data/").canonicalize().expect("a generation");
    let text = std::fs::read(root.join("..manifest.json")).expect("a manifest");
    let manifest = Manifest::parse(&text).expect("a whole manifest");
    let files = pod.tree().keys().filter(|path| !path.ends_with('/')).count();
    assert_eq!(files, manifest.sources[0].keys);
}

/// Names in `live/` that are neither the generation, its link, nor a link to a name in it.
fn left_over(pod: &Pod) -> Vec<String> {
    let data = std::fs::read_link(pod.live().join("..data")).expect("..data");
    let tree = pod.tree();
    let is_ours = |name: &str| {
        name == "..data"
            || data.to_str() == Some(name)
            || tree.contains_key(name)
            || tree.contains_key(&format!("{name}/"))
    };
    let entries = std::fs::read_dir(pod.live()).expect("live/").flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !is_ours(name))
        .collect()
}

fn told_to_stop_in_a_blocking_query_it_is_gone_within_a_second(kind: Kind) {
    let (consul, pod) = seeded(kind, 2, 1);
    let sidecar = watching(&pod, &["--wait", "1m"]);
    consul.put("app/new", "1");
    sidecar.shows("new", "1");
    throughout("it blocks and is ready", A_WHILE, || sidecar.get("/readyz").0 == 200);
    stopped(sidecar);
}

fn told_to_stop_between_two_tries_of_an_outage_it_is_gone_within_a_second(kind: Kind) {
    let (consul, pod) = seeded(kind, 2, 1);
    let sidecar = watching(&pod, &["--heartbeat", "1s"]);
    consul.kill();
    let failed = r#"seedcar_consul_requests_total{mechanism="watch",outcome="connect_error"}"#;
    eventually("it has failed five times", SOON, || (sidecar.metric(failed)? >= 5.0).then_some(()));
    stopped(sidecar);
}

fn told_to_stop_in_a_storm_of_publishes_it_is_gone_within_a_second(kind: Kind) {
    let (consul, pod) = seeded(kind, 10, 10);
    let sidecar = watching(&pod, &["--backup-delay", "0s"]);
    let storm = Storm::over(&consul);
    eventually("it publishes all the time", SOON, || {
        (sidecar.events("published").len() >= 5).then_some(())
    });
    stopped(sidecar);
    drop(storm);
    is_whole(&pod);
}

fn told_to_stop_while_the_backup_volume_hangs_it_is_gone_within_a_second(kind: Kind) {
    let (consul, mut pod) = seeded(kind, 2, 1);
    pod.mount_backup(Mount::Silent);
    let sidecar = watching(&pod, &["--heartbeat", "1s", "--backup-delay", "0s"]);
    consul.put("app/new", "1");
    sidecar.shows("new", "1");
    eventually("the keeper hangs", SOON, || keeper_hangs(sidecar.pid()));
    stopped(sidecar);
}

/// Whether the thread of this name sleeps and cannot be woken.
fn keeper_hangs(pid: i32) -> Option<()> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let hangs = tasks.flatten().any(|task| {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        stat.contains("(keeper) D")
    });
    hangs.then_some(())
}

fn told_to_stop_while_it_seeds_it_is_gone_within_a_second(kind: Kind) {
    let consul = Consul::start(kind);
    consul.put("app/a", "1");
    let pod = Pod::new(consul.addr(), "app");
    consul.freeze();
    let sidecar = pod.run(&[]);
    throughout("it is alive and not seeded", A_WHILE, || {
        sidecar.get("/livez").0 == 200 && sidecar.get("/startupz").0 == 503
    });
    stopped(sidecar);
    consul.thaw();
    assert!(!pod.live().join("..data").exists());
}
