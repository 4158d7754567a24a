//! The tools, each set up to do the same: keep files in step with a prefix.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::load::{Change, Load, PREFIX};
use super::process::{Running, on_tool_core};
use crate::consul::http::request_within;
use crate::marked::{Stamp, begins, has_news, stamp};
use crate::scratch::in_memory;
use crate::wait::free_port;

/// How long a change may take to be seen before the run is given up. After an outage consul-template may
/// wait a minute before it asks again.
const PATIENCE: Duration = Duration::from_secs(200);

/// Which tool, and what it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// seedcar with a file for each key.
    SeedcarTree,
    /// seedcar with one JSON file.
    SeedcarJson,
    /// consul-template with one JSON file.
    TemplateJson,
    /// The same, with answers that Consul does not compress: ours never are.
    TemplatePlain,
    /// consul-template with a file for each key, by `writeToFile`.
    TemplateMirror,
    /// consul-template with one JSON file, giving up after as many errors as it does unless told otherwise.
    TemplateDefault,
}

/// What both tools are told alike.
#[derive(Clone, Copy)]
pub struct Setup {
    /// The prefix that is followed.
    pub prefix: &'static str,
    /// How long Consul holds a question, in seconds.
    pub wait: u64,
    /// How often seedcar reads all, whatever happens.
    pub heartbeat: &'static str,
}

/// A tool's files, in a directory of its own in memory.
pub struct Place {
    tool: Tool,
    setup: Setup,
    /// Where seedcar tells of its health.
    http: SocketAddr,
    dir: TempDir,
}

/// seedcar's own wait, and ours for both.
pub const WAIT: u64 = 30;
/// seedcar's own.
const HEARTBEAT: &str = "15m";

// === impl Tool ===

impl Tool {
    /// All that can be run here; in a quick run without the way without compression.
    pub fn all(quick: bool) -> Vec<Self> {
        let mut all = vec![Self::SeedcarTree, Self::SeedcarJson];
        if template().is_some() {
            all.extend([Self::TemplateJson, Self::TemplateMirror]);
            all.extend((!quick).then_some(Self::TemplatePlain));
        } else {
            eprintln!("consul-template is not measured: there is no Go to build it with");
        }
        all
    }

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SeedcarTree => "seedcar, tree",
            Self::SeedcarJson => "seedcar, JSON",
            Self::TemplateJson => "consul-template, JSON",
            Self::TemplatePlain => "consul-template, JSON, no gzip",
            Self::TemplateMirror => "consul-template, mirror",
            Self::TemplateDefault => "consul-template, default retry",
        }
    }

    /// Whether it is ours.
    pub fn is_seedcar(self) -> bool {
        matches!(self, Self::SeedcarTree | Self::SeedcarJson)
    }

    /// Whether it writes a file for each key.
    fn is_tree(self) -> bool {
        matches!(self, Self::SeedcarTree | Self::TemplateMirror)
    }

    /// A new place for its files.
    pub fn place(self) -> Place {
        self.place_for(Setup { prefix: PREFIX, wait: WAIT, heartbeat: HEARTBEAT })
    }

    /// The same with another of these.
    pub fn place_for(self, setup: Setup) -> Place {
        let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
        Place { tool: self, setup, http, dir: in_memory() }
    }
}

/// The seedcar that is measured. Not the one that is built beside this program: that one is for tests.
pub fn seedcar() -> OsString {
    std::env::var_os("SEEDCAR_BIN").expect("e2e/bench says which seedcar is measured")
}

/// The consul-template that is measured, if there is one.
pub fn template() -> Option<OsString> {
    std::env::var_os("CONSUL_TEMPLATE_BIN").filter(|path| Path::new(path).is_file())
}

// === impl Place ===

impl Place {
    /// A command that fills the place once and ends.
    pub fn once(&self, consul: SocketAddr) -> Command {
        if self.tool.is_seedcar() {
            self.seedcar("init", consul)
        } else {
            self.template(consul, "-once")
        }
    }

    /// A command that follows the prefix.
    pub fn follows(&self, consul: SocketAddr) -> Command {
        if self.tool.is_seedcar() {
            let mut command = self.seedcar("run", consul);
            command.args(["--seed", "--allow-empty", "--http", &self.http.to_string()]);
            command.args(["--wait", &format!("{}s", self.setup.wait)]);
            command.args(["--heartbeat", self.setup.heartbeat]);
            command
        } else {
            self.template(consul, "-log-level=err")
        }
    }

    /// Starts what follows the prefix.
    pub fn follow(&self, consul: SocketAddr) -> Running {
        Running::start(&mut self.follows(consul))
    }

    // Both with nothing of our own environment: what a proxy or a locale adds is not the tools'.
    fn seedcar(&self, what: &str, consul: SocketAddr) -> Command {
        let mut command = on_tool_core(Command::new(seedcar()));
        command.env_clear().arg(what).arg("--no-backup");
        command.args(["--consul", &consul.to_string(), "--prefix", self.setup.prefix]);
        command.arg("--volume").arg(self.dir.path());
        if self.tool == Tool::SeedcarJson {
            command.env("SEEDCAR_CONFIG", r#"{"outputs": [{"file": {"path": "all.json"}}]}"#);
        }
        command
    }

    fn template(&self, consul: SocketAddr, how: &str) -> Command {
        let file = self.dir.path().join("..config.hcl");
        fs::write(&file, self.hcl(consul)).expect("write a configuration");
        let mut command = on_tool_core(Command::new(template().expect("asked for before")));
        command.env_clear().arg("-config").arg(file).arg(how);
        command
    }

    fn hcl(&self, consul: SocketAddr) -> String {
        let (out, prefix, wait) = (self.dir.path().display(), self.setup.prefix, self.setup.wait);
        let (contents, destination) = if self.tool == Tool::TemplateMirror {
            let write = format!(
                "{{{{ .Value | writeToFile (printf \\\"{out}/%s\\\" .Key) \\\"\\\" \\\"\\\" \\\"0644\\\" }}}}"
            );
            let each = format!("{{{{ range tree \\\"{prefix}/\\\" }}}}{write}{{{{ end }}}}");
            (each, "..done")
        } else {
            (format!("{{{{ tree \\\"{prefix}/\\\" | explode | toJSON }}}}"), "all.json")
        };
        // Without this it gives up for good after twelve errors.
        let retry = match self.tool {
            Tool::TemplateDefault => "",
            _ => "retry { attempts = 0 }",
        };
        format!(
            "consul {{\n  address = \"{consul}\"\n  {retry}\n}}\nblock_query_wait = \"{wait}s\"\n\
             template {{\n  contents = \"{contents}\"\n  destination = \"{out}/{destination}\"\n}}\n"
        )
    }

    /// The file that shows a key.
    fn file(&self, path: &str) -> PathBuf {
        let dir = self.dir.path();
        match self.tool {
            Tool::SeedcarTree => dir.join("live").join(path),
            Tool::SeedcarJson => dir.join("live/all.json"),
            Tool::TemplateJson | Tool::TemplatePlain | Tool::TemplateDefault => {
                dir.join("all.json")
            }
            Tool::TemplateMirror => dir.join(path),
        }
    }

    /// Waits until a key's value is the changed one. Returns when it could first be read.
    pub fn shows(&self, load: &Load, change: &Change) -> Instant {
        let file = self.file(&load.path(change.n));
        let mut seen = None;
        look(&format!("{:?} never shows a change", self.tool), || {
            if self.tool.is_tree() {
                begins(&file, &change.token)
            } else {
                has_news(&file, &change.token, &mut seen)
            }
        })
    }

    /// Waits until the place is filled: for seedcar until it says that it is ready, else until the file is
    /// there.
    pub fn is_ready(&self, load: &Load) -> Instant {
        let last = self.file(&load.path(load.keys - 1));
        look(&format!("{:?} is never ready", self.tool), || {
            if self.tool.is_seedcar() { self.says_ready() } else { last.exists() }
        })
    }

    fn says_ready(&self) -> bool {
        let patience = Duration::from_secs(5);
        request_within(patience, self.http, "GET", "/readyz", &[], b"")
            .is_ok_and(|answer| answer.status == 200)
    }

    /// What is another one after each publish.
    pub fn stamp(&self, load: &Load) -> Option<Stamp> {
        match self.tool {
            // The link itself: it leads to the generation.
            Tool::SeedcarTree => stamp(fs::symlink_metadata(self.dir.path().join("live/..data"))),
            _ => stamp(fs::metadata(self.file(&load.path(0)))),
        }
    }

    /// How many files, directories and links there are, those of old generations included. What the next
    /// generation is to take over counts as one: it has links to the same files, and lacks now more, now fewer
    /// of the directories, as more or less has changed last.
    pub fn inodes(&self) -> usize {
        self.sizes(|name| !name.as_bytes().starts_with(b"..2spare.")).len()
    }

    /// Bytes of all pages of its files. A directory of a tmpfs has none.
    pub fn memory(&self) -> u64 {
        self.sizes(|_| true).values().sum()
    }

    /// Bytes of each inode, of those in directories that are `entered`.
    fn sizes(&self, entered: impl Fn(&OsStr) -> bool) -> HashMap<u64, u64> {
        let mut seen = HashMap::new();
        let mut ahead = vec![self.dir.path().to_owned()];
        while let Some(dir) = ahead.pop() {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                let Ok(meta) = entry.metadata() else { continue };
                // In units of 512 bytes, whatever the file system's own are: stat(2).
                seen.insert(meta.ino(), meta.blocks() * 512);
                if meta.is_dir() && entered(&entry.file_name()) {
                    ahead.push(entry.path());
                }
            }
        }
        seen
    }

    /// Empties it for another first start.
    pub fn wipe(&self) {
        for entry in fs::read_dir(self.dir.path()).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_dir = path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
            let removed = if is_dir { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            removed.expect("remove it");
        }
    }
}

/// Looks until it is so. Returns when that look began. The pause grows with what has gone by, so that looking
/// takes nothing from a server on the same core, and is wrong by a fiftieth at most.
fn look(never: &str, mut is: impl FnMut() -> bool) -> Instant {
    let begun = Instant::now();
    loop {
        let at = Instant::now();
        if is() {
            return at;
        }
        assert!(begun.elapsed() < PATIENCE, "{never}");
        let pause = begun.elapsed() / 50;
        std::thread::sleep(pause.clamp(Duration::from_micros(100), Duration::from_millis(5)));
    }
}
