//! A real application under `seedcar exec`: it says what it reads and which signals it gets.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use tempfile::TempDir;

use crate::rig::SOON;
use crate::wait::{eventually, throughout};

/// Says `up PID VALUE`, then `SIGNAL VALUE` for each signal, where VALUE is the file `a`. SIGTERM ends it
/// with code 3.
pub const TALKER: &str = r#"
import os, signal, sys

def value():
    with open(os.environ["SEEDCAR_DIR"] + "/a") as file:
        return file.read()

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\n").encode())

def told(number, _):
    say(signal.Signals(number).name, value())
    if number == signal.SIGTERM:
        os._exit(3)

for name in ["HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "TERM", "CONT", "TSTP", "WINCH"]:
    signal.signal(getattr(signal, "SIG" + name), told)
say("up", os.getpid(), value())
while True:
    signal.pause()
"#;

/// `seedcar exec` and its application.
pub struct Application {
    child: Child,
    scratch: TempDir,
    exec_dir: PathBuf,
}

/// A directory to share with the sidecar, as an emptyDir is.
pub fn exec_dir() -> TempDir {
    TempDir::new().expect("a directory")
}

/// `seedcar exec` with these arguments and this Python program, not yet started.
pub fn command(volume: &Path, exec_dir: &Path, args: &[&str], program: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seedcar"));
    command.arg("exec").arg("--volume").arg(volume).arg("--exec-dir").arg(exec_dir);
    command.args(["--name", "app", "--log-format", "json"]).args(args);
    command.args(["--", "python3", "-c", program]);
    command.env("SEEDCAR_DIR", volume.join("live"));
    command
}

// === impl Application ===

impl Application {
    /// Starts it.
    pub fn start(volume: &Path, exec_dir: &Path, args: &[&str], program: &str) -> Self {
        Self::spawn(command(volume, exec_dir, args, program), exec_dir)
    }

    /// Starts what is a `seedcar exec` in the end.
    pub fn spawn(mut command: Command, exec_dir: &Path) -> Self {
        let scratch = TempDir::new().expect("a directory");
        let file = |name: &str| File::create(scratch.path().join(name)).expect("a file");
        command.stdin(Stdio::null()).stdout(file("out")).stderr(file("log"));
        // Who started the tests may ignore it, as nohup does, and that is inherited.
        let hears = || {
            // SAFETY: it is async-signal-safe.
            unsafe { libc::signal(libc::SIGHUP, libc::SIG_DFL) };
            Ok(())
        };
        // SAFETY: `hears` makes one system call.
        unsafe { command.pre_exec(hears) };
        let child = command.spawn().expect("start seedcar exec");
        Self { child, scratch, exec_dir: exec_dir.to_owned() }
    }

    /// What the application has said.
    pub fn said(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.scratch.path().join("out")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// How often it has said this.
    pub fn times(&self, line: &str) -> usize {
        self.said().iter().filter(|said| *said == line).count()
    }

    /// Waits until it has said this.
    #[track_caller]
    pub fn says(&self, line: &str) {
        eventually(line, SOON, || (self.times(line) > 0).then_some(()));
    }

    /// Process ids and values of all starts.
    pub fn starts(&self) -> Vec<(i32, String)> {
        let words: Vec<Vec<String>> =
            self.said().iter().map(|line| line.split(' ').map(str::to_owned).collect()).collect();
        let up = words.into_iter().filter(|words| words[0] == "up" && words.len() == 3);
        up.map(|words| (words[1].parse().expect("a number"), words[2].clone())).collect()
    }

    /// Waits for start number `count`; its process id and what it read.
    #[track_caller]
    pub fn started(&self, count: usize) -> (i32, String) {
        let what = format!("start {count}: {:?}", self.said());
        eventually(&what, SOON, || self.starts().get(count - 1).cloned())
    }

    /// Nothing more is said for a while.
    #[track_caller]
    pub fn is_quiet(&self) {
        let said = self.said();
        let window = std::time::Duration::from_millis(500);
        throughout("it says nothing", window, || self.said() == said);
    }

    /// Log lines of the wrapper with this event.
    pub fn events(&self, event: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.scratch.path().join("log")).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        lines.filter(|line: &Value| line["event"] == event).collect()
    }

    /// What the wrapper has written down.
    pub fn report(&self) -> Value {
        let text = std::fs::read(self.exec_dir.join("app.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Waits until it has written down this.
    #[track_caller]
    pub fn reports(&self, what: &str, is: impl Fn(&Value) -> bool) {
        eventually(&format!("{what}: {}", self.report()), SOON, || {
            is(&self.report()).then_some(())
        });
    }

    /// Memory of the wrapper's own, in KiB: without what it shares with its file.
    pub fn own_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.expect("a number")
    }

    /// Open descriptors of the wrapper.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it runs").count()
    }

    /// Sends a signal to the wrapper.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("kill");
    }

    /// Whether the wrapper is still there.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("wait").is_none()
    }

    /// Waits for the wrapper's end; its exit code.
    #[track_caller]
    pub fn ends(&mut self) -> i32 {
        let ended = eventually("it ends", SOON, || self.child.try_wait().expect("wait"));
        code(ended)
    }
}

/// The exit code; minus the signal where there was one.
pub fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| -status.signal().unwrap_or(0))
}

/// Whether a process is there and no zombie.
pub fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !matches!(stat.rsplit(") ").next().and_then(|rest| rest.chars().next()), None | Some('Z' | 'X'))
}

impl Drop for Application {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for (pid, _) in self.starts() {
            if let Some(pid) = Pid::from_raw(pid) {
                let _ = kill_process_group(pid, Signal::KILL);
            }
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.scratch.path().join("log"));
            eprintln!("--- said: {:?}\n--- log:\n{}", self.said(), log.unwrap_or_default());
        }
    }
}

/// A volume as seedcar lays it out, for what is about `seedcar exec` alone.
pub struct Volume(TempDir);

// === impl Volume ===

impl Volume {
    /// Without a generation.
    pub fn empty() -> Self {
        Self(TempDir::new().expect("a volume"))
    }

    /// With a first one, whose file `a` is `1`.
    pub fn filled() -> Self {
        let volume = Self::empty();
        volume.publish(1, &[("a", "1")]);
        volume
    }

    /// Its mount point.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Makes generation `..gNUMBER` visible by one rename.
    pub fn publish(&self, number: usize, files: &[(&str, &str)]) {
        let live = self.path().join("live");
        let generation = live.join(format!("..g{number}"));
        for (path, value) in files.iter().chain(&[("..manifest.json", "{}")]) {
            let path = generation.join(path);
            std::fs::create_dir_all(path.parent().expect("a directory")).expect("make it");
            File::create(path).and_then(|mut f| f.write_all(value.as_bytes())).expect("write it");
        }
        symlink(format!("..g{number}"), live.join("..data_tmp")).expect("a link");
        std::fs::rename(live.join("..data_tmp"), live.join("..data")).expect("the swap");
        for (path, _) in files {
            let first = path.split('/').next().expect("a name");
            let _ = symlink(format!("..data/{first}"), live.join(first));
        }
    }
}
