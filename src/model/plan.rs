//! Layers of snapshots in, the files of a generation out.

use std::collections::HashSet;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::key::{Place, Prefix, Unsafe};
use super::snapshot::{Digest, Entry, Snapshot};

/// The whole content of one generation's tree, paths relative to the generation.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The files in path order, no path twice.
    pub files: Vec<File>,
    /// Every directory in path order, parents before children.
    pub directories: Vec<Box<str>>,
    /// The keys that became nothing, and why.
    pub skipped: Vec<Skipped>,
}

/// One file. The path is part of the key and is not copied.
#[derive(Clone, Debug)]
pub struct File {
    /// Which layer won, counted from the first.
    pub layer: usize,
    entry: Arc<Entry>,
    cut: usize,
}

/// A key that became no file.
#[derive(Clone, Debug)]
pub struct Skipped {
    /// The layer it came from.
    pub layer: usize,
    /// The entry; its key is named in the status.
    pub entry: Arc<Entry>,
    /// Why.
    pub why: Unsafe,
}

/// One layer: a source's prefix and its content.
pub type Layer<'a> = (&'a Prefix, &'a Snapshot);

// === impl Plan ===

impl Plan {
    /// Lays `layers` over each other, first to last: a later layer wins, key by key. Where a file and
    /// a directory want one path the directory wins, whichever layer either is from, so that the
    /// outcome does not depend on the order of arrival.
    pub fn make(layers: &[Layer<'_>]) -> Self {
        let mut sorter = Sorter::default();
        for (layer, (prefix, snapshot)) in layers.iter().enumerate() {
            snapshot.entries().iter().for_each(|entry| sorter.place(layer, prefix, entry));
        }
        sorter.finish()
    }

    /// SHA-256 over all paths and values: what a walk of the generation on disk must come to.
    pub fn tree_digest(&self) -> Digest {
        let mut tree = TreeDigest::default();
        self.directories.iter().for_each(|path| tree.directory(path));
        self.files.iter().for_each(|file| tree.file(file.path(), &file.entry.value_hash));
        tree.finish()
    }

    /// The first path elements: each gets a link beside `..data`.
    pub fn top_names(&self) -> Vec<&str> {
        let first = |path| str::split(path, '/').next().unwrap_or(path);
        let paths = self.files.iter().map(File::path);
        let mut names: Vec<_> =
            paths.chain(self.directories.iter().map(|d| &**d)).map(first).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The file at `path`.
    pub fn get(&self, path: &str) -> Option<&File> {
        let at = self.files.binary_search_by(|f| f.path().cmp(path)).ok()?;
        Some(&self.files[at])
    }

    /// How many inodes the tree takes.
    pub fn inodes(&self) -> u64 {
        (self.files.len() + self.directories.len()) as u64
    }
}

// === impl File ===

impl File {
    /// The path relative to the generation.
    pub fn path(&self) -> &str {
        &self.entry.key[self.cut..]
    }

    /// The content.
    pub fn value(&self) -> &[u8] {
        &self.entry.value
    }

    /// SHA-256 of the content.
    pub fn value_hash(&self) -> &[u8; 32] {
        &self.entry.value_hash
    }
}

/// Builds the digest of a tree from its parts. Order does not matter within a directory walk, as
/// each part is hashed by itself and the hashes are added up in sorted order.
#[derive(Default)]
pub struct TreeDigest {
    parts: Vec<[u8; 32]>,
}

// === impl TreeDigest ===

impl TreeDigest {
    /// Adds a directory.
    pub fn directory(&mut self, path: &str) {
        self.parts.push(Sha256::new().chain_update(b"d\0").chain_update(path).finalize().into());
    }

    /// Adds a file by the SHA-256 of its content.
    pub fn file(&mut self, path: &str, value_hash: &[u8; 32]) {
        let hash = Sha256::new().chain_update(b"f\0").chain_update(path);
        self.parts.push(hash.chain_update(b"\0").chain_update(value_hash).finalize().into());
    }

    /// The digest of all parts added.
    pub fn finish(mut self) -> Digest {
        self.parts.sort_unstable();
        let mut all = Sha256::new();
        self.parts.iter().for_each(|part| all.update(part));
        Digest::from_bytes(all.finalize().into())
    }
}

/// Sorts keys into files, directories and skipped ones.
#[derive(Default)]
struct Sorter {
    files: Vec<File>,
    markers: Vec<Box<str>>,
    skipped: Vec<Skipped>,
}

// === impl Sorter ===

impl Sorter {
    fn place(&mut self, layer: usize, prefix: &Prefix, entry: &Arc<Entry>) {
        match prefix.place(&entry.key) {
            Place::File(path) => {
                let cut = entry.key.len() - path.len();
                self.files.push(File { layer, entry: entry.clone(), cut });
            }
            Place::Directory(path) => {
                if !path.is_empty() {
                    self.markers.push(path.into());
                }
                if !entry.value.is_empty() {
                    self.skip(layer, entry, Unsafe::MarkerValue);
                }
            }
            Place::Skipped(why) => self.skip(layer, entry, why),
        }
    }

    fn skip(&mut self, layer: usize, entry: &Arc<Entry>, why: Unsafe) {
        self.skipped.push(Skipped { layer, entry: entry.clone(), why });
    }

    fn finish(mut self) -> Plan {
        // One layer arrives in path order already; a stable sort then costs one pass.
        self.files.sort_by(|a, b| a.path().cmp(b.path()));
        // Of equal paths the last is from the latest layer.
        self.files.reverse();
        self.files.dedup_by(|a, b| a.path() == b.path());
        self.files.reverse();
        let directories = self.directories();
        let (files, shadowed): (Vec<_>, Vec<_>) = std::mem::take(&mut self.files)
            .into_iter()
            .partition(|f| directories.binary_search_by(|d| (**d).cmp(f.path())).is_err());
        for file in shadowed {
            self.skip(file.layer, &file.entry, Unsafe::Shadowed);
        }
        Plan { files, directories, skipped: self.skipped }
    }

    /// All ancestors of files and markers, and the markers themselves, in order.
    fn directories(&self) -> Vec<Box<str>> {
        let mut seen: HashSet<&str> = HashSet::new();
        self.markers.iter().for_each(|marker| add_with_parents(&mut seen, marker));
        for file in &self.files {
            if let Some((parent, _)) = file.path().rsplit_once('/') {
                add_with_parents(&mut seen, parent);
            }
        }
        let mut all: Vec<Box<str>> = seen.into_iter().map(Into::into).collect();
        all.sort_unstable();
        all
    }
}

fn add_with_parents<'a>(seen: &mut HashSet<&'a str>, mut path: &'a str) {
    while seen.insert(path) {
        match path.rsplit_once('/') {
            Some((parent, _)) => path = parent,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::key::PrefixRules;

    fn prefix(p: &str) -> Prefix {
        Prefix::parse(p, PrefixRules::default()).unwrap()
    }

    fn snapshot(entries: &[(&str, &str)]) -> Snapshot {
        let entries =
            entries.iter().map(|(k, v)| Arc::new(Entry::new(k, v.as_bytes(), 0, 1, 1))).collect();
        Snapshot::new(1, entries).unwrap()
    }

    fn files(plan: &Plan) -> Vec<(&str, &str)> {
        plan.files.iter().map(|f| (f.path(), std::str::from_utf8(f.value()).unwrap())).collect()
    }

    #[test]
    fn keys_become_paths_below_the_prefix() {
        let s = snapshot(&[("p/a", "1"), ("p/d/e/f", "2"), ("p/empty/", ""), ("p/../x", "3")]);
        let plan = Plan::make(&[(&prefix("p"), &s)]);
        assert_eq!(files(&plan), [("a", "1"), ("d/e/f", "2")]);
        assert_eq!(plan.directories, ["d".into(), "d/e".into(), "empty".into()] as [Box<str>; 3]);
        assert_eq!(plan.top_names(), ["a", "d", "empty"]);
        assert_eq!(plan.skipped[0].why, Unsafe::DotSegment);
    }

    #[test]
    fn the_directory_wins_over_the_file() {
        let s =
            snapshot(&[("p/a", "1"), ("p/a-b", "2"), ("p/a/b", "3"), ("p/c", "4"), ("p/c/", "")]);
        let plan = Plan::make(&[(&prefix("p"), &s)]);
        assert_eq!(files(&plan), [("a-b", "2"), ("a/b", "3")]);
        let why: Vec<_> = plan.skipped.iter().map(|s| (&*s.entry.key, s.why)).collect();
        assert_eq!(why, [("p/a", Unsafe::Shadowed), ("p/c", Unsafe::Shadowed)]);
    }

    #[test]
    fn a_marker_with_a_value_is_a_directory_and_reported() {
        let plan = Plan::make(&[(&prefix("p"), &snapshot(&[("p/d/", "lost")]))]);
        assert_eq!(plan.directories.len(), 1);
        assert_eq!(plan.skipped[0].why, Unsafe::MarkerValue);
    }

    #[test]
    fn later_layers_win_key_by_key() {
        let base = snapshot(&[("base/a", "1"), ("base/b", "1"), ("base/c", "1")]);
        let app = snapshot(&[("app/b", "2"), ("app/c/d", "2")]);
        let plan = Plan::make(&[(&prefix("base"), &base), (&prefix("app"), &app)]);
        assert_eq!(files(&plan), [("a", "1"), ("b", "2"), ("c/d", "2")]);
        assert_eq!(plan.get("b").unwrap().layer, 1);
        assert_eq!(plan.skipped.len(), 1, "base/c is shadowed by the later layer's directory");
    }

    #[test]
    fn the_tree_digest_knows_names_from_contents() {
        let digest = |e: &[(&str, &str)]| Plan::make(&[(&prefix("p"), &snapshot(e))]).tree_digest();
        assert_eq!(digest(&[("p/a", "1"), ("p/b", "2")]), digest(&[("p/b", "2"), ("p/a", "1")]));
        assert_ne!(digest(&[("p/a", "1"), ("p/b", "2")]), digest(&[("p/a", "2"), ("p/b", "1")]));
        assert_ne!(digest(&[("p/a/", "")]), digest(&[("p/a", "")]));
    }
}
