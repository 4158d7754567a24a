//! Faults between seedcar and a real Consul: a proxy spoils what it answers, a firewall drops the
//! packets.

mod cases;
mod cuts;
mod endured;
mod half_open;
mod proxy;
mod seeding;
mod spoil;

use crate::ledger::Proof;

/// What this part proves.
pub const PROOFS: &[Proof] = &[
    Proof {
        promise: "P2",
        test: "faults::cuts::an_answer_cut_at_any_byte_is_no_answer",
        shows: "a body cut at each byte, with a length, in chunks, or called whole; a head as well",
        mutants: &["accept-short-json", "doorbell-body-unread", "index-taken-before-the-body"],
    },
    Proof {
        promise: "P7",
        test: "faults::cuts::an_address_whose_bodies_are_spoiled_is_left_for_the_next",
        shows: "of two addresses the one that works is found, whatever is wrong with the other",
        mutants: &["spoiled-address-kept"],
    },
    Proof {
        promise: "P3",
        test: "faults::endured::one_of_each_kind_is_endured",
        shows: "nine of the faults of the next row",
        mutants: &[
            "not-found-is-an-empty-set",
            "redirects-followed",
            "body-cap-dropped",
            "backoff-dropped",
            "error-body-repeated",
        ],
    },
    Proof {
        promise: "P3",
        test: "faults::endured::each_fault_is_endured",
        shows: "cuts, nonsense, redirects, refusals, errors, indexes, endless bodies: the files stay, status and metrics name it, few requests, healed",
        mutants: &[],
    },
    Proof {
        promise: "P3",
        test: "faults::endured::each_fault_is_endured_by_the_doorbell",
        shows: "the same for a prefix above 64 KiB, which is watched by its names",
        mutants: &[],
    },
    Proof {
        promise: "P7",
        test: "faults::endured::patience_has_an_end",
        shows: "silence, a byte a second: given up, named, and healed on another connection",
        mutants: &["blocking-call-without-deadline", "body-progress-dropped"],
    },
    Proof {
        promise: "P7",
        test: "faults::half_open::dropped_packets_are_noticed_and_healed",
        shows: "packets dropped by a firewall in a namespace: of one connection, and all",
        mutants: &[],
    },
    Proof {
        promise: "P9",
        test: "faults::seeding::init_says_why_or_takes_the_backup",
        shows: "init under each fault: the exit code and one line, or the backup, within its deadline",
        mutants: &["denied-is-unreachable"],
    },
];
