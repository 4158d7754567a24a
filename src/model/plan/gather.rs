//! The keys of one output: each with its path there and its content.

use std::borrow::Cow;
use std::sync::Arc;

use super::{File, FilePath, Overridden, Part, Skipped};
use crate::model::encoding::{Encoding, Undecoded};
use crate::model::format::TooLarge;
use crate::model::key::{Place, Unsafe};
use crate::model::output::{Form, MODE, Output};
use crate::model::selection::Glob;
use crate::model::snapshot::Entry;

/// What an output is made of.
#[derive(Default)]
pub(super) struct Gathered {
    /// One of each path, in path order.
    pub files: Vec<File>,
    /// Keys that are directories.
    pub directories: Vec<(usize, Arc<Entry>, Box<str>)>,
    pub skipped: Vec<Skipped>,
    pub overridden: Vec<Overridden>,
    /// The values that would be too large decoded.
    pub too_large: Option<TooLarge>,
}

/// Takes the keys of one output together.
struct Gatherer<'o> {
    output: &'o Output,
    gathered: Gathered,
    /// How many bytes may still be decoded.
    room: u64,
}

/// Lays the layers of an output over each other.
pub(super) fn gather(output: &Output, parts: &[Part<'_>]) -> Gathered {
    let mut gatherer = Gatherer { output, gathered: Gathered::default(), room: output.max_bytes };
    for source in &output.layers {
        gatherer.layer(*source, &parts[*source]);
    }
    gatherer.overlay();
    gatherer.gathered
}

// === impl Gatherer ===

impl Gatherer<'_> {
    fn layer(&mut self, source: usize, (prefix, snapshot): &Part<'_>) {
        let first = self.gathered.files.len();
        for entry in snapshot.entries() {
            let below = prefix.below(&entry.key);
            if self.output.selection.takes(below.strip_suffix('/').unwrap_or(below)) {
                match prefix.place(&entry.key) {
                    Place::File(path) => self.file(source, entry, path),
                    Place::Directory(path) => self.directory(source, entry, path),
                    Place::Skipped(why) => self.skip(source, entry, why),
                }
            }
        }
        if !self.output.naming.is_plain() {
            self.one_of_each_name(source, first);
        }
    }

    fn file(&mut self, source: usize, entry: &Arc<Entry>, path: &str) {
        let name = match self.output.naming.file(path) {
            Ok(Cow::Borrowed(path)) => FilePath::OfKey(entry.key.len() - path.len()),
            Ok(Cow::Owned(path)) => FilePath::Own(path.into()),
            Err(why) => return self.skip(source, entry, why),
        };
        let Some(content) = self.decoded(entry, path) else {
            return self.skip(source, entry, Unsafe::NotDecoded);
        };
        self.gathered.files.push(File {
            source: Some(source),
            made: !Arc::ptr_eq(&content, entry),
            entry: content,
            path: name,
            mode: self.mode(path),
        });
    }

    fn directory(&mut self, source: usize, entry: &Arc<Entry>, path: &str) {
        if !entry.value.is_empty() {
            self.skip(source, entry, Unsafe::MarkerValue);
        }
        match self.output.naming.directory(path).filter(|_| !path.is_empty()) {
            Some(Ok(path)) => {
                self.gathered.directories.push((source, entry.clone(), path.into()));
            }
            Some(Err(why)) => self.skip(source, entry, why),
            None => {}
        }
    }

    fn mode(&self, path: &str) -> u32 {
        let Form::Tree { modes } = &self.output.form else { return MODE };
        modes.iter().find(|(glob, _)| glob.matches(path)).map_or(MODE, |(_, mode)| *mode)
    }

    /// The entry with the value that the file holds. None where it is not encoded as it should be.
    fn decoded(&mut self, entry: &Arc<Entry>, path: &str) -> Option<Arc<Entry>> {
        let matching =
            |(glob, encoding): &(Glob, Encoding)| glob.matches(path).then_some(*encoding);
        let mut decoded: Option<Vec<u8>> = None;
        for encoding in self.output.decode.iter().filter_map(matching) {
            let value = decoded.as_deref().unwrap_or(&entry.value);
            match encoding.decode(value, self.room) {
                Ok(value) => decoded = Some(value),
                Err(Undecoded::Malformed) => return None,
                Err(Undecoded::TooLarge) => {
                    let (path, max) = (path.to_owned(), self.output.max_bytes);
                    self.gathered.too_large = Some(TooLarge { path, max });
                    return None;
                }
            }
        }
        let Some(value) = decoded else { return Some(entry.clone()) };
        self.room -= value.len() as u64;
        let (flags, created) = (entry.flags, entry.create_index);
        Some(Arc::new(Entry::new(&entry.key, &value, flags, created, entry.modify_index)))
    }

    fn skip(&mut self, source: usize, entry: &Arc<Entry>, why: Unsafe) {
        self.gathered.skipped.push(Skipped { source, entry: entry.clone(), why });
    }

    /// Keys of one layer that come to the same path: the first in the order of keys has it.
    fn one_of_each_name(&mut self, source: usize, first: usize) {
        let mut layer = self.gathered.files.split_off(first);
        layer.sort_by(|a, b| a.path().cmp(b.path()));
        for file in layer {
            match self.gathered.files[first..].last() {
                Some(kept) if kept.path() == file.path() => {
                    self.skip(source, &file.entry, Unsafe::SameName);
                }
                _ => self.gathered.files.push(file),
            }
        }
    }

    /// Leaves one file of each path: the last, which is of the latest layer.
    fn overlay(&mut self) {
        let files = &mut self.gathered.files;
        if files.is_sorted_by(|a, b| a.path() < b.path()) {
            // One layer arrives so, and has no path twice.
            return;
        }
        files.sort_by(|a, b| a.path().cmp(b.path()));
        files.reverse();
        let overridden = &mut self.gathered.overridden;
        files.dedup_by(|lower, upper| {
            let same = lower.path() == upper.path();
            if let (true, Some(source), Some(by)) = (same, lower.source, upper.source) {
                overridden.push(Overridden { source, by, entry: lower.entry.clone() });
            }
            same
        });
        files.reverse();
    }
}
