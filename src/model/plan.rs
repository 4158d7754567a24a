//! Snapshots in, the files of a generation out.

use std::collections::HashSet;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::format::{self, TooLarge};
use super::key::{Place, Prefix, Unsafe, is_at_or_below};
use super::output::{Output, Single};
use super::snapshot::{Digest, Entry, Snapshot};

/// The whole content of one generation, paths relative to it.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The files in path order, no path twice.
    pub files: Vec<File>,
    /// Every directory in path order, parents before children.
    pub directories: Vec<Box<str>>,
    /// The keys that became nothing, or are missing from a file, and why.
    pub skipped: Vec<Skipped>,
    /// A file of several keys that could not be made: the plan is not to be published.
    pub too_large: Option<TooLarge>,
}

/// One file. The path is part of the key and is not copied.
#[derive(Clone, Debug)]
pub struct File {
    /// The source whose key it is; none of a file that is made of several keys.
    pub source: Option<usize>,
    entry: Arc<Entry>,
    cut: usize,
}

/// A key that became no file.
#[derive(Clone, Debug)]
pub struct Skipped {
    /// The source it came from.
    pub source: usize,
    /// The entry; its key is named in the status.
    pub entry: Arc<Entry>,
    /// Why.
    pub why: Unsafe,
}

/// A source's prefix and its content.
pub type Part<'a> = (&'a Prefix, &'a Snapshot);

// === impl Plan ===

impl Plan {
    /// Makes all outputs of all sources.
    ///
    /// Layers lie over each other, first to last: a later one wins, key by key. Where a file and a
    /// directory want one path the directory wins, whichever layer either is from, so that the outcome
    /// does not depend on the order of arrival; but a file that an output asks for by name is there,
    /// whatever keys want its place.
    pub fn make(outputs: &[Output], parts: &[Part<'_>]) -> Self {
        let mut sorter = Sorter::default();
        for output in outputs {
            if let Output::File(file) = output {
                sorter.single(file, parts);
            }
        }
        for output in outputs {
            if let Output::Tree { layers } = output {
                sorter.layers(layers, parts);
            }
        }
        sorter.finish()
    }

    /// One tree of all sources: what there is where nothing else is asked for.
    pub fn tree(parts: &[Part<'_>]) -> Self {
        Self::make(&[Output::Tree { layers: (0..parts.len()).collect() }], parts)
    }

    /// SHA-256 over all paths and values: what a walk of the generation on disk must come to.
    pub fn tree_digest(&self) -> Digest {
        let mut tree = TreeDigest::default();
        self.directories.iter().for_each(|path| tree.directory(path));
        self.files.iter().for_each(|file| tree.file(file.path(), &file.entry.value_hash));
        tree.finish()
    }

    /// Forgets the content of the files that outputs made of several keys. What they were is known by its
    /// hash, which is all that the next generation asks for; that of a key's file is the snapshot's.
    pub fn release(&mut self) {
        for file in self.files.iter_mut().filter(|file| file.source.is_none()) {
            let hash = file.entry.value_hash;
            file.entry = Arc::new(Entry {
                value: Arc::default(),
                value_hash: hash,
                ..(*file.entry).clone()
            });
        }
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
    /// The paths of those that outputs make of several keys.
    made: Vec<Box<str>>,
    too_large: Option<TooLarge>,
    markers: Vec<Box<str>>,
    skipped: Vec<Skipped>,
}

// === impl Sorter ===

impl Sorter {
    /// A file of all keys of its layers.
    fn single(&mut self, file: &Single, parts: &[Part<'_>]) {
        let mut keys = Self::default();
        keys.layers(&file.layers, parts);
        keys.overlay();
        let named: Vec<_> = keys.files.iter().map(|f| (f.path(), f.value())).collect();
        let made = match format::make(file, &named) {
            Ok(made) => made,
            Err(too_large) => {
                self.too_large = Some(too_large);
                return;
            }
        };
        for (at, why) in made.left_out {
            let file = &keys.files[at];
            self.skip(file.source.expect("a key's"), &file.entry, why);
        }
        let entry = Entry::new(&file.path, &made.bytes, 0, 0, 0);
        self.files.push(File { source: None, entry: Arc::new(entry), cut: 0 });
        self.made.push(file.path.as_str().into());
        self.skipped.append(&mut keys.skipped);
    }

    fn layers(&mut self, layers: &[usize], parts: &[Part<'_>]) {
        for source in layers {
            let (prefix, snapshot) = parts[*source];
            snapshot.entries().iter().for_each(|entry| self.place(*source, prefix, entry));
        }
    }

    fn place(&mut self, source: usize, prefix: &Prefix, entry: &Arc<Entry>) {
        match prefix.place(&entry.key) {
            Place::File(path) if self.is_taken(path) => self.skip(source, entry, Unsafe::Taken),
            Place::File(path) => {
                let cut = entry.key.len() - path.len();
                self.files.push(File { source: Some(source), entry: entry.clone(), cut });
            }
            Place::Directory(path) if self.is_taken(path) => {
                self.skip(source, entry, Unsafe::Taken);
            }
            Place::Directory(path) => {
                if !path.is_empty() {
                    self.markers.push(path.into());
                }
                if !entry.value.is_empty() {
                    self.skip(source, entry, Unsafe::MarkerValue);
                }
            }
            Place::Skipped(why) => self.skip(source, entry, why),
        }
    }

    /// True where an output's file is, or would have to be a directory.
    fn is_taken(&self, path: &str) -> bool {
        self.made.iter().any(|made| is_at_or_below(path, made))
    }

    fn skip(&mut self, source: usize, entry: &Arc<Entry>, why: Unsafe) {
        self.skipped.push(Skipped { source, entry: entry.clone(), why });
    }

    /// Leaves one file of each path.
    fn overlay(&mut self) {
        // One layer arrives in path order already; a stable sort then costs one pass.
        self.files.sort_by(|a, b| a.path().cmp(b.path()));
        // Of equal paths the last is from the latest layer.
        self.files.reverse();
        self.files.dedup_by(|a, b| a.path() == b.path());
        self.files.reverse();
    }

    fn finish(mut self) -> Plan {
        self.overlay();
        let directories = self.directories();
        let (files, shadowed): (Vec<_>, Vec<_>) = std::mem::take(&mut self.files)
            .into_iter()
            .partition(|f| directories.binary_search_by(|d| (**d).cmp(f.path())).is_err());
        for file in shadowed {
            let source = file.source.expect("nothing lies below a file that an output made");
            self.skip(source, &file.entry, Unsafe::Shadowed);
        }
        // A key that is missing from several outputs is named once.
        self.skipped.sort_by(|a, b| (a.source, &a.entry.key).cmp(&(b.source, &b.entry.key)));
        self.skipped.dedup_by(|a, b| a.source == b.source && a.entry.key == b.entry.key);
        Plan { files, directories, skipped: self.skipped, too_large: self.too_large }
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
    use crate::model::output::{Format, Shape, Types};

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
        let plan = Plan::tree(&[(&prefix("p"), &s)]);
        assert_eq!(files(&plan), [("a", "1"), ("d/e/f", "2")]);
        assert_eq!(plan.directories, ["d".into(), "d/e".into(), "empty".into()] as [Box<str>; 3]);
        assert_eq!(plan.top_names(), ["a", "d", "empty"]);
        assert_eq!(plan.skipped[0].why, Unsafe::DotSegment);
    }

    #[test]
    fn the_directory_wins_over_the_file() {
        let s =
            snapshot(&[("p/a", "1"), ("p/a-b", "2"), ("p/a/b", "3"), ("p/c", "4"), ("p/c/", "")]);
        let plan = Plan::tree(&[(&prefix("p"), &s)]);
        assert_eq!(files(&plan), [("a-b", "2"), ("a/b", "3")]);
        let why: Vec<_> = plan.skipped.iter().map(|s| (&*s.entry.key, s.why)).collect();
        assert_eq!(why, [("p/a", Unsafe::Shadowed), ("p/c", Unsafe::Shadowed)]);
    }

    #[test]
    fn a_marker_with_a_value_is_a_directory_and_reported() {
        let plan = Plan::tree(&[(&prefix("p"), &snapshot(&[("p/d/", "lost")]))]);
        assert_eq!(plan.directories.len(), 1);
        assert_eq!(plan.skipped[0].why, Unsafe::MarkerValue);
    }

    #[test]
    fn later_layers_win_key_by_key() {
        let base = snapshot(&[("base/a", "1"), ("base/b", "1"), ("base/c", "1")]);
        let app = snapshot(&[("app/b", "2"), ("app/c/d", "2")]);
        let plan = Plan::tree(&[(&prefix("base"), &base), (&prefix("app"), &app)]);
        assert_eq!(files(&plan), [("a", "1"), ("b", "2"), ("c/d", "2")]);
        assert_eq!(plan.get("b").unwrap().source, Some(1));
        assert_eq!(plan.skipped.len(), 1, "base/c is shadowed by the later layer's directory");
    }

    fn json(path: &str, layers: &[usize]) -> Output {
        let (format, shape, types) = (Format::Json, Shape::Flat, Types::Text);
        let (path, layers, max_bytes) = (path.into(), layers.to_vec(), 1000);
        Output::File(Single { path, layers, format, shape, types, max_bytes })
    }

    #[test]
    fn files_of_all_keys_lie_beside_the_tree() {
        let base = snapshot(&[("base/a", "1"), ("base/b", "1")]);
        let app = snapshot(&[("app/b", "2"), ("app/c/d", "2")]);
        let parts = [(&prefix("base"), &base), (&prefix("app"), &app)];
        let tree = Output::Tree { layers: vec![1] };
        let outputs = [json("all.json", &[0, 1]), tree, json("etc/base.json", &[0])];
        let mut plan = Plan::make(&outputs, &parts);
        let all = "{\n  \"a\": \"1\",\n  \"b\": \"2\",\n  \"c/d\": \"2\"\n}\n";
        let only = "{\n  \"a\": \"1\",\n  \"b\": \"1\"\n}\n";
        let expected = [("all.json", all), ("b", "2"), ("c/d", "2"), ("etc/base.json", only)];
        assert_eq!(files(&plan), expected);
        assert_eq!(plan.top_names(), ["all.json", "b", "c", "etc"]);
        assert_eq!(plan.get("all.json").unwrap().source, None);
        assert!(plan.skipped.is_empty());
        let digest = plan.tree_digest();
        plan.release();
        assert_eq!((plan.tree_digest(), plan.get("all.json").unwrap().value()), (digest, &b""[..]));
        assert_eq!(plan.get("b").unwrap().value(), b"2");
    }

    #[test]
    fn a_file_of_all_keys_keeps_its_place_and_the_keys_in_its_way_are_named() {
        let keys = [("p/a.json", "1"), ("p/a.json/b", "2"), ("p/a.json/", ""), ("p/a.jsonx", "3")];
        let s = snapshot(&keys);
        let prefix = prefix("p");
        let parts = [(&prefix, &s)];
        let plan = Plan::make(&[Output::Tree { layers: vec![0] }, json("a.json", &[0])], &parts);
        let names: Vec<_> = files(&plan).into_iter().map(|(path, _)| path).collect();
        assert_eq!(names, ["a.json", "a.jsonx"]);
        assert!(files(&plan)[0].1.contains("\"a.json/b\": \"2\""), "they are in it");
        let why: Vec<_> = plan.skipped.iter().map(|s| (&*s.entry.key, s.why)).collect();
        let taken = |key| (key, Unsafe::Taken);
        assert_eq!(why, [taken("p/a.json"), taken("p/a.json/"), taken("p/a.json/b")]);
    }

    #[test]
    fn a_key_that_several_outputs_cannot_hold_is_named_once() {
        let s = snapshot(&[("p/../x", "1"), ("p/y", "2")]);
        let prefix = prefix("p");
        let outputs =
            [json("a.json", &[0]), json("b.json", &[0]), Output::Tree { layers: vec![0] }];
        let plan = Plan::make(&outputs, &[(&prefix, &s)]);
        assert_eq!(plan.skipped.len(), 1, "{:?}", plan.skipped);
    }

    #[test]
    fn the_tree_digest_knows_names_from_contents() {
        let digest = |e: &[(&str, &str)]| Plan::tree(&[(&prefix("p"), &snapshot(e))]).tree_digest();
        assert_eq!(digest(&[("p/a", "1"), ("p/b", "2")]), digest(&[("p/b", "2"), ("p/a", "1")]));
        assert_ne!(digest(&[("p/a", "1"), ("p/b", "2")]), digest(&[("p/a", "2"), ("p/b", "1")]));
        assert_ne!(digest(&[("p/a/", "")]), digest(&[("p/a", "")]));
    }
}
