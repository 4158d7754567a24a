//! How an application learns of a change.

mod examples;
mod exec;

use crate::ledger::Proof;

/// What the promises rest on where they are about applications: none misses a change, and none can hold up
/// a sidecar.
pub const PROOFS: &[Proof] = &[
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
