//! The configurations: a directory each, with what is in Consul, and what is expected.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// One configuration, in a directory of its own where its files may be made.
pub struct Case {
    /// Its name.
    pub name: String,
    /// Where its kept files are.
    pub kept: PathBuf,
    /// A copy of it.
    pub scratch: TempDir,
    /// What is given to the converter.
    pub args: Vec<String>,
    /// What is in Consul, if it is to be rendered.
    pub kv: Option<BTreeMap<String, String>>,
}

/// What the converter did.
pub struct Converted {
    /// Its exit code.
    pub code: Option<i32>,
    /// Our configuration.
    pub yaml: String,
    /// What was said.
    pub notes: String,
}

/// All of them, in order.
pub fn all() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/convert/cases");
    let mut kept: Vec<_> =
        fs::read_dir(root).expect("cases").map(|entry| entry.expect("one").path()).collect();
    kept.sort();
    kept.into_iter().map(Case::load).collect()
}

// === impl Case ===

impl Case {
    fn load(kept: PathBuf) -> Self {
        let scratch = TempDir::new().expect("a directory");
        for entry in fs::read_dir(&kept).expect("a case").flatten() {
            fs::copy(entry.path(), scratch.path().join(entry.file_name())).expect("copy");
        }
        let name = kept.file_name().expect("a name").to_string_lossy().into_owned();
        let args =
            fs::read_to_string(kept.join("args")).unwrap_or_else(|_| "config.hcl".to_owned());
        let args = args.lines().map(ToOwned::to_owned).collect();
        let kv = fs::read(kept.join("kv.json")).ok();
        let kv = kv.map(|json| serde_json::from_slice(&json).expect("a table of texts"));
        Self { name, kept, scratch, args, kv }
    }

    /// Has it turned into a configuration of ours.
    pub fn convert(&self) -> Converted {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seedcar"));
        command.args(["config", "from-consul-template"]).args(&self.args);
        let output = command.current_dir(self.scratch.path()).stdin(Stdio::null()).env_clear();
        let output = output.output().expect("start seedcar");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Converted {
            code: output.status.code(),
            yaml: text(output.stdout),
            notes: text(output.stderr),
        }
    }

    /// Outputs that are known to mean something else, by their paths. A note says so, too.
    pub fn different(&self) -> Vec<String> {
        let text = fs::read_to_string(self.kept.join("different.txt")).unwrap_or_default();
        text.lines().map(ToOwned::to_owned).collect()
    }

    /// The arguments of the real consul-template.
    pub fn consul_template_args(&self) -> Vec<String> {
        let (mut args, mut is_template) = (Vec::new(), false);
        for arg in &self.args {
            let by_itself = arg.strip_suffix(".ctmpl");
            match by_itself {
                _ if is_template => args.push(format!("-template={arg}")),
                _ if arg == "--template" => {}
                Some(destination) => args.push(format!("-template={arg}:{destination}")),
                None => args.push(format!("-config={arg}")),
            }
            is_template = arg == "--template";
        }
        args
    }
}
