//! One thread of the real program under `strace`: what it calls, and a kill or an error at a call.
//!
//! strace counts calls by name and by thread, from the moment it attaches. So only the one thread that
//! owns the volume is traced, and it is attached to while it waits: then the n-th call of a name in a
//! recorded run is the n-th call of that name in the next.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::rig::SOON;
use crate::wait::eventually;

/// The calls by which a program can see or change files.
const CALLS: &str = "openat,read,write,fsync,renameat,renameat2,linkat,symlinkat,mkdirat,unlinkat,\
                     fchmod,getdents64,fstat,newfstatat,statx,fstatfs,statfs,flock,close,readlinkat,\
                     fadvise64";
/// The calls by which a program talks to another one.
pub const TALK: &str = "socket,connect,sendto,write,writev,recvfrom,read,shutdown,close";

/// A call, by its name and its number among the calls of that name on its thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    pub call: String,
    pub nth: usize,
}

/// What is done at a point.
#[derive(Clone, Copy, Debug)]
pub enum Inject {
    /// SIGKILL before the call does anything.
    Kill,
    /// The call fails with this error, once.
    Fail(&'static str),
    /// This call and every later one of its name fails.
    FailFrom(&'static str),
    /// The call is begun this much later.
    Hold(Duration),
}

/// A call that was made.
#[derive(Clone, Debug)]
pub struct Call {
    pub point: Point,
    /// As strace wrote it, with the paths of descriptors and without any content.
    pub line: String,
}

/// A running strace.
pub struct Tracer {
    child: Child,
    stderr: Option<BufReader<ChildStderr>>,
    scratch: TempDir,
}

/// The id of a process's thread.
#[track_caller]
pub fn thread(pid: i32, name: &str) -> i32 {
    eventually(&format!("there is a thread {name}"), SOON, || find_thread(pid, name))
}

fn find_thread(pid: i32, name: &str) -> Option<i32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let is = |task: &fs::DirEntry| {
        fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name)
    };
    tasks.filter(is).find_map(|task| task.file_name().to_str()?.parse().ok())
}

/// Whether a thread waits for another one to give it work.
pub fn waits(tid: i32) -> bool {
    is_in(tid, libc::SYS_futex)
}

/// Whether a thread sleeps for a time.
pub fn sleeps(tid: i32) -> bool {
    is_in(tid, libc::SYS_clock_nanosleep)
}

fn is_in(tid: i32, call: libc::c_long) -> bool {
    let text = fs::read_to_string(format!("/proc/{tid}/syscall")).unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()) == Some(call)
}

/// Whether a thread has ended.
pub fn is_gone(tid: i32) -> bool {
    fs::metadata(format!("/proc/{tid}")).is_err()
}

// === impl Point ===

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.call, self.nth)
    }
}

// === impl Call ===

impl Call {
    /// Whether it concerns a file below one of these directories.
    pub fn touches(&self, roots: &[&Path]) -> bool {
        roots.iter().any(|root| self.line.contains(&*root.to_string_lossy()))
    }

    /// What is done to what, without that which differs from run to run: numbers and random names.
    pub fn kind(&self) -> String {
        let asked = self.line.split(" = ").next().unwrap_or_default();
        // Descriptors' paths stand between brackets, names between quotation marks.
        let named = asked.split(['<', '>', '"']).skip(1).step_by(2);
        let lasting = |path: &str| {
            let name = path.rsplit('/').next().unwrap_or_default();
            name.split(|c: char| c.is_ascii_digit()).next().unwrap_or_default().to_owned()
        };
        let names: Vec<String> = named.map(lasting).filter(|name| !name.is_empty()).collect();
        let made = if self.creates() { " O_CREAT" } else { "" };
        format!("{} {}{made}", self.point.call, names.join(" "))
    }

    /// Whether it makes a file.
    pub fn creates(&self) -> bool {
        self.point.call == "openat" && self.line.contains("O_CREAT")
    }

    /// Whether it came back with an error.
    pub fn failed(&self) -> bool {
        self.line.contains(" = -1 ")
    }

    /// Whether it was made to fail.
    pub fn injected(&self) -> bool {
        self.line.ends_with("(INJECTED)")
    }
}

// === impl Tracer ===

impl Tracer {
    /// Attaches to one thread. Returns once it is traced.
    #[track_caller]
    pub fn attach(tid: i32, inject: Option<(&Point, Inject)>) -> Self {
        Self::attach_for(CALLS, tid, inject)
    }

    /// The same for these calls.
    #[track_caller]
    pub fn attach_for(calls: &str, tid: i32, inject: Option<(&Point, Inject)>) -> Self {
        let mut tracer = Self::spawn(calls, inject, |strace| {
            strace.arg("-p").arg(tid.to_string());
        });
        let mut line = String::new();
        tracer.stderr.as_mut().expect("not taken").read_line(&mut line).expect("strace speaks");
        assert!(line.contains("attached"), "strace: {line}");
        tracer
    }

    /// Runs a program to its end under strace; only its first thread is traced.
    pub fn run(program: &Command, inject: Option<(&Point, Inject)>) -> Vec<Call> {
        let tracer = Self::spawn(CALLS, inject, |strace| {
            strace.arg("--").arg(program.get_program()).args(program.get_args());
        });
        tracer.finish(false)
    }

    /// The same for all its threads; each counts its own calls.
    pub fn run_all_threads(program: &Command, point: &Point, inject: Inject) -> Vec<Call> {
        let tracer = Self::spawn(CALLS, Some((point, inject)), |strace| {
            strace.args(["-f", "--"]).arg(program.get_program()).args(program.get_args());
        });
        tracer.finish(false)
    }

    fn spawn(
        calls: &str,
        inject: Option<(&Point, Inject)>,
        target: impl FnOnce(&mut Command),
    ) -> Self {
        let scratch = TempDir::new().expect("a scratch directory");
        let mut command = Command::new("strace");
        command.args(["-y", "-s", "0", "-e", &format!("trace={calls}"), "-o"]);
        command.arg(scratch.path().join("calls"));
        if let Some((point, inject)) = inject {
            let Point { call, nth } = point;
            let expression = match inject {
                Inject::Kill => format!("inject={call}:signal=KILL:when={nth}"),
                Inject::Fail(error) => format!("inject={call}:error={error}:when={nth}"),
                Inject::FailFrom(error) => format!("inject={call}:error={error}:when={nth}+"),
                Inject::Hold(time) => {
                    let micros = time.as_micros();
                    format!("inject={call}:delay_enter={micros}:when={nth}")
                }
            };
            command.args(["-e", &expression]);
        }
        target(&mut command);
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let mut child = command.spawn().expect("start strace (./e2e/run tools installs it)");
        let stderr = child.stderr.take().map(BufReader::new);
        Self { child, stderr, scratch }
    }

    /// Lets go of the thread; what it called meanwhile.
    pub fn detach(self) -> Vec<Call> {
        self.finish(true)
    }

    /// What the thread called until it ended.
    pub fn ended(self) -> Vec<Call> {
        self.finish(false)
    }

    fn finish(mut self, now: bool) -> Vec<Call> {
        if now && self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        }
        // Drained, so that a program which shares the pipe cannot block on it.
        let stderr = self.stderr.take().expect("taken once");
        stderr.lines().for_each(drop);
        self.child.wait().expect("wait for strace");
        let text = fs::read_to_string(self.scratch.path().join("calls")).unwrap_or_default();
        parse(&text)
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        if self.stderr.is_some() {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

fn parse(text: &str) -> Vec<Call> {
    let mut counts = std::collections::HashMap::new();
    let name = |line: &str| {
        let name = line.split('(').next()?;
        let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        (plain && line.contains('(')).then(|| name.to_owned())
    };
    let calls = text.lines().filter_map(|line| {
        let call = name(line)?;
        let nth = counts.entry(call.clone()).and_modify(|n| *n += 1).or_insert(1);
        Some(Call { point: Point { call, nth: *nth }, line: line.trim_end().to_owned() })
    });
    calls.collect()
}
