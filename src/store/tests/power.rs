//! The power is cut: every state that a disk may be left in when it forgets whatever it was not told
//! to keep.
//!
//! Real writes on a real directory are recorded step by step ([`Film`]). Then the power fails after
//! each step ([`Disk`]): a file that was not synced holds a part of its bytes, or zeros; of the
//! meanings that a name had since the directory was synced any may be what stayed, each name for
//! itself, so that every order of effects is among them. Each such directory is made, read by the real
//! reader, and written to once more.

mod disk;
mod film;

use super::*;
use disk::{Disk, Files};
use film::{Film, Safe};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const HOUR: i64 = 3600;

/// A directory in memory: syncing costs nothing there, and the disk is played by [`Disk`].
fn bench() -> Bench {
    let shm = Path::new("/dev/shm");
    let dir = if shm.is_dir() { TempDir::new_in(shm) } else { TempDir::new() }.unwrap();
    let store = open(dir.path());
    Bench { dir, store }
}

/// Tries what the films leave, each state once, and counts.
#[derive(Default)]
struct Outage {
    states: u64,
    tried: HashSet<u64>,
}

impl Outage {
    /// Cuts the power after each step of the film.
    fn strike(&mut self, film: &Film) {
        let mut disk = Disk::default();
        for (n, frame) in film.frames().iter().enumerate() {
            disk.take(frame);
            for files in disk.states() {
                self.states += 1;
                if self.tried.insert(meaning(&files, &frame.safe)) {
                    check(&files, &frame.safe, || film.told(n));
                }
            }
        }
    }

    /// Leaves a record for the ledger (`e2e/ledger.rs`).
    fn over(self, test: &str) {
        let tried = self.tried.len();
        assert!(tried > 20, "only {tried} states");
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ledger");
        let test = format!("store::tests::power::{test}");
        let record =
            serde_json::json!({"test": test, "cases": self.states, "violations": 0}).to_string();
        let name = format!("test-{}-{}.json", test.replace("::", "-"), std::process::id());
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(name), record).unwrap();
        println!("{} states, {tried} of them different", self.states);
    }
}

/// The same for directories that differ in the random parts of names alone.
fn meaning(files: &Files, safe: &Safe) -> u64 {
    let kind = |name: &str| name::class(name).map(|class| format!("{class:?}"));
    let mut kinds: Vec<_> = files.iter().map(|(name, bytes)| (kind(name), bytes)).collect();
    kinds.sort();
    let mut hasher = DefaultHasher::new();
    (kinds, safe).hash(&mut hasher);
    hasher.finish()
}

/// What was acknowledged is there, or something better, and the next writer gets on.
fn check(files: &Files, safe: &Safe, told: impl Fn() -> String) {
    let b = bench();
    for (name, bytes) in files {
        std::fs::write(b.path(name), &**bytes).unwrap();
    }
    for (identity, safe) in [(id(), safe.ours), (foreign(), safe.theirs)] {
        let best = b.store.newest(&identity).unwrap().best.map(|best| moment(&best.header));
        let names = files.keys();
        assert!(best >= safe, "{safe:?} was safe, found {best:?} in {names:#?}\n{}", told());
    }
    let written = b.write("after the cut", 1_000_000);
    let well = written.as_ref().is_ok_and(|w| w.new && w.untidy.is_none());
    assert!(well && b.newest() == "after the cut", "{written:?}\n{}", told());
}

/// What [`at`] was given.
fn moment(header: &Header) -> i64 {
    header.confirmed.as_second() - at(0).as_second()
}

/// A shelf with history: five contents, one set to be pruned next.
fn prepared() -> Bench {
    let b = bench();
    for (n, second) in [0, 10, 20, 30, 50].into_iter().enumerate() {
        b.put(&format!("old{n}"), second);
    }
    b.put_for(&foreign(), "theirs", 40);
    b
}

#[test]
fn one_writer() {
    let mut b = prepared();
    b.put_damaged(5);
    let temporary = name::temporary(&id().stem());
    std::fs::write(b.path(&temporary), "half").unwrap();
    b.rest(&temporary);
    let film = Film::begin(b.dir.path(), Safe { ours: Some(50), theirs: Some(40) });
    b.store.volume.hook = Some(film.camera());
    let seconds = [60, 61, 62, 62, HOUR, HOUR + 90, 5 * HOUR, 25 * HOUR, 26 * HOUR, 50 * HOUR];
    for (n, second) in seconds.into_iter().enumerate() {
        let written = b.write(&format!("new{}", n / 2), second).unwrap();
        film.safe(|safe| safe.ours = safe.ours.max(Some(moment(&written.sound.header))));
        if n == 4 {
            b.store.write(&foreign(), &content("theirs, new"), at(second), "").unwrap();
            film.safe(|safe| safe.theirs = Some(second));
        }
    }
    let mut outage = Outage::default();
    outage.strike(&film);
    outage.over("one_writer");
}

/// Which steps are counted when a writer is stopped. Reading leaves no trace on the disk: what another
/// writer sees between two files that this one opens is for the long run.
fn counts(op: Op) -> bool {
    op != Op::Open || std::env::var_os("SEEDCAR_NIGHTLY").is_some()
}

/// Writes for `second`, seen by the film. Before each step that counts `meanwhile` happens; before
/// the step of number `dies` the writer dies. False if it did.
fn writer(
    film: &Film,
    second: i64,
    dies: usize,
    meanwhile: impl Fn(usize, Op) + Send + Sync + 'static,
) -> bool {
    let mut store = open(&film.dir());
    let camera = film.camera();
    let step = AtomicUsize::new(0);
    store.volume.hook = Some(Box::new(move |op, name| {
        if counts(op) {
            let n = step.fetch_add(1, Ordering::Relaxed);
            meanwhile(n, op);
            if n == dies {
                resume_unwind(Box::new("killed"));
            }
        }
        camera(op, name)
    }));
    let content = content(&format!("of {second}"));
    let write = || store.write(&id(), &content, at(second), "").unwrap();
    let written = catch_unwind(AssertUnwindSafe(write));
    if let Ok(written) = &written {
        film.safe(|safe| safe.ours = safe.ours.max(Some(moment(&written.sound.header))));
    }
    written.is_ok()
}

/// How many steps a write takes that nobody disturbs.
fn steps(second: i64) -> usize {
    let b = prepared();
    let film = Film::begin(b.dir.path(), Safe::default());
    assert!(writer(&film, second, usize::MAX, |_, _| {}));
    film.frames().iter().filter(|frame| frame.step.as_ref().is_some_and(|s| counts(s.0))).count()
}

/// Before any step of one writer, another one does all of its steps, or some and then dies.
#[test]
fn another_writer_in_between() {
    let mut outage = Outage::default();
    // Behind and ahead of what is there, and of each other.
    for (first, second) in [(35, 70), (70, 60), (60, 70)] {
        let long = steps(second) + 4;
        for at_step in 0..steps(first) {
            for dies in (0..long).chain([usize::MAX]) {
                let b = prepared();
                let film = Film::begin(b.dir.path(), Safe { ours: Some(50), theirs: Some(40) });
                let other = film.clone();
                writer(&film, first, usize::MAX, move |n, _| {
                    if n == at_step {
                        writer(&other, second, dies, |_, _| {});
                    }
                });
                outage.strike(&film);
            }
        }
    }
    outage.over("another_writer_in_between");
}

/// Writes up to the rename, lets the next one do the same, renames, and dies without having synced
/// the directory: in the end so many new names are there and none of them need stay.
fn overlapping(film: &Film, count: i64) {
    if count == 0 {
        return;
    }
    let (inner, renamed) = (film.clone(), AtomicBool::new(false));
    writer(film, 60 + count, usize::MAX, move |_, op| match op {
        Op::Rename => {
            overlapping(&inner, count - 1);
            renamed.store(true, Ordering::Relaxed);
        }
        Op::SyncDir if renamed.load(Ordering::Relaxed) => {
            resume_unwind(Box::new("killed"));
        }
        _ => {}
    });
}

/// Three writers are ahead and not yet durable while a slower one tidies up: what they make
/// superfluous must not go before they are safe.
#[test]
fn three_writers_at_once() {
    let mut outage = Outage::default();
    for first in [35, 70] {
        for at_step in 0..steps(first) {
            let b = prepared();
            let film = Film::begin(b.dir.path(), Safe { ours: Some(50), theirs: Some(40) });
            let others = film.clone();
            writer(&film, first, usize::MAX, move |n, _| {
                if n == at_step {
                    overlapping(&others, 3);
                }
            });
            outage.strike(&film);
        }
    }
    outage.over("three_writers_at_once");
}
