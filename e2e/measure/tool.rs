//! The tools, each set up to do the same: keep files in step with a prefix.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use memchr::memmem;
use tempfile::TempDir;

use super::load::{Load, PREFIX, TOKEN};
use super::process::{Running, on_second_core};
use crate::wait::free_port;

/// How long a change may take to be seen before the run is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a file is looked at.
const LOOK: Duration = Duration::from_micros(100);

/// Which tool, and what it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// seedcar with a file for each key.
    SeedcarTree,
    /// seedcar with one JSON file.
    SeedcarJson,
    /// consul-template with one JSON file.
    TemplateJson,
    /// consul-template with a file for each key, by `writeToFile`.
    TemplateMirror,
}

/// A tool's files, in a directory of its own in memory.
pub struct Place {
    tool: Tool,
    dir: TempDir,
}

// === impl Tool ===

impl Tool {
    /// All that can be run here.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::SeedcarTree, Self::SeedcarJson];
        if std::env::var_os("CONSUL_TEMPLATE_BIN").is_some() {
            all.extend([Self::TemplateJson, Self::TemplateMirror]);
        } else {
            eprintln!("consul-template is not measured: there is no Go to build it with");
        }
        all
    }

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::SeedcarTree => "seedcar, tree",
            Self::SeedcarJson => "seedcar, JSON",
            Self::TemplateJson => "consul-template, JSON",
            Self::TemplateMirror => "consul-template, mirror",
        }
    }

    /// Whether it is ours.
    pub fn is_seedcar(self) -> bool {
        matches!(self, Self::SeedcarTree | Self::SeedcarJson)
    }

    /// A new place for its files.
    pub fn place(self) -> Place {
        let shm = Path::new("/dev/shm");
        let dir = if shm.is_dir() { TempDir::new_in(shm) } else { TempDir::new() };
        Place { tool: self, dir: dir.expect("a directory") }
    }
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

    /// Starts what follows the prefix.
    pub fn follow(&self, consul: SocketAddr) -> Running {
        let mut command = if self.tool.is_seedcar() {
            let mut command = self.seedcar("run", consul);
            let http = format!("127.0.0.1:{}", free_port());
            command.args(["--seed", "--http", &http]);
            command
        } else {
            self.template(consul, "-log-level=err")
        };
        Running::start(&mut command)
    }

    fn seedcar(&self, what: &str, consul: SocketAddr) -> Command {
        let program = std::env::var_os("SEEDCAR_BIN");
        let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_seedcar").into());
        let mut command = on_second_core(Command::new(program));
        command.env_clear().stderr(Stdio::null()).arg(what).arg("--no-backup");
        command.args(["--consul", &consul.to_string(), "--prefix", PREFIX]);
        command.arg("--volume").arg(self.dir.path());
        if self.tool == Tool::SeedcarJson {
            command.env("SEEDCAR_CONFIG", r#"{"outputs": [{"file": {"path": "all.json"}}]}"#);
        }
        command
    }

    fn template(&self, consul: SocketAddr, how: &str) -> Command {
        let out = self.dir.path().display();
        let (contents, destination) = match self.tool {
            Tool::TemplateMirror => (
                format!(
                    "{{{{ range tree \\\"{PREFIX}/\\\" }}}}{{{{ .Value | writeToFile (printf \\\"{out}/%s\\\" .Key) \
                     \\\"\\\" \\\"\\\" \\\"0644\\\" }}}}{{{{ end }}}}"
                ),
                format!("{out}/..done"),
            ),
            _ => (
                format!("{{{{ tree \\\"{PREFIX}/\\\" | explode | toJSON }}}}"),
                format!("{out}/all.json"),
            ),
        };
        let config = format!(
            "consul {{\n  address = \"{consul}\"\n  retry {{ attempts = 0 }}\n}}\nblock_query_wait = \"30s\"\n\
             template {{\n  contents = \"{contents}\"\n  destination = \"{destination}\"\n}}\n"
        );
        let file = self.dir.path().join("..config.hcl");
        fs::write(&file, config).expect("write a configuration");
        let program = std::env::var_os("CONSUL_TEMPLATE_BIN").expect("asked for before");
        let mut command = on_second_core(Command::new(program));
        command.stderr(Stdio::null()).arg("-config").arg(file).arg(how);
        command
    }

    /// The file that shows a key.
    fn file(&self, path: &str) -> PathBuf {
        let dir = self.dir.path();
        match self.tool {
            Tool::SeedcarTree => dir.join("live").join(path),
            Tool::SeedcarJson => dir.join("live/all.json"),
            Tool::TemplateJson => dir.join("all.json"),
            Tool::TemplateMirror => dir.join(path),
        }
    }

    /// Waits until a key's value begins with a token. Looks often, and reads a large file only where it
    /// is another one than before.
    pub fn shows(&self, load: &Load, n: usize, token: &str) {
        let (file, deadline) = (self.file(&load.path(n)), Instant::now() + PATIENCE);
        let mut seen = None;
        loop {
            let is_tree = matches!(self.tool, Tool::SeedcarTree | Tool::TemplateMirror);
            let found =
                if is_tree { begins(&file, token) } else { has_news(&file, token, &mut seen) };
            if found {
                return;
            }
            assert!(Instant::now() < deadline, "{:?} never shows a change", self.tool);
            std::thread::sleep(LOOK);
        }
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

fn begins(file: &Path, token: &str) -> bool {
    use std::io::Read as _;
    let mut first = [0; TOKEN];
    let read = fs::File::open(file).and_then(|mut file| file.read_exact(&mut first));
    read.is_ok() && first == token.as_bytes()
}

fn has_news(file: &Path, token: &str, seen: &mut Option<(u64, i64, i64)>) -> bool {
    let Ok(meta) = fs::metadata(file) else { return false };
    let stamp = Some((meta.ino(), meta.mtime(), meta.mtime_nsec()));
    if *seen == stamp {
        return false;
    }
    *seen = stamp;
    fs::read(file).is_ok_and(|text| memmem::find(&text, token.as_bytes()).is_some())
}
