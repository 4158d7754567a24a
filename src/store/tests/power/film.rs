//! What a directory looked like after each step.

use super::super::*;
use crate::store::volume::Hook;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

/// A file, whatever it is called.
pub type Id = usize;

/// The latest moments that writers were told are safe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Safe {
    pub ours: Option<i64>,
    pub theirs: Option<i64>,
}

/// The directory after a step.
#[derive(Clone)]
pub struct Frame {
    /// The step; none is how it began.
    pub step: Option<(Op, String)>,
    pub names: BTreeMap<String, Id>,
    pub bytes: BTreeMap<Id, Arc<Vec<u8>>>,
    pub safe: Safe,
}

/// A recording. Clones go on with the same one.
#[derive(Clone)]
pub struct Film(Arc<Mutex<Reel>>);

struct Reel {
    dir: PathBuf,
    frames: Vec<Frame>,
    /// Announced; its frame is taken when the next one is.
    pending: Option<(Op, String)>,
    next: Id,
}

// === impl Film ===

impl Film {
    /// All that is there now is on the disk.
    pub fn begin(dir: &Path, safe: Safe) -> Self {
        let (names, bytes) = (BTreeMap::new(), BTreeMap::new());
        let empty = Frame { step: None, names, bytes, safe };
        let mut reel = Reel { dir: dir.to_owned(), frames: vec![empty], pending: None, next: 0 };
        let first = reel.look(None);
        reel.frames = vec![first];
        Self(Arc::new(Mutex::new(reel)))
    }

    pub fn dir(&self) -> PathBuf {
        self.reel().dir.clone()
    }

    /// For a store, to announce its steps to.
    pub fn camera(&self) -> Hook {
        let film = self.clone();
        Box::new(move |op, name| {
            let mut reel = film.reel();
            reel.settle();
            reel.pending = Some((op, name.to_owned()));
            Ok(())
        })
    }

    /// From here on more is safe.
    pub fn safe(&self, change: impl FnOnce(&mut Safe)) {
        let mut reel = self.reel();
        reel.settle();
        let mut frame = reel.frames.last().unwrap().clone();
        frame.step = None;
        change(&mut frame.safe);
        reel.frames.push(frame);
    }

    pub fn frames(&self) -> Vec<Frame> {
        let mut reel = self.reel();
        reel.settle();
        reel.frames.clone()
    }

    /// The steps up to this frame.
    pub fn told(&self, frame: usize) -> String {
        let step = |frame: &Frame| frame.step.as_ref().map(|(op, name)| format!("{op} {name}"));
        let steps: Vec<_> = self.frames()[..=frame].iter().filter_map(step).collect();
        steps.join("\n")
    }

    fn reel(&self) -> MutexGuard<'_, Reel> {
        self.0.lock().unwrap()
    }
}

// === impl Reel ===

impl Reel {
    fn settle(&mut self) {
        if let Some(step) = self.pending.take() {
            let frame = self.look(Some(step));
            self.frames.push(frame);
        }
    }

    fn look(&mut self, step: Option<(Op, String)>) -> Frame {
        let last = self.frames.last().unwrap().clone();
        let entries = std::fs::read_dir(&self.dir).unwrap();
        let listed: BTreeMap<String, PathBuf> = entries
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
            .collect();
        let gone = last.names.iter().find(|(name, _)| !listed.contains_key(*name));
        let renamed = matches!(step, Some((Op::Rename, _)));
        let (mut names, mut bytes) = (BTreeMap::new(), BTreeMap::new());
        for (name, path) in listed {
            let id = match (last.names.get(&name), gone) {
                (Some(id), _) => *id,
                (None, Some((_, id))) if renamed => *id,
                (None, _) => {
                    self.next += 1;
                    self.next
                }
            };
            names.insert(name, id);
            bytes.insert(id, Arc::new(std::fs::read(path).unwrap()));
        }
        Frame { step, names, bytes, safe: last.safe }
    }
}
