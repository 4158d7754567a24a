//! The whole of seedcar on a virtual clock, with seeded faults.
//!
//! A seed draws how Consul is written to and what goes wrong with it, with the network, the disks and
//! the process, for an hour or so. Then all is well, and the files must be Consul's content within
//! 45 s, or a refused answer must be shown that the guard is right to refuse. `SEED=n` runs one seed
//! and `SEEDS=n` so many.

mod chart;
mod consul;
mod fleet;
mod oracle;
mod parts;
mod pod;
mod servers;
mod stampede;
mod trouble;
mod world;

use std::hash::Hasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use seedcar::model::guard::Reason;

use crate::ledger::{Proof, Tally, share};
use consul::Rights;
use world::{Event, World};

/// What this part proves.
pub const PROOFS: &[Proof] = &[
    Proof {
        promise: "P2",
        test: "simulate::parts::parts_come_to_what_the_whole_was",
        shows: "reading only what has changed of a large prefix comes to what the whole was at that index, whatever is written, deleted or restored meanwhile",
        mutants: &["parts-of-later-indexes", "parts-blind-to-a-restore", "narrow-with-other-names"],
    },
    Proof {
        promise: "P3",
        test: "simulate::seeds",
        shows: "in any hour of faults the files are never emptied, shrunk without proof, or set back",
        mutants: &["probation-of-a-second", "judgement-never-outgrown"],
    },
    Proof {
        promise: "P7",
        test: "simulate::seeds",
        shows: "after any hour of faults 45 quiet seconds end in Consul's content, or in a hold that is right",
        mutants: &[
            "gap-without-end",
            "early-answer-believed",
            "owed-read-forgotten",
            "recheck-lost-in-an-outage",
            "disputed-hold-stays",
        ],
    },
    Proof {
        promise: "P8",
        test: "simulate::seeds",
        shows: "no confirmation speaks of content that was not Consul's since it was asked; a wrong index and changed rights deceive the doorbell until the heartbeat",
        mutants: &["adopted-although-held"],
    },
    Proof {
        promise: "P8",
        test: "simulate::what_a_lagging_server_brings_is_not_current",
        shows: "the same in a storm of changes, where any server may carry the body",
        mutants: &["fetched-is-current"],
    },
    Proof {
        promise: "P13",
        test: "simulate::seeds",
        shows: "no lie makes a pod ask more than its rhythm allows",
        mutants: &["doorbell-spins"],
    },
    Proof {
        promise: "P14",
        test: "simulate::seeds",
        shows: "no backup is dated later than Consul's word for its content",
        mutants: &["backup-dated-when-published"],
    },
    Proof {
        promise: "P15",
        test: "simulate::seeds",
        shows: "a frozen pod publishes no change, through restarts and outages, and catches up once it is thawed",
        mutants: &["freeze-of-before-forgotten", "freeze-looked-at-once-an-hour"],
    },
    Proof {
        promise: "P15",
        test: "simulate::seeds",
        shows: "a service is told of nothing that nobody saw, and at last of what readers see, whatever crashes and fails",
        mutants: &["told-is-told-of-all"],
    },
    Proof {
        promise: "P13",
        test: "simulate::stampede",
        shows: "1,000 pods on one Consul that comes back: retries and full reads are spread",
        mutants: &["retries-in-step"],
    },
    Proof {
        promise: "P13",
        test: "simulate::fleet",
        shows: "1,000 and 10,000 pods on three servers: at rest, after a change, an outage and in a rollout no second has more requests or bytes than its share, and a change's bytes are mostly the followers'",
        mutants: &["a-fleet-reads-from-the-leader-after-an-outage"],
    },
];

/// How long the files may take after the last fault.
const CONVERGED: Duration = Duration::from_secs(45);
/// How long a backup of them may take: the delay, and the longest pause after a failure.
const BACKED_UP: Duration = Duration::from_secs(65);

/// What one seed came to.
struct Ended {
    simulated: Duration,
    events: u64,
    checks: u64,
    busiest: usize,
    trace: u64,
    violations: Vec<String>,
}

fn play(seed: u64) -> Ended {
    let mut dice = fastrand::Rng::with_seed(seed);
    let ballast = if dice.bool() { 70_000 } else { 0 };
    let mut world = World::new(seed, 1, dice.u64(0..35), ballast);
    (world.pods[0].follows, world.pods[0].tells) = (dice.bool(), true);
    let begun = world.env.now;
    let span = Duration::from_secs(dice.u64(300..2_700));
    let quiet = begun + span;
    let mean = [0.03, 1.0, 10.0, 60.0][dice.usize(0..4)];
    // Storms are short: an hour of one would be all that there is time for.
    let until = begun + span.min(Duration::from_secs_f64(mean * 500.0));
    world.env.at(begun, Event::Write(Duration::from_secs_f64(mean), until));
    world.plan_trouble(dice.u32(0..30), span);
    trouble::Trouble::Start.strike(&mut world);
    world.run_until(quiet);
    world.heal();
    world.env.change();
    settle(&mut world, dice.bool());
    let oracle = &mut world.env.oracle;
    Ended {
        simulated: world.env.now.since(begun),
        events: world.env.events,
        checks: oracle.checks,
        busiest: oracle.busiest,
        trace: world.env.trace.finish(),
        violations: std::mem::take(&mut oracle.violations),
    }
}

/// The quiet phase.
fn settle(world: &mut World, patient: bool) {
    world.run_until(world.env.now + CONVERGED);
    if holds_what_other_rights_showed(world) {
        world.run_until(world.env.now + pod::INTERVAL * 11 / 10 + CONVERGED);
    }
    let mut free = is_current(world, "45 s after the last fault");
    if !free && patient && world.pods[0].hold().is_some_and(|h| h.reason == Reason::Shrunken) {
        free = wait_for_probation(world);
    }
    if !free {
        world.accept();
        world.run_until(world.env.now + CONVERGED);
        let still = !is_current(world, "45 s after a person accepted");
        let hold = world.pods[0].hold();
        world.env.oracle.check(!still, || format!("accepted and still held: {hold:?}"));
    }
    world.run_until(world.env.now + BACKED_UP);
    let pod = &world.pods[0];
    let shown = pod.shows().map(|(digest, _)| digest);
    let newest = pod.newest_backup().map(|b| b.snapshot.digest());
    let oracle = &mut world.env.oracle;
    oracle.check(shown == newest, || format!("shown {shown:?}, backed up {newest:?}"));
    oracle.all_is_told(0, pod.generation());
}

/// What is held is what the token saw before its rights changed. No index moves for that, and nothing
/// tells the doorbell: the heartbeat brings what is to be judged.
fn holds_what_other_rights_showed(world: &mut World) -> bool {
    let consul = world.env.consul.view(Rights::All).digest();
    let held = world.pods[0].hold().and_then(|hold| hold.digest);
    held.is_some_and(|held| held != consul && world.env.oracle.is_shown(&held))
}

/// The files are Consul's content: true. A hold is shown, and rightly: false.
fn is_current(world: &mut World, when: &str) -> bool {
    let consul = world.env.consul.view(Rights::All);
    let pod = &world.pods[0];
    let (shown, hold, confirmed) = (pod.shows(), pod.hold(), pod.confirmed());
    let current = shown.is_some_and(|(digest, _)| digest == consul.digest());
    let had = shown.map(|(_, keys)| keys).or(pod.newest_backup().map(|b| b.snapshot.keys()));
    let lost = had.unwrap_or(0).saturating_sub(consul.keys());
    let objection = consul.keys() == 0 || lost >= 10 && lost * 2 > had.unwrap_or(0);
    let held = hold.is_some_and(|hold| hold.digest == Some(consul.digest()));
    let now = world.env.now;
    let oracle = &mut world.env.oracle;
    oracle.check(current || held && objection, || {
        format!("{when}: Consul has {consul:?}, the files are {shown:?}, held is {hold:?}")
    });
    oracle.check(!current || hold.is_none(), || format!("{when}: current, and yet held: {hold:?}"));
    let fresh =
        confirmed.is_some_and(|c| c.digest == consul.digest() && now.since(c.when) < CONVERGED * 2);
    oracle.check(!current || fresh, || format!("{when}: current, and yet not confirmed"));
    current
}

/// A shrunken answer that stands is let through by Consul's own word, unless its index went back.
fn wait_for_probation(world: &mut World) -> bool {
    world.run_until(world.env.now + Duration::from_secs(345));
    let consul = world.env.consul.view(Rights::All);
    let back = world.pods[0].index().is_some_and(|published| consul.index() < published);
    let current = is_current(world, "after its probation");
    let hold = world.pods[0].hold();
    world.env.oracle.check(current || back, || format!("held after its probation: {hold:?}"));
    current
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn seeds() {
    let mut tally = Tally::of("simulate::seeds");
    let first = number("SEED").unwrap_or(0);
    let count =
        number("SEEDS").unwrap_or(if number("SEED").is_some() { 1 } else { share(1_000, 50_000) });
    let begun = Instant::now();
    let next = AtomicU64::new(first);
    let work = || {
        let mut ended = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                return ended;
            }
            let Ok(end) = std::panic::catch_unwind(|| play(seed)) else {
                panic!("SEED={seed} panics");
            };
            ended.push((seed, end));
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let all: Vec<(u64, Ended)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    let took = begun.elapsed().as_secs_f64();
    let sum = |of: fn(&Ended) -> f64| all.iter().map(|(_, e)| of(e)).sum::<f64>();
    crate::stories::measured(&format!(
        "{count} seeds, {:.0} h simulated in {took:.1} s, {:.0} seeds/s; {:.0} events, {:.0} checks; at most {} requests in {:?}",
        sum(|e| e.simulated.as_secs_f64()) / 3600.0,
        count as f64 / took,
        sum(|e| e.events as f64),
        sum(|e| e.checks as f64),
        all.iter().map(|(_, e)| e.busiest).max().unwrap_or(0),
        oracle::WINDOW,
    ));
    for (seed, ended) in all {
        tally.check(ended.violations.is_empty(), || format!("SEED={seed}: {:?}", ended.violations));
    }
    tally.finish();
}

/// A storm of changes under the doorbell, with servers that lag behind the leader.
#[test]
fn what_a_lagging_server_brings_is_not_current() {
    let mut tally = Tally::of("simulate::what_a_lagging_server_brings_is_not_current");
    for seed in 0..20 {
        let mut world = World::new(seed, 1, 20, 70_000);
        let until = world.env.now + Duration::from_secs(20);
        world.env.consul.lie = consul::Lie::Lagging;
        world.env.at(world.env.now, Event::Write(Duration::from_millis(30), until));
        trouble::Trouble::Start.strike(&mut world);
        world.run_until(until);
        let violations = std::mem::take(&mut world.env.oracle.violations);
        tally.check(violations.is_empty(), || format!("SEED={seed}: {violations:?}"));
    }
    tally.finish();
}

#[test]
fn one_seed_is_one_run() {
    for seed in 0..20 {
        let (one, other) = (play(seed), play(seed));
        assert_eq!((one.trace, one.events), (other.trace, other.events), "SEED={seed}");
    }
}
