//! What a process uses, as the kernel counts it.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity};

/// Keeps this process, and what it starts, on one core.
pub fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core % cores());
    sched_setaffinity(None, &set).expect("stay on a core");
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).max(2)
}

/// A command that runs on the second core.
pub fn on_second_core(mut command: Command) -> Command {
    let pin = || {
        let mut set = CpuSet::new();
        set.set(1);
        Ok(sched_setaffinity(None, &set)?)
    };
    // SAFETY: one system call on a value of the child's own.
    unsafe { command.pre_exec(pin) };
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// How a command ended.
pub struct Ended {
    /// From its start to its end.
    pub wall: Duration,
    /// All threads' time.
    pub cpu: Duration,
    /// The most that was resident, in bytes.
    pub peak: u64,
}

/// Runs a command to its end.
#[expect(clippy::zombie_processes, reason = "wait4 waits for it, and tells what it used")]
pub fn ended(command: &mut Command) -> Ended {
    let begun = Instant::now();
    let child = command.spawn().expect("start it");
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    let pid = child.id() as libc::pid_t;
    // SAFETY: both places are ours and large enough; the child is waited for nowhere else.
    let got = unsafe { libc::wait4(pid, &mut status, 0, usage.as_mut_ptr()) };
    let wall = begun.elapsed();
    assert!(got == pid && status == 0, "{command:?} ended with {status}");
    // SAFETY: zeroed before, and filled by the call.
    let usage = unsafe { usage.assume_init() };
    let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    let cpu = time(usage.ru_utime) + time(usage.ru_stime);
    Ended { wall, cpu, peak: usage.ru_maxrss as u64 * 1024 }
}

/// A process that runs until it is dropped.
pub struct Running(Child);

/// What a process holds, in bytes and numbers.
pub struct Held {
    /// Resident, shared pages of programs included.
    pub rss: u64,
    /// What only it has and has written.
    pub private: u64,
    /// Threads.
    pub threads: u64,
    /// Open descriptors.
    pub descriptors: u64,
}

// === impl Running ===

impl Running {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().expect("start it"))
    }

    /// All threads' time until now.
    pub fn cpu(&self) -> Duration {
        let run = |text: String| text.split(' ').next()?.parse::<u64>().ok();
        Duration::from_nanos(self.each_thread("schedstat").filter_map(run).sum())
    }

    /// How often its threads have gone to sleep and been woken.
    pub fn wakes(&self) -> u64 {
        let count = |text: String| number(&text, "voluntary_ctxt_switches:");
        self.each_thread("status").filter_map(count).sum()
    }

    fn each_thread(&self, file: &'static str) -> impl Iterator<Item = String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0.id())).expect("it runs");
        tasks.flatten().filter_map(move |task| fs::read_to_string(task.path().join(file)).ok())
    }

    /// What it holds now.
    pub fn held(&self) -> Held {
        let proc = format!("/proc/{}", self.0.id());
        let read = |file: &str| fs::read_to_string(format!("{proc}/{file}")).expect("it runs");
        let (rollup, status) = (read("smaps_rollup"), read("status"));
        let bytes = |name: &str| number(&rollup, name).unwrap_or_default() * 1024;
        Held {
            rss: bytes("Rss:"),
            private: bytes("Private_Dirty:"),
            threads: number(&status, "Threads:").unwrap_or_default(),
            descriptors: fs::read_dir(format!("{proc}/fd")).map_or(0, |fds| fds.count() as u64),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The number that follows a name at the beginning of a line.
fn number(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
