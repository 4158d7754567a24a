//! What is asked before a generation is published, and how applications learn of it after.

mod examples;
pub mod exec;
mod frozen;
pub mod service;
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
        test: "hooks::frozen::a_repair_publishes_nothing_that_waits",
        shows: "a file is put right while a change waits for a freeze to end",
        mutants: &["repair-publishes-what-waits"],
    },
    Proof {
        promise: "P15",
        test: "hooks::frozen::a_token_that_may_not_read_the_key_any_more_ends_no_freeze",
        shows: "rights that are lost while the fleet is frozen",
        mutants: &["control-hidden-is-gone"],
    },
    Proof {
        promise: "P7",
        test: "hooks::validation::a_command_that_takes_its_time_is_asked_once",
        shows: "a validator that takes two seconds is heard",
        mutants: &["validation-busy-is-newer"],
    },
    Proof {
        promise: "P10",
        test: "model::validation::tests::a_few_lines_of_yaml_do_not_become_gigabytes",
        shows: "aliases of aliases in a value that has to be YAML",
        mutants: &["validation-yaml-unbounded"],
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
    Proof {
        promise: "P7",
        test: "hooks::exec::actions::a_change_in_consul_reaches_the_application_and_shows_in_status_and_metrics",
        shows: "a change in Consul is a signal at a real process, once, and the sidecar's metrics say so",
        mutants: &[],
    },
    Proof {
        promise: "P7",
        test: "hooks::exec::actions::changes_without_an_end_are_acted_on_all_the_same",
        shows: "a key that never rests does not keep an application from being told",
        mutants: &["exec-debounce-without-a-most"],
    },
    Proof {
        promise: "P7",
        test: "hooks::exec::actions::without_inotify_a_change_is_found_by_looking",
        shows: "where the kernel refuses inotify, as sandboxes do, the application is told all the same",
        mutants: &[],
    },
    Proof {
        promise: "P8",
        test: "hooks::exec::actions::an_application_that_hangs_holds_up_nothing_of_the_sidecar_and_shows",
        shows: "28 publishes beside an application that neither reads nor ends; a metric says it is behind",
        mutants: &["exec-seen-is-told"],
    },
    Proof {
        promise: "P9",
        test: "hooks::exec::hung::init_ends_and_says_so",
        shows: "the disk that the program for an application is put on hangs: exit 73 within the deadline",
        mutants: &["exec-init-waits-for-a-disk"],
    },
    Proof {
        promise: "P8",
        test: "hooks::exec::hung::the_sidecar_publishes_answers_and_stops",
        shows: "the disk on which applications say how they fare hangs, and nothing else",
        mutants: &[],
    },
    Proof {
        promise: "P10",
        test: "hooks::exec::actions::a_thousand_changes_are_a_few_actions_and_the_last_is_never_missed",
        shows: "1,000 changes in a row, and what they cost the application",
        mutants: &[],
    },
    Proof {
        promise: "P15",
        test: "hooks::exec::actions::changes_during_a_restart_are_in_what_is_started_and_cost_no_other",
        shows: "ten changes while the application ends: it starts with the tenth, once",
        mutants: &["exec-forgets-what-a-start-has-read"],
    },
    Proof {
        promise: "P15",
        test: "hooks::exec::actions::a_signal_that_would_end_the_application_waits_until_it_is_handled",
        shows: "an application that is still starting is not killed by the signal that is to help it",
        mutants: &["exec-signals-whoever-is-there"],
    },
    Proof {
        promise: "P15",
        test: "hooks::exec::lifecycle::the_kill_of_the_wrapper_ends_the_application_and_the_next_one_starts_with_the_newest",
        shows: "kill -9 of seedcar exec: no application stays behind, the next one has the newest",
        mutants: &["exec-leaves-the-application-behind"],
    },
];
