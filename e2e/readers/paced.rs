//! The real sidecar at its own pace, killed at random: no generation goes while it is young.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use super::file::{self, NAMES};
use super::kinds::{Counts, Reader};
use crate::consul::{Consul, Kind};
use crate::ledger::{Tally, share};
use crate::rig::Pod;
use crate::stories::measured;
use crate::wait::Curtain;

/// Readers at the same time.
const READERS: usize = 4;

#[test]
fn no_young_generation_goes() {
    let mut tally = Tally::of("readers::paced::no_young_generation_goes");
    let consul = Consul::start(Kind::Real);
    let pod = Pod::new(consul.addr(), "app").arg(&["--no-backup"]);
    let mut number = 0;
    let mut change = || {
        number += 1;
        let value = file::content(number);
        let keys = NAMES.map(|name| format!("app/{name}"));
        let pairs: Vec<(&str, &[u8])> = keys.iter().map(|key| (&**key, &*value)).collect();
        consul.txn_set(&pairs);
    };
    change();
    pod.init();
    let stop = AtomicBool::new(false);
    let lasts = Duration::from_secs(share(20, 300));
    let begun = Instant::now();
    let counts: Counts = scope(|scope| {
        let curtain = Curtain(&stop);
        let readers = [(); READERS].map(|()| {
            scope.spawn(|| {
                let mut reader = Reader::new(pod.volume());
                while !stop.load(Ordering::Relaxed) {
                    reader.by_handle_to_its_end();
                }
                reader.counts
            })
        });
        while begun.elapsed() < lasts {
            let sidecar = pod.run(&[]);
            // Bursts, in which three newer ones end a generation, and pauses, in which its age does.
            for _ in 0..fastrand::u32(1..12) {
                change();
                sleep(Duration::from_millis(fastrand::u64(1..150)));
            }
            sleep(Duration::from_millis([0, 300, 3000][fastrand::usize(..3)]));
            sidecar.crash();
        }
        drop(curtain);
        readers.into_iter().map(|reader| reader.join().expect("a reader")).sum()
    });
    let Counts { reads, torn, mixed, back, gone, young } = counts;
    measured(&format!("{number} changes, {reads} reads, {gone} generations read to their end"));
    tally.cases(reads);
    if torn + mixed + back + young > 0 {
        tally.violation(format!("{counts:?}"));
    }
    tally.check(gone > 0, || "no generation was read to its end".to_owned());
    tally.finish();
}
