//! What a reader makes of damaged files: the newest valid one, and a reason for what it passed over.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use seedcar::store::Newest;
use sha2::{Digest, Sha256};

use super::shelf::{Book, LIMITS, Shelf, at, open, ours, theirs};
use crate::ledger::{Tally, share};

pub(super) const TEXTS: [&str; 3] = ["the oldest", "the older", "the newest"];

/// A shelf with three backups, to be damaged and mended again.
struct Three {
    shelf: Shelf,
    books: Vec<Book>,
}

// === impl Three ===

impl Three {
    fn new() -> Self {
        let (shelf, books) = Shelf::with(&ours(), &TEXTS);
        Self { shelf, books }
    }

    fn newest(&self) -> &Book {
        &self.books[2]
    }

    /// Puts these bytes in place of the newest backup and looks.
    fn damaged(&self, bytes: &[u8]) -> Newest {
        self.shelf.set(&self.newest().name, bytes);
        self.shelf.newest()
    }

    /// The newest is refused, by its name, and the one before it is read exactly.
    fn check_refused(&self, tally: &mut Tally, found: &Newest, what: impl Fn() -> String) {
        let refused: Vec<_> = found.refused.iter().map(|r| r.name.as_str()).collect();
        let said = refused == [self.newest().name.as_str()] && found.foreign == 0;
        let older = found.best.as_ref() == Some(&self.books[1].backup);
        tally.check(said && older, || format!("{}: {found:?}", what()));
    }

    /// All is as it was.
    fn mend(&self) {
        for book in &self.books {
            let path = self.shelf.at(&book.name);
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
            self.shelf.set(&book.name, &book.bytes);
        }
        assert_eq!(self.shelf.newest().best.as_ref(), Some(&self.newest().backup));
    }
}

pub(super) fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}

/// Where the entries begin.
fn body(bytes: &[u8]) -> usize {
    16 + u32::from_le_bytes(bytes[12..16].try_into().expect("four")) as usize
}

/// With a right checksum under whatever the bytes are.
pub(super) fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() - 32);
    let sum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&sum);
    bytes
}

#[test]
fn every_flipped_bit_of_the_newest() {
    let mut tally = Tally::of("backup::damage::every_flipped_bit_of_the_newest");
    let three = Three::new();
    let bytes = &three.newest().bytes;
    for bit in 0..bytes.len() * 8 {
        let found = three.damaged(&flipped(bytes, bit));
        three.check_refused(&mut tally, &found, || format!("bit {bit}"));
    }
    three.mend();
    tally.finish();
}

/// Whatever an older file claims, it neither takes the newest one's place nor hides it.
#[test]
fn every_flipped_header_bit_of_an_older_one() {
    let mut tally = Tally::of("backup::damage::every_flipped_header_bit_of_an_older_one");
    let three = Three::new();
    let oldest = &three.books[0];
    for bit in 0..body(&oldest.bytes) * 8 {
        three.shelf.set(&oldest.name, &flipped(&oldest.bytes, bit));
        let found = three.shelf.newest();
        let newest = found.best.as_ref() == Some(&three.newest().backup);
        let others = found.refused.iter().all(|r| r.name == oldest.name) && found.foreign == 0;
        tally.check(newest && others, || format!("bit {bit}: {found:?}"));
    }
    three.mend();
    tally.finish();
}

#[test]
fn random_bits_of_a_large_body() {
    let mut tally = Tally::of("backup::damage::random_bits_of_a_large_body");
    let (shelf, books) = Shelf::with(&ours(), &["older", &"large".repeat(20_000)]);
    let (older, large) = (&books[0], &books[1]);
    let bits = body(&large.bytes) * 8..large.bytes.len() * 8;
    for _ in 0..share(60, 10_000) {
        let bit = fastrand::usize(bits.clone());
        shelf.set(&large.name, &flipped(&large.bytes, bit));
        let found = shelf.newest();
        let older = found.best.as_ref() == Some(&older.backup);
        let said = found.refused.len() == 1 && found.refused[0].name == large.name;
        tally.check(older && said, || format!("bit {bit}: {found:?}"));
    }
    tally.finish();
}

#[test]
fn every_truncation() {
    let mut tally = Tally::of("backup::damage::every_truncation");
    let three = Three::new();
    let bytes = three.newest().bytes.clone();
    for length in 0..bytes.len() {
        let found = three.damaged(&bytes[..length]);
        three.check_refused(&mut tally, &found, || format!("cut at {length}"));
        // A file system that knew the length and had no data yet.
        let mut zeros = bytes[..length].to_vec();
        zeros.resize(bytes.len(), 0);
        let found = three.damaged(&zeros);
        three.check_refused(&mut tally, &found, || format!("zeros from {length}"));
    }
    three.mend();
    tally.finish();
}

#[test]
fn other_bytes() {
    let mut tally = Tally::of("backup::damage::other_bytes");
    let three = Three::new();
    let bytes = &three.newest().bytes;
    let mut future = bytes.clone();
    future[8] = 2;
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("a byte more", [bytes, &[0][..]].concat()),
        ("many bytes more", [bytes, &[0; 100_000][..]].concat()),
        ("twice", bytes.repeat(2)),
        ("a future version", sealed(future)),
        ("half of another", [&bytes[..700], &three.books[0].bytes[700..]].concat()),
        ("text", b"once upon a time ".repeat(99)),
    ];
    for (what, bytes) in cases {
        let found = three.damaged(&bytes);
        three.check_refused(&mut tally, &found, || what.to_owned());
    }
    three.mend();
    tally.finish();
}

/// The newest damaged, then the two newest, then all: each time what is left is found.
#[test]
fn any_of_the_three() {
    let mut tally = Tally::of("backup::damage::any_of_the_three");
    let three = Three::new();
    for damaged in 0..8u32 {
        for round in 0..share(8, 200) {
            for (n, book) in three.books.iter().enumerate() {
                let bit = fastrand::usize(0..book.bytes.len() * 8);
                let whole = damaged & 1 << n == 0;
                let bytes = if whole { book.bytes.clone() } else { flipped(&book.bytes, bit) };
                three.shelf.set(&book.name, &bytes);
            }
            let best = (0..3).rev().find(|n| damaged & 1 << n == 0);
            let found = three.shelf.newest();
            let right = found.best.as_ref() == best.map(|n| &three.books[n].backup);
            // All that are newer than the one found are named.
            let from = best.map_or(0, |best| best + 1);
            let said = three.books[from..]
                .iter()
                .all(|book| found.refused.iter().any(|r| r.name == book.name));
            tally.check(right && said, || format!("{damaged:03b} in round {round}: {found:?}"));
        }
    }
    three.mend();
    tally.finish();
}

#[test]
fn exchanged_contents_and_names() {
    let mut tally = Tally::of("backup::damage::exchanged_contents_and_names");
    let three = Three::new();
    let foreign = three.shelf.put(&theirs(), "of another cluster", 99);
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        let (a, b) = (&three.books[a], &three.books[b]);
        three.shelf.set(&a.name, &b.bytes);
        three.shelf.set(&b.name, &a.bytes);
        let found = three.shelf.newest();
        let best = found.best.as_ref().expect("all are valid");
        let newest = &three.newest().backup;
        let same = best.header == newest.header && best.snapshot == newest.snapshot;
        tally.check(same && found.refused.is_empty(), || format!("{found:?}"));
        three.mend();
    }
    // Another cluster's content under our name, and ours under theirs.
    three.shelf.set(&three.newest().name, &foreign.bytes);
    let found = three.shelf.newest();
    let older = found.best.as_ref() == Some(&three.books[1].backup);
    tally.check(older && found.foreign == 2, || format!("{found:?}"));
    three.shelf.set(&foreign.name, &three.newest().bytes);
    let found = three.shelf.newest();
    let best = found.best.as_ref().expect("under their name");
    tally.check(
        best.name == foreign.name && best.snapshot == three.newest().backup.snapshot,
        || format!("{found:?}"),
    );
    tally.finish();
}

/// Whatever stands where the newest backup was, nobody waits for it and nobody follows it.
#[test]
fn things_that_are_no_files() {
    let mut tally = Tally::of("backup::damage::things_that_are_no_files");
    let elsewhere = Shelf::new();
    let tempting = elsewhere.put(&ours(), "in another directory", 1000);
    for (what, replace) in replacements(&elsewhere.at(&tempting.name)) {
        let three = Three::new();
        let path = three.shelf.at(&three.newest().name);
        fs::remove_file(&path).expect("it was there");
        if !replace(&path) {
            continue;
        }
        let found = within(Duration::from_secs(20), {
            let dir = three.shelf.path().to_owned();
            move || {
                let store = open(&dir);
                let found = store.newest(&ours()).expect("listed");
                let listed = store.list(None).expect("listed").len();
                let next = super::shelf::content("next", 200);
                let written = store.write(&ours(), &next, at(9_000_000), "").expect("written");
                (found, listed, written.new)
            }
        });
        let Some((found, listed, written)) = found else {
            tally.check(false, || format!("{what}: hangs"));
            continue;
        };
        three.check_refused(&mut tally, &found, || what.to_owned());
        tally.check(listed == 3 && written, || format!("{what}: {listed} listed"));
        let stays = path.symlink_metadata().is_ok();
        tally.check(stays, || format!("{what}: was removed"));
    }
    tally.finish();
}

pub(super) type Replacement = Box<dyn Fn(&Path) -> bool>;

/// Ways to put something there; false where this user may not.
pub(super) fn replacements(good: &Path) -> Vec<(&'static str, Replacement)> {
    let node = |kind: FileType, major: u32, minor: u32| -> Replacement {
        let mode = Mode::RUSR | Mode::WUSR;
        Box::new(move |at| mknodat(CWD, at, kind, mode, makedev(major, minor)).is_ok())
    };
    let link = |to: &Path| -> Replacement {
        let to = to.to_owned();
        Box::new(move |at| symlink(&to, at).is_ok())
    };
    let sparse = |length: u64| -> Replacement {
        Box::new(move |at| fs::File::create(at).and_then(|f| f.set_len(length)).is_ok())
    };
    let looped: Replacement = Box::new(|at| symlink(at, at).is_ok());
    let directory: Replacement = Box::new(|at| fs::create_dir(at).is_ok());
    // The socket stays when its listener is closed.
    let socket: Replacement = Box::new(|at| UnixListener::bind(at).is_ok());
    vec![
        ("a FIFO", node(FileType::Fifo, 0, 0)),
        ("/dev/null", node(FileType::CharacterDevice, 1, 3)),
        ("/dev/zero", node(FileType::CharacterDevice, 1, 5)),
        ("/dev/full", node(FileType::CharacterDevice, 1, 7)),
        ("a terminal", node(FileType::CharacterDevice, 5, 0)),
        ("a device that no driver knows", node(FileType::CharacterDevice, 500, 1)),
        ("a disk", node(FileType::BlockDevice, 7, 0)),
        ("a link to a good backup", link(good)),
        ("a link to /dev/zero", link(Path::new("/dev/zero"))),
        ("a link to nothing", link(Path::new("nothing"))),
        ("a link to itself", looped),
        ("a directory", directory),
        ("a socket", socket),
        ("a terabyte of nothing", sparse(1 << 40)),
        ("as much as is allowed of nothing", sparse(LIMITS.file_bytes())),
    ]
}

/// What `work` comes to, or `None` when it hangs.
fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    result.recv_timeout(limit).ok()
}
