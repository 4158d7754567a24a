//! Power cuts while backups are written. A backup is acknowledged when the console has said so.

use std::time::Duration;

use seedcar::publisher::manifest::Manifest;
use serde_json::Value;
use tempfile::TempDir;

use super::machine::{Machine, count_checks, disk};
use crate::consul::{Consul, Kind};
use crate::ledger::{Tally, share};

/// Enough for the doorbell, and for a backup that takes several writes.
const KEYS: usize = 96;
/// The most acknowledgements that one boot waits for.
const ACKNOWLEDGED: u64 = 3;
/// About the time from a change to its backup, in milliseconds.
const ON_ITS_WAY: u64 = 500;
/// So many different contents are kept at least.
const KEPT: usize = 3;

/// A Consul with one writer, who knows what was true at which index.
struct Source {
    consul: Consul,
    /// Index and serial of each change.
    changes: Vec<(u64, u64)>,
}

/// A backup that is acknowledged or found.
#[derive(Clone, Debug, PartialEq)]
struct Backup {
    file: String,
    index: u64,
}

#[test]
fn what_was_acknowledged_survives_a_cut() {
    let mut tally = Tally::of("vm::power::what_was_acknowledged_survives_a_cut");
    let mut source = Source::start();
    let scratch = TempDir::new().expect("a directory for the disk");
    let disk = disk(scratch.path());
    let mut acknowledged = Vec::new();
    // After the last cut it boots once more.
    for _ in 0..=share(3, 60) {
        let port = source.consul.addr().port().to_string();
        let mut machine = Machine::boot("power", &[("consul", port)], Some(&disk));
        look(&mut machine, &source, &acknowledged, &mut tally);
        until_a_moment_to_cut(&mut machine, &mut source);
        let console = machine.cut();
        count_checks(&mut tally, &console);
        acknowledged.extend(console.iter().filter_map(|line| written(line)));
    }
    tally.finish();
}

/// Compares what a boot finds with what was acknowledged before it.
fn look(machine: &mut Machine, source: &Source, acknowledged: &[Backup], tally: &mut Tally) {
    let found = listed(&machine.field("backups"));
    let init = machine.field("init");
    let Some(last) = acknowledged.last() else {
        return tally.check(init == "69", || format!("init without a backup exits {init}"));
    };
    let state = || format!("acknowledged {acknowledged:?}, found {found:?}");
    // One more may have been written, and the oldest pruned for it, before that could be said.
    for backup in acknowledged.iter().rev().take(KEPT - 1) {
        tally.check(found.contains(backup), || format!("{backup:?} is lost: {}", state()));
    }
    let enough = found.len() >= acknowledged.len().min(KEPT);
    tally.check(enough, || format!("too few are left: {}", state()));
    let newest = found.iter().map(|backup| backup.index).max();
    tally.check(newest >= Some(last.index), || format!("the newest is older: {}", state()));
    tally.check(init == "0", || format!("init exits {init}: {}", state()));
    if init == "0" {
        let serial = machine.field("serial");
        let manifest = Manifest::parse(machine.field("manifest").as_bytes()).expect("a manifest");
        let index = manifest.sources[0].index;
        tally.check(newest == Some(index), || format!("seeded {index}: {}", state()));
        let truth = source.serial_at(index);
        tally.check(serial == truth.to_string(), || format!("{serial} at {index}, not {truth}"));
    }
}

/// Changes Consul until some backups are acknowledged. Half of the cuts come right after one, the
/// others while the next is on its way.
fn until_a_moment_to_cut(machine: &mut Machine, source: &mut Source) {
    for _ in 0..fastrand::u64(1..=ACKNOWLEDGED) {
        let index = source.change();
        machine.wait("the change is backed up", |line| {
            written(line).filter(|backup| backup.index >= index).map(drop)
        });
    }
    if fastrand::bool() {
        source.change();
        std::thread::sleep(Duration::from_millis(fastrand::u64(0..ON_ITS_WAY)));
    }
}

/// The valid ones of `seedcar backup ls -o json`.
fn listed(json: &str) -> Vec<Backup> {
    let rows: Vec<Value> = serde_json::from_str(json).expect("a list");
    let valid = rows.iter().filter(|row| row["state"] == "valid");
    let backup = |row: &Value| {
        let (file, index) = (row["name"].as_str()?, row["header"]["index"].as_u64()?);
        Some(Backup { file: file.to_owned(), index })
    };
    valid.map(|row| backup(row).expect("a name and an index")).collect()
}

/// What a line of the log acknowledges.
fn written(line: &str) -> Option<Backup> {
    let line: Value = serde_json::from_str(line).ok()?;
    let file = line["file"].as_str().filter(|_| line["event"] == "backup_written")?;
    Some(Backup { file: file.to_owned(), index: line["index"].as_u64()? })
}

// === impl Source ===

impl Source {
    fn start() -> Self {
        let consul = Consul::start(Kind::Real);
        let keys: Vec<String> = (0..KEYS).map(|n| format!("app/key{n}")).collect();
        let pairs: Vec<(&str, &[u8])> =
            keys.iter().map(|k| (k.as_str(), &[b'x'; 1024][..])).collect();
        consul.txn_set(&pairs);
        let mut source = Self { consul, changes: Vec::new() };
        source.change();
        source
    }

    /// Changes one value; the index of it.
    fn change(&mut self) -> u64 {
        let serial = self.changes.len() as u64;
        self.consul.put("app/serial", serial.to_string());
        let index = self.consul.index("app/");
        self.changes.push((index, serial));
        index
    }

    fn serial_at(&self, index: u64) -> u64 {
        let until = self.changes.partition_point(|(at, _)| *at <= index);
        self.changes[until - 1].1
    }
}
