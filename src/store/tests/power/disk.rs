//! What is left of a directory when the power is cut.

use super::film::{Frame, Id};
use crate::store::Op;
use crate::store::name::{Class, class};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Names and bytes.
pub type Files = BTreeMap<String, Arc<Vec<u8>>>;

/// More states than this are a mistake in a test.
const MANY: usize = 50_000;

/// What was asked of the disk so far.
#[derive(Default)]
pub struct Disk {
    /// What each name meant since the directory was last synced, in order; the first is on the disk.
    names: BTreeMap<String, Vec<Option<Id>>>,
    bytes: BTreeMap<Id, Arc<Vec<u8>>>,
    synced: BTreeSet<Id>,
    begun: bool,
}

impl Disk {
    /// One more step was done.
    pub fn take(&mut self, frame: &Frame) {
        for name in frame.names.keys() {
            self.names.entry(name.clone()).or_insert_with(|| vec![None]);
        }
        for (name, meanings) in &mut self.names {
            let now = frame.names.get(name).copied();
            if meanings.last() != Some(&now) {
                meanings.push(now);
            }
        }
        for (id, bytes) in &frame.bytes {
            if self.bytes.insert(*id, bytes.clone()).is_none_or(|old| old != *bytes) {
                self.synced.remove(id);
            }
        }
        match &frame.step {
            Some((Op::Sync, name)) => self.synced.extend(frame.names.get(name)),
            Some((Op::SyncDir, _)) => self.sync_names(),
            None if !self.begun => {
                self.sync_names();
                self.synced.extend(frame.names.values());
            }
            _ => {}
        }
        self.begun = true;
    }

    fn sync_names(&mut self) {
        self.names.retain(|_, meanings| {
            meanings.drain(..meanings.len() - 1);
            meanings[0].is_some()
        });
    }

    /// Every directory that may be found after a cut.
    pub fn states(&self) -> Vec<Files> {
        let mut states = vec![Files::new()];
        // A file keeps its bytes under every name that it is found by.
        let mut kept: Vec<BTreeMap<Id, Arc<Vec<u8>>>> = vec![BTreeMap::new()];
        for (name, meanings) in &self.names {
            let (mut next, mut next_kept) = (Vec::new(), Vec::new());
            let different: BTreeSet<_> = meanings.iter().copied().collect();
            for (files, kept) in states.iter().zip(&kept) {
                for meaning in &different {
                    for bytes in self.choices(name, *meaning, kept) {
                        let (mut files, mut kept) = (files.clone(), kept.clone());
                        if let (Some(id), Some(bytes)) = (meaning, bytes) {
                            files.insert(name.clone(), bytes.clone());
                            kept.insert(*id, bytes);
                        }
                        next.push(files);
                        next_kept.push(kept);
                    }
                }
            }
            (states, kept) = (next, next_kept);
            assert!(states.len() < MANY, "{} states of {:?}", states.len(), self.names);
        }
        states
    }

    /// What the file of this name may hold; one `None` where there is no file.
    fn choices(
        &self,
        name: &str,
        meaning: Option<Id>,
        kept: &BTreeMap<Id, Arc<Vec<u8>>>,
    ) -> Vec<Option<Arc<Vec<u8>>>> {
        let Some(id) = meaning else {
            return vec![None];
        };
        let whole = &self.bytes[&id];
        if let Some(bytes) = kept.get(&id) {
            return vec![Some(bytes.clone())];
        }
        if self.synced.contains(&id) || whole.is_empty() {
            return vec![Some(whole.clone())];
        }
        let (length, half) = (whole.len(), whole.len() / 2);
        let zeros = |from: usize| [&whole[..from], &vec![0; length - from][..]].concat();
        let parts: Vec<Vec<u8>> = match class(name) {
            // Nobody reads it.
            Some(Class::Temporary) => vec![Vec::new(), whole[..half].to_vec()],
            _ => vec![
                whole.to_vec(),
                Vec::new(),
                whole[..half].to_vec(),
                whole[..length - 1].to_vec(),
                zeros(0),
                zeros(half),
            ],
        };
        parts.into_iter().map(|part| Some(Arc::new(part))).collect()
    }
}
