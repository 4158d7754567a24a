//! What no tool can do better: the bare questions, and the bare files.

use std::fs;
use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Run;
use super::load::{Load, PREFIX};
use super::process::stay_with_tools;
use super::result::{FLOOR, Results, What, millis};
use crate::consul::Consul;
use crate::consul::http::{Answer, request_within};
use crate::scratch::in_memory;

/// Longer than any question is held here.
const PATIENCE: Duration = Duration::from_secs(60);

/// A first start with nothing around it.
pub struct Bare {
    /// How long the question for the whole prefix took, read to its end.
    read: Duration,
    /// How long the files took.
    files: Duration,
    /// Of the body, in bytes.
    size: usize,
}

// === impl Bare ===

impl Bare {
    /// Adds it as a sample.
    pub fn add_to(&self, run: &Run<'_>, results: &mut Results) {
        let mut add = |what, value| results.add(what, run.load, FLOOR, value);
        add(What::Seed, millis(self.read + self.files));
        add(What::Read, millis(self.read));
        add(What::Files, millis(self.files));
        add(What::ChangeBytes, self.size as f64 / 1e3);
    }
}

/// Reads the whole prefix and writes as many files, on the tools' core.
pub fn seed(run: &Run<'_>) -> Bare {
    let seed = || {
        stay_with_tools();
        let begun = Instant::now();
        let size = read(run.consul.addr(), "").body.len();
        assert!(size as u64 > run.load.payload(), "the whole was read");
        let read = begun.elapsed();
        let _written = write_files(run.load);
        Bare { read, files: begun.elapsed() - read, size }
    };
    thread::scope(|scope| scope.spawn(seed).join().expect("it reads and writes"))
}

/// From a PUT to the last byte of the answer to a blocking query for the whole prefix; the first ones warm up
/// and do not count.
pub fn wakes(consul: &Consul, load: &Load, warm: usize, count: usize) -> Vec<f64> {
    let (told, answered) = channel();
    let (ask, asked) = channel::<u64>();
    let addr = consul.addr();
    let watcher = thread::spawn(move || {
        stay_with_tools();
        while let Ok(index) = asked.recv() {
            let answer = read(addr, &format!("&index={index}&wait=30s"));
            let _ = told.send((Instant::now(), answer.index().expect("an index")));
        }
    });
    let mut index = read(addr, "").index().expect("an index");
    let wake = |_| {
        ask.send(index).expect("the watcher lives");
        // Long enough for the question to be held, as it is when nothing has changed for a while.
        thread::sleep(Duration::from_millis(20));
        let begun = load.change(consul).begun;
        let (ended, new) = answered.recv().expect("an answer");
        index = new;
        millis(ended.duration_since(begun))
    };
    let samples = (0..warm + count).map(wake).skip(warm).collect();
    drop(ask);
    watcher.join().expect("the watcher ends");
    samples
}

fn read(addr: SocketAddr, block: &str) -> Answer {
    let target = format!("/v1/kv/{PREFIX}/?recurse{block}");
    request_within(PATIENCE, addr, "GET", &target, &[], b"").expect("Consul answers")
}

/// The same files with nothing around them. They go with what is returned.
fn write_files(load: &Load) -> TempDir {
    let dir = in_memory();
    let value = vec![b'x'; load.value];
    for n in 0..load.keys {
        let file = dir.path().join(load.path(n));
        if load.nested && n < 100 {
            fs::create_dir(file.parent().expect("one")).expect("make a directory");
        }
        fs::write(file, &value).expect("write a file");
    }
    dir
}
