//! Memory, descriptors and disk stay bounded.

mod answers;
mod budget;
mod descriptors;
mod full;
mod growth;
pub mod memory;
pub mod publishing;
mod rest;

use crate::ledger::Proof;

/// What this part proves.
pub const PROOFS: &[Proof] = &[
    Proof {
        promise: "P10",
        test: "bounded::answers",
        shows: "endless bodies, a million keys, deep JSON, bombs: refused while they stream, in bounded memory; the files stay",
        mutants: &["body-without-a-cap", "keys-without-a-cap", "white-space-without-an-end"],
    },
    Proof {
        promise: "P10",
        test: "bounded::growth",
        shows: "descriptors and memory are the same after thousands of publishes and of reconnects",
        mutants: &["descriptor-leaked"],
    },
    Proof {
        promise: "P10",
        test: "bounded::rest",
        shows: "pages of the program that a question at rest had mapped are given back",
        mutants: &["question-leaves-its-pages"],
    },
    Proof {
        promise: "P10",
        test: "bounded::full",
        shows: "somebody else fills the volume in the middle of a write: the old files stay, and it heals",
        mutants: &["half-a-generation-stays"],
    },
    Proof {
        promise: "P10",
        test: "bounded::descriptors",
        shows: "no descriptor left, and forty questions that want one: probes are answered, the files stay, and it heals",
        mutants: &["no-spare-descriptor", "no-room-for-spare-descriptors"],
    },
    Proof {
        promise: "P10",
        test: "bounded::budget",
        shows: "anonymous memory keeps to the design's budget, and a container of the least size is not killed",
        mutants: &["values-leaked"],
    },
];
