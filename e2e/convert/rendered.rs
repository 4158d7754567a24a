//! The same Consul, read by the real consul-template and by seedcar.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::cases::{self, Case};
use crate::consul::{Consul, Kind};
use crate::ledger::Tally;
use crate::rig::Pod;
use crate::wait::eventually;

/// How long consul-template may take: it waits for ever for a key that is missing.
const DEADLINE: Duration = Duration::from_secs(60);

/// Where an output was, and what our file says of it.
struct Pair {
    was: PathBuf,
    path: String,
    said: Value,
    is_tree: bool,
}

/// A process that goes with its owner.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The outputs of our file. Where each was stands above it.
fn pairs(case: &Case, yaml: &str) -> Vec<Pair> {
    let file: Value = serde_yaml::from_str(yaml).expect("our own YAML");
    let mut lines = yaml.lines().peekable();
    let mut was = Vec::new();
    while let Some(line) = lines.next() {
        if lines.peek().is_some_and(|next| matches!(*next, "- file:" | "- tree:")) {
            was.push(line.trim_start_matches("# "));
        }
    }
    let outputs = file["outputs"].as_array().cloned().unwrap_or_default();
    assert_eq!(outputs.len(), was.len());
    let pair = |(output, was): (Value, &str)| {
        let is_tree = output.get("tree").is_some();
        let said = output[if is_tree { "tree" } else { "file" }].clone();
        let path = said["path"].as_str().expect("a path").to_owned();
        Pair { was: case.scratch.path().join(was), path, said, is_tree }
    };
    outputs.into_iter().zip(was).map(pair).collect()
}

/// What the real consul-template makes of a case, below the case's own directory.
fn render(program: &Path, case: &Case, consul: &Consul) {
    let log = case.scratch.path().join("consul-template.log");
    let mut command = Command::new(program);
    command.args(case.consul_template_args()).args(["-once", "-consul-ssl=false"]);
    command.arg(format!("-consul-addr={}", consul.addr()));
    command
        .env_clear()
        .env("HOSTNAME", "here")
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.current_dir(case.scratch.path()).stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(fs::File::create(&log).expect("a log"));
    let mut child = Owned(command.spawn().expect("start consul-template"));
    let status = eventually(&case.name, DEADLINE, || child.0.try_wait().expect("wait"));
    let log = fs::read_to_string(&log).unwrap_or_default();
    assert!(status.success(), "{}: {status}\n{log}", case.name);
}

/// Both programs on one Consul.
fn both(program: &Path, case: &Case, consul: &Consul) -> Option<(Pod, Vec<Pair>)> {
    for (key, value) in case.kv.iter().flatten() {
        consul.put(key, value);
    }
    render(program, case, consul);
    let converted = case.convert();
    let config = case.scratch.path().join("made.yaml");
    fs::write(&config, &converted.yaml).expect("write it");
    let config = config.to_str().expect("UTF-8");
    let pod = Pod::bare().arg(&["--config", config, "--consul", &consul.addr().to_string()]);
    let pairs = pairs(case, &converted.yaml);
    // Where nothing could be carried over there is nothing to publish.
    let published = (!pairs.is_empty()).then(|| pod.init());
    consul.delete_recurse("");
    published.map(|_| (pod, pairs))
}

#[test]
fn seedcar_publishes_what_consul_template_renders() {
    let Some(program) = super::consul_template() else { return };
    let mut tally = Tally::of("convert::rendered::seedcar_publishes_what_consul_template_renders");
    let consul = Consul::start(Kind::Real);
    let mut compared = 0;
    for case in cases::all() {
        if case.kv.is_none() {
            continue;
        }
        let Some((pod, pairs)) = both(&program, &case, &consul) else { continue };
        let different = case.different();
        for pair in pairs {
            let same = pair.compare(&pod, &case);
            let text = || format!("{}: {}: {}", case.name, pair.path, same.clone().unwrap_err());
            match different.contains(&pair.path) {
                true => tally.check(same.is_err(), || format!("{}: is the same", pair.path)),
                false => tally.check(same.is_ok(), text),
            }
            compared += 1;
        }
    }
    assert!(compared >= 40, "{compared} files are too few");
    tally.finish();
}

// === impl Pair ===

impl Pair {
    fn compare(&self, pod: &Pod, case: &Case) -> Result<(), String> {
        let ours = pod.live().join(&self.path);
        if self.is_tree {
            return self.compare_trees(&ours);
        }
        self.modes(&self.was, &ours, &self.said["mode"])?;
        if self.said.get("key").is_some() {
            return self.compare_bytes(&ours, case);
        }
        let format = self.said["format"].as_str().unwrap_or_default();
        let (theirs, ours) = (meaning(format, &self.was), meaning(format, &ours));
        (theirs == ours && !theirs.is_null())
            .then_some(())
            .ok_or_else(|| format!("{theirs}\nis not\n{ours}"))
    }

    /// Byte by byte. White space around a value is the one difference there may be, and it must be said.
    fn compare_bytes(&self, ours: &Path, case: &Case) -> Result<(), String> {
        let read =
            |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        let (theirs, ours) = (read(&self.was)?, read(ours)?);
        let notes = case.convert().notes;
        let is_said = notes.contains("white space around the key");
        let (trimmed, own) = (theirs.trim_ascii(), ours.trim_ascii());
        let is_same = if is_said { trimmed == own && theirs != ours } else { theirs == ours };
        is_same.then_some(()).ok_or_else(|| format!("{theirs:?} is not {ours:?}"))
    }

    fn compare_trees(&self, ours: &Path) -> Result<(), String> {
        let (theirs, mine) = (files(&self.was), files(ours));
        if theirs.is_empty() || theirs != mine {
            return Err(format!("{theirs:?} is not {mine:?}"));
        }
        for name in theirs.keys() {
            self.modes(&self.was.join(name), &ours.join(name), &self.said["modes"][0]["mode"])?;
        }
        Ok(())
    }

    /// Where a mode was said it is the same, writing aside.
    fn modes(&self, theirs: &Path, ours: &Path, said: &Value) -> Result<(), String> {
        let mode = |path: &Path| {
            let there = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()));
            there.map(|there| there.permissions().mode() & 0o777)
        };
        let (theirs, ours) = (mode(theirs)?, mode(ours)?);
        let is_same = said.is_null() || theirs & 0o555 == ours;
        is_same.then_some(()).ok_or_else(|| format!("mode {theirs:o} is not {ours:o}"))
    }
}

fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let name = path.strip_prefix(root).expect("below it").display().to_string();
                found.insert(name, fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

/// What a reader of its format reads in a file: others' readers, not ours.
fn meaning(format: &str, file: &Path) -> Value {
    match format {
        "shell" => shell(file),
        "properties" => properties(file),
        _ => {
            let mut python = Command::new(std::env::var_os("PYTHON_BIN").expect("run ./e2e/run"));
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/convert/read.py");
            serde_json::from_slice(&output(python.arg(script).arg(format).arg(file))).expect("JSON")
        }
    }
}

fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("start {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The variables that a shell has after it, beside its own.
fn shell(file: &Path) -> Value {
    let run = |script: &str| {
        let mut shell = Command::new("sh");
        let bytes = output(shell.env_clear().args(["-c", script, "sh"]).arg(file));
        let text = String::from_utf8(bytes).expect("UTF-8");
        text.split('\0').map(ToOwned::to_owned).collect::<BTreeSet<String>>()
    };
    let env = "/usr/bin/env -0";
    let before = run(env);
    let after = run(&format!("set -a; . \"$1\"; {env}"));
    after.difference(&before).cloned().collect::<Vec<_>>().into()
}

/// Names and values in base64, in order.
fn properties(file: &Path) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/outputs/Read.java");
    let text =
        String::from_utf8(output(Command::new("java").arg(script).arg(file))).expect("base64");
    text.lines()
        .map(ToOwned::to_owned)
        .collect::<BTreeSet<String>>()
        .into_iter()
        .collect::<Vec<_>>()
        .into()
}
