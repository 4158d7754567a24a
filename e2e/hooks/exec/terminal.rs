//! At a terminal.

use std::process::Command;

use super::application::{TALKER, Volume, command, exec_dir};

/// Runs its arguments on a terminal of their own, types Ctrl-C once the application is up and a second
/// time once it has said so, then Ctrl-\, then ends it; and prints all that was said.
const TYPIST: &str = r#"
import os, pty, signal, sys, time
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
said = b""
def until(what, count):
    global said
    while said.count(what) < count:
        said += os.read(terminal, 4096)
until(b"up ", 1)
os.write(terminal, b"\x03")
until(b"SIGINT", 1)
os.write(terminal, b"\x03")
until(b"SIGINT", 2)
os.write(terminal, b"\x1c")
until(b"SIGQUIT", 1)
os.kill(pid, signal.SIGTERM)
until(b"SIGTERM", 1)
_, status = os.waitpid(pid, 0)
print(said.decode(), os.waitstatus_to_exitcode(status))
"#;

#[test]
fn what_is_typed_arrives_once_and_at_the_application_alone() {
    let (volume, dir) = (Volume::filled(), exec_dir());
    let inner = command(volume.path(), dir.path(), &["--on-change", "none"], TALKER);
    let mut typist = Command::new("timeout");
    typist.args(["60", "python3", "-c", TYPIST]).arg(inner.get_program()).args(inner.get_args());
    typist.env("SEEDCAR_DIR", volume.path().join("live"));
    let output = typist.output().expect("start python");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.trim_end().ends_with(" 3"), "{said} {output:?}");
    // The terminal echoes ^C before it.
    let times = |what: &str| said.lines().filter(|line| line.ends_with(what)).count();
    let counts = (times("SIGINT 1"), times("SIGQUIT 1"), times("SIGTERM 1"));
    assert_eq!(counts, (2, 1, 1), "{said}");
}

/// A shell with job control runs it in the foreground, has it stopped by Ctrl-Z, and continues it.
const JOB: &str = r#"
import os, pty, sys, time
pid, terminal = pty.fork()
if pid == 0:
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
said = b""
def until(what, count=1):
    global said
    while said.count(what) < count:
        said += os.read(terminal, 4096)
os.write(terminal, b"PS1='ready''> '\n")
until(b"ready> ")
os.write(terminal, (" ".join(sys.argv[1:]) + "\n").encode())
until(b"asleep")
os.write(terminal, b"\x1a")
until(b"Stopped")
os.write(terminal, b"echo shell''-is-back; fg\n")
until(b"shell-is-back")
os.write(terminal, b"a line\n")
until(b"read: a line")
os.write(terminal, b"echo code''-is $?; exit 0\n")
until(b"code-is 5")
print("good")
"#;

/// Reads a line from the terminal, which only the foreground may.
const READER: &str = "echo as''leep; read -r line; echo \"read: $line\"; exit 5";

#[test]
fn a_stopped_application_gives_the_shell_back_and_takes_the_terminal_again() {
    let (volume, dir) = (Volume::filled(), exec_dir());
    let script = dir.path().join("reader");
    std::fs::write(&script, READER).expect("write it");
    let mut typist = Command::new("timeout");
    typist.args(["60", "python3", "-c", JOB, env!("CARGO_BIN_EXE_seedcar"), "exec", "--volume"]);
    typist.env("LC_ALL", "C");
    typist.arg(volume.path()).args(["--log-level", "error", "--", "sh"]).arg(&script);
    let output = typist.output().expect("start python");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("good"), "{output:?}");
}
