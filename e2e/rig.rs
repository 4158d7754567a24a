//! The real binary in a scratch pod: a tmpfs volume, a backup volume, a free port.

mod mount;

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, setrlimit};
use seedcar::model::health::Health;
use seedcar::status::{Source, Status};
use tempfile::TempDir;

use crate::consul::http::request;
use crate::scratch::in_memory;
use crate::wait::eventually;
pub use mount::Mount;

/// Long enough for a busy machine; no test waits it out when things work.
pub const SOON: Duration = Duration::from_secs(20);

/// One pod's volumes and settings. Dropped, it takes its processes and files along.
pub struct Pod {
    scratch: TempDir,
    volume: TempDir,
    args: Vec<String>,
    env: Vec<(String, String)>,
    backup_mount: Option<Mount>,
    volume_mount: Option<Mount>,
    group: Option<PathBuf>,
    descriptors: Option<u64>,
}

/// A finished process.
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output: the log.
    pub log: String,
    /// Standard error.
    pub err: String,
}

/// A running sidecar.
pub struct Sidecar<'p> {
    pod: &'p Pod,
    child: Child,
    log: PathBuf,
    addr: SocketAddr,
}

// === impl Pod ===

impl Pod {
    /// A pod whose seedcar mirrors `prefix` of the Consul at `consul`.
    pub fn new(consul: SocketAddr, prefix: &str) -> Self {
        Self::bare().arg(&["--consul", &consul.to_string(), "--prefix", prefix])
    }

    /// A pod of the Consul at `consul` with this configuration file.
    pub fn configured(consul: SocketAddr, config: &serde_json::Value) -> Self {
        let pod = Self::bare();
        let path = pod.scratch.path().join("seedcar.yaml");
        std::fs::write(&path, config.to_string()).expect("write a configuration");
        pod.arg(&["--consul", &consul.to_string(), "--config", path.to_str().expect("UTF-8")])
    }

    /// A pod without a source or a Consul.
    pub fn bare() -> Self {
        let scratch = TempDir::new().expect("a scratch directory");
        std::fs::create_dir(scratch.path().join("backup")).expect("a backup directory");
        Self {
            scratch,
            volume: in_memory(),
            args: Vec::new(),
            env: Vec::new(),
            backup_mount: None,
            volume_mount: None,
            group: None,
            descriptors: None,
        }
    }

    /// More arguments for every command of this pod.
    pub fn arg(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|a| (*a).to_owned()));
        self
    }

    /// A variable for every command of this pod.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What the backup volume is from now on, for every command of this pod.
    pub fn mount_backup(&mut self, mount: Mount) {
        self.backup_mount = Some(mount);
    }

    /// Mounts this over the volume of every process of this pod; each has its own.
    pub fn mount_volume(&mut self, mount: Mount) {
        self.volume_mount = Some(mount);
    }

    /// Has every process of this pod enter the control group with this `cgroup.procs`.
    pub fn join(&mut self, procs: &Path) {
        self.group = Some(procs.to_owned());
    }

    /// Gives every process of this pod a limit of descriptors that it cannot raise.
    pub fn limit_descriptors(&mut self, most: u64) {
        self.descriptors = Some(most);
    }

    /// The volume's mount point.
    pub fn volume(&self) -> &Path {
        self.volume.path()
    }

    /// The backup volume's mount point.
    pub fn backup(&self) -> PathBuf {
        self.scratch.path().join("backup")
    }

    /// What applications see.
    pub fn live(&self) -> PathBuf {
        self.volume().join("live")
    }

    /// A file of the configuration.
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        std::fs::read(self.live().join(path)).ok()
    }

    /// The whole tree, read through one opened generation as the README says, with file contents by
    /// path; directories end in `/` and have none.
    pub fn tree(&self) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        let root = seedcar::published::home(self.volume()).join("..data/");
        walk(&root.canonicalize().unwrap_or(root), "", &mut found);
        found
    }

    /// The whole of `live/` as programs find it that walk it and follow no links: of a link its name and
    /// no content.
    pub fn walked(&self) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        walk(&self.live(), "", &mut found);
        found
    }

    /// Empties the tmpfs volume, as a new pod finds it.
    pub fn wipe_volume(&self) {
        for entry in std::fs::read_dir(self.volume()).expect("the volume").flatten() {
            std::fs::remove_dir_all(entry.path()).expect("wipe the volume");
        }
    }

    /// Valid backup files, oldest name first.
    pub fn backups(&self) -> Vec<PathBuf> {
        let listed = std::fs::read_dir(self.backup()).into_iter().flatten().flatten();
        let mut files: Vec<_> = listed
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "backup"))
            .collect();
        files.sort();
        files
    }

    /// Runs a command of seedcar to its end.
    pub fn seedcar(&self, args: &[&str]) -> Ended {
        let output = self.command(args).output().expect("run seedcar");
        Ended {
            status: output.status,
            log: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// `seedcar init`, expected to work.
    #[track_caller]
    pub fn init(&self) -> Ended {
        let ended = self.seedcar(&["init"]);
        assert_eq!(ended.code(), 0, "init: {}\n{}", ended.err, ended.log);
        ended
    }

    /// `seedcar run` with more arguments, started and serving its status.
    pub fn run(&self, args: &[&str]) -> Sidecar<'_> {
        let log = self.scratch.path().join(format!("run-{}.log", fastrand::u32(..)));
        let file = File::create(&log).expect("a log file");
        let args = [&["run", "--http", "127.0.0.1:0"], args].concat();
        let mut command = self.command(&args);
        command.stdout(file.try_clone().expect("a log file")).stderr(file);
        let child = command.spawn().expect("start seedcar");
        let addr = eventually("seedcar serves its status", SOON, || {
            let text = std::fs::read_to_string(&log).ok()?;
            let line = text.lines().find(|l| l.contains("\"event\":\"started\""))?;
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            line["address"].as_str()?.parse().ok()
        });
        Sidecar { pod: self, child, log, addr }
    }

    /// A command of seedcar with this pod's settings and nothing of our own environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seedcar"));
        command.env_clear().envs(self.env.iter().cloned()).stdin(Stdio::null());
        command.args(args);
        if takes_settings(args) {
            command.args(&self.args).arg("--backup").arg(self.backup());
        }
        command.arg("--volume").arg(self.volume());
        if let Some(mount) = self.backup_mount {
            mount.apply(&mut command, &self.backup());
        }
        if let Some(mount) = self.volume_mount {
            mount.apply(&mut command, self.volume());
        }
        if let Some(procs) = self.group.clone() {
            let enter = move || std::fs::write(&procs, "0");
            // SAFETY: it opens, writes and closes a file; what it allocates is the child's own.
            unsafe { command.pre_exec(enter) };
        }
        if let Some(most) = self.descriptors {
            let limit = Rlimit { current: Some(most), maximum: Some(most) };
            let set = move || Ok(setrlimit(Resource::Nofile, limit)?);
            // SAFETY: one system call on a value made before the fork.
            unsafe { command.pre_exec(set) };
        }
        command
    }
}

/// Commands that only look take places, not sources.
fn takes_settings(args: &[&str]) -> bool {
    !matches!(args.first(), Some(&("status" | "healthcheck" | "wait" | "accept" | "freeze")))
}

fn walk(at: &Path, path: &str, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(at).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let child = format!("{path}{name}");
        if child == "..manifest.json" {
            continue;
        }
        let kind = entry.file_type();
        if kind.as_ref().is_ok_and(|kind| kind.is_symlink()) {
            found.insert(child, Vec::new());
        } else if kind.is_ok_and(|kind| kind.is_dir()) {
            found.insert(format!("{child}/"), Vec::new());
            walk(&entry.path(), &format!("{child}/"), found);
        } else {
            found.insert(child, std::fs::read(entry.path()).unwrap_or_default());
        }
    }
}

// === impl Ended ===

impl Ended {
    /// The exit code; 128 and the signal where there was one.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    /// Lines of the log with this event.
    pub fn events(&self, event: &str) -> Vec<serde_json::Value> {
        events(&self.log, event)
    }
}

// === impl Sidecar ===

impl Sidecar<'_> {
    /// Where it serves.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// `GET path`: the status code and the body.
    pub fn get(&self, path: &str) -> (u16, String) {
        let answer = request(self.addr, "GET", path, &[], b"").expect("the admin port answers");
        (answer.status, answer.text())
    }

    /// The status.
    pub fn status(&self) -> Status {
        serde_json::from_str(&self.get("/status").1).expect("a status")
    }

    /// The same of one that may be gone.
    pub fn try_status(&self) -> Option<Status> {
        let answer = request(self.addr, "GET", "/status", &[], b"").ok()?;
        serde_json::from_str(&answer.text()).ok()
    }

    /// The status of the only source.
    pub fn source(&self) -> Source {
        let status = self.status();
        status.sources.into_values().next().expect("a source")
    }

    /// A metric's value: the first line that begins with `series`, labels included.
    pub fn metric(&self, series: &str) -> Option<f64> {
        let text = self.get("/metrics").1;
        let line = text.lines().find(|line| line.starts_with(series))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Waits until a file holds this.
    #[track_caller]
    pub fn shows(&self, path: &str, value: impl AsRef<[u8]>) {
        let what = format!("{path} holds the new value");
        eventually(&what, SOON, || (self.pod.read(path)? == value.as_ref()).then_some(()));
    }

    /// Waits until the only source is so.
    #[track_caller]
    pub fn until(&self, what: &str, is: impl Fn(&Source) -> bool) -> Source {
        eventually(what, SOON, || Some(self.source()).filter(&is))
    }

    /// Waits until everything works and is current.
    #[track_caller]
    pub fn until_fresh(&self) {
        eventually("fresh", SOON, || (self.status().state == Health::Fresh).then_some(()));
    }

    /// Lines of the log with this event.
    pub fn events(&self, event: &str) -> Vec<serde_json::Value> {
        events(&self.log(), event)
    }

    /// The log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).expect("kill");
    }

    /// SIGKILL, as a crash or an out-of-memory kill is.
    pub fn crash(mut self) {
        self.child.kill().expect("kill seedcar");
        self.child.wait().expect("wait for seedcar");
    }

    /// SIGTERM; how it ended and how long that took.
    pub fn stop(mut self) -> (ExitStatus, Duration) {
        let asked = Instant::now();
        self.signal(Signal::TERM);
        let status = self.child.wait().expect("wait for seedcar");
        (status, asked.elapsed())
    }
}

impl Drop for Sidecar<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the sidecar's log:\n{}", self.log());
        }
    }
}

fn events(log: &str, event: &str) -> Vec<serde_json::Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str(line).ok());
    lines.filter(|line: &serde_json::Value| line["event"] == event).collect()
}
