//! The ledger: what each promise rests on, how many cases were tried, and which planted bug turns
//! the test red. `e2e/PROMISES.md` is written from it at the end of a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

/// One test of a promise.
pub struct Proof {
    /// `P0` to `P15`.
    pub promise: &'static str,
    /// The test's path, such as `kill::publish`; also the name its tallies go by.
    pub test: &'static str,
    /// What it shows, in a few words.
    pub shows: &'static str,
    /// The planted bugs that turn it red: files `e2e/mutants/NAME.patch`.
    pub mutants: &'static [&'static str],
}

/// The promises, in the short form of the README.
const PROMISES: &[(&str, &str)] = &[
    ("P0", "Every incident of this kind that is known elsewhere is a test here"),
    ("P1", "No reader sees a torn file, nor, through one opened directory, a mix"),
    ("P2", "A source's part of a generation is its prefix at one Consul index"),
    ("P3", "No outage, error, ACL change or empty answer empties or shrinks the volume"),
    ("P4", "A damaged backup is refused, an older good one is used, and it is said"),
    ("P5", "A kill at any system call leaves the old or the new, and the next run works"),
    ("P6", "A written backup survives a power cut; there are never zero valid ones again"),
    ("P7", "A change arrives at once, with a dead watch in 45 s, without one in a heartbeat"),
    ("P8", "Staleness cannot hide"),
    ("P9", "Init is bounded and honest"),
    ("P10", "Memory, descriptors and disk are bounded"),
    ("P11", "The token goes to Consul alone; tokens and values are never shown"),
    ("P12", "No key can name a file outside the volume, nor two keys one file"),
    ("P13", "seedcar never hurts Consul"),
    ("P14", "Replicas that share a backup volume never destroy a better backup"),
    ("P15", "What must survive a restart of seedcar survives it"),
];

/// Each part's proofs.
const PARTS: &[&[Proof]] = &[
    crate::access::PROOFS,
    crate::backup::PROOFS,
    crate::bounded::PROOFS,
    crate::convert::PROOFS,
    crate::discovery::PROOFS,
    crate::core::PROOFS,
    crate::faults::PROOFS,
    crate::fuzz::PROOFS,
    crate::hooks::PROOFS,
    crate::incidents::PROOFS,
    crate::kill::PROOFS,
    crate::outputs::PROOFS,
    crate::pods::PROOFS,
    crate::quorum::PROOFS,
    crate::readers::PROOFS,
    crate::rules::PROOFS,
    crate::security::PROOFS,
    crate::seeding::PROOFS,
    crate::simulate::PROOFS,
    crate::vm::PROOFS,
];

/// Counts the cases of one test. What went wrong is collected, so that one run tells all of it.
pub struct Tally {
    test: &'static str,
    cases: u64,
    violations: Vec<String>,
}

/// Whether this is the long run.
pub fn nightly() -> bool {
    std::env::var_os("SEEDCAR_NIGHTLY").is_some()
}

/// `usual` cases, or `many` in the long run.
pub fn share(usual: u64, many: u64) -> u64 {
    if nightly() { many } else { usual }
}

// === impl Tally ===

impl Tally {
    /// A tally of the test with this name in [`PARTS`].
    #[track_caller]
    pub fn of(test: &'static str) -> Self {
        assert!(proofs().any(|proof| proof.test == test), "{test} is in no list of proofs");
        Self { test, cases: 0, violations: Vec::new() }
    }

    /// One more case was tried.
    pub fn case(&mut self) {
        self.cases += 1;
    }

    /// So many more were.
    pub fn cases(&mut self, count: u64) {
        self.cases += count;
    }

    /// The promise was broken.
    pub fn violation(&mut self, text: impl Into<String>) {
        self.violations.push(text.into());
    }

    /// One more case; a violation unless `held`.
    pub fn check(&mut self, held: bool, text: impl FnOnce() -> String) {
        self.case();
        if !held {
            self.violation(text());
        }
    }

    /// Whether it was: one case is enough, where each takes a time-out.
    pub fn is_broken(&self) -> bool {
        !self.violations.is_empty()
    }

    /// Writes the record, then fails the test if the promise was broken.
    #[track_caller]
    pub fn finish(self) {
        let (test, cases, violations) = (self.test, self.cases, self.violations.len());
        record(
            &format!("test-{test}"),
            &json!({"test": test, "cases": cases, "violations": violations}),
        );
        assert!(cases > 0, "{test}: nothing was tried");
        let shown: Vec<_> = self.violations.iter().take(20).collect();
        assert!(violations == 0, "{test}: {violations} violations in {cases} cases: {shown:#?}");
    }
}

fn proofs() -> impl Iterator<Item = &'static Proof> {
    PARTS.iter().copied().flatten()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn records() -> PathBuf {
    root().join("target/ledger")
}

/// A line `PATH ok` or `PATH FAILED` for each test of the run, written by `e2e/run`.
fn outcomes() -> PathBuf {
    records().join("outcomes")
}

/// One file a record, so that test programs and the mutants' runner need no lock.
fn record(name: &str, value: &Value) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("{}-{}-{number}.json", name.replace("::", "-"), std::process::id());
    fs::create_dir_all(records()).expect("target/ledger");
    fs::write(records().join(name), value.to_string()).expect("a record");
}

/// What the last run wrote: cases and violations by test, and whether each mutant was red.
#[derive(Default)]
struct Found {
    tests: BTreeMap<String, (u64, u64)>,
    mutants: BTreeMap<String, bool>,
    /// How each test ended, by its path: all there is to count of one without a [`Tally`].
    ended: BTreeMap<String, bool>,
}

impl Found {
    fn load() -> Self {
        let mut found = Self::default();
        for line in fs::read_to_string(outcomes()).unwrap_or_default().lines() {
            if let Some((test, how)) = line.split_once(' ') {
                found.ended.insert(test.to_owned(), how == "ok");
            }
        }
        for entry in fs::read_dir(records()).into_iter().flatten().flatten() {
            if entry.path().extension().is_none_or(|e| e != "json") {
                continue;
            }
            let text = fs::read(entry.path()).expect("a record");
            let value: Value = serde_json::from_slice(&text).expect("a whole record");
            if let Some(test) = value["test"].as_str() {
                let sums = found.tests.entry(test.to_owned()).or_default();
                sums.0 += value["cases"].as_u64().unwrap_or_default();
                sums.1 += value["violations"].as_u64().unwrap_or_default();
            }
            if let Some(mutant) = value["mutant"].as_str() {
                found.mutants.insert(mutant.to_owned(), value["red"] == true);
            }
        }
        found
    }

    /// Cases and violations of a proof's test.
    fn figures(&self, test: &str) -> Option<(u64, u64)> {
        let ended = || self.ended.get(test).map(|held| (1, u64::from(!held)));
        self.tests.get(test).copied().or_else(ended)
    }
}

/// The page. A `-` stands where the run did not come by.
fn markdown(found: &Found) -> String {
    let mut page = String::from(
        "# Promises\n\nWritten by `e2e/run`; the figures are of its last run on the machine that \
         committed this page. `-`: that run left it out.\nCases are what was tried, violations what broke the promise. A mutant is a bug planted on purpose \
         (`e2e/mutants`): the test must turn red.\n",
    );
    for (promise, words) in PROMISES {
        let _ = write!(
            page,
            "\n## {promise}. {words}\n\n| test | shows | cases | violations | mutants |\n|---|---|---:|---:|---|\n"
        );
        for proof in proofs().filter(|proof| proof.promise == *promise) {
            let (cases, violations) = match found.figures(proof.test) {
                Some((cases, violations)) => (cases.to_string(), violations.to_string()),
                None => ("-".to_owned(), "-".to_owned()),
            };
            let word = |name: &&str| match found.mutants.get(*name) {
                Some(true) => format!("{name}: red"),
                Some(false) => format!("{name}: NOT RED"),
                None => format!("{name}: -"),
            };
            let mutants: Vec<_> = proof.mutants.iter().map(word).collect();
            let (test, shows, mutants) = (proof.test, proof.shows, mutants.join("<br>"));
            let _ = writeln!(page, "| `{test}` | {shows} | {cases} | {violations} | {mutants} |");
        }
    }
    page + &crate::incidents::markdown()
}

/// The page without its figures.
fn shape(page: &str) -> String {
    let plain = |cell: &str| {
        let cell = cell.trim();
        let figure = cell == "-" || cell.parse::<u64>().is_ok();
        let cell = if figure { "" } else { cell };
        cell.replace(": red", ":").replace(": NOT RED", ":").replace(": -", ":")
    };
    let line = |line: &str| line.split('|').map(plain).collect::<Vec<_>>().join("|");
    page.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Names of the patches in `e2e/mutants`.
fn planted() -> Vec<String> {
    let entries = fs::read_dir(root().join("e2e/mutants")).into_iter().flatten().flatten();
    let name =
        |entry: fs::DirEntry| Some(entry.file_name().to_str()?.strip_suffix(".patch")?.to_owned());
    entries.filter_map(name).collect()
}

#[test]
fn the_page_has_the_rows_of_the_proofs() {
    let path = root().join("e2e/PROMISES.md");
    // Not at the end of a whole run, when figures come from the records: see e2e/run.
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, markdown(&Found::load())).expect("the page");
    }
    let page = fs::read_to_string(&path).expect("the page");
    assert!(
        shape(&page) == shape(&markdown(&Found::default())),
        "e2e/PROMISES.md is out of date; run: UPDATE=1 cargo test --test e2e ledger"
    );
}

#[test]
fn each_promise_is_proved_and_each_proof_can_fail() {
    for (promise, _) in PROMISES {
        assert!(proofs().any(|p| p.promise == *promise), "{promise} has no proof");
        let planted = proofs().filter(|p| p.promise == *promise).any(|p| !p.mutants.is_empty());
        assert!(planted, "{promise} has no mutant");
    }
    for proof in proofs() {
        assert!(
            PROMISES.iter().any(|(p, _)| *p == proof.promise),
            "{}: {}",
            proof.test,
            proof.promise
        );
    }
}

#[test]
fn each_mutant_is_a_patch_and_each_patch_belongs_to_a_proof() {
    let planted = planted();
    for name in proofs().flat_map(|p| p.mutants) {
        assert!(planted.iter().any(|p| p == name), "there is no e2e/mutants/{name}.patch");
    }
    for name in planted {
        assert!(proofs().any(|p| p.mutants.contains(&&*name)), "{name}.patch belongs to no proof");
    }
}
