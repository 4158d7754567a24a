//! Readers of every kind beside a writer that is killed.

mod fast;
mod file;
mod kinds;
mod paced;
mod plain;
mod writer;

use crate::ledger::Proof;

/// What this part proves.
pub const PROOFS: &[Proof] = &[
    Proof {
        promise: "P1",
        test: "readers::fast::no_reader_sees_a_torn_file_nor_through_a_handle_a_mix",
        shows: "four kinds of readers at hundreds of publishes a second with random kills",
        mutants: &["readers-written-in-place"],
    },
    Proof {
        promise: "P1",
        test: "readers::plain::no_file_is_ever_torn_or_missing",
        shows: "the plain layout, published as fast as it goes with random kills: a mix perhaps, a hole never",
        mutants: &["plain-written-in-place"],
    },
    Proof {
        promise: "P1",
        test: "readers::paced::no_young_generation_goes",
        shows: "the real sidecar with random kills: no generation goes before 5 s or three newer ones",
        mutants: &["readers-generation-goes-at-once", "readers-restart-sweeps-all"],
    },
];
