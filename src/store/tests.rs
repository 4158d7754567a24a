//! What all tests of the store share: a directory, and files in it that were made by hand.

mod find;
mod full;
mod power;
mod race;
mod secrets;
mod write;

use super::name::Class;
use super::*;
use crate::model::snapshot::Entry;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

const LIMITS: Limits = Limits { max_bytes: 1 << 20, max_keys: 100 };

/// A directory and a writer's store on it.
struct Bench {
    dir: TempDir,
    store: Store,
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    Bench { dir, store }
}

fn open(dir: &Path) -> Store {
    Store::open(dir, Access::Write, LIMITS).unwrap()
}

fn id() -> Identity {
    Identity::of_prefix("a/")
}

fn foreign() -> Identity {
    let datacenter = Some("elsewhere".into());
    Identity { datacenter, ..id() }
}

/// A snapshot whose content is told by its one value.
fn content(value: &str) -> Snapshot {
    Snapshot::new(1, vec![Arc::new(Entry::new("a/k", value.as_bytes(), 0, 1, 1))]).unwrap()
}

fn value(backup: &Backup) -> &str {
    std::str::from_utf8(&backup.snapshot.get("a/k").unwrap().value).unwrap()
}

/// This many seconds after some day.
fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn header(identity: &Identity, value: &str, second: i64) -> Header {
    Header::new(identity, &content(value), at(second), "test")
}

impl Bench {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Puts a valid backup there under its proper name.
    fn put(&self, value: &str, second: i64) -> String {
        self.put_for(&id(), value, second)
    }

    fn put_for(&self, identity: &Identity, value: &str, second: i64) -> String {
        let name = name::backup(&header(identity, value, second));
        self.put_as(&name, identity, value, second);
        name
    }

    fn put_as(&self, name: &str, identity: &Identity, value: &str, second: i64) {
        let file = File::create_new(self.path(name)).unwrap();
        frame::encode(&header(identity, value, second), &content(value), file).unwrap();
    }

    /// Changes a file behind the store's back.
    fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = std::fs::read(self.path(name)).unwrap();
        change(&mut bytes);
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// A backup with a flipped bit in its last value, at rest for two hours.
    fn put_damaged(&self, second: i64) -> String {
        let name = self.put("damaged", second);
        self.change(&name, |bytes| {
            let at = bytes.len() - 33;
            bytes[at] ^= 1;
        });
        self.rest(&name);
        name
    }

    /// Makes a file two hours old.
    fn rest(&self, name: &str) {
        let file = File::options().append(true).open(self.path(name)).unwrap();
        let old = SystemTime::now() - Duration::from_secs(7200);
        file.set_modified(old).unwrap();
    }

    fn write(&self, value: &str, second: i64) -> Result<Written, Error> {
        self.store.write(&id(), &content(value), at(second), "test")
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn has(&self, name: &str) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    /// The value of the newest backup, or `-`.
    fn newest(&self) -> String {
        let found = self.store.newest(&id()).unwrap();
        found.best.as_ref().map_or("-", value).to_owned()
    }
}
