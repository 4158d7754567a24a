//! Eight processes of two clusters write to one directory and are killed at random; each writer's
//! Consul has its own idea of the time. Readers look all the while.

use std::collections::HashSet;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use seedcar::model::snapshot::Digest;
use seedcar::store::{Access, Identity, Sound, Store};

use super::shelf::{LIMITS, Shelf, at, content, open, ours, theirs};
use crate::ledger::{Tally, share};

const TEST: &str = "backup::sharing::eight_processes";
const PROCESSES: usize = 8;
/// In the environment of a writer: directory, cluster, and when all began.
const ROLE: &str = "SEEDCAR_TEST_WRITER";
/// So many seconds of Consul's clock pass in one of ours: hours and days come by.
const PACE: u64 = 3600;
/// How far two servers' clocks are apart, in seconds. More than any keeps.
const SKEW: i64 = 600;

/// What decides which backup is the better one.
type Rank = (i64, u64);

/// What is known of one cluster's backups.
#[derive(Default)]
struct Known {
    /// The best that a writer was told is safe.
    safe: Rank,
    tried: HashSet<(Rank, Digest)>,
    seen: HashSet<(Rank, Digest)>,
    wrong: Vec<String>,
}

fn identity(cluster: usize) -> Identity {
    if cluster == 0 { ours() } else { theirs() }
}

fn rank(sound: &Sound) -> Rank {
    (sound.header.confirmed.as_second(), sound.header.index)
}

fn milliseconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}

fn locked<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

// --- A writer ---------------------------------------------------------------------------------

/// Writes until killed. Says on standard error what it is about to write and what is safe.
fn write_for_ever(role: &str) {
    let [dir, cluster, begun] = role.split('|').collect::<Vec<_>>()[..] else {
        panic!("{role}");
    };
    let identity = identity(cluster.parse().expect("a number"));
    let begun: u64 = begun.parse().expect("a number");
    let skew = fastrand::i64(-SKEW..=SKEW);
    let say = |line: String| std::io::stderr().write_all(line.as_bytes()).expect("a pipe");
    loop {
        let index = milliseconds() - begun;
        let second = (index * PACE / 1000) as i64 + skew;
        let snapshot = content(["red", "green", "blue", "white"][fastrand::usize(0..4)], index);
        let time = at(second).as_second();
        say(format!("try {time} {index} {} .\n", snapshot.digest()));
        match open(Path::new(dir)).write(&identity, &snapshot, at(second), "") {
            Ok(written) if written.refused.is_empty() && written.untidy.is_none() => {
                let (time, index) = rank(&written.sound);
                say(format!("safe {time} {index} .\n"));
            }
            Ok(written) => say(format!("wrong {:?} {:?} .\n", written.refused, written.untidy)),
            Err(error) => say(format!("wrong {error} .\n")),
        }
    }
}

fn start(dir: &Path, cluster: usize, begun: u64) -> Child {
    let role = format!("{}|{cluster}|{begun}", dir.display());
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.args(["--exact", TEST, "--nocapture"]).env(ROLE, role);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("start a writer")
}

/// Notes what a writer says, until it is dead. A line that the kill cut has no ` .` at its end.
fn note(from: impl std::io::Read, known: &Mutex<Known>) {
    for line in BufReader::new(from).lines().map_while(Result::ok) {
        let Some(line) = line.strip_suffix(" .") else { continue };
        let words: Vec<_> = line.split(' ').collect();
        let number = |n: usize| words[n].parse::<i64>().expect("a number");
        let mut known = locked(known);
        match words[0] {
            "try" => {
                let digest = Digest::from_hex(words[3]).expect("a digest");
                known.tried.insert(((number(1), number(2) as u64), digest));
            }
            "safe" => known.safe = known.safe.max((number(1), number(2) as u64)),
            _ => known.wrong.push(line.to_owned()),
        }
    }
}

// --- A reader ---------------------------------------------------------------------------------

/// What was safe before it looked, or something better, is what it finds.
fn look(store: &Store, cluster: usize, known: &Mutex<Known>) {
    let safe = locked(known).safe;
    let found = store.newest(&identity(cluster)).expect("the directory can be listed");
    let best = found.best.as_ref().map(|b| {
        let header = &b.header;
        ((header.confirmed.as_second(), header.index), header.digest)
    });
    let mut known = locked(known);
    known.seen.extend(best);
    let lost = safe != Rank::default() && best.is_none_or(|(rank, _)| rank < safe);
    if lost || !found.refused.is_empty() {
        known.wrong.push(format!("{safe:?} was safe, found {best:?}, {:?}", found.refused));
    }
}

#[test]
fn eight_processes() {
    if let Ok(role) = env::var(ROLE) {
        return write_for_ever(&role);
    }
    let mut tally = Tally::of(TEST);
    let shelf = Shelf::new();
    let clusters = [Mutex::new(Known::default()), Mutex::new(Known::default())];
    let (over, looks) = (AtomicBool::new(false), AtomicU64::new(0));
    let begun = milliseconds();
    std::thread::scope(|scope| {
        for (cluster, known) in clusters.iter().enumerate() {
            let (over, looks, dir) = (&over, &looks, shelf.path());
            scope.spawn(move || {
                let store = Store::open(dir, Access::Read, LIMITS).expect("a directory");
                while !over.load(Ordering::Relaxed) {
                    look(&store, cluster, known);
                    looks.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let writer = |n: usize| {
            let mut child = start(shelf.path(), n % 2, begun);
            let says = child.stderr.take().expect("piped");
            let known = &clusters[n % 2];
            scope.spawn(move || note(says, known));
            child
        };
        let mut writers: Vec<Child> = (0..PROCESSES).map(writer).collect();
        for _ in 0..share(150, 6000) {
            std::thread::sleep(Duration::from_millis(fastrand::u64(5..80)));
            let n = fastrand::usize(0..PROCESSES);
            end(&mut writers[n]);
            writers[n] = writer(n);
            tally.case();
        }
        writers.iter_mut().for_each(end);
        over.store(true, Ordering::Relaxed);
    });
    tally.cases(looks.into_inner());
    for (cluster, known) in clusters.iter().enumerate() {
        at_rest(&mut tally, &shelf, cluster, known);
    }
    tally.finish();
}

fn end(writer: &mut Child) {
    writer.kill().expect("SIGKILL");
    writer.wait().expect("its end");
}

/// All are dead: nothing was lost or made up, and the next writer has an easy time.
fn at_rest(tally: &mut Tally, shelf: &Shelf, cluster: usize, known: &Mutex<Known>) {
    let store = open(shelf.path());
    look(&store, cluster, known);
    let known = locked(known);
    known.wrong.iter().for_each(|wrong| tally.violation(wrong));
    tally.check(known.safe != Rank::default(), || "no writer got anywhere".to_owned());
    // Age and content are as Consul had them, and nobody's invention.
    let made_up: Vec<_> = known.seen.difference(&known.tried).collect();
    tally.check(made_up.is_empty(), || format!("nobody wrote {made_up:?}"));
    let next = content("next", u64::MAX);
    let written = store.write(&identity(cluster), &next, at(1 << 30), "");
    tally.check(written.as_ref().is_ok_and(|w| w.new && w.untidy.is_none()), || {
        format!("the next write: {written:?}")
    });
    let found = store.newest(&identity(cluster)).expect("listed").best;
    tally.check(found.is_some_and(|b| b.snapshot == next), || "not the next one".to_owned());
    let stem = identity(cluster).stem();
    let names = std::fs::read_dir(shelf.path()).expect("listed").flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let kept: Vec<_> = names.filter(|n| n.starts_with("seedcar-") && n.contains(&stem)).collect();
    tally.check(kept.len() <= 8, || format!("too many stay: {kept:?}"));
}
