//! Contents that tell by themselves which they are, and what may be seen of them after a kill.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use seedcar::model::layout::Layout;
use seedcar::publisher::audit::audit;
use seedcar::publisher::manifest::Manifest;
use seedcar::store::{Access, Identity, Limits, Listed, State, Store};
use serde_json::{Value, json};

use crate::consul::{Consul, Kind};
use crate::ledger::Tally;
use crate::rig::{Pod, SOON, Sidecar};
use crate::stories::scene::Files;
use crate::wait::{eventually, within};

use super::strace::Call;

/// What readers find, or why that breaks the promise.
pub type Found<T> = Result<T, String>;

/// A Consul, a pod of it, and the number of the content that Consul holds.
pub struct Scene {
    pub consul: Consul,
    pub pod: Pod,
    pub layout: Layout,
    number: Cell<u64>,
}

/// The files that content `number` makes: some change with each number, some never, one is there only
/// under its own, and one is made of all keys.
pub fn files(number: u64) -> Files {
    let value = format!("{number:0>5000}").into_bytes();
    let same = b"same".to_vec();
    Files::from([
        (ALL.to_owned(), all(number)),
        ("changing".to_owned(), value.clone()),
        ("dir/".to_owned(), Vec::new()),
        ("dir/changing".to_owned(), value),
        ("dir/same".to_owned(), same.clone()),
        (format!("only-{number}"), number.to_string().into_bytes()),
        ("same".to_owned(), same),
    ])
}

/// The file of all keys that is a part of each generation.
const ALL: &str = "all.env";

/// What it holds of content `number`.
fn all(number: u64) -> Vec<u8> {
    let value = format!("{number:0>5000}");
    let lines = [
        format!("CHANGING={value}"),
        format!("DIR_CHANGING={value}"),
        "DIR_SAME=same".to_owned(),
        format!("ONLY_{number}={number}"),
        "SAME=same\n".to_owned(),
    ];
    lines.join("\n").into_bytes()
}

/// The number of the content that a directory's `changing` is of.
pub fn number_in(directory: &Path) -> Option<u64> {
    fs::read_to_string(directory.join("changing")).ok()?.parse().ok()
}

/// Whether a plain `live/` has all of content `number`, or newer files in its place, and nothing older.
pub fn is_all_in(live: &Path, number: u64) -> bool {
    let is_new = |directory: &Path| number_in(directory).is_some_and(|found| found >= number);
    let all = fs::read_to_string(live.join(ALL)).unwrap_or_default();
    let all = all.lines().next().and_then(|line| line.strip_prefix("CHANGING=")?.parse().ok());
    let older = |name: &String| {
        let only = name.strip_prefix("only-").and_then(|only| only.parse::<u64>().ok());
        only.is_some_and(|only| only < number)
    };
    // It goes only after everything newer is there.
    let only = live.join(format!("only-{number}")).exists()
        || number_in(live).is_some_and(|found| found > number);
    let changed = is_new(live) && is_new(&live.join("dir"));
    changed && all.is_some_and(|all: u64| all >= number) && only && !names(live).iter().any(older)
}

// === impl Scene ===

impl Scene {
    /// Content 1 in a real Consul, and nothing seeded.
    pub fn new() -> Self {
        Self::of(Layout::Links)
    }

    /// The same for a volume of this layout.
    pub fn of(layout: Layout) -> Self {
        Self::made(layout, &json!({}))
    }

    /// The same with this configuration beside the source and its outputs.
    pub fn configured(config: &Value) -> Self {
        Self::made(Layout::Links, config)
    }

    /// The same for a volume of this layout.
    pub fn made(layout: Layout, config: &Value) -> Self {
        let consul = Consul::start(Kind::Real);
        let pod = Pod::configured(consul.addr(), config);
        let mut pod = pod.arg(&["--prefix", "app", "--backup-delay", "0ms", "--file", ALL]);
        if layout == Layout::Plain {
            pod = pod.env("SEEDCAR_LAYOUT", "plain");
        }
        let scene = Self { consul, pod, layout, number: Cell::new(0) };
        scene.change();
        scene
    }

    /// Puts the next content into Consul, in one transaction.
    pub fn change(&self) {
        let old = format!("only-{}", self.number());
        self.number.set(self.number() + 1);
        let files = files(self.number());
        let set = |(path, value): (&String, &Vec<u8>)| json!({"KV": {"Verb": "set", "Key": format!("app/{path}"), "Value": STANDARD.encode(value)}});
        let mut ops: Vec<Value> = files
            .iter()
            .filter(|(path, _)| !path.ends_with('/') && *path != ALL)
            .map(set)
            .collect();
        ops.push(json!({"KV": {"Verb": "delete", "Key": format!("app/{old}")}}));
        let body = json!(ops).to_string();
        let answer = self.consul.ask("PUT", "/v1/txn", body.as_bytes()).expect("Consul answers");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// The number of the content that Consul holds.
    pub fn number(&self) -> u64 {
        self.number.get()
    }

    /// A sidecar that has published what Consul holds and left nothing else behind.
    #[track_caller]
    pub fn run(&self) -> Sidecar<'_> {
        let sidecar = self.pod.run(&[]);
        sidecar.until("the watch works", |s| s.mechanisms["watch"].up);
        self.published();
        sidecar
    }

    /// Waits until content `number` is published in every respect.
    #[track_caller]
    pub fn published(&self) {
        eventually("the content is published", SOON, || self.is_published().then_some(()));
    }

    /// Whether the content of Consul is there and `status.json` says so: the last step of a publish.
    pub fn is_published(&self) -> bool {
        let told = || crate::stories::scene::status_file(&self.pod)?.generation;
        self.pod.tree() == files(self.number()) && told() == self.current()
    }

    /// Where generations lie.
    pub fn home(&self) -> PathBuf {
        self.pod.volume().join(self.layout.home())
    }

    /// The generation that `..data` points to.
    pub fn current(&self) -> Option<String> {
        fs::read_link(self.home().join("..data")).ok()?.into_os_string().into_string().ok()
    }

    /// The number of the content that readers see now: whole, agreeing with its manifest, and the
    /// same by path and through the directory.
    pub fn seen(&self) -> Found<u64> {
        let number = self.seen_inside()?;
        for (path, value) in files(number).iter().filter(|(path, _)| !path.ends_with('/')) {
            // A name that is new with this content is made after the swap.
            let may_miss = path.starts_with("only-");
            match self.pod.read(path) {
                Some(read) if read == *value => {}
                None if may_miss => {}
                read => return Err(format!("{path}: {:?} bytes by path", read.map(|r| r.len()))),
            }
        }
        Ok(number)
    }

    /// Whether each file of a plain `live/` is one of the last two contents', and none is missing that
    /// both have.
    pub fn seen_plain(&self) -> Found<()> {
        let new = files(self.number());
        let old = files(self.number() - 1);
        let walked = self.pod.walked();
        for (path, value) in &walked {
            if ![&old, &new].iter().any(|files| files.get(path) == Some(value)) {
                return Err(format!("{path} has {} bytes of neither", value.len()));
            }
        }
        let missing = |path: &&String| !walked.contains_key(*path);
        if let Some(missing) = old.keys().filter(|path| new.contains_key(*path)).find(missing) {
            return Err(format!("{missing} is missing"));
        }
        match (old.keys().find(missing), new.keys().find(missing)) {
            (Some(gone), Some(missing)) => Err(format!("{gone} is gone and {missing} not there")),
            _ => Ok(()),
        }
    }

    /// The same through the directory alone.
    pub fn seen_inside(&self) -> Found<u64> {
        let name = self.current().ok_or("there is no ..data")?;
        let generation = self.home().join(&name);
        let manifest = fs::read(generation.join("..manifest.json")).map_err(|e| e.to_string())?;
        let manifest = Manifest::parse(&manifest).ok_or("the manifest is torn")?;
        if manifest.generation != name {
            return Err(format!("the manifest of {name} names {}", manifest.generation));
        }
        let directory = File::open(&generation).map_err(|e| e.to_string())?;
        audit(directory.as_fd(), &manifest.tree).map_err(|e| format!("{name}: {e}"))?;
        let tree = self.pod.tree();
        let number = (self.number().saturating_sub(3)..=self.number()).find(|n| files(*n) == tree);
        number.ok_or_else(|| format!("a mix: {:?}", tree.keys()))
    }

    /// Whether each file of `.seedcar/` is whole.
    pub fn own_is_whole(&self) -> Found<()> {
        for name in ["state.json", "status.json"] {
            if let Ok(text) = fs::read(self.pod.volume().join(".seedcar").join(name)) {
                serde_json::from_slice::<Value>(&text).map_err(|e| format!("{name}: {e}"))?;
            }
        }
        Ok(())
    }

    /// What lies on the volume that the content of this number does not need, and which of its names
    /// are missing. `generations`: others that may still be kept for slow readers.
    pub fn left_over(&self, number: u64, generations: &BTreeSet<String>) -> Vec<String> {
        let current = self.current().unwrap_or_default();
        let mut of_home = generations.clone();
        of_home.extend([current, "..data".to_owned()]);
        let mut of_live = top_names(number);
        let mut of_own = BTreeSet::from(["lock", "state.json", "status.json"].map(str::to_owned));
        match self.layout {
            Layout::Links => of_live.extend(of_home),
            Layout::Plain => {
                of_own.extend(of_home);
                of_own.insert("plain".to_owned());
            }
        }
        let mut found: Vec<String> =
            names(&self.pod.live()).into_iter().filter(|name| !of_live.contains(name)).collect();
        if self.layout == Layout::Plain && self.pod.walked() != files(number) {
            found.push("another tree".to_owned());
        }
        let is_no_link = |name: &String| {
            let meta = fs::symlink_metadata(self.pod.live().join(name));
            self.layout == Layout::Links && meta.is_ok_and(|meta| !meta.is_symlink())
        };
        found.extend(top_names(number).into_iter().filter(is_no_link));
        found.extend(
            top_names(number)
                .into_iter()
                .filter(|name| fs::metadata(self.pod.live().join(name)).is_err())
                .map(|name| format!("missing: {name}")),
        );
        let own = names(&self.pod.volume().join(".seedcar"));
        found.extend(own.into_iter().filter(|name| !of_own.contains(name)));
        found
    }

    /// The whole generations in the volume. All but the current one go a moment after a start.
    pub fn generations(&self) -> BTreeSet<String> {
        let home = self.home();
        let is_whole = |name: &String| {
            let mode = fs::metadata(home.join(name)).map(|meta| meta.permissions().mode() & 0o7777);
            name.starts_with("..2") && mode.is_ok_and(|mode| mode == 0o755)
        };
        names(&home).into_iter().filter(is_whole).collect()
    }

    /// Whether a running sidecar removes everything but what is published.
    pub fn only_one_generation_stays(&self, tally: &mut Tally) {
        let is_alone = || names(&self.home()).iter().filter(|n| n.starts_with("..2")).count() == 1;
        tally.check(within(SOON, is_alone), || format!("they stay: {:?}", names(&self.home())));
    }

    fn store(&self) -> Store {
        let limits = Limits { max_bytes: 1 << 24, max_keys: 1000 };
        Store::open(&self.pod.backup(), Access::Read, limits).expect("a backup volume")
    }

    /// Every backup file, as a reader finds it.
    pub fn listed(&self) -> Vec<Listed> {
        self.store().list(None).expect("a list of backups")
    }

    /// The number of the content in the newest valid backup. No file that is named a backup may be
    /// anything else.
    pub fn backed_up(&self) -> Found<u64> {
        let listed = self.listed();
        if let Some(torn) = listed.iter().find(|l| matches!(l.state, State::Refused(_))) {
            return Err(format!("{}: {:?}", torn.name, torn.state));
        }
        let newest =
            self.store().newest(&Identity::of_prefix("app/")).map_err(|e| e.to_string())?;
        let backup = newest.best.ok_or("there is no valid backup")?;
        let only = backup
            .snapshot
            .entries()
            .iter()
            .find_map(|e| e.key.strip_prefix("app/only-")?.parse().ok());
        only.ok_or_else(|| "a backup of something else".to_owned())
    }

    /// Whether a call concerns the volume or the backups.
    pub fn touches(&self, call: &Call) -> bool {
        call.touches(&[self.pod.volume(), &self.pod.backup()])
    }
}

fn top_names(number: u64) -> BTreeSet<String> {
    let top = |path: &String| path.split('/').next().expect("a first element").to_owned();
    files(number).keys().map(top).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
