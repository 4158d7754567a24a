//! Backup volumes in each state, written by the store that seedcar itself uses.

use std::path::Path;
use std::sync::Arc;

use jiff::{Timestamp, ToSpan};
use seedcar::model::snapshot::{Entry, Snapshot};
use seedcar::store::{Access, Identity, Limits, Store};

use super::Backups;
use super::world::keys;

/// Where a format's version stands in its file.
const VERSION: usize = 8;

/// Fills the directory.
pub fn make(dir: &Path, state: Backups) {
    match state {
        Backups::Off | Backups::None | Backups::Hung => {}
        Backups::Missing => std::fs::remove_dir(dir).expect("remove the backup directory"),
        Backups::Valid => drop(both(dir, "app/")),
        Backups::Foreign => drop(both(dir, "other/")),
        Backups::DamagedNewest => spoil(dir, &both(dir, "app/")[1..], flip_a_bit),
        Backups::AllDamaged => spoil(dir, &both(dir, "app/"), flip_a_bit),
        Backups::Future => spoil(dir, &both(dir, "app/"), |bytes| bytes[VERSION] = 2),
    }
}

/// An older and a newer backup; their names.
fn both(dir: &Path, prefix: &str) -> [String; 2] {
    let limits = Limits { max_bytes: 1 << 20, max_keys: 1_000 };
    let store = Store::open(dir, Access::Write, limits).expect("a store");
    [("older", 120), ("backup", 60)].map(|(by, minutes)| {
        let entry = |(key, value): (String, String)| {
            Arc::new(Entry::new(&format!("{prefix}{key}"), value.as_bytes(), 0, 1, 1))
        };
        let snapshot = Snapshot::new(1, keys(by).into_iter().map(entry).collect());
        let confirmed = Timestamp::now() - minutes.minutes();
        let identity = Identity::of_prefix(prefix);
        let written = store.write(&identity, &snapshot.expect("no key twice"), confirmed, "test");
        written.expect("a backup").sound.name
    })
}

fn spoil(dir: &Path, names: &[String], how: impl Fn(&mut [u8])) {
    for name in names {
        let mut bytes = std::fs::read(dir.join(name)).expect("a backup");
        how(&mut bytes);
        std::fs::write(dir.join(name), bytes).expect("write the backup");
    }
}

/// In the middle of the file: where the values are.
fn flip_a_bit(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
}
