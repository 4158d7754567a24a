//! The sticky directory: `fs.protected_symlinks` and other users.

use super::machine::{Machine, count_checks};
use crate::consul::{Consul, Kind};
use crate::ledger::Tally;

/// What the act looks at; so that one that ends early does not pass.
const CHECKS: usize = 35;

#[test]
fn readers_of_another_uid_follow_our_links() {
    let mut tally = Tally::of("vm::sticky::readers_of_another_uid_follow_our_links");
    let consul = Consul::start(Kind::Real);
    consul.put("app/db/host", "postgres");
    let port = consul.addr().port().to_string();
    let mut machine = Machine::boot("sticky", &[("consul", port)], None);
    machine.over();
    let checks = count_checks(&mut tally, &machine.cut());
    assert_eq!(checks, CHECKS, "the act has looked at something else");
    tally.finish();
}
