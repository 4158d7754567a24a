//! A neighbour who swaps directories for links as fast as it can, while seedcar publishes.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::fs::{self, AtFlags, Mode, OFlags};
use tempfile::TempDir;

use super::planted::Outside;
use crate::bounded::publishing::{KEYS, publish, value};
use crate::consul::{Consul, Kind};
use crate::ledger::{Tally, share};
use crate::rig::{Pod, SOON};
use crate::wait::eventually;

/// Threads at work in a volume.
struct Attack {
    over: Arc<AtomicBool>,
    moves: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Attack {
    /// Two of them at `volume`, and at `backup` if there is one.
    fn begin(volume: &Path, backup: Option<PathBuf>, outside: &Path) -> Self {
        let (over, moves) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let begin = |_| {
            let (over, moves) = (over.clone(), moves.clone());
            let (volume, backup) = (volume.to_owned(), backup.clone());
            let outside = outside.to_owned();
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let _ = strike(&volume, backup.as_deref(), &outside);
                    moves.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let threads = (0..2).map(begin).collect();
        Self { over, moves, threads }
    }

    fn end(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().expect("an attacker"));
        self.moves.load(Ordering::Relaxed)
    }
}

/// One move: a name goes aside, or away, and a link takes its place. The attacker itself follows
/// none of its links.
fn strike(volume: &Path, backup: Option<&Path>, outside: &Path) -> rustix::io::Result<()> {
    let root = fs::open(volume, DIRECTORY, Mode::empty())?;
    let live = step(&root, "live")?;
    let generations: Vec<_> = names(&live).into_iter().filter(|n| n.starts_with("..2")).collect();
    let generation = pick(&generations);
    let (place, name) = match fastrand::u32(0..10) {
        0 => (live, "..data".to_owned()),
        1 => (live, "..data_tmp".to_owned()),
        2 => (live, "..link_tmp".to_owned()),
        3 | 4 => (live, generation),
        5 => (step(&live, &generation)?, pick(&["db", "x", "a"].map(str::to_owned))),
        6 => (step(&step(&live, &generation)?, "db")?, pick(&["deep", "host"].map(str::to_owned))),
        7 => (live, pick(&["db", "a", "x", "z"].map(str::to_owned))),
        8 => {
            let own = step(&root, ".seedcar")?;
            // The lock is what keeps two processes apart: without it nobody promises anything.
            let names: Vec<_> = names(&own).into_iter().filter(|name| name != "lock").collect();
            (own, pick(&names))
        }
        _ => match backup {
            Some(backup) => {
                let backup = fs::open(backup, DIRECTORY, Mode::empty())?;
                let name = pick(&names(&backup));
                (backup, name)
            }
            None => (step(&live, &generation)?, "..manifest.json".to_owned()),
        },
    };
    if name.is_empty() {
        return Ok(());
    }
    let aside = format!("..2020_{}", fastrand::u32(..));
    if fastrand::bool() {
        let _ = fs::renameat(&place, &*name, step(&root, "live")?, aside);
    } else {
        let _ = fs::unlinkat(&place, &*name, AtFlags::empty());
    }
    let target = pick(&["", "db", "a", "..data", "nothing"].map(str::to_owned));
    fs::symlinkat(outside.join(target), &place, name)
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW);

fn step(at: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    fs::openat(at, name, DIRECTORY, Mode::empty())
}

fn pick(of: &[String]) -> String {
    fastrand::choice(of).cloned().unwrap_or_default()
}

fn names(dir: &OwnedFd) -> Vec<String> {
    let entries = fs::Dir::read_from(dir).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| Some(entry.file_name().to_str().ok()?.to_owned()));
    names.filter(|name| name != "." && name != "..").collect()
}

/// The publisher alone, again and again, without the pause that it makes between two publishes.
#[test]
fn a_publisher_at_full_speed() {
    let mut tally = Tally::of("security::attacker");
    let (volume, outside) = (TempDir::new_in("/dev/shm").expect("a volume"), Outside::new());
    publish(volume.path(), 1);
    let attack = Attack::begin(volume.path(), None, &outside.path());
    let (begun, mut round, mut worked) = (Instant::now(), 1, 0);
    while begun.elapsed() < Duration::from_secs(share(5, 60)) {
        round += 1;
        worked += u64::from(publish(volume.path(), round));
        if round.is_multiple_of(16) {
            tally.check(outside.changes().is_empty(), || format!("{:?}", outside.changes()));
        }
    }
    let moves = attack.end();
    tally.cases(round + moves);
    eprintln!("{round} publishes, {worked} of them in spite of {moves} moves");
    tally.check(outside.changes().is_empty(), || format!("{:?}", outside.changes()));
    tally.check(worked > 0, || "none worked".to_owned());
    // A link in the place of a key's name can be a directory that was moved there: theirs.
    for name in ["a", "db", "x", "z"] {
        let place = volume.path().join("live").join(name);
        let _ = std::fs::remove_dir_all(&place);
    }
    round += 1;
    tally.check(publish(volume.path(), round), || "not published once they have gone".to_owned());
    for key in KEYS {
        let read = std::fs::read(volume.path().join("live/..data/").join(key)).unwrap_or_default();
        tally.check(read == value(key, round).as_bytes(), || format!("{key} is not right"));
    }
    let live = fs::open(volume.path().join("live"), DIRECTORY, Mode::empty()).expect("live");
    let left = names(&live);
    let generations = left.iter().filter(|name| name.starts_with("..2")).count();
    tally.check(generations <= 5, || format!("left behind: {left:?}"));
    tally.finish();
}

/// The whole sidecar, its backups among what is attacked.
#[test]
fn a_whole_sidecar() {
    let mut tally = Tally::of("security::attacker");
    let (consul, outside) = (Consul::start(Kind::Embedded), Outside::new());
    let write = |round: u64| {
        let keys = KEYS.map(|key| (format!("app/{key}"), value(key, round)));
        let pairs: Vec<_> = keys.iter().map(|(k, v)| (k.as_str(), v.as_bytes())).collect();
        consul.txn_set(&pairs);
    };
    write(1);
    let pod = Pod::new(consul.addr(), "app").arg(&["--backup-delay", "0s", "--heartbeat", "1s"]);
    let sidecar = pod.run(&["--seed"]);
    sidecar.until("there is a backup", |s| s.backup.is_some());
    let attack = Attack::begin(pod.volume(), Some(pod.backup()), &outside.path());
    let (begun, mut round) = (Instant::now(), 1);
    while begun.elapsed() < Duration::from_secs(share(5, 60)) {
        round += 1;
        write(round);
        tally.check(outside.changes().is_empty(), || format!("{:?}", outside.changes()));
        tally.check(sidecar.get("/livez").0 == 200, || "not alive".to_owned());
        std::thread::sleep(Duration::from_millis(20));
    }
    tally.cases(attack.end());
    write(round + 1);
    eventually("all is as Consul has it", SOON, || {
        let right = |key: &&str| {
            pod.read(&format!("..data/{key}")).unwrap_or_default()
                == value(key, round + 1).as_bytes()
        };
        KEYS.iter().all(right).then_some(())
    });
    sidecar.until("and backed up", |s| s.backup.as_ref().map(|b| &b.digest) == s.digest.as_ref());
    tally.check(outside.changes().is_empty(), || format!("{:?}", outside.changes()));
    let text = sidecar.metric("seedcar_thread_restarts_total{thread=\"publisher\"}");
    tally.check(text.unwrap_or(0.0) == 0.0, || "the publisher panicked".to_owned());
    tally.finish();
}
