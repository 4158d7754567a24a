//! Where and with what it was measured.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::process::cores;
use super::tool;

/// The machine, the programs, and how much of a run it was.
#[derive(Serialize, Deserialize)]
pub struct Machine {
    /// Whether little was measured.
    pub quick: bool,
    /// What people are told: a name, and what it is.
    pub facts: Vec<(String, String)>,
    /// What tells the measured programs from others of the same version.
    digests: Vec<String>,
}

/// The name of the day.
const MEASURED: &str = "measured";

// === impl Machine ===

impl Machine {
    /// This one.
    pub fn here(quick: bool) -> Self {
        let fact = |name: &str, is: String| (name.to_owned(), is);
        let consul = std::env::var_os("CONSUL_BIN").unwrap_or_default();
        let mut facts = vec![
            fact(MEASURED, jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()),
            fact("seedcar", program(&tool::seedcar(), "version")),
            fact("Consul", said(&consul, "version")),
            fact("Linux", read("/proc/sys/kernel/osrelease").trim().to_owned()),
            fact("CPU", format!("{}, {} cores", model(), cores().len())),
        ];
        if let Some(template) = tool::template() {
            facts.insert(2, fact("consul-template", program(&template, "-version")));
        }
        let digests = [Some(tool::seedcar()), tool::template()].into_iter().flatten();
        Self { quick, facts, digests: digests.map(|path| digest(&path)).collect() }
    }

    /// The same, of figures some of which are from an earlier day.
    pub fn since(mut self, earlier: &Self) -> Self {
        let first = earlier.measured().split(" to ").next().unwrap_or_default().to_owned();
        let today = self.measured().to_owned();
        if first != today {
            let days = self.facts.iter_mut().filter(|(name, _)| name == MEASURED);
            days.for_each(|(_, is)| *is = format!("{first} to {today}"));
        }
        self
    }

    fn measured(&self) -> &str {
        let fact = self.facts.iter().find(|(name, _)| name == MEASURED);
        fact.map_or("", |(_, is)| is)
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let facts = self.facts.iter().map(|(name, is)| format!("{name} {is}"));
        facts.collect::<Vec<_>>().join("; ")
    }

    /// Whether figures of both may stand in one table: all is the same but the day.
    pub fn is_like(&self, other: &Self) -> bool {
        let undated = |it: &Self| {
            it.facts.iter().filter(|(name, _)| name != MEASURED).cloned().collect::<Vec<_>>()
        };
        self.quick == other.quick
            && self.digests == other.digests
            && undated(self) == undated(other)
    }
}

/// A program's version and size.
fn program(path: &OsStr, ask: &str) -> String {
    format!("{}, {}", said(path, ask), size(Path::new(path)))
}

fn digest(path: &OsStr) -> String {
    let hash = Sha256::digest(fs::read(path).unwrap_or_default());
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn size(path: &Path) -> String {
    let bytes = fs::metadata(path).map_or(0, |meta| meta.len());
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// The version in the first line of what it says.
fn said(path: &OsStr, ask: &str) -> String {
    let said = Command::new(path).arg(ask).output();
    let (out, err) = said.map_or_else(|_| (Vec::new(), Vec::new()), |it| (it.stdout, it.stderr));
    let text = String::from_utf8_lossy(if out.is_empty() { &err } else { &out }).into_owned();
    let first = text.lines().next().unwrap_or_default();
    let version = first.split_whitespace().find(|word| {
        word.trim_start_matches('v').starts_with(|first: char| first.is_ascii_digit())
    });
    version.unwrap_or("unknown").trim_start_matches('v').to_owned()
}

fn model() -> String {
    let info = read("/proc/cpuinfo");
    let line = info.lines().find(|line| line.starts_with("model name"));
    let model = line.and_then(|line| line.split_once(':')).map(|(_, model)| model.trim());
    model.unwrap_or(std::env::consts::ARCH).to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
