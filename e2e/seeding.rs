//! `init` meets every state of Consul with every state of the backups on every state of the volume:
//! how it ends, what the files then are, where they say they are from, and that it ends in time.

mod backups;
mod oracle;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::ledger::{Proof, Tally};
use oracle::{Backups, Case, Consul, Ends, Volume};
use world::{Found, World};

/// What this part proves.
pub const PROOFS: &[Proof] = &[Proof {
    promise: "P9",
    test: "seeding::every_state_of_consul_backups_and_volume",
    shows: "init's exit, files, origin and time for every state of Consul, backups and volume",
    mutants: &["init-empty-is-filled", "seed-gives-consul-no-time", "seed-hides-denial"],
}];

/// Runs at one time: they wait more than they work.
const AT_ONCE: usize = 16;

/// What a busy machine may add to the deadline. Init itself adds nothing.
const SLACK: Duration = Duration::from_secs(10);

#[test]
fn every_state_of_consul_backups_and_volume() {
    let cases: Vec<Case> = Case::all().collect();
    let world = World::new();
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(Tally::of(PROOFS[0].test)));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let wrong = differences(&world, case);
                    let mut tally = tally.lock().expect("no thread has panicked");
                    tally.check(wrong.is_empty(), || format!("{case:?}: {}", wrong.join("; ")));
                }
            });
        }
    });
    tally.into_inner().expect("no thread has panicked").finish();
}

/// Runs the case and says in what it is not as it should be.
fn differences(world: &World, case: &Case) -> Vec<String> {
    let pod = world.pod(case);
    let begun = Instant::now();
    let ended = pod.seedcar(&["init", "--seed-timeout", &format!("{}s", case.timeout().as_secs())]);
    let took = begun.elapsed();
    let found = Found::in_volume(&pod);
    let mut wrong = Vec::new();
    let mut check = |is: bool, what: String| {
        if !is {
            wrong.push(what);
        }
    };
    let expected = case.ends();
    check(ended.code() == expected.code(), format!("ended {}: {}", ended.code(), ended.err));
    check(took < case.timeout() + SLACK, format!("took {took:?}"));
    match expected {
        Ends::Filled(by, origin) => {
            check(found.by.as_deref() == Some(by), format!("{found:?}"));
            check(found.origin == Some(origin), format!("says {:?}", found.origin));
            check(found.keys == case.keys(), format!("{} keys", found.keys));
        }
        Ends::Fails(_) => {
            check(found == Found::before(case), format!("{found:?}"));
            let lines = ended.err.lines().count();
            check(lines == 1, format!("{lines} lines: {}", ended.err));
        }
    }
    wrong
}
