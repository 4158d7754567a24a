//! A replica that serves from a backup learned nothing from Consul: it writes none, however the
//! backup volume looks, so that the age of what it serves cannot be lost.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use seedcar::model::confirmation::Origin;
use seedcar::store::Identity;

use super::shelf::put;
use crate::consul::{Consul, Kind};
use crate::ledger::{Tally, share};
use crate::rig::{Pod, Sidecar};
use crate::wait::throughout;

/// In this time a keeper that may write has done so: it writes at once.
fn window() -> Duration {
    Duration::from_secs(share(2, 20))
}

/// Inode, size, change time and bytes of every file.
type State = BTreeMap<String, (u64, u64, i64, Vec<u8>)>;

fn state(dir: &Path) -> State {
    let entries = fs::read_dir(dir).expect("the backup volume").flatten();
    let file = |entry: fs::DirEntry| {
        let meta = entry.metadata().ok()?;
        let bytes = fs::read(entry.path()).ok()?;
        let name = entry.file_name().to_string_lossy().into_owned();
        Some((name, (meta.ino(), meta.len(), meta.ctime_nsec(), bytes)))
    };
    entries.filter_map(file).collect()
}

/// A Consul that is down, a pod, and its backup of many years ago: written anew it would be another file.
fn in_an_outage(seed_timeout: &str) -> (Consul, Pod) {
    let consul = Consul::start(Kind::Embedded);
    consul.put("app/a", "of today");
    consul.kill();
    let pod = Pod::new(consul.addr(), "app");
    let pod =
        pod.arg(&["--heartbeat", "1s", "--backup-delay", "0s", "--seed-timeout", seed_timeout]);
    put(&pod.backup(), &Identity::of_prefix("app/"), "backed up", -300_000);
    (consul, pod)
}

fn falls_back(pod: &Pod) -> Sidecar<'_> {
    let sidecar = pod.run(&[]);
    sidecar.until("it serves from the backup", |s| s.origin == Origin::Backup);
    sidecar
}

fn stays(tally: &mut Tally, pod: &Pod, what: &str) {
    stays_as(state(&pod.backup()), tally, pod, what);
}

fn stays_as(before: State, tally: &mut Tally, pod: &Pod, what: &str) {
    throughout(what, window(), || {
        tally.case();
        state(&pod.backup()) == before
    });
}

#[test]
fn a_fallback_never_writes() {
    let mut tally = Tally::of("backup::fallback::a_fallback_never_writes");
    let (consul, pod) = in_an_outage("2s");
    let sidecar = falls_back(&pod);
    stays(&mut tally, &pod, "the backup stays as it is");
    sidecar.crash();
    let sidecar = falls_back(&pod);
    stays(&mut tally, &pod, "also when it starts again on the volume it filled");
    // Another replica's, of a later moment.
    put(&pod.backup(), &Identity::of_prefix("app/"), "newer", 1_000_000);
    stays(&mut tally, &pod, "another replica's newer backup is left alone");
    sidecar.crash();
    for (name, _) in state(&pod.backup()).into_iter().skip(1) {
        fs::remove_file(pod.backup().join(name)).expect("remove");
    }
    pod.wipe_volume();
    let sidecar = falls_back(&pod);
    for name in state(&pod.backup()).into_keys() {
        fs::remove_file(pod.backup().join(name)).expect("remove");
    }
    stays(&mut tally, &pod, "without any backup it makes none from what it serves");
    consul.restart();
    sidecar.until("Consul speaks for it", |s| s.origin == Origin::Consul);
    sidecar.until("now there is one again", |s| s.backup.is_some() && !pod.backups().is_empty());
    tally.finish();
}

/// The one case in which it finds other content in the newest backup than it serves: the backup was
/// read, Consul has its share of the time, and meanwhile another replica, which Consul answers, writes.
#[test]
fn what_was_overtaken_is_not_written_again() {
    let mut tally = Tally::of("backup::fallback::what_was_overtaken_is_not_written_again");
    let (consul, pod) = in_an_outage("9s");
    consul.restart();
    consul.freeze();
    let sidecar = pod.run(&[]);
    sidecar.until("the backup is read", |s| s.backup.is_some());
    put(&pod.backup(), &Identity::of_prefix("app/"), "newer", 1_000_000);
    let before = state(&pod.backup());
    sidecar.until("it serves from the backup", |s| s.origin == Origin::Backup);
    let served = pod.read("a");
    tally.check(served.as_deref() == Some(b"backed up"), || format!("{served:?} is served"));
    stays_as(before, &mut tally, &pod, "the newer backup is left alone");
    tally.finish();
}
