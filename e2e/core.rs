//! Proofs that were there before: stories and unit tests of the core, each by the promise it holds.

use crate::ledger::Proof;

/// What this part proves.
pub const PROOFS: &[Proof] = &[
    Proof {
        promise: "P3",
        test: "model::guard::tests::each_objection",
        shows: "each answer with fewer keys that may not be believed",
        mutants: &["guard-believes-empty", "guard-takes-stale-deletes"],
    },
    Proof {
        promise: "P3",
        test: "model::guard::tests::a_shrunken_answer_is_confirmed_after_its_probation_only",
        shows: "a shrinkage is confirmed by a consistent read at no lower index, five minutes later",
        mutants: &["guard-no-probation", "guard-confirms-lower-index"],
    },
];
