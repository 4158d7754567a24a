//! Killed or failed at every system call.
//!
//! The real program runs under `strace`, which ends it before the n-th call of a name, or has that
//! call fail. Then readers must find the old content or the new one, whole, and a normal run must go
//! on as if nothing had been.

mod adopt;
mod after;
mod atomic;
mod backup;
mod fail;
mod freeze;
mod gate;
mod hook;
mod layouts;
pub mod points;
mod publish;
mod question;
mod restore;
mod scene;
mod seed;
pub mod strace;

use crate::ledger::Proof;

/// What this part proves.
pub const PROOFS: &[Proof] = &[
    Proof {
        promise: "P5",
        test: "kill::publish::killed_at_every_call",
        shows: "a publish killed at each call: the old or the new generation, and the next run leaves nothing over, also without Consul",
        mutants: &["kill-swap-without-rename", "kill-names-not-made-at-adoption"],
    },
    Proof {
        promise: "P5",
        test: "kill::atomic::both_parts_or_neither",
        shows: "a publish of two sources that are read together, killed at each call: both old or both new, and both new after the next run",
        mutants: &["atomic-each-by-itself"],
    },
    Proof {
        promise: "P5",
        test: "kill::adopt::killed_at_every_call",
        shows: "a restart on a littered volume, killed at each call: the content stays, the next run sweeps and makes the names, also without Consul",
        mutants: &["kill-left-over-link-stays", "kill-names-not-made-at-adoption"],
    },
    Proof {
        promise: "P5",
        test: "kill::publish::killed_at_every_call_in_the_plain_layout",
        shows: "a plain tree while it is brought: no file torn or missing that both contents have; the next run has exactly one of them there",
        mutants: &[
            "plain-removes-first",
            "plain-written-in-place",
            "plain-not-set-right-at-a-start",
        ],
    },
    Proof {
        promise: "P5",
        test: "kill::adopt::killed_at_every_call_in_the_plain_layout",
        shows: "a restart on a littered volume with a plain tree, killed at each call",
        mutants: &[],
    },
    Proof {
        promise: "P5",
        test: "kill::layouts::killed_at_every_call_on_the_way_to_plain",
        shows: "a start with another layout, killed at each call: no file is missing for a moment, and the next run is done with it",
        mutants: &["plain-directory-before-its-files"],
    },
    Proof {
        promise: "P5",
        test: "kill::layouts::killed_at_every_call_on_the_way_to_links",
        shows: "the same the other way round",
        mutants: &["plain-left-before-all-links"],
    },
    Proof {
        promise: "P5",
        test: "kill::seed::killed_at_every_call_from_consul",
        shows: "the first fill killed at each call: nothing or all of it, and the next `init` works",
        mutants: &[],
    },
    Proof {
        promise: "P5",
        test: "kill::seed::killed_at_every_call_from_a_backup",
        shows: "the same from a backup, with Consul down",
        mutants: &[],
    },
    Proof {
        promise: "P5",
        test: "kill::restore::killed_at_every_call",
        shows: "`seedcar backup restore` killed at each call: the old or the restored content",
        mutants: &[],
    },
    Proof {
        promise: "P6",
        test: "kill::backup::killed_at_every_call",
        shows: "writing and pruning killed at each call: a valid backup, the older or the new one, always",
        mutants: &["kill-backup-in-place"],
    },
    Proof {
        promise: "P6",
        test: "kill::backup::the_calls_come_in_the_order_that_survives_a_power_cut",
        shows: "write, fsync, rename, fsync of the directory, read back, and only then pruning",
        mutants: &["kill-directory-not-synced", "kill-pruned-before-verified"],
    },
    Proof {
        promise: "P15",
        test: "kill::hook::the_publisher_killed_at_every_call",
        shows: "a publish that a service is told of, killed at each call: the next run tells of what is there, also without Consul",
        mutants: &["hook-silent-about-adopted"],
    },
    Proof {
        promise: "P15",
        test: "kill::hook::whoever_tells_killed_at_every_call",
        shows: "the telling killed at each call that talks: the next run tells of what is there",
        mutants: &["hook-silent-about-adopted"],
    },
    Proof {
        promise: "P8",
        test: "kill::hook::nobody_is_told_of_what_is_not_visible",
        shows: "a publish held up at its calls: nobody is told of a generation before readers see it",
        mutants: &["hook-told-before-the-swap"],
    },
    Proof {
        promise: "P8",
        test: "kill::hook::plain::nobody_is_told_of_what_is_not_all_there",
        shows: "the same of a plain tree: neither the hook nor `status.json` nor `..data`, by which exec tells, is ahead of a file",
        mutants: &["plain-told-before-it-is-there"],
    },
    Proof {
        promise: "P15",
        test: "kill::freeze::the_command_killed_at_every_call",
        shows: "`seedcar freeze` killed at each call: frozen or not, and frozen still where it was; changes go by that",
        mutants: &["freeze-made-anew"],
    },
    Proof {
        promise: "P15",
        test: "kill::freeze::a_fleet_killed_at_every_call",
        shows: "a sidecar killed at each call as the fleet freezes and thaws: no change while it is frozen, all of them after",
        mutants: &["freeze-not-kept"],
    },
    Proof {
        promise: "P5",
        test: "kill::question::a_publish_that_is_asked_about_killed_at_every_call",
        shows: "a publish with a service that validates, killed at each call: nothing is seen unasked, and the next run leaves nothing over",
        mutants: &["validation-asked-too-late"],
    },
    Proof {
        promise: "P5",
        test: "kill::question::a_refused_publish_killed_at_every_call",
        shows: "a publish that is refused, killed at each call: the old content stays, also through the next run",
        mutants: &["validation-is-advice-outside"],
    },
    Proof {
        promise: "P15",
        test: "kill::question::killed_while_it_is_out",
        shows: "a kill while a command or a service has the question: the old content, the command ends too, the next run asks again",
        mutants: &["validation-leaves-its-command"],
    },
    Proof {
        promise: "P5",
        test: "kill::fail::publish::each_call_fails_once",
        shows: "a call of a publish fails: the old files until the new ones, counted by kind, nothing left over",
        mutants: &["kill-litter-stays", "kill-failed-name-waits"],
    },
    Proof {
        promise: "P5",
        test: "kill::fail::publish::each_call_fails_until_the_fault_is_gone",
        shows: "the same while it lasts: alive, told and counted, and healed afterwards",
        mutants: &[],
    },
    Proof {
        promise: "P5",
        test: "kill::fail::publish::each_call_fails_once_in_the_plain_layout",
        shows: "the same of a plain tree",
        mutants: &[],
    },
    Proof {
        promise: "P5",
        test: "kill::fail::publish::each_call_fails_until_the_fault_is_gone_in_the_plain_layout",
        shows: "the same while it lasts: what a publish has brought that is not to be is taken back",
        mutants: &["plain-half-a-publish-stays"],
    },
    Proof {
        promise: "P5",
        test: "kill::fail::start::each_call_fails_once",
        shows: "a call of a restart fails: the content stays and is followed again",
        mutants: &["kill-unreadable-link-is-none"],
    },
    Proof {
        promise: "P5",
        test: "kill::fail::init::each_call_fails_once",
        shows: "a call of the first fill fails: done, or exit 73 with its reason, and the next `init` works",
        mutants: &[],
    },
    Proof {
        promise: "P5",
        test: "kill::fail::init::each_call_of_a_restore_fails_once",
        shows: "a call of a restore fails: the old or the restored content",
        mutants: &[],
    },
    Proof {
        promise: "P5",
        test: "kill::fail::log::a_full_log_stops_nothing",
        shows: "a log that cannot be written ends no process and changes no exit code",
        mutants: &["kill-log-complains"],
    },
    Proof {
        promise: "P6",
        test: "kill::fail::backup::each_call_fails_once",
        shows: "a call of a backup's writing fails: counted, the older backup stays, the next try writes",
        mutants: &["kill-failed-sync-forgiven"],
    },
];
