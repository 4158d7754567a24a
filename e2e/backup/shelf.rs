//! A backup directory with known content.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use seedcar::model::snapshot::{Entry, Snapshot};
use seedcar::store::{Access, Backup, Identity, Limits, Newest, Store};
use tempfile::TempDir;

use crate::scratch::in_memory;

/// What the files may hold here.
pub const LIMITS: Limits = Limits { max_bytes: 1 << 20, max_keys: 1000 };

/// Apart by so much, backups are all kept.
pub const HOUR: i64 = 3600;

/// A directory in memory, so that forcing it to the disk costs nothing.
pub struct Shelf {
    dir: TempDir,
}

/// One of the files that a shelf was filled with.
#[derive(Clone)]
pub struct Book {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What a reader makes of it.
    pub backup: Backup,
}

/// This many seconds after some day.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).expect("a time")
}

/// The identity that most files have here: with every field that can be damaged.
pub fn ours() -> Identity {
    Identity {
        id: Some("blue".into()),
        datacenter: Some("dc1".into()),
        ..Identity::of_prefix("app/")
    }
}

/// Another cluster's.
pub fn theirs() -> Identity {
    Identity { datacenter: Some("dc2".into()), ..ours() }
}

/// A snapshot at this index of three keys, whose values are made of `text`.
pub fn content(text: &str, index: u64) -> Snapshot {
    let entry = |key: &str, value: &str| Arc::new(Entry::new(key, value.as_bytes(), 42, 1, index));
    let long = text.repeat(600 / text.len().max(1));
    let entries =
        vec![entry("app/a", text), entry("app/dir/empty", ""), entry("app/dir/long", &long)];
    Snapshot::new(index, entries).expect("no key twice")
}

// === impl Shelf ===

impl Shelf {
    /// An empty one.
    pub fn new() -> Self {
        Self { dir: in_memory() }
    }

    /// One with these texts backed up an hour after each other, and what was written, oldest first.
    pub fn with(identity: &Identity, texts: &[&str]) -> (Self, Vec<Book>) {
        let shelf = Self::new();
        let books = (1..).zip(texts).map(|(n, text)| shelf.put(identity, text, n)).collect();
        (shelf, books)
    }

    /// Backs up `text` as it was in this hour.
    pub fn put(&self, identity: &Identity, text: &str, hour: i64) -> Book {
        put(self.path(), identity, text, hour)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A file in it.
    pub fn at(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Gives a file other bytes.
    pub fn set(&self, name: &str, bytes: &[u8]) {
        fs::write(self.at(name), bytes).expect("a file");
    }

    /// What a reader finds for `ours`.
    pub fn newest(&self) -> Newest {
        open(self.path()).newest(&ours()).expect("the directory can be listed")
    }
}

/// A writer's store.
pub fn open(dir: &Path) -> Store {
    Store::open(dir, Access::Write, LIMITS).expect("a directory")
}

/// Backs up `text` in this directory as it was in this hour.
pub fn put(dir: &Path, identity: &Identity, text: &str, hour: i64) -> Book {
    let store = open(dir);
    let snapshot = content(text, hour.unsigned_abs());
    let written = store.write(identity, &snapshot, at(hour * HOUR), "pod-0").expect("written");
    assert!(written.new && written.untidy.is_none());
    let name = written.sound.name;
    let bytes = fs::read(dir.join(&name)).expect("just written");
    let backup = store.read(&name).expect("just written");
    Book { name, bytes, backup }
}
