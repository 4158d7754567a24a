//! A fleet with one configuration, so with one list of servers, of which the leader is the first.

use std::time::Duration;

use crate::consul::http::request;
use crate::consul::{Consul, Kind};
use crate::fleet::gate::{Asked, Gate};
use crate::fleet::play::{Plan, What, play};
use crate::fleet::report::bodies;
use crate::fleet::sidecars::Tool;
use crate::ledger::Tally;

/// Many enough for what they draw to be even; the prefix is one that is watched by the doorbell.
const PLAN: Plan = Plan {
    sidecars: 60,
    keys: 240,
    wait: Duration::from_secs(5),
    rest: Duration::ZERO,
    changes: 2,
    outage: Duration::from_secs(2),
    recovery: Duration::ZERO,
    rollout: Duration::from_secs(10),
};

#[test]
fn the_followers_carry_the_bytes() {
    let mut tally = Tally::of("quorum::fleet::the_followers_carry_the_bytes");
    let story = play(Tool::Seedcar, PLAN, &[What::Change, What::OutageAndChange]);
    for phase in &story.phases {
        let (leader, followers) = phase.sides();
        let what = phase.what.title();
        let changes = if phase.what == What::Change { u64::from(PLAN.changes) } else { 1 };
        let wanted = PLAN.sidecars as u64 * changes;
        let all = leader + followers;
        crate::stories::measured(&format!(
            "{what}: the leader sent {} of {} bytes, and {} of {} bodies",
            leader.used.sent,
            all.used.sent,
            bodies(&leader).0,
            bodies(&all).0,
        ));
        // A third each, as they are drawn; all of it without that.
        let most = all.used.sent * 6 / 10;
        tally.check(leader.used.sent < most, || format!("{what}: {leader:?} of {all:?}"));
        // Asked for by the leader's word, a body passes through it, wherever it is asked for.
        let plain = all.of(Asked::Plain).requests;
        tally.check(plain <= wanted / 10, || format!("{what}: {plain} plain reads"));
        let count = bodies(&all).0;
        tally.check(count <= wanted * 6 / 5, || format!("{what}: {count} bodies, not {wanted}"));
    }
    tally.finish();
}

/// What `e2e/bench` compares with, so that both tools get the same answers.
#[test]
fn behind_a_gate_without_compression_no_answer_is_compressed() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/large", vec![b'v'; 100_000]);
    let encoding = |addr| {
        let headers = [("Accept-Encoding", "gzip")];
        let answer = request(addr, "GET", "/v1/kv/app/?recurse", &headers, b"").unwrap();
        answer.header("content-encoding").map(str::to_owned)
    };
    assert_eq!(encoding(Gate::before(consul.addr()).addr()).as_deref(), Some("gzip"));
    assert_eq!(encoding(Gate::without_compression(consul.addr()).addr()), None);
}
