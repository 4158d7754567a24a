//! The processes of a fleet, each with a volume of its own in memory.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::servers::PREFIX;
use crate::marked::{Stamp, begins, has_news};
use crate::scratch::in_memory;

/// What runs in each pod, and whom it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// seedcar with the addresses of all servers: one configuration, so one list, for all pods.
    Seedcar,
    /// seedcar with one address, the first of the list.
    OneAddress,
    /// The same as the first, but another build of it: the program that `SEEDCAR_BEFORE` names.
    Before,
    /// consul-template, which takes one address: each pod has another.
    ConsulTemplate,
}

/// The pods.
pub struct Fleet {
    tool: Tool,
    wait: Duration,
    addrs: Vec<SocketAddr>,
    pods: Vec<Pod>,
}

struct Pod {
    volume: TempDir,
    child: Child,
    /// The file that was read last and did not show what was looked for.
    seen: Option<Stamp>,
}

// === impl Tool ===

impl Tool {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seedcar => "seedcar",
            Self::OneAddress => "seedcar with one address",
            Self::Before => "seedcar before",
            Self::ConsulTemplate => "consul-template",
        }
    }
}

// === impl Fleet ===

impl Fleet {
    /// A fleet without pods, of servers in this order.
    pub fn new(tool: Tool, wait: Duration, addrs: Vec<SocketAddr>) -> Self {
        Self { tool, wait, addrs, pods: Vec::new() }
    }

    /// What runs in its pods.
    pub fn tool(&self) -> Tool {
        self.tool
    }

    /// How many pods there are.
    pub fn len(&self) -> usize {
        self.pods.len()
    }

    /// Starts one more.
    pub fn add(&mut self) {
        let pod = self.pod(self.pods.len());
        self.pods.push(pod);
    }

    /// Another pod takes this one's place, with an empty volume.
    pub fn replace(&mut self, position: usize) {
        let pod = self.pod(position);
        self.pods[position] = pod;
    }

    fn pod(&self, position: usize) -> Pod {
        let volume = in_memory();
        let mut command = match self.tool {
            Tool::ConsulTemplate => self.consul_template(position, volume.path()),
            _ => self.seedcar(volume.path()),
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Pod { volume, child: command.spawn().expect("start a sidecar"), seen: None }
    }

    fn seedcar(&self, volume: &Path) -> Command {
        let variable = if self.tool == Tool::Before { "SEEDCAR_BEFORE" } else { "SEEDCAR_BIN" };
        let program = std::env::var_os(variable);
        let mut command =
            Command::new(program.unwrap_or_else(|| env!("CARGO_BIN_EXE_seedcar").into()));
        command.env_clear().args(["run", "--seed", "--no-backup", "--http", "127.0.0.1:0"]);
        command.args(["--prefix", PREFIX, "--wait", &format!("{}s", self.wait.as_secs())]);
        command.arg("--volume").arg(volume);
        let count = if self.tool == Tool::OneAddress { 1 } else { self.addrs.len() };
        for addr in &self.addrs[..count] {
            command.args(["--consul", &addr.to_string()]);
        }
        command
    }

    fn consul_template(&self, position: usize, volume: &Path) -> Command {
        let addr = self.addrs[position % self.addrs.len()];
        let (file, wait) = (volume.join("..config.hcl"), self.wait.as_secs());
        let out = volume.join("all");
        let config = format!(
            "consul {{\n  address = \"{addr}\"\n  retry {{ attempts = 0 }}\n}}\nblock_query_wait = \"{wait}s\"\n\
             template {{\n  contents = \"{{{{ range tree \\\"{PREFIX}/\\\" }}}}{{{{ .Key }}}}={{{{ .Value }}}};{{{{ end }}}}\"\n  \
             destination = \"{}\"\n}}\n",
            out.display()
        );
        fs::write(&file, config).expect("a configuration");
        let program = std::env::var_os("CONSUL_TEMPLATE_BIN").expect("asked for before");
        let mut command = Command::new(program);
        command.arg("-log-level=err").arg("-config").arg(file);
        command
    }

    /// Whether this pod shows a value at `path` that begins so.
    pub fn shows(&mut self, position: usize, path: &str, token: &str) -> bool {
        let tool = self.tool;
        let pod = &mut self.pods[position];
        match tool {
            Tool::ConsulTemplate => has_news(&pod.volume.path().join("all"), token, &mut pod.seen),
            _ => begins(&pod.volume.path().join("live").join(path), token),
        }
    }

    /// Whether this pod shows anything.
    pub fn is_seeded(&self, position: usize) -> bool {
        let file = if self.tool == Tool::ConsulTemplate { "all" } else { "live/..data" };
        self.pods[position].volume.path().join(file).exists()
    }

    /// Whether all of them still run.
    pub fn all_run(&mut self) -> bool {
        self.pods.iter_mut().all(|pod| matches!(pod.child.try_wait(), Ok(None)))
    }
}

// === impl Pod ===

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
