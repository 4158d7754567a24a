//! The same damage before the real `init`, with Consul down: it seeds from the backup before the
//! damaged one and says so, or ends with the documented code; in bounded memory.

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use seedcar::store::Identity;

use super::damage::{Replacement, TEXTS, flipped, replacements, sealed};
use super::shelf::{Book, Shelf, put};
use crate::ledger::Tally;
use crate::rig::{Ended, Pod};
use crate::wait::free_port;

/// What a process may come to hold, in KiB. Of an unoptimised program without any backup it is a
/// third of that.
const PEAK: i64 = 96 * 1024;

/// A pod without a Consul, with three backups.
fn pod_with_backups(identity: &Identity) -> (Pod, Vec<Book>) {
    let nobody = ([127, 0, 0, 1], free_port()).into();
    let pod = Pod::new(nobody, "app").arg(&["--seed-timeout", "6s"]);
    let backup = pod.backup();
    let books = (1..).zip(TEXTS).map(|(hour, text)| put(&backup, identity, text, hour)).collect();
    (pod, books)
}

/// `init`, and the most memory it held, in KiB.
#[allow(clippy::zombie_processes)] // wait4 waits for it, and tells more
fn init(pod: &Pod) -> (Ended, i64) {
    let mut command = pod.command(&["init"]);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start seedcar");
    let (mut log, mut err) = (String::new(), String::new());
    child.stdout.take().expect("piped").read_to_string(&mut log).expect("UTF-8");
    child.stderr.take().expect("piped").read_to_string(&mut err).expect("UTF-8");
    let mut status = 0;
    // SAFETY: plain numbers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: a system call on our own child, that writes to what lives here.
    let waited = unsafe { libc::wait4(child.id() as i32, &mut status, 0, &mut usage) };
    assert_eq!(waited, child.id() as i32, "wait4");
    (Ended { status: ExitStatus::from_raw(status), log, err }, usage.ru_maxrss)
}

/// Everything that may stand in the place of a backup.
fn damages(book: &Book, good: &Path) -> Vec<(&'static str, Replacement)> {
    let bytes =
        |bytes: Vec<u8>| -> Replacement { Box::new(move |at| fs::write(at, &bytes).is_ok()) };
    let whole = &book.bytes;
    let mut future = whole.clone();
    future[8] = 2;
    let identity = whole.windows(8).position(|w| w == b"identity").expect("in the header");
    let mut damages = replacements(good);
    damages.extend([
        ("cut", bytes(whole[..whole.len() - 1].to_vec())),
        ("empty", bytes(Vec::new())),
        ("longer", bytes([whole, &b"x"[..]].concat())),
        ("zeros", bytes(vec![0; whole.len()])),
        ("a future version", bytes(sealed(future))),
        ("a flipped bit in the magic", bytes(flipped(whole, 3))),
        ("a flipped bit in the prefix", bytes(flipped(whole, (identity + 22) * 8))),
        ("a flipped bit in a value", bytes(flipped(whole, (whole.len() - 40) * 8))),
        ("a flipped bit in the checksum", bytes(flipped(whole, whole.len() * 8 - 1))),
    ]);
    damages
}

#[test]
fn init_takes_the_one_before() {
    let mut tally = Tally::of("backup::served::init_takes_the_one_before");
    let elsewhere = Shelf::new();
    let identity = Identity::of_prefix("app/");
    let tempting = elsewhere.put(&identity, "in another directory", 1000);
    let (pod, books) = pod_with_backups(&identity);
    let newest = &books[2];
    let path = pod.backup().join(&newest.name);
    for (what, damage) in damages(newest, &elsewhere.at(&tempting.name)) {
        fs::remove_file(&path).or_else(|_| fs::remove_dir(&path)).expect("it was there");
        if !damage(&path) {
            fs::write(&path, &newest.bytes).expect("a file");
            continue;
        }
        let (ended, peak) = init(&pod);
        let (code, value) = (ended.code(), pod.read("a"));
        let seeded = code == 0 && value.as_deref() == Some(TEXTS[1].as_bytes());
        let refused = ended.events("backup_refused");
        let said = refused.len() == 1 && refused[0]["file"] == *newest.name;
        tally.check(seeded && said, || format!("{what}: {code} {} {}", ended.err, ended.log));
        tally.check(peak < PEAK, || format!("{what}: held {peak} KiB"));
        pod.wipe_volume();
    }
    tally.finish();
}

#[test]
fn init_ends_with_a_reason() {
    let mut tally = Tally::of("backup::served::init_ends_with_a_reason");
    let elsewhere = Shelf::new();
    let tempting = elsewhere.put(&Identity::of_prefix("app/"), "in another directory", 1000);
    let tempting = &elsewhere.at(&tempting.name);
    let (_, books) = pod_with_backups(&Identity::of_prefix("app/"));
    let kinds = damages(&books[0], tempting).len();
    // All at once: each waits for Consul until its deadline.
    let ended: Vec<_> = std::thread::scope(|scope| {
        let started = (0..kinds).map(|kind| scope.spawn(move || all_damaged(kind, tempting)));
        let started: Vec<_> = started.collect();
        started.into_iter().filter_map(|t| t.join().expect("no panic")).collect()
    });
    assert!(ended.len() * 2 > kinds, "hardly anything could be made");
    for (what, (ended, peak), untouched) in ended {
        let (code, refused) = (ended.code(), ended.events("backup_refused").len());
        let said = code == 65 && refused == 3 && ended.err.contains("every backup is damaged");
        tally.check(said && untouched, || format!("{what}: {code} {} {}", ended.err, ended.log));
        tally.check(peak < PEAK, || format!("{what}: held {peak} KiB"));
    }
    // Whole, but of another cluster: nobody's damage, and nothing for us.
    let other = Identity { id: Some("other".into()), ..Identity::of_prefix("app/") };
    let (pod, _) = pod_with_backups(&other);
    let (ended, _) = init(&pod);
    let said = ended.code() == 69 && ended.err.contains("there is no backup of it");
    tally.check(said && !pod.live().join("..data").exists(), || ended.err.clone());
    tally.finish();
}

/// A limit that allows everything refuses no backup.
#[test]
fn init_takes_any_limits() {
    let mut tally = Tally::of("backup::served::init_takes_any_limits");
    let (pod, _) = pod_with_backups(&Identity::of_prefix("app/"));
    for bytes in ["1Mi", "4611686018427387904", "18446744073709551615"] {
        for keys in ["1000", "9223372036854775808", "18446744073709551615"] {
            let ended = pod.seedcar(&["init", "--max-bytes", bytes, "--max-keys", keys]);
            let newest = pod.read("a").as_deref() == Some(TEXTS[2].as_bytes());
            tally.check(ended.code() == 0 && newest, || format!("{bytes} {keys}: {}", ended.err));
            let listed =
                pod.seedcar(&["backup", "verify", "--max-bytes", bytes, "--max-keys", keys]);
            tally.check(listed.code() == 0, || format!("{bytes} {keys}: {}", listed.log));
            pod.wipe_volume();
        }
    }
    tally.finish();
}

/// `init` where this is the matter with all three backups, and whether the volume is untouched.
/// Nothing where this user cannot make it so.
fn all_damaged(kind: usize, tempting: &Path) -> Option<(&'static str, (Ended, i64), bool)> {
    let (pod, books) = pod_with_backups(&Identity::of_prefix("app/"));
    let mut what = "";
    for book in &books {
        let path = pod.backup().join(&book.name);
        fs::remove_file(&path).expect("it was there");
        let (name, damage) = damages(book, tempting).swap_remove(kind);
        what = name;
        damage(&path).then_some(())?;
    }
    let ended = init(&pod);
    Some((what, ended, !pod.live().join("..data").exists()))
}
