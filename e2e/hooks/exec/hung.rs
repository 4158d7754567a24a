//! The directory that init, application and sidecar share is on a disk that hangs.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::application::{Application, TALKER, Volume, command, exec_dir};
use crate::consul::{Consul, Kind};
use crate::rig::{Mount, Pod};

/// A pod whose `--exec-dir` never answers.
fn pod(consul: &Consul) -> Pod {
    consul.put("app/a", "1");
    let mut pod = Pod::new(consul.addr(), "app").arg(&["--no-backup", "--seed-timeout", "2s"]);
    let path = pod.backup().to_str().expect("UTF-8").to_owned();
    pod = pod.arg(&["--exec-dir", &path]);
    pod.mount_backup(Mount::Silent);
    pod
}

#[test]
fn init_ends_and_says_so() {
    let consul = Consul::start(Kind::Real);
    let pod = pod(&consul);
    let begun = Instant::now();
    let ended = pod.seedcar(&["init"]);
    assert_eq!(ended.code(), 73);
    assert!(ended.err.contains("it does not answer"), "{}", ended.err);
    assert!(begun.elapsed() < Duration::from_secs(15));
    assert_eq!(pod.read("a").as_deref(), Some(b"1".as_slice()), "the volume is filled");
}

#[test]
fn the_sidecar_publishes_answers_and_stops() {
    let consul = Consul::start(Kind::Real);
    let pod = pod(&consul);
    let sidecar = pod.run(&["--seed"]);
    for value in 2..10 {
        consul.put("app/a", value.to_string());
        sidecar.shows("a", value.to_string());
    }
    sidecar.until_fresh();
    assert_eq!(sidecar.get("/livez").0, 200);
    assert!(sidecar.get("/metrics").1.contains("seedcar_ready 1"));
    let (status, took) = sidecar.stop();
    assert!(status.success() && took < Duration::from_secs(3), "{status} {took:?}");
}

#[test]
fn the_application_is_started_told_and_its_end_is_passed_on() {
    let (volume, dir) = (Volume::filled(), exec_dir());
    let args = ["--on-change", "HUP", "--debounce", "1ms"];
    let mut command = command(volume.path(), dir.path(), &args, TALKER);
    Mount::Silent.apply(&mut command, dir.path());
    let mut app = Application::spawn(command, dir.path());
    app.started(1);
    volume.publish(2, &[("a", "2")]);
    app.says("SIGHUP 2");
    app.signal(Signal::TERM);
    assert_eq!(app.ends(), 3);
}
