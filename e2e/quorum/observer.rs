//! Looks at each published tree and holds it against the history.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use seedcar::publisher::manifest::Manifest;

use super::history::{Files, Found, History, LABEL};
use super::scene::lock;
use super::writer::PAD;
use crate::consul::http::request;
use crate::ledger::Tally;
use crate::rig::Pod;

/// How often a sidecar is asked whether it lives.
const LIVE: Duration = Duration::from_millis(500);

/// One pod, as its application sees it.
pub struct Observer<'p> {
    name: String,
    pod: &'p Pod,
    /// The generation that was looked at last.
    seen: Option<PathBuf>,
    /// The position in the history that it was found at.
    at: usize,
}

/// Asks a sidecar now and then whether it lives.
pub struct Pulse {
    name: String,
    addr: SocketAddr,
    asked: Option<Instant>,
}

/// A whole generation, read through one opened directory.
pub struct Tree {
    /// Its directory.
    pub generation: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// Its files.
    pub files: Files,
}

// === impl Tree ===

impl Tree {
    /// The current generation; `None` while there is none, or if it was superseded meanwhile.
    pub fn read(pod: &Pod) -> Option<Self> {
        let link = pod.live().join("..data");
        let generation = link.canonicalize().ok()?;
        let manifest = std::fs::read(generation.join("..manifest.json")).ok()?;
        let mut files = pod.tree();
        files.remove(PAD);
        // Names are never used twice: what is current before and after was so in between.
        (link.canonicalize().ok()? == generation).then_some(())?;
        Some(Self { generation, manifest: Manifest::parse(&manifest)?, files })
    }

    /// Where in the history this is.
    pub fn find(&self, history: &History, from: usize) -> Found {
        history.find(&self.files, self.manifest.sources[0].index, from)
    }

    /// For a person.
    pub fn describe(&self) -> String {
        let label = self.files.get(LABEL).map(|v| String::from_utf8_lossy(v).into_owned());
        let (files, part) = (self.files.len(), &self.manifest.sources[0]);
        format!("state {label:?}, {files} files, index {}, {:?}", part.index, part.origin)
    }
}

// === impl Pulse ===

impl Pulse {
    /// Of the sidecar that serves at `addr`.
    pub fn new(name: &str, addr: SocketAddr) -> Self {
        Self { name: name.to_owned(), addr, asked: None }
    }

    /// Asks, if it is time to.
    pub fn feel(&mut self, tally: &Mutex<Tally>) {
        if self.asked.is_some_and(|asked| asked.elapsed() < LIVE) {
            return;
        }
        self.asked = Some(Instant::now());
        let answer = request(self.addr, "GET", "/livez", &[], b"");
        let alive = answer.as_ref().is_ok_and(|answer| answer.status == 200);
        lock(tally).check(alive, || format!("{}: /livez answers {answer:?}", self.name));
    }
}

// === impl Observer ===

impl<'p> Observer<'p> {
    /// Of a pod.
    pub fn new(name: &str, pod: &'p Pod) -> Self {
        Self { name: name.to_owned(), pod, seen: None, at: 0 }
    }

    /// The position in the history at which it was seen last.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Looks once; counts what is new.
    pub fn look(&mut self, history: &History, tally: &Mutex<Tally>) {
        let current = self.pod.live().join("..data").canonicalize().ok();
        if current.is_some() && current == self.seen {
            return;
        }
        let Some(tree) = Tree::read(self.pod) else {
            let known = self.seen.is_some() && current.is_none();
            if known {
                lock(tally).violation(format!("{}: the files are gone", self.name));
            }
            return;
        };
        let name = &self.name;
        let found = tree.find(history, self.at);
        lock(tally).check(matches!(found, Found::At(_)), || {
            format!("{name}: {found:?} (at {} of {}): {}", self.at, history.len(), tree.describe())
        });
        if let Found::At(position) | Found::Before(position) = found {
            self.at = position;
        }
        self.seen = Some(tree.generation);
    }
}
