//! What is asked before a generation is published, and who is told after.

mod frozen;
mod service;
mod told;
mod validation;

use crate::ledger::Proof;

/// What the promises rest on where others have a say.
pub const PROOFS: &[Proof] = &[
    Proof {
        promise: "P3",
        test: "hooks::validation::what_does_not_pass_is_never_seen_and_shown_and_let_through_by_a_person",
        shows: "a value that is no JSON, a schema that is broken, a required key that is gone",
        mutants: &["validation-is-advice"],
    },
    Proof {
        promise: "P9",
        test: "hooks::validation::init_starts_from_the_backup_where_consul_has_what_does_not_pass",
        shows: "a pod starts with the last good configuration while Consul has a bad one",
        mutants: &[],
    },
    Proof {
        promise: "P9",
        test: "hooks::validation::what_comes_from_a_backup_is_not_asked_about",
        shows: "a pod starts while Consul and whoever validates are gone",
        mutants: &["validation-of-backups"],
    },
    Proof {
        promise: "P7",
        test: "hooks::told::a_hook_that_fails_or_hangs_delays_nothing_and_hears_of_all_in_the_end",
        shows: "a hook that hangs holds up nothing, and is told at last of all that changed meanwhile",
        mutants: &["hook-forgets-what-failed"],
    },
    Proof {
        promise: "P15",
        test: "hooks::frozen::a_freeze_outlives_consul",
        shows: "an operator's stop, through a kill while Consul is gone",
        mutants: &["freeze-forgotten"],
    },
    Proof {
        promise: "P15",
        test: "hooks::told::what_a_killed_sidecar_did_not_tell_the_next_one_does",
        shows: "a change whose telling a kill cut off",
        mutants: &["hook-silent-about-adopted"],
    },
    Proof {
        promise: "P7",
        test: "hooks::validation::a_command_that_hangs_delays_nothing_that_comes_after_it",
        shows: "a validator that hangs gives way to the next change, and is killed",
        mutants: &["validation-never-gives-way"],
    },
];
