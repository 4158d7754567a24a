//! Readers of a plain tree beside a writer that is killed: a mix is allowed, a hole is not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use seedcar::model::layout::Layout;

use super::file::NAMES;
use super::kinds::{Counts, Reader};
use super::writer::Writer;
use crate::ledger::{Tally, share};
use crate::rig::{Pod, SOON};
use crate::stories::measured;
use crate::wait::{Curtain, eventually};

#[test]
fn no_file_is_ever_torn_or_missing() {
    let mut tally = Tally::of("readers::plain::no_file_is_ever_torn_or_missing");
    let pod = Pod::bare();
    let mut writer = Writer::start(pod.volume(), Layout::Plain);
    for name in NAMES {
        eventually("the writer has published", SOON, || pod.read(name));
    }
    let stop = AtomicBool::new(false);
    let lasts = Duration::from_secs(share(8, 300));
    let begun = Instant::now();
    let (mut kills, mut alive) = (0, true);
    let counts: Counts = scope(|scope| {
        let curtain = Curtain(&stop);
        let readers = [(); 2].map(|()| {
            scope.spawn(|| {
                let mut reader = Reader::new(pod.volume());
                while !stop.load(Ordering::Relaxed) {
                    reader.by_path();
                }
                reader.counts
            })
        });
        while begun.elapsed() < lasts {
            sleep(Duration::from_millis(fastrand::u64(50..500)));
            alive &= writer.is_alive();
            writer.kill();
            kills += 1;
            writer = Writer::start(pod.volume(), Layout::Plain);
        }
        drop(curtain);
        readers.into_iter().map(|reader| reader.join().expect("a reader")).sum()
    });
    let Counts { reads, torn, mixed, gone, .. } = counts;
    measured(&format!("{kills} kills, {reads} reads, {mixed} sets mixed"));
    tally.cases(reads);
    tally.check(alive, || "the writer ended by itself".to_owned());
    tally.check(torn + gone == 0, || format!("{counts:?}"));
    tally.check(kills > 5 && reads > 10_000, || format!("{kills} kills, {reads} reads"));
    tally.finish();
}
