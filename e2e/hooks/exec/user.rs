//! As in a pod: another user, no rights, a volume that is mounted read-only, the program that init left.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::application::{Application, TALKER, Volume, exec_dir};
use crate::consul::{Consul, Kind};
use crate::rig::Pod;

/// `seedcar exec --on-change USR1` of a Python program as user 1000, with no rights but these, a umask that
/// lets nobody read, and the volume mounted read-only.
fn as_user(seedcar: &Path, volume: &Path, exec_dir: &Path, rights: &str, python: &str) -> Command {
    let (volume, exec_dir) = (volume.display(), exec_dir.display());
    let script = format!(
        "mount --bind {volume} {volume} && mount -o remount,bind,ro {volume} && umask 077 && \
         exec setpriv --reuid 1000 --regid 1000 --clear-groups --no-new-privs {rights} \
         {} exec --volume {volume} --exec-dir {exec_dir} --name app --on-change USR1 \
         --debounce 1ms --log-format json -- python3 -c \"$PROGRAM\"",
        seedcar.display()
    );
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "sh", "-c", &script]).env("PROGRAM", python);
    // A Python that every user finds.
    unshare.env("PATH", "/usr/bin:/bin").env("SEEDCAR_DIR", format!("{volume}/live"));
    unshare
}

/// A volume and a directory that another user may enter, and a program that it may read.
fn open_to_all() -> (Volume, TempDir, PathBuf) {
    let (volume, dir) = (Volume::filled(), exec_dir());
    for path in [volume.path(), dir.path()] {
        std::fs::set_permissions(path, Permissions::from_mode(0o777)).expect("open it");
    }
    let program = dir.path().join("seedcar");
    std::fs::copy(env!("CARGO_BIN_EXE_seedcar"), &program).expect("copy it");
    (volume, dir, program)
}

#[test]
fn another_user_with_a_read_only_volume_is_started_and_told() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    let dir = exec_dir();
    let path = dir.path().to_str().expect("UTF-8");
    let pod = Pod::new(consul.addr(), "app").arg(&["--exec-dir", path]);
    // As the kubelet makes them.
    let modes = [(pod.volume(), 0o1777), (dir.path(), 0o777)];
    for (path, mode) in modes {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("open it");
    }
    pod.init();
    let sidecar = pod.run(&[]);
    let program = dir.path().join("seedcar");
    let mut command = as_user(&program, pod.volume(), dir.path(), "", TALKER);
    command.env("SEEDCAR_DIR", pod.live());
    let app = Application::spawn(command, dir.path());
    let (pid, value) = app.started(1);
    assert_eq!(value, "1");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    assert!(status.contains("Uid:\t1000\t1000\t1000\t1000"), "{status}");
    consul.put("app/a", "2");
    app.says("SIGUSR1 2");
    app.reports("it is written down", |report| report["counts"]["signalled"] == 1);
    crate::wait::eventually("the sidecar reads it", crate::rig::SOON, || {
        sidecar.status().exec.get("app").filter(|app| app.report.counts.signalled == 1).map(drop)
    });
}

/// Becomes a user that its parent cannot signal, then waits.
const TURNCOAT: &str = r#"
import os, signal
os.setresuid(1001, 1001, 1001)
signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b"told\n"))
os.write(1, b"up %d 1\n" % os.getpid())
while True:
    signal.pause()
"#;

#[test]
fn an_application_that_became_another_user_cannot_be_told_and_that_shows() {
    let (volume, dir, program) = open_to_all();
    let rights = "--inh-caps +setuid --ambient-caps +setuid";
    let command = as_user(&program, volume.path(), dir.path(), rights, TURNCOAT);
    let mut app = Application::spawn(command, dir.path());
    app.started(1);
    volume.publish(2, &[("a", "2")]);
    app.reports("it failed", |report| {
        report["counts"]["failed"] == 1 && report["last"]["error"].is_string()
    });
    assert_eq!(app.report()["told"], "..g1");
    assert_eq!(app.events("signal_failed").len(), 1);
    assert!(app.is_running() && app.times("told") == 0);
}

#[test]
fn a_file_that_cannot_be_read_makes_each_generation_a_change() {
    let (volume, dir, program) = open_to_all();
    let closed = volume.path().join("live/..g1/closed");
    std::fs::write(&closed, "secret").expect("write it");
    std::fs::set_permissions(&closed, Permissions::from_mode(0o600)).expect("close it");
    let app =
        Application::spawn(as_user(&program, volume.path(), dir.path(), "", TALKER), dir.path());
    app.started(1);
    let complaints = app.events("cannot_read");
    assert_eq!(complaints.len(), 1);
    assert!(complaints[0]["error"].as_str().is_some_and(|e| e.starts_with("closed: ")));
    volume.publish(2, &[("a", "1")]);
    app.says("SIGUSR1 1");
    app.reports("it is told", |report| report["told"] == "..g2");
}

#[test]
fn init_says_where_it_could_not_put_the_program() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    let pod = Pod::new(consul.addr(), "app").arg(&["--exec-dir", "/nowhere/at/all"]);
    let ended = pod.seedcar(&["init"]);
    assert_eq!(ended.code(), 73);
    assert!(ended.err.contains("--exec-dir /nowhere/at/all"), "{}", ended.err);
    assert_eq!(pod.read("a").as_deref(), Some(b"1".as_slice()), "the volume is filled");
}
