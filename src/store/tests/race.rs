//! Replicas: many writers on one directory, dying at any step.

use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

const WRITERS: u64 = 8;
const WRITES: usize = 40;

/// What the threads of one identity share.
pub(super) struct Cluster {
    identity: Identity,
    /// The next moment of Consul's clock.
    clock: AtomicI64,
    /// The latest moment whose backup a writer was told is safe.
    safe: AtomicI64,
}

impl Cluster {
    fn new(identity: Identity) -> Arc<Self> {
        Arc::new(Self { identity, clock: AtomicI64::new(1), safe: AtomicI64::new(0) })
    }

    /// One replica: writes, and now and then dies in the middle of it.
    fn replica(&self, open: impl Fn() -> Store, seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..WRITES {
            let mut store = open();
            let mut left = random.u32(0..80);
            let dice = std::sync::Mutex::new(move || {
                left = left.saturating_sub(1);
                left == 1
            });
            store.volume.hook = Some(Box::new(move |_, _| {
                let dies = dice.lock().unwrap()();
                if dies {
                    resume_unwind(Box::new("killed"));
                }
                Ok(())
            }));
            // Steps of all sizes, so that hours and days pass too.
            let step = [1, 60, 1000, 9000][random.usize(0..4)];
            let now = self.clock.fetch_add(step, Ordering::SeqCst) + step;
            let content = content(&format!("{}", random.u8(0..6)));
            let write = || store.write(&self.identity, &content, at(now), "test");
            if let Ok(written) = catch_unwind(AssertUnwindSafe(write)) {
                let written = written.unwrap();
                assert!(written.refused.is_empty(), "{:?}", written.refused);
                let second = written.sound.header.confirmed.as_second() - at(0).as_second();
                self.safe.fetch_max(second, Ordering::SeqCst);
            }
        }
    }

    /// A reader: whatever was safe before it looked, it finds that or something newer.
    fn reader(&self, store: &Store, over: &AtomicBool) {
        while !over.load(Ordering::SeqCst) {
            let safe = self.safe.load(Ordering::SeqCst);
            let found = store.newest(&self.identity).unwrap();
            assert!(found.refused.is_empty(), "{:?}", found.refused);
            let best = found.best.map(|b| b.header.confirmed);
            assert!(safe == 0 || best >= Some(at(safe)), "{best:?} but {safe} was safe");
        }
    }
}

/// Lets them all loose on one place, two identities at once; returns these.
pub(super) fn run(open: impl Fn() -> Store + Sync) -> [Arc<Cluster>; 2] {
    let clusters = [Cluster::new(id()), Cluster::new(foreign())];
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (open, over) = (&open, &over);
        let writers: Vec<_> = (0..WRITERS)
            .map(|seed| {
                let cluster = clusters[seed as usize % 2].clone();
                scope.spawn(move || cluster.replica(open, seed))
            })
            .collect();
        for cluster in &clusters {
            scope.spawn(|| cluster.reader(&open(), over));
        }
        let ended: Vec<_> = writers.into_iter().map(|w| w.join()).collect();
        over.store(true, Ordering::SeqCst);
        ended.into_iter().for_each(|end| end.unwrap());
    });
    clusters
}

impl Cluster {
    /// One last write, `later` seconds after all others, by a replica that tidies up.
    pub(super) fn end(&self, store: &Store, later: i64) {
        let end = self.clock.load(Ordering::SeqCst) + later;
        let written = store.write(&self.identity, &content("end"), at(end), "");
        assert!(written.unwrap().untidy.is_none());
    }
}

#[test]
fn writers_that_die_anywhere_never_lose_the_newest_good_one() {
    let b = bench();
    let clusters = run(|| open(b.dir.path()));
    for name in b.names() {
        b.rest(&name);
    }
    clusters.iter().for_each(|cluster| cluster.end(&b.store, 1));
    let names = b.names();
    assert!(names.len() <= 2 * 8, "{names:#?}");
    assert!(names.iter().all(|n| name::class(n) == Some(Class::Backup)), "{names:#?}");
}
