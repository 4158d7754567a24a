//! Somebody else fills the volume while seedcar writes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::consul::{Consul, Kind};
use crate::ledger::{Tally, share};
use crate::rig::{Mount, Pod, SOON, Sidecar};
use crate::wait::eventually;

const KEYS: usize = 20;

/// The volume as the sidecar's own mount namespace has it.
fn volume(pod: &Pod, sidecar: &Sidecar<'_>) -> PathBuf {
    let below = pod.volume().strip_prefix("/").expect("an absolute path").to_owned();
    PathBuf::from(format!("/proc/{}/root", sidecar.pid())).join(below)
}

fn write(consul: &Consul, round: u64) {
    let keys: Vec<_> = (0..KEYS).map(|n| format!("app/k{n}")).collect();
    let value = text(round);
    let pairs: Vec<_> = keys.iter().map(|key| (key.as_str(), value.as_bytes())).collect();
    consul.txn_set(&pairs);
}

/// Most of a page, the same from end to end.
fn text(round: u64) -> String {
    format!("{round:06}").repeat(500)
}

/// The round of a whole generation; `Err` for one that is torn or mixed.
fn round(volume: &std::path::Path) -> Result<Option<u64>, String> {
    let Ok(generation) = std::fs::read_link(volume.join("live/..data")) else {
        return Ok(None);
    };
    let root = volume.join("live").join(generation);
    let mut seen = None;
    for key in 0..KEYS {
        let Ok(read) = std::fs::read_to_string(root.join(format!("k{key}"))) else {
            // It has been replaced and removed meanwhile.
            return if root.exists() { Err(format!("k{key} is missing")) } else { Ok(None) };
        };
        let round = read.get(..6).and_then(|n| n.parse().ok());
        let round = round.ok_or_else(|| format!("k{key} is {} bytes", read.len()))?;
        if read != text(round) || seen.is_some_and(|other| other != round) {
            return Err(format!("k{key} of round {round} beside {seen:?}"));
        }
        seen = Some(round);
    }
    Ok(seen)
}

#[test]
fn filled_in_the_middle_of_a_write() {
    let mut tally = Tally::of("bounded::full");
    let consul = Consul::start(Kind::Embedded);
    write(&consul, 1);
    let mut pod = Pod::new(consul.addr(), "app").arg(&["--heartbeat", "1s"]);
    pod.mount_volume(Mount::Small);
    let sidecar = pod.run(&["--seed"]);
    sidecar.until_fresh();
    let place = volume(&pod, &sidecar);
    let over = Arc::new(AtomicBool::new(false));
    let (until, filler) = (over.clone(), place.join("filler"));
    let neighbour = std::thread::spawn(move || {
        while !until.load(Ordering::Relaxed) {
            // As much as there is room for, and gone again at a moment of its own choosing.
            let _ = std::fs::write(&filler, vec![b'x'; 256 << 10]);
            std::thread::sleep(Duration::from_micros(fastrand::u64(0..2_000)));
            let _ = std::fs::remove_file(&filler);
            std::thread::sleep(Duration::from_micros(fastrand::u64(0..2_000)));
        }
    });
    let (begun, mut last) = (Instant::now(), 1);
    while begun.elapsed() < Duration::from_secs(share(5, 120)) {
        last += 1;
        write(&consul, last);
        for _ in 0..4 {
            let found = round(&place);
            tally.check(found.is_ok(), || format!("{found:?}"));
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    over.store(true, Ordering::Relaxed);
    neighbour.join().expect("the neighbour");
    let full = sidecar.metric("seedcar_publish_errors_total{kind=\"full\"}").unwrap_or(0.0);
    tally.check(full > 0.0, || "it was never full".to_owned());
    eprintln!("{last} changes, {full} publishes failed");
    eventually("it is as Consul has it", SOON, || (round(&place) == Ok(Some(last))).then_some(()));
    sidecar.until_fresh();
    eventually("nothing of what failed is left", SOON, || {
        let names = std::fs::read_dir(place.join("live")).ok()?.flatten();
        let generations = names.filter(|e| e.file_name().to_string_lossy().starts_with("..2"));
        (generations.count() == 1).then_some(())
    });
    tally.finish();
}
