//! The story and conformance tests: the real binary, a real Consul and the embedded one; and the
//! promises, proved by breaking things.

mod access;
mod backup;
mod bounded;
mod chart;
mod conformance;
mod consul;
mod convert;
mod core;
mod demo;
mod discovery;
mod faults;
// What measures more than it is tested for.
#[allow(dead_code)]
mod fleet;
mod fuzz;
mod hooks;
mod incidents;
mod kill;
mod layers;
mod ledger;
mod manifest;
mod marked;
mod monitoring;
mod outputs;
mod pods;
mod quantile;
mod question;
mod quorum;
mod readers;
mod readme;
mod rig;
mod rules;
mod scratch;
mod security;
mod seeding;
mod simulate;
mod stories;
mod vm;
mod wait;
