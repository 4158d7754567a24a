//! What follows a change.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::application::{Application, TALKER, Volume, exec_dir, is_alive};
use crate::consul::{Consul, Kind};
use crate::rig::{Pod, SOON};
use crate::stories::measured;
use crate::stories::scene::watching;
use crate::wait::eventually;

#[test]
fn a_change_in_consul_reaches_the_application_and_shows_in_status_and_metrics() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    let dir = exec_dir();
    let path = dir.path().to_str().expect("UTF-8");
    let pod = Pod::new(consul.addr(), "app").arg(&["--exec-dir", path]);
    let app = Application::start(pod.volume(), dir.path(), &["--on-change", "HUP"], TALKER);
    pod.init();
    assert_eq!(app.started(1).1, "1");
    let installed = std::fs::read(dir.path().join("seedcar")).expect("init has put it there");
    assert!(installed == std::fs::read(env!("CARGO_BIN_EXE_seedcar")).expect("ours"));
    let sidecar = pod.run(&[]);
    consul.put("app/a", "2");
    app.says("SIGHUP 2");
    eventually("the status shows it", SOON, || {
        let application = sidecar.status().exec.remove("app")?;
        let told = application.report.counts.signalled == 1 && !application.pending;
        told.then_some(())
    });
    let metric = "seedcar_exec_actions_total{application=\"app\",result=\"signalled\"}";
    assert_eq!(sidecar.metric(metric), Some(1.0));
    assert_eq!(sidecar.metric("seedcar_exec_pending{application=\"app\"}"), Some(0.0));
    assert_eq!(app.times("SIGHUP 2"), 1);
}

#[test]
fn in_the_plain_layout_it_is_told_when_the_files_are_there() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    let dir = exec_dir();
    let pod = Pod::new(consul.addr(), "app").arg(&["--layout", "plain"]);
    let app = Application::start(pod.volume(), dir.path(), &["--on-change", "HUP"], TALKER);
    pod.init();
    assert_eq!(app.started(1).1, "1");
    let _sidecar = watching(&pod, &[]);
    for value in 2..6 {
        consul.put("app/a", value.to_string());
        app.says(&format!("SIGHUP {value}"));
    }
    assert_eq!(app.said().len(), 5, "{:?}", app.said());
}

/// It does not handle HUP for long, is stopped, then ignores all that asks it to end.
#[test]
fn an_application_that_hangs_holds_up_nothing_of_the_sidecar_and_shows() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    let dir = exec_dir();
    let path = dir.path().to_str().expect("UTF-8");
    let pod = Pod::new(consul.addr(), "app").arg(&["--exec-dir", path]);
    pod.init();
    let app = Application::start(pod.volume(), dir.path(), &["--stop-timeout", "1h"], DEAF);
    let (pid, _) = app.started(1);
    let sidecar = pod.run(&[]);
    kill_process(Pid::from_raw(pid).expect("a process"), Signal::STOP).expect("stop it");
    for value in 2..30 {
        consul.put("app/a", value.to_string());
        sidecar.shows("a", value.to_string());
    }
    app.reports("it is being restarted", |report| report["state"] == "restarting");
    let application = eventually("the sidecar knows that the newest was noticed", SOON, || {
        let mut status = sidecar.status();
        let application = status.exec.remove("app")?;
        (application.report.seen == status.generation).then_some(application)
    });
    assert!(application.pending, "noticed, and not told of");
    assert_eq!(sidecar.metric("seedcar_exec_pending{application=\"app\"}"), Some(1.0));
    sidecar.until_fresh();
    assert!(is_alive(pid));
}

/// Ignores what asks it to end, and has a child that does, too.
const DEAF: &str = r#"
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
inner = os.fork()
if inner == 0:
    while True:
        signal.pause()
with open(os.environ["SEEDCAR_DIR"] + "/a") as file:
    os.write(1, b"inner %d\nup %d %s\n" % (inner, os.getpid(), file.read().encode()))
while True:
    signal.pause()
"#;

#[test]
fn a_restart_waits_for_the_end_and_kills_what_does_not_come_to_one() {
    let (volume, dir) = (Volume::filled(), exec_dir());
    let args = ["--debounce", "10ms", "--stop-timeout", "500ms"];
    let app = Application::start(volume.path(), dir.path(), &args, DEAF);
    let (first, _) = app.started(1);
    let inner: i32 = app.said()[0].split(' ').nth(1).and_then(|n| n.parse().ok()).expect("a pid");
    let begun = Instant::now();
    volume.publish(2, &[("a", "2")]);
    let (second, value) = app.started(2);
    assert!(begun.elapsed() >= Duration::from_millis(500), "it had its time");
    assert_eq!(value, "2");
    assert!(second != first && !is_alive(first) && !is_alive(inner), "all of its group");
    assert_eq!(app.events("application_killed").len(), 1);
    app.reports("one restart", |report| {
        report["counts"]["restarted"] == 1 && report["state"] == "running"
    });
}

#[test]
fn a_restart_is_gentle_where_the_application_ends() {
    let (volume, dir) = (Volume::filled(), exec_dir());
    let args = ["--debounce", "10ms", "--stop-signal", "TERM"];
    let mut app = Application::start(volume.path(), dir.path(), &args, TALKER);
    app.started(1);
    volume.publish(2, &[("a", "2")]);
    assert_eq!(app.started(2).1, "2");
    assert_eq!(app.times("SIGTERM 2"), 1);
    assert!(app.events("application_killed").is_empty() && app.is_running());
}

/// Takes a while to end.
const SLOW: &str = r#"
import os, signal, time
def value():
    with open(os.environ["SEEDCAR_DIR"] + "/a") as file:
        return file.read()
def end(*_):
    os.write(1, b"ending\n")
    time.sleep(1)
    os._exit(0)
signal.signal(signal.SIGTERM, end)
os.write(1, f"up {os.getpid()} {value()}\n".encode())
while True:
    signal.pause()
"#;

#[test]
fn changes_during_a_restart_are_in_what_is_started_and_cost_no_other() {
    let (volume, dir) = (Volume::filled(), exec_dir());
    let app = Application::start(volume.path(), dir.path(), &["--debounce", "10ms"], SLOW);
    app.started(1);
    volume.publish(2, &[("a", "2")]);
    app.says("ending");
    for number in 3..13 {
        volume.publish(number, &[("a", &number.to_string())]);
    }
    assert_eq!(app.started(2).1, "12");
    app.is_quiet();
    assert_eq!(app.starts().len(), 2);
    app.reports("it is told of the last", |report| report["told"] == "..g12");
}

#[test]
fn to_be_told_to_end_during_a_restart_is_the_end() {
    let (volume, dir) = (Volume::filled(), exec_dir());
    let mut app = Application::start(volume.path(), dir.path(), &["--debounce", "10ms"], SLOW);
    app.started(1);
    volume.publish(2, &[("a", "2")]);
    app.says("ending");
    app.signal(Signal::TERM);
    assert_eq!(app.ends(), 0);
    assert_eq!(app.starts().len(), 1);
}

#[test]
fn a_thousand_changes_are_a_few_actions_and_the_last_is_never_missed() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "0");
    let dir = exec_dir();
    let pod = Pod::new(consul.addr(), "app");
    pod.init();
    let sidecar = pod.run(&[]);
    let args = ["--on-change", "HUP", "--debounce", "300ms", "--debounce-max", "2s"];
    let app = Application::start(pod.volume(), dir.path(), &args, TALKER);
    app.started(1);
    let descriptors = app.descriptors();
    let begun = Instant::now();
    for number in 1..=1000 {
        consul.put("app/a", number.to_string());
    }
    let most = begun.elapsed().as_secs() as usize / 2 + 3;
    sidecar.shows("a", "1000");
    app.says("SIGHUP 1000");
    app.is_quiet();
    let told = app.said().iter().filter(|line| line.starts_with("SIGHUP")).count();
    assert!(told <= most, "{told} signals");
    let memory = app.own_memory();
    measured(&format!("memory of seedcar exec after 1,000 changes: {memory} KiB"));
    assert!(memory < 4 << 10, "{memory} KiB");
    assert_eq!(app.descriptors(), descriptors);
}

#[test]
fn changes_without_an_end_are_acted_on_all_the_same() {
    let (volume, dir) = (Volume::filled(), exec_dir());
    let args = ["--on-change", "HUP", "--debounce", "1h", "--debounce-max", "300ms"];
    let app = Application::start(volume.path(), dir.path(), &args, TALKER);
    app.started(1);
    let mut number = 1;
    eventually("three signals", SOON, || {
        number += 1;
        volume.publish(number, &[("a", &number.to_string())]);
        let told = app.said().iter().filter(|line| line.starts_with("SIGHUP")).count();
        (told >= 3).then_some(())
    });
}

#[test]
fn only_what_matches_counts_and_the_rest_is_not_behind() {
    let (volume, dir) = (Volume::empty(), exec_dir());
    let publish = |number, a, host, size| {
        volume.publish(number, &[("a", a), ("db/host", host), ("db/pool/size", size)]);
    };
    publish(1, "1", "1", "1");
    let args = ["--on-change", "HUP", "--debounce", "1ms", "--only", "db/*", "--only", "none"];
    let app = Application::start(volume.path(), dir.path(), &args, TALKER);
    app.started(1);
    publish(2, "2", "1", "1");
    app.reports("looked at", |report| report["told"] == "..g2");
    publish(3, "2", "1", "2");
    app.reports("looked at", |report| report["told"] == "..g3");
    assert_eq!(app.said().len(), 1);
    publish(4, "2", "2", "2");
    app.says("SIGHUP 2");
    // Another generation of the same content.
    publish(5, "2", "2", "2");
    app.reports("looked at", |report| report["told"] == "..g5");
    assert_eq!(app.said().len(), 2);
}

/// Handles HUP only after it was told to by another signal.
const LATE: &str = r#"
import os, signal
def value():
    with open(os.environ["SEEDCAR_DIR"] + "/a") as file:
        return file.read()
def told(number, _):
    os.write(1, f"{signal.Signals(number).name} {value()}\n".encode())
    signal.signal(signal.SIGHUP, told)
signal.signal(signal.SIGUSR1, told)
os.write(1, f"up {os.getpid()} {value()}\n".encode())
while True:
    signal.pause()
"#;

#[test]
fn a_signal_that_would_end_the_application_waits_until_it_is_handled() {
    let (volume, dir) = (Volume::filled(), exec_dir());
    let args = ["--on-change", "HUP", "--debounce", "1ms"];
    let mut app = Application::start(volume.path(), dir.path(), &args, LATE);
    app.started(1);
    volume.publish(2, &[("a", "2")]);
    eventually("it is said", SOON, || app.events("application_not_ready").pop());
    assert!(app.is_running() && app.report()["told"] == "..g1", "{}", app.report());
    app.signal(Signal::USR1);
    app.says("SIGHUP 2");
    app.reports("it is told", |report| report["told"] == "..g2");
    assert_eq!(app.events("application_not_ready").len(), 1);
}

#[test]
fn without_inotify_a_change_is_found_by_looking() {
    let (volume, dir) = (Volume::filled(), exec_dir());
    let mut command = super::application::command(
        volume.path(),
        dir.path(),
        &["--on-change", "HUP", "--debounce", "1ms"],
        TALKER,
    );
    // The kernel says ENOSYS to it, as sandboxes do.
    refuse_inotify(&mut command);
    let app = Application::spawn(command, dir.path());
    app.started(1);
    assert_eq!(app.events("cannot_watch").len(), 1);
    volume.publish(2, &[("a", "2")]);
    app.says("SIGHUP 2");
}

/// One instruction of seccomp(2) each: load the number, compare, refuse, allow.
fn refuse_inotify(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt;
    let filter = move || {
        let code =
            |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
        let mut program = [
            code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
            code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::SYS_inotify_init1 as u32, 0, 1),
            code(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32, 0, 0),
            code(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
        ];
        let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
        // SAFETY: system calls on values that outlive them.
        let refused = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
                || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) != 0
        };
        if refused { Err(std::io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: system calls only, between fork and exec.
    unsafe { command.pre_exec(filter) };
}
