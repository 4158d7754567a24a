//! A file in the backup directory. The first byte says how the rest becomes one: as it is, or as
//! changes to a valid file (three bytes each: where, twice, and what); its second bit puts a right
//! checksum under it, which no accident does.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use seedcar::model::snapshot::{Entry, Snapshot};
use seedcar::store::{Access, Identity, Limits, State, Store};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const LIMITS: Limits = Limits { max_bytes: 1 << 16, max_keys: 100 };
const NAME: &str = "seedcar-fuzzed.backup";

/// A directory with one good backup, whose bytes are the pattern for others.
struct Shelf {
    dir: TempDir,
    store: Store,
    good: String,
    pattern: Vec<u8>,
}

thread_local! {
    static SHELF: Shelf = Shelf::new();
}

/// It is read whole or refused with a reason, by every way of reading alike; the good one beside it
/// is found unless it is newer; and what was read can be written and read again.
pub fn check(data: &[u8]) {
    SHELF.with(|shelf| shelf.check(data));
}

fn ours() -> Identity {
    Identity::of_prefix("app/")
}

// === impl Shelf ===

impl Shelf {
    fn new() -> Self {
        let dir = directory();
        let store = open(dir.path());
        let entry = |key: &str, value: &str| Arc::new(Entry::new(key, value.as_bytes(), 7, 1, 2));
        let entries = vec![entry("app/a", "1"), entry("app/b/c", "two"), entry("app/d/", "")];
        let snapshot = Snapshot::new(5, entries).expect("a snapshot");
        let good = store.write(&ours(), &snapshot, Timestamp::UNIX_EPOCH, "pod").expect("written");
        let good = good.sound.name;
        let pattern = fs::read(dir.path().join(&good)).expect("just written");
        Self { dir, store, good, pattern }
    }

    fn check(&self, data: &[u8]) {
        let Some((mode, rest)) = data.split_first() else { return };
        fs::write(self.dir.path().join(NAME), self.file(*mode, rest)).expect("a file");
        let read = self.store.read(NAME);
        let newest = self.store.newest(&ours()).expect("listed");
        let listed = self.store.list(None).expect("listed");
        let listed = listed.iter().find(|l| l.name == NAME).expect("it is there");
        let best = newest.best.as_ref().expect("there is a good one").name.as_str();
        match read {
            Ok(backup) => {
                assert_eq!(listed.state, State::Valid(backup.header.clone()));
                let (header, snapshot) = (&backup.header, &backup.snapshot);
                assert_eq!(header.digest, snapshot.digest());
                assert_eq!((header.keys, header.bytes), (snapshot.keys() as u64, snapshot.bytes()));
                let inside = |e: &Arc<Entry>| e.key.starts_with(&header.identity.prefix);
                assert!(snapshot.entries().iter().all(inside));
                let ours = header.identity == ours();
                assert!(best == self.good || ours, "another cluster's is used");
                rewritten(&header.identity, snapshot, header.confirmed);
            }
            Err(why) => {
                assert_eq!(listed.state, State::Refused(why));
                assert_eq!(best, self.good);
                assert!(!why.to_string().is_empty());
            }
        }
    }

    fn file(&self, mode: u8, rest: &[u8]) -> Vec<u8> {
        let mut file = if mode & 1 == 0 { rest.to_vec() } else { self.pattern.clone() };
        if mode & 1 == 1 {
            for change in rest.chunks_exact(3) {
                let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % file.len();
                file[at] = change[2];
            }
        }
        if mode & 2 == 2 && file.len() > 32 {
            file.truncate(file.len() - 32);
            let sum = Sha256::digest(&file);
            file.extend_from_slice(&sum);
        }
        file
    }
}

/// What one reader took, all can be given.
fn rewritten(identity: &Identity, snapshot: &Snapshot, confirmed: Timestamp) {
    let dir = directory();
    let store = open(dir.path());
    let written = store.write(identity, snapshot, confirmed, "").expect("written again");
    let again = store.read(&written.sound.name).expect("read again");
    assert_eq!((&again.snapshot, again.header.confirmed), (snapshot, confirmed));
}

fn open(dir: &Path) -> Store {
    Store::open(dir, Access::Write, LIMITS).expect("a directory")
}

fn directory() -> TempDir {
    let shm = Path::new("/dev/shm");
    if shm.is_dir() { TempDir::new_in(shm) } else { TempDir::new() }.expect("a directory")
}
