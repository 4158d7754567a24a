//! From the first generation to the exit code.

use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use super::application::{Application, TALKER, Volume, code, command, exec_dir, is_alive};
use crate::rig::SOON;
use crate::wait::{eventually, throughout};

#[test]
fn nothing_is_started_before_the_first_generation() {
    let (volume, dir) = (Volume::empty(), exec_dir());
    let app = Application::start(volume.path(), dir.path(), &[], TALKER);
    app.reports("it waits", |report| report["state"] == "waiting");
    throughout("it is not started", Duration::from_millis(300), || app.said().is_empty());
    volume.publish(1, &[("a", "1")]);
    assert_eq!(app.started(1).1, "1");
    app.reports("it runs", |report| report["state"] == "running" && report["told"] == "..g1");
}

#[test]
fn a_generation_that_does_not_come_and_what_ends_the_wait() {
    let (volume, dir) = (Volume::empty(), exec_dir());
    let waits = |args: &[&str]| Application::start(volume.path(), dir.path(), args, TALKER);
    assert_eq!(waits(&["--timeout", "100ms"]).ends(), 75);
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let mut app = waits(&[]);
        app.reports("it waits", |report| report["state"] == "waiting");
        app.signal(signal);
        assert_eq!(app.ends(), code);
    }
}

#[test]
fn each_signal_arrives_once_and_the_exit_code_comes_back() {
    let (volume, dir) = (Volume::filled(), exec_dir());
    let mut app = Application::start(volume.path(), dir.path(), &["--on-change", "none"], TALKER);
    app.started(1);
    let signals = [
        (Signal::HUP, "SIGHUP 1"),
        (Signal::INT, "SIGINT 1"),
        (Signal::QUIT, "SIGQUIT 1"),
        (Signal::USR1, "SIGUSR1 1"),
        (Signal::USR2, "SIGUSR2 1"),
        (Signal::ALARM, "SIGALRM 1"),
        (Signal::CONT, "SIGCONT 1"),
        (Signal::TSTP, "SIGTSTP 1"),
        (Signal::WINCH, "SIGWINCH 1"),
        (Signal::TERM, "SIGTERM 1"),
    ];
    for (signal, line) in signals {
        app.signal(signal);
        app.says(line);
    }
    assert_eq!(app.ends(), 3);
    for (_, line) in signals {
        assert_eq!(app.times(line), 1, "{line}");
    }
    assert_eq!(app.report()["state"], "ended");
}

#[test]
fn the_exit_code_is_the_applications_or_says_why_there_is_none() {
    let volume = Volume::filled();
    let data = volume.path().join("live/a");
    let ends = |program: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seedcar"));
        command.arg("exec").arg("--volume").arg(volume.path()).arg("--").args(program);
        code(command.output().expect("start it").status)
    };
    for (program, expected) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 77"], 77),
        (&["sh", "-c", "kill -KILL $$"], 137),
        (&["sh", "-c", "kill -USR1 $$"], 138),
        (&["/nowhere/app"], 127),
        (&["no-such-program-here"], 127),
        (&[data.to_str().expect("UTF-8")], 126),
        (&["/"], 126),
        (&[], 2),
    ] {
        assert_eq!(ends(program), expected, "{program:?}");
    }
}

#[test]
fn the_end_is_noticed_by_one_that_was_told_to_ignore_ends() {
    let volume = Volume::filled();
    let script = "trap '' CHLD; exec \"$@\"";
    let mut bash = Command::new("timeout");
    bash.args([
        "-s",
        "KILL",
        "20",
        "bash",
        "-c",
        script,
        "bash",
        env!("CARGO_BIN_EXE_seedcar"),
        "exec",
    ]);
    bash.arg("--volume").arg(volume.path()).args(["--", "sh", "-c", "exit 7"]);
    assert_eq!(code(bash.output().expect("start bash").status), 7);
}

/// What is not ours to change: limits, umask, blocked and ignored signals, and variables.
#[test]
fn the_application_is_started_as_if_nobody_stood_between() {
    let volume = Volume::filled();
    // The first 28 signals: those after 31 are the C library's own.
    let show = "umask; ulimit -c; sed -nE 's/^Sig(Blk|Ign):.*(.{7})$/\\1 \\2/p' /proc/self/status; \
                echo $CONSUL_ODD";
    // bash counts in KiB, sh in half of that.
    let setting = "ulimit -c 4096; umask 077; trap '' HUP USR1;";
    let output = |program: &str| {
        let script = format!("{setting} exec {program} sh -c \"$SHOW\"");
        let mut command = Command::new("bash");
        command.args(["-c", &script]).env("SHOW", show).env("CONSUL_ODD", "its own");
        let output = command.output().expect("start bash");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let volume = volume.path().display();
    let wrapped = format!("{} exec --volume {volume} --", env!("CARGO_BIN_EXE_seedcar"));
    let plain = output("");
    assert!(plain.contains("8192") && plain.contains("0077") && plain.contains("its own"));
    assert_eq!(output(&wrapped), plain);
}

/// Forks twice, so that the grandchild's parent ends, and waits until the grandchild is gone.
const ORPHANS: &str = r#"
import os, time

def state(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(") ", 1)[1].split()[:2]
    except OSError:
        return None

out, into = os.pipe()
orphans = []
for _ in range(20):
    child = os.fork()
    if child == 0:
        orphan = os.fork()
        if orphan == 0:
            time.sleep(0.05)
            os._exit(0)
        os.write(into, orphan.to_bytes(4, "little"))
        os._exit(0)
    os.waitpid(child, 0)
    orphans.append(int.from_bytes(os.read(out, 4), "little"))
assert os.getppid() == 1
until = time.monotonic() + 10
while any(state(pid) for pid in orphans):
    if time.monotonic() > until:
        os.write(1, b"left: %r\n" % [state(pid) for pid in orphans])
        os._exit(1)
    time.sleep(0.01)
os._exit(0)
"#;

#[test]
fn as_pid_1_it_reaps_what_lost_its_parent() {
    let (volume, dir) = (Volume::filled(), exec_dir());
    let inner = command(volume.path(), dir.path(), &[], ORPHANS);
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--mount-proc"]).arg(inner.get_program());
    unshare.args(inner.get_args());
    let output = unshare.output().expect("start unshare");
    assert!(output.status.success(), "{output:?}");
}

/// First with a child that does not end, then alone, to say whether that left a zombie.
const LEAVES_A_CHILD: &str = r#"
import os, signal, time

def zombies():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as stat:
                if stat.read().rsplit(") ", 1)[1].startswith("Z"):
                    yield pid
        except OSError:
            pass

with open(os.environ["SEEDCAR_DIR"] + "/a") as file:
    value = file.read()
if value == "1":
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.write(1, b"begun\n")
    while True:
        signal.pause()
until = time.monotonic() + 10
while list(zombies()) and time.monotonic() < until:
    time.sleep(0.01)
others = [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) not in (1, os.getpid())]
os.write(1, b"left: %d\n" % len(others))
"#;

#[test]
fn as_pid_1_a_restart_leaves_nothing_of_the_application_behind() {
    let (volume, dir) = (Volume::filled(), exec_dir());
    let args = ["--debounce", "1ms", "--stop-timeout", "1h"];
    let inner = command(volume.path(), dir.path(), &args, LEAVES_A_CHILD);
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--kill-child", "--mount-proc"]).arg(inner.get_program());
    unshare.args(inner.get_args()).env("SEEDCAR_DIR", volume.path().join("live"));
    let mut app = Application::spawn(unshare, dir.path());
    app.says("begun");
    volume.publish(2, &[("a", "2")]);
    app.says("left: 0");
    assert_eq!(app.ends(), 0);
}

#[test]
fn the_kill_of_the_wrapper_ends_the_application_and_the_next_one_starts_with_the_newest() {
    let (volume, dir) = (Volume::filled(), exec_dir());
    let mut app = Application::start(volume.path(), dir.path(), &[], TALKER);
    let (pid, _) = app.started(1);
    app.signal(Signal::KILL);
    app.ends();
    app.says("SIGTERM 1");
    eventually("the application has ended", SOON, || (!is_alive(pid)).then_some(()));
    volume.publish(2, &[("a", "2")]);
    let next = Application::start(volume.path(), dir.path(), &["--on-change", "HUP"], TALKER);
    assert_eq!(next.started(1).1, "2");
    volume.publish(3, &[("a", "3")]);
    next.says("SIGHUP 3");
}

#[test]
fn a_directory_that_cannot_be_written_is_complained_of_once() {
    let volume = Volume::filled();
    let nowhere = std::path::Path::new("/nowhere/at/all");
    let app = Application::start(
        volume.path(),
        nowhere,
        &["--on-change", "HUP", "--debounce", "1ms"],
        TALKER,
    );
    app.started(1);
    for number in 2..5 {
        volume.publish(number, &[("a", &number.to_string())]);
        app.says(&format!("SIGHUP {number}"));
    }
    assert_eq!(app.events("report_failed").len(), 1);
}
