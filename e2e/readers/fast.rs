//! Hundreds of publishes a second, by a writer that is killed at random.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use seedcar::model::layout::Layout;

use super::file;
use super::kinds::{Counts, Reader};
use super::writer::Writer;
use crate::ledger::{Tally, share};
use crate::rig::{Pod, SOON};
use crate::stories::measured;
use crate::wait::{Curtain, eventually};

/// One way of reading.
type Kind = (&'static str, fn(&mut Reader));

const KINDS: [Kind; 4] = [
    ("path", Reader::by_path),
    ("handle", Reader::by_handle),
    ("manifest", Reader::by_manifest),
    ("mmap", Reader::by_mapping),
];

#[test]
fn no_reader_sees_a_torn_file_nor_through_a_handle_a_mix() {
    let mut tally =
        Tally::of("readers::fast::no_reader_sees_a_torn_file_nor_through_a_handle_a_mix");
    let wanted = share(600_000, 10_000_000);
    let pod = Pod::bare();
    let mut writer = Writer::start(pod.volume(), Layout::Links);
    eventually("the writer has published", SOON, || pod.read(file::NAMES[0]));

    let (stop, handle_reads) = (AtomicBool::new(false), AtomicU64::new(0));
    let begun = Instant::now();
    let (mut kills, mut starved) = (0, false);
    let counts: Vec<Counts> = scope(|scope| {
        let curtain = Curtain(&stop);
        let readers = KINDS.map(|(name, read)| {
            let (pod, stop, handle_reads) = (&pod, &stop, &handle_reads);
            scope.spawn(move || {
                let mut reader = Reader::new(pod.volume());
                while !stop.load(Ordering::Relaxed) {
                    read(&mut reader);
                    if name == "handle" {
                        handle_reads.store(reader.counts.reads, Ordering::Relaxed);
                    } else {
                        // Most of the machine is for the handle readers and the writer.
                        sleep(Duration::from_micros(200));
                    }
                }
                reader.counts
            })
        });
        while handle_reads.load(Ordering::Relaxed) < wanted && !starved {
            sleep(Duration::from_millis(fastrand::u64(100..1000)));
            // A writer that failed by itself is a wedge.
            tally.check(writer.is_alive(), || "the writer ended by itself".to_owned());
            writer.kill();
            kills += 1;
            writer = Writer::start(pod.volume(), Layout::Links);
            starved = begun.elapsed() > Duration::from_secs(1800);
        }
        drop(curtain);
        readers.map(|reader| reader.join().expect("a reader")).into()
    });
    let took = begun.elapsed().as_secs_f64();
    writer.kill();

    let published = published(&pod);
    measured(&format!(
        "{:.0} publishes a second for {took:.0} s, {kills} kills",
        published as f64 / took
    ));
    for ((name, _), counts) in KINDS.iter().zip(&counts) {
        let Counts { reads, torn, mixed, back, gone, .. } = *counts;
        measured(&format!("{name}: {reads} reads, {torn} torn, {mixed} mixed, {gone} ended"));
        tally.cases(reads);
        let mixed = if *name == "path" { 0 } else { mixed };
        if torn + mixed + back > 0 {
            tally.violation(format!("{name}: {counts:?}"));
        }
    }
    tally.check(!starved, || "too few reads in half an hour".to_owned());
    tally.check(published > 500 && kills > 5, || format!("{published} publishes, {kills} kills"));
    tally.finish();
}

/// The number of the last generation: one a publish.
fn published(pod: &Pod) -> u64 {
    let bytes = pod.read(&format!("..data/{}", file::NAMES[0])).expect("a file");
    file::number(&bytes).expect("a whole file")
}
