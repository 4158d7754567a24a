//! What the stories of faults have in common: numbered keys, and ways to look at what came of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use seedcar::model::confirmation::Origin;
use seedcar::model::guard::Reason;
use seedcar::publisher::manifest::Manifest;
use seedcar::publisher::persist::StatusFile;
use seedcar::status::Source;

use crate::consul::{Consul, Kind};
use crate::rig::{Pod, SOON, Sidecar};
use crate::wait::eventually;

/// Long enough to see what happens although nothing should.
pub const A_WHILE: Duration = Duration::from_secs(2);

/// Files by path, as [`Pod::tree`] has them.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Puts the keys `app/<folder>/k0` and so on, in one transaction for each 64.
pub fn fill(consul: &Consul, folder: &str, count: usize) {
    let keys: Vec<String> = (0..count).map(|n| format!("app/{folder}/k{n}")).collect();
    let pairs: Vec<(&str, &[u8])> = keys.iter().map(|k| (k.as_str(), k.as_bytes())).collect();
    consul.txn_set(&pairs);
}

/// A Consul with `many` keys in one folder and `few` in another: so many can go at once.
pub fn consul_with(kind: Kind, many: usize, few: usize) -> Consul {
    let consul = Consul::start(kind);
    fill(&consul, "many", many);
    fill(&consul, "few", few);
    consul
}

/// Such a Consul, and a pod of it that `init` has seeded.
pub fn seeded(kind: Kind, many: usize, few: usize) -> (Consul, Pod) {
    let consul = consul_with(kind, many, few);
    let pod = Pod::new(consul.addr(), "app");
    pod.init();
    (consul, pod)
}

/// Such a pod that a sidecar has served and backed up.
pub fn backed_up(kind: Kind, many: usize, few: usize) -> (Consul, Pod) {
    let (consul, pod) = seeded(kind, many, few);
    let sidecar = pod.run(&[]);
    sidecar.until("there is a backup", |s| s.backup.is_some());
    stopped(sidecar);
    (consul, pod)
}

/// The sidecar, once its watch has had an answer.
pub fn watching<'p>(pod: &'p Pod, args: &[&str]) -> Sidecar<'p> {
    let sidecar = pod.run(args);
    sidecar.until("the watch works", |s| s.mechanisms["watch"].up);
    sidecar
}

/// Ends a sidecar with SIGTERM, which takes less than a second.
#[track_caller]
pub fn stopped(sidecar: Sidecar<'_>) {
    let log = sidecar.log();
    let (status, took) = sidecar.stop();
    let quick = took < Duration::from_secs(1);
    assert!(status.success() && quick, "{status} after {took:?}\n{log}");
}

/// Waits until an answer is held for this reason, on the port and in the volume.
#[track_caller]
pub fn until_held(sidecar: &Sidecar<'_>, pod: &Pod, reason: Reason) -> seedcar::status::Held {
    let held = |s: &Source| s.held.as_ref().is_some_and(|held| held.reason == reason);
    let source = sidecar.until("an answer is held", held);
    assert_eq!(held_metric(sidecar, reason), Some(1.0));
    eventually("applications can see the hold", SOON, || {
        (status_file(pod)?.held.as_deref() == Some(reason.word())).then_some(())
    });
    source.held.expect("just seen")
}

/// Waits until nothing is held.
#[track_caller]
pub fn until_free(sidecar: &Sidecar<'_>, pod: &Pod) {
    sidecar.until("nothing is held", |s| s.held.is_none());
    eventually("applications see no hold", SOON, || {
        (status_file(pod)?.held.is_none()).then_some(())
    });
}

/// `seedcar accept`, with as much of the digest as `seedcar status` shows.
#[track_caller]
pub fn accept(pod: &Pod, digest: &str) {
    let ended = pod.seedcar(&["accept", &digest[..12]]);
    assert_eq!(ended.code(), 0, "{}", ended.err);
}

/// The metric of a hold.
pub fn held_metric(sidecar: &Sidecar<'_>, reason: Reason) -> Option<f64> {
    let word = reason.word();
    sidecar.metric(&format!("seedcar_held{{reason=\"{word}\",source=\"default\"}}"))
}

/// The metric of a mechanism.
pub fn up_metric(sidecar: &Sidecar<'_>, mechanism: &str) -> Option<f64> {
    sidecar.metric(&format!("seedcar_mechanism_up{{mechanism=\"{mechanism}\",source=\"default\"}}"))
}

/// All requests to Consul, answered or not, as the sidecar counts them.
pub fn requests_counted(sidecar: &Sidecar<'_>) -> f64 {
    let text = sidecar.get("/metrics").1;
    let lines = text.lines().filter(|line| line.starts_with("seedcar_consul_requests_total{"));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// What `.seedcar/status.json` says.
pub fn status_file(pod: &Pod) -> Option<StatusFile> {
    let text = std::fs::read(pod.volume().join(".seedcar/status.json")).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Waits until `.seedcar/status.json` names this origin.
#[track_caller]
pub fn until_origin(pod: &Pod, origin: Origin) {
    eventually("status.json names the origin", SOON, || {
        (status_file(pod)?.origin == origin).then_some(())
    });
}

/// What the published generation says of itself.
#[track_caller]
pub fn manifest(pod: &Pod) -> Manifest {
    let text = std::fs::read(pod.live().join("..data/..manifest.json")).expect("a manifest");
    Manifest::parse(&text).expect("a whole manifest")
}

/// Waits until the files are exactly these.
#[track_caller]
pub fn until_files(pod: &Pod, expected: &Files) {
    eventually("the files are what they should be", SOON, || {
        (pod.tree() == *expected).then_some(())
    });
}

/// The files that Consul's content makes.
#[track_caller]
pub fn content(consul: &Consul) -> Files {
    let answer = consul.ask("GET", "/v1/kv/app/?recurse", b"");
    let answer = answer.expect("Consul does not answer");
    let mut files = Files::new();
    for entry in answer.json().iter().flat_map(|v| v.as_array()).flatten() {
        let path = entry["Key"].as_str().and_then(|k| k.strip_prefix("app/"));
        let path = path.expect("a key of ours");
        for (at, _) in path.match_indices('/') {
            files.insert(path[..=at].to_owned(), Vec::new());
        }
        let value = STANDARD.decode(entry["Value"].as_str().unwrap_or_default());
        files.insert(path.to_owned(), value.expect("base64"));
    }
    files
}

/// The newest backup: the name begins with the identity, then come time and index.
#[track_caller]
pub fn newest_backup(pod: &Pod) -> PathBuf {
    let index = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?.to_owned();
        name.rsplit('-').nth(1)?.parse::<u64>().ok()
    };
    pod.backups().into_iter().max_by_key(index).expect("a backup")
}
