//! What no tool can do better: the bare questions, and the bare files.

use std::fs;
use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Effort;
use super::load::{Load, PREFIX};
use super::result::{FLOOR, Results, What};
use crate::consul::Consul;
use crate::consul::http::{Answer, request_within};

/// Longer than any question is held here.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures both.
pub fn measure(consul: &Consul, load: &Load, effort: Effort, results: &mut Results) {
    for _ in 0..effort.seeds {
        let begun = Instant::now();
        let size = read(consul.addr(), "").body.len();
        assert!(size as u64 > load.payload(), "the whole was read");
        write_files(load);
        results.add(What::Seed, load, FLOOR, &[millis(begun.elapsed())]);
    }
    let changes = effort.changes.min(200);
    results.add(What::Change, load, FLOOR, &wakes(consul, load, changes));
}

/// From a PUT to the last byte of the answer to a blocking query for the whole prefix.
fn wakes(consul: &Consul, load: &Load, changes: usize) -> Vec<f64> {
    let (told, answered) = channel();
    let (ask, asked) = channel::<Option<u64>>();
    let addr = consul.addr();
    let watcher = thread::spawn(move || {
        while let Ok(Some(index)) = asked.recv() {
            let answer = read(addr, &format!("&index={index}&wait=30s"));
            let _ = told.send((Instant::now(), index_of(&answer)));
        }
    });
    let mut index = index_of(&read(addr, ""));
    let wake = |_| {
        ask.send(Some(index)).expect("the watcher lives");
        // Long enough for the question to be held, as it is when nothing has changed for a while.
        thread::sleep(Duration::from_millis(20));
        let begun = Instant::now();
        load.change(consul);
        let (ended, new) = answered.recv().expect("an answer");
        index = new;
        millis(ended.duration_since(begun))
    };
    let samples = (0..changes).map(wake).collect();
    let _ = ask.send(None);
    watcher.join().expect("the watcher ends");
    samples
}

fn read(addr: SocketAddr, block: &str) -> Answer {
    let target = format!("/v1/kv/{PREFIX}/?recurse{block}");
    request_within(PATIENCE, addr, "GET", &target, &[], b"").expect("Consul answers")
}

fn index_of(answer: &Answer) -> u64 {
    let index = answer.headers.iter().find(|(name, _)| name == "x-consul-index");
    index.and_then(|(_, index)| index.parse().ok()).expect("an index")
}

/// The same files with nothing around them.
fn write_files(load: &Load) {
    let shm = std::path::Path::new("/dev/shm");
    let dir =
        if shm.is_dir() { TempDir::new_in(shm) } else { TempDir::new() }.expect("a directory");
    let value = vec![b'x'; load.value];
    for n in 0..load.keys {
        let file = dir.path().join(load.path(n));
        if load.nested && n < 100 {
            fs::create_dir(file.parent().expect("one")).expect("make a directory");
        }
        fs::write(file, &value).expect("write a file");
    }
}

/// For tables.
pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
