//! The real Consul as a child process: one agent.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::wait::free_port;

/// A real agent: its directory, its ports, and the process while there is one.
pub(super) struct Agent {
    dir: TempDir,
    http: u16,
    rpc: u16,
    child: Option<Child>,
}

/// How long a server may take to elect itself and accept a write.
pub(super) const START: Duration = Duration::from_secs(40);

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Agent ===

impl Agent {
    pub(super) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("consul-").tempdir().expect("no directory");
        Self { dir, http: free_port(), rpc: free_port(), child: None }
    }

    pub(super) fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.http).into()
    }

    /// Where it speaks to the other servers, as `/v1/status/leader` names it.
    pub(super) fn peer(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.rpc).into()
    }

    pub(super) fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// Its process id, while it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// `own` is the port for gossip, and `others` are everybody's; both only in a cluster.
    pub(super) fn configure(
        &self,
        own: Option<u16>,
        others: &[u16],
        servers: usize,
        extra: &Value,
    ) {
        let serf = own.unwrap_or_else(free_port);
        let join: Vec<String> = others.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let mut config = json!({
            "node_name": format!("n{}", self.http),
            // Known without the data directory: a server that lost it comes back as the same one.
            "node_id": format!("00000000-0000-4000-8000-{:012}", self.http),
            "server": true,
            "bootstrap_expect": servers,
            "data_dir": self.data(),
            "bind_addr": "127.0.0.1",
            "client_addr": "127.0.0.1",
            "ports": {
                "http": self.http, "server": self.rpc, "serf_lan": serf,
                "serf_wan": -1, "dns": -1, "grpc": -1,
            },
            "retry_join": join,
            "retry_interval": "1s",
            "performance": {"raft_multiplier": 1},
            // A server that stands still stays a voter.
            "autopilot": {"cleanup_dead_servers": false},
            "disable_update_check": true,
            "log_level": "warn",
        });
        for (name, value) in extra.as_object().expect("an object") {
            match (&mut config[name], value) {
                (Value::Object(known), Value::Object(more)) => known.extend(more.clone()),
                (known, value) => *known = value.clone(),
            }
        }
        std::fs::write(self.config(), config.to_string()).expect("cannot write the configuration");
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("consul.json")
    }

    pub(super) fn spawn(&mut self) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("log"))
            .expect("cannot write the log");
        let child = Command::new(program())
            .arg("agent")
            .arg("-config-file")
            .arg(self.config())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("no second handle"))
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("CONSUL_BIN cannot be started"));
    }

    pub(super) fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it does not run");
        kill_process(Pid::from_child(child), signal).expect("it cannot be signalled");
    }

    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Ends it by SIGTERM.
    pub(super) fn terminate(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = kill_process(Pid::from_child(&child), Signal::TERM);
            let _ = child.wait();
        }
    }

    pub(super) fn forget(&mut self) {
        std::fs::remove_dir_all(self.data()).expect("cannot remove the data");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            eprintln!("--- Consul on port {} said:\n{log}---", self.http);
        }
    }
}

fn program() -> PathBuf {
    let path = std::env::var_os("CONSUL_BIN").map(PathBuf::from).unwrap_or_default();
    assert!(Path::is_file(&path), "run ./e2e/run, or set CONSUL_BIN");
    path
}
