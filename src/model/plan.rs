//! Snapshots in, the files of a generation out.

pub mod difference;
mod gather;

use std::collections::HashSet;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use self::gather::{Gathered, gather};
use super::format::{self, TooLarge};
use super::key::{Prefix, Unsafe, is_at_or_below};
use super::output::{Form, Instances, MODE, Named, Output, Single};
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
    /// The keys in whose place another layer's are, in some output.
    pub overridden: Vec<Overridden>,
    /// What could not be made: the plan is not to be published.
    pub too_large: Option<TooLarge>,
}

/// One file.
#[derive(Clone, Debug)]
pub struct File {
    /// The source whose key it is; none of a file that is made of several keys.
    pub source: Option<usize>,
    entry: Arc<Entry>,
    path: FilePath,
    /// The mode it is written with.
    pub mode: u32,
    /// Its content is not that of a snapshot's entry.
    made: bool,
}

/// A path relative to the generation.
#[derive(Clone, Debug)]
enum FilePath {
    /// The key's, from this byte on: most are, and are not copied.
    OfKey(usize),
    Own(Box<str>),
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

/// A key that is there and not seen: a later layer has it, too.
#[derive(Clone, Debug)]
pub struct Overridden {
    /// The source it came from.
    pub source: usize,
    /// The source whose key is seen.
    pub by: usize,
    /// The entry.
    pub entry: Arc<Entry>,
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
            match &output.form {
                Form::File(file) => sorter.single(file, gather(output, parts)),
                Form::Value(file) => sorter.value(file, gather(output, parts)),
                Form::Instances(file) => {
                    output.layers.iter().for_each(|i| sorter.instances(file, *i, parts[*i].1));
                }
                Form::Tree { .. } => {}
            }
        }
        for output in outputs.iter().filter(|o| o.form.path().is_none()) {
            sorter.tree(gather(output, parts));
        }
        sorter.finish()
    }

    /// One tree of all sources: what there is where nothing else is asked for.
    pub fn tree(parts: &[Part<'_>]) -> Self {
        Self::make(&[Output::tree((0..parts.len()).collect())], parts)
    }

    /// SHA-256 over all paths and values: what a walk of the generation on disk must come to.
    pub fn tree_digest(&self) -> Digest {
        let mut tree = TreeDigest::default();
        self.directories.iter().for_each(|path| tree.directory(path));
        self.files
            .iter()
            .for_each(|file| tree.file(file.path(), &file.entry.value_hash, file.mode));
        tree.finish()
    }

    /// Forgets the content of the files that is not a snapshot's, and what was told of keys. What they were is known by its hash,
    /// which is all that the next generation asks for.
    pub fn release(&mut self) {
        (self.skipped, self.overridden) = (Vec::new(), Vec::new());
        for file in self.files.iter_mut().filter(|file| file.made) {
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
        let paths = self.files.iter().map(File::path).chain(self.directories.iter().map(|d| &**d));
        let mut names: Vec<&str> = Vec::new();
        for path in paths {
            // Most stand together: what is not taken twice need not be sorted.
            let known = names.last().and_then(|name| path.strip_prefix(name));
            if known.is_none_or(|rest| !rest.is_empty() && !rest.starts_with('/')) {
                names.push(path.split('/').next().unwrap_or(path));
            }
        }
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
        match &self.path {
            FilePath::OfKey(cut) => &self.entry.key[*cut..],
            FilePath::Own(path) => path,
        }
    }

    /// The key whose value it holds, if it holds one's.
    pub fn key(&self) -> Option<&str> {
        self.source.map(|_| &*self.entry.key)
    }

    /// The content.
    pub fn value(&self) -> &[u8] {
        &self.entry.value
    }

    /// SHA-256 of the content.
    pub fn value_hash(&self) -> &[u8; 32] {
        &self.entry.value_hash
    }

    /// True where it is the very same on disk: content and mode.
    pub fn is_as(&self, other: &Self) -> bool {
        self.value_hash() == other.value_hash() && self.mode == other.mode
    }

    /// A file of a content that is no key's.
    fn of_content(path: &str, content: &[u8], mode: u32) -> Self {
        let entry = Arc::new(Entry::new(path, content, 0, 0, 0));
        Self { source: None, entry, path: FilePath::OfKey(0), mode, made: true }
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

    /// Adds a file by the SHA-256 of its content, and its mode.
    pub fn file(&mut self, path: &str, value_hash: &[u8; 32], mode: u32) {
        let mut hash = Sha256::new().chain_update(b"f\0").chain_update(path);
        hash = hash.chain_update(b"\0").chain_update(value_hash);
        // The usual mode leaves no trace: so it was before there were others.
        if mode != MODE {
            hash = hash.chain_update(mode.to_be_bytes());
        }
        self.parts.push(hash.finalize().into());
    }

    /// The digest of all parts added.
    pub fn finish(mut self) -> Digest {
        self.parts.sort_unstable();
        let mut all = Sha256::new();
        self.parts.iter().for_each(|part| all.update(part));
        Digest::from_bytes(all.finalize().into())
    }
}

/// Takes outputs together.
#[derive(Default)]
struct Sorter {
    files: Vec<File>,
    /// The paths that outputs ask for by name.
    named: Vec<Box<str>>,
    too_large: Option<TooLarge>,
    markers: Vec<Box<str>>,
    skipped: Vec<Skipped>,
    overridden: Vec<Overridden>,
}

// === impl Sorter ===

impl Sorter {
    /// A file of all keys.
    fn single(&mut self, file: &Single, mut keys: Gathered) {
        self.named.push(file.path.as_str().into());
        let pairs: Vec<_> = keys.files.iter().map(|f| (f.path(), f.value())).collect();
        match format::make(file, &pairs) {
            Ok(made) => {
                for (at, why) in made.left_out {
                    self.skip(&keys.files[at], why);
                }
                self.files.push(File::of_content(&file.path, &made.bytes, file.mode));
            }
            Err(too_large) => self.too_large = Some(too_large),
        }
        self.note(&mut keys);
    }

    /// A file that is the value of the one key that is taken.
    fn value(&mut self, file: &Named, mut keys: Gathered) {
        self.named.push(file.path.as_str().into());
        self.files.extend(match (keys.files.first(), &file.default) {
            (Some(key), _) => {
                let path = FilePath::Own(file.path.as_str().into());
                Some(File { path, mode: file.mode, ..key.clone() })
            }
            (None, Some(default)) => {
                Some(File::of_content(&file.path, default.as_bytes(), file.mode))
            }
            (None, None) => None,
        });
        self.note(&mut keys);
    }

    /// A file of a service's instances.
    fn instances(&mut self, file: &Instances, source: usize, snapshot: &Snapshot) {
        self.named.push(file.path.as_str().into());
        match format::instances::make(file, snapshot) {
            Ok(made) => {
                for (at, why) in made.left_out {
                    let entry = snapshot.entries()[at].clone();
                    self.skipped.push(Skipped { source, entry, why });
                }
                self.files.push(File::of_content(&file.path, &made.bytes, MODE));
            }
            Err(too_large) => self.too_large = Some(too_large),
        }
    }

    /// A file for each key.
    fn tree(&mut self, mut keys: Gathered) {
        for file in std::mem::take(&mut keys.files) {
            if self.is_taken(file.path()) {
                self.skip(&file, Unsafe::Taken);
            } else {
                self.files.push(file);
            }
        }
        for (source, entry, path) in std::mem::take(&mut keys.directories) {
            if self.is_taken(&path) {
                self.skipped.push(Skipped { source, entry, why: Unsafe::Taken });
            } else {
                self.markers.push(path);
            }
        }
        self.note(&mut keys);
    }

    fn note(&mut self, keys: &mut Gathered) {
        self.skipped.append(&mut keys.skipped);
        self.overridden.append(&mut keys.overridden);
        self.too_large = self.too_large.take().or(keys.too_large.take());
    }

    /// True where an output's file is, or would have to be a directory.
    fn is_taken(&self, path: &str) -> bool {
        self.named.iter().any(|named| is_at_or_below(path, named))
    }

    fn skip(&mut self, file: &File, why: Unsafe) {
        let source = file.source.expect("a key's: outputs lie apart");
        self.skipped.push(Skipped { source, entry: file.entry.clone(), why });
    }

    fn finish(mut self) -> Plan {
        // One tree arrives in path order already.
        self.files.sort_by(|a, b| a.path().cmp(b.path()));
        let directories = self.directories();
        // Both are in the order of paths.
        let mut next = directories.iter().peekable();
        let (files, shadowed): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.files).into_iter().partition(|file| {
                while next.next_if(|directory| ***directory < *file.path()).is_some() {}
                next.peek().is_none_or(|directory| ***directory != *file.path())
            });
        shadowed.iter().for_each(|file| self.skip(file, Unsafe::Shadowed));
        // A key that is missing from several outputs is named once.
        self.skipped.sort_by(|a, b| (a.source, &a.entry.key).cmp(&(b.source, &b.entry.key)));
        self.skipped.dedup_by(|a, b| a.source == b.source && a.entry.key == b.entry.key);
        self.overridden.sort_by(|a, b| (a.source, &a.entry.key).cmp(&(b.source, &b.entry.key)));
        self.overridden.dedup_by(|a, b| a.source == b.source && a.entry.key == b.entry.key);
        let Self { skipped, overridden, too_large, .. } = self;
        Plan { files, directories, skipped, overridden, too_large }
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
mod tests;
