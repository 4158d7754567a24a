//! What a process uses, as the kernel counts it, and which core it runs on.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores that this process was given, before it took one of them.
pub fn cores() -> &'static [usize] {
    static CORES: OnceLock<Vec<usize>> = OnceLock::new();
    CORES.get_or_init(|| {
        let given = sched_getaffinity(None).expect("the kernel says which cores there are");
        (0..CpuSet::MAX_CPU).filter(|core| given.is_set(*core)).collect()
    })
}

/// The server has the first core, the tools the second, and who writes and looks the third; where there
/// are fewer, the last shares the first.
fn core(position: usize) -> usize {
    cores().get(position).or(cores().first()).copied().unwrap_or_default()
}

fn stay_on(core: usize) -> rustix::io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set)
}

/// Keeps this thread, and those that it starts, on the core of who writes and looks.
pub fn stay_aside() {
    stay_on(core(2)).expect("stay on a core");
}

/// Keeps this thread on the tools' core, for what stands in for one.
pub fn stay_with_tools() {
    stay_on(core(1)).expect("stay on a core");
}

/// Does what starts a server: it inherits the server's core.
pub fn on_server_core<T>(start: impl FnOnce() -> T) -> T {
    stay_on(core(0)).expect("stay on a core");
    let started = start();
    stay_aside();
    started
}

/// A command that runs on the tools' core, and says nothing. It ends with the thread that starts it: one that a
/// killed run leaves would be on that core beside the next run's.
pub fn on_tool_core(mut command: Command) -> Command {
    let core = core(1);
    let begin = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        Ok(stay_on(core)?)
    };
    // SAFETY: two system calls on values of the child's own.
    unsafe { command.pre_exec(begin) };
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The same command with another before it, as `valgrind`: only what it says of its environment is in it.
pub fn behind(mut first: Command, command: &Command) -> Command {
    first.env_clear().arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        first.env(name, value.unwrap_or_default());
    }
    on_tool_core(first)
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

/// The flag by which this program is asked to be [`alone`].
pub const ALONE: &str = "--alone";

/// Runs a command to its end, from a small process: a child's peak begins with the memory of who started it,
/// and what we read of large files is in ours.
pub fn ended(command: &Command) -> Ended {
    let mut alone = Command::new(std::env::current_exe().expect("we have a path"));
    alone.arg(ALONE);
    let mut alone = behind(alone, command);
    let output = alone.stdout(Stdio::piped()).output().expect("start it");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Vec<u64> = text.split_whitespace().flat_map(str::parse).collect();
    let [wall, cpu, peak] = numbers[..] else { panic!("{command:?} ended with {text}") };
    Ended { wall: Duration::from_nanos(wall), cpu: Duration::from_nanos(cpu), peak }
}

/// Runs the command of these words to its end, and tells in which time, with how much CPU and with which peak.
pub fn alone(words: &[String]) {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::null());
    match waited_for(&mut command) {
        Ok(Ended { wall, cpu, peak }) => {
            println!("{} {} {peak}", wall.as_nanos(), cpu.as_nanos());
        }
        Err(status) => println!("status {status:#x}"),
    }
}

#[expect(clippy::zombie_processes, reason = "wait4 waits for it, and tells what it used")]
fn waited_for(command: &mut Command) -> Result<Ended, libc::c_int> {
    let begun = Instant::now();
    let child = command.spawn().expect("start it");
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    let pid = child.id() as libc::pid_t;
    // SAFETY: both places are ours and large enough; the child is waited for nowhere else.
    let got = unsafe { libc::wait4(pid, &mut status, 0, usage.as_mut_ptr()) };
    let wall = begun.elapsed();
    if got != pid || status != 0 {
        return Err(status);
    }
    // SAFETY: zeroed before, and filled by the call.
    let usage = unsafe { usage.assume_init() };
    let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    let cpu = time(usage.ru_utime) + time(usage.ru_stime);
    Ok(Ended { wall, cpu, peak: usage.ru_maxrss as u64 * 1024 })
}

/// A process that runs until it is dropped.
pub struct Running(Child);

/// What a process holds, in bytes and numbers.
#[derive(Clone, Copy)]
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

    /// Asks it to end, and waits until it has.
    pub fn terminate(mut self) {
        kill_process(Pid::from_child(&self.0), Signal::TERM).expect("it runs");
        self.0.wait().expect("it ends");
    }

    /// All threads' time until now, also of those that have ended (clock_getcpuclockid(3)).
    pub fn cpu(&self) -> Duration {
        let (pid, mut clock) = (self.0.id() as libc::pid_t, 0);
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: two calls that write to places of ours.
        let failed = unsafe {
            libc::clock_getcpuclockid(pid, &mut clock) != 0
                || libc::clock_gettime(clock, &mut time) != 0
        };
        assert!(!failed, "it runs");
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
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
