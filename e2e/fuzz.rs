//! Hostile input to every parser.

mod oracles;
mod properties;

use crate::ledger::Proof;

/// What this part proves.
pub const PROOFS: &[Proof] = &[
    Proof {
        promise: "P2",
        test: "fuzz::properties::consuls_answer",
        shows: "any body in any chunks is what a JSON parser makes of the whole, or no answer",
        mutants: &["wire-commas-ignored"],
    },
    Proof {
        promise: "P12",
        test: "fuzz::properties::keys_and_files",
        shows: "any keys in two layers: no path leads out, no two keys one file, nothing lost unnamed",
        mutants: &["key-dot-segments-joined"],
    },
    Proof {
        promise: "P4",
        test: "fuzz::properties::backup_files",
        shows: "any bytes, also under a right checksum: read whole, or refused alike everywhere",
        mutants: &[],
    },
    Proof {
        promise: "P9",
        test: "fuzz::properties::configurations",
        shows: "any file and environment: a sound configuration, or problems of one line each",
        mutants: &["config-line-breaks-shown"],
    },
    Proof {
        promise: "P9",
        test: "fuzz::properties::moving_over",
        shows: "any configuration of consul-template: soon a sound one of ours, or a line that says where",
        mutants: &["convert-line-breaks-shown"],
    },
    Proof {
        promise: "P10",
        test: "fuzz::properties::requests",
        shows: "any bytes on the admin port: HTTP or the end, no secret, the next probe is answered",
        mutants: &[],
    },
    Proof {
        promise: "P0",
        test: "fuzz::properties::the_corpora",
        shows: "what the fuzz targets start from and once found",
        mutants: &[],
    },
];
