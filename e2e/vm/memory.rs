//! The limit of memory that the README gives, enforced by cgroup v2.

use super::machine::{Machine, count_checks};
use crate::consul::{Consul, Kind};
use crate::ledger::{Tally, share};
use crate::stories::measured;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
/// Keys of 1 KiB: each takes a page of 4 KiB.
const KEYS: u64 = 2_000;
/// A little more than two generations of different content.
const VOLUME: u64 = KEYS * 4 * KIB * 9 / 4;
/// Values and keys.
const PAYLOAD: u64 = KEYS * (KIB + 10);
/// The act's own checks.
const CHECKS: usize = 4;

/// The README's rule under "Limits".
fn limit() -> u64 {
    VOLUME + VOLUME / 4 + 8 * MIB + PAYLOAD * 22 / 10
}

#[test]
fn the_documented_limit_is_enough() {
    let mut tally = Tally::of("vm::memory::the_documented_limit_is_enough");
    let consul = Consul::start(Kind::Real);
    rewrite(&consul, 0);
    let rounds = share(12, 300);
    let settings = [
        ("consul", consul.addr().port().to_string()),
        ("size", VOLUME.to_string()),
        ("limit", limit().to_string()),
        ("rounds", rounds.to_string()),
    ];
    let mut machine = Machine::boot("cgroup", &settings, None);
    machine.wait("init has filled the volume", |line| (line == "filled").then_some(()));
    let mut published = 0;
    for round in 1..=rounds {
        rewrite(&consul, round);
        // Waited for, or all of them would be a handful of publishes.
        let word = round.to_string();
        let seen = machine.wait("the round is published", |line| {
            let seen = line.strip_prefix("round: ")?;
            (seen == word || seen == "killed").then(|| seen.to_owned())
        });
        if seen == "killed" {
            break;
        }
        published = round;
    }
    tally.check(published == rounds, || format!("killed after {published} of {rounds} rounds"));
    let mut figure = |name: &str| machine.field(name).parse::<u64>().expect("a figure");
    let (peak, fullest) = (figure("peak"), figure("fullest"));
    let events = machine.field("events");
    let stat = machine.field("stat");
    machine.over();
    let checks = count_checks(&mut tally, &machine.cut());
    assert_eq!(checks, CHECKS, "the act has looked at something else");
    tally.check(fullest > VOLUME * 3 / 4, || format!("only {fullest} of {VOLUME} bytes were used"));
    tally.cases(published);
    measured(&format!(
        "cgroup v2: peak {} KiB of the limit's {} KiB; volume {} KiB, at its fullest {} KiB; {rounds} times all of \
         {KEYS} keys of 1 KiB; at the end: {stat}; {events}",
        peak / KIB,
        limit() / KIB,
        VOLUME / KIB,
        fullest / KIB,
    ));
    tally.finish();
}

/// Gives every key a new value, 64 at a time, and says which round it was.
fn rewrite(consul: &Consul, round: u64) {
    let value = [round.to_string().as_bytes(), &[b'x'; 1024][..]].concat();
    let keys: Vec<String> = (0..KEYS).map(|n| format!("app/k{n}")).collect();
    let pairs: Vec<(&str, &[u8])> = keys.iter().map(|k| (k.as_str(), &value[..1024])).collect();
    consul.txn_set(&pairs);
    consul.put("app/round", round.to_string());
}
