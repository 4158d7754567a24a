//! The names at the top of a prefix, as the doorbell lists them: compared, and not kept.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::snapshot::Snapshot;

/// A hash of names in the order in which they come.
#[derive(Default)]
pub struct Names {
    hasher: DefaultHasher,
    count: usize,
}

/// How much of a key is its name at the top of a prefix of so many bytes: all up to the first slash behind
/// that, and with it.
pub fn top_name(key: &str, prefix: usize) -> &str {
    key[prefix..].find('/').map_or(key, |slash| &key[..=prefix + slash])
}

// === impl Names ===

impl Names {
    /// Those of a snapshot of a prefix of so many bytes.
    pub fn of(snapshot: &Snapshot, prefix: usize) -> Self {
        let (mut names, mut last) = (Self::default(), None);
        for entry in snapshot.entries() {
            let name = top_name(&entry.key, prefix);
            if last.replace(name) != Some(name) {
                names.add(name);
            }
        }
        names
    }

    /// The next one.
    pub fn add(&mut self, name: &str) {
        name.hash(&mut self.hasher);
        self.count += 1;
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Their hash. The same names have the same one, and others hardly.
    pub fn hash(&self) -> u64 {
        self.hasher.finish()
    }
}
