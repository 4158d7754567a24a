//! Pods of a real Kubernetes: the image, the chart and a real Consul. Run by `e2e/run cluster` in what
//! `e2e/cluster/with` starts, or on a cluster of yours by `e2e/cluster/with --kubeconfig`.

mod alerted;
mod cluster;
mod compose;
mod ends;
mod events;
mod identity;
mod image;
mod limits;
mod login;
mod names;
mod outage;
mod plain;
mod prometheus;
mod release;
mod secrets;
mod seeded;
mod tenants;
mod told;
mod traps;
mod upgraded;
mod watcher;

use crate::ledger::Proof;

/// What the page of promises has of pods: on a real Kubernetes, with a real Consul.
pub const PROOFS: &[Proof] = &[
    Proof {
        promise: "P9",
        test: "pods::seeded::an_application_reads_its_first_value_at_its_first_instruction_and_then_each_change",
        shows: "an application's first instruction reads a value: init has let it wait",
        mutants: &[],
    },
    Proof {
        promise: "P3",
        test: "pods::outage::a_rollout_while_consul_is_dead_replaces_all_pods_from_a_shared_claim",
        shows: "three pods are replaced while Consul is dead, from a claim they share",
        mutants: &[],
    },
    Proof {
        promise: "P3",
        test: "pods::secrets::a_rollout_while_consul_is_dead_replaces_all_pods_from_secrets",
        shows: "the same without shared storage, from Secrets",
        mutants: &[],
    },
    Proof {
        promise: "P3",
        test: "pods::secrets::a_dead_api_server_is_just_another_failing_store",
        shows: "an API server that stands still delays the backup and nothing else",
        mutants: &[],
    },
    Proof {
        promise: "P8",
        test: "pods::events::a_person_sees_a_backup_used_an_answer_held_and_recovery_in_the_description_of_the_pod",
        shows: "what `kubectl describe pod` says of a backup used, an answer held, and recovery",
        mutants: &[],
    },
    Proof {
        promise: "P8",
        test: "events::tests::what_was_adopted_has_been_told_and_its_end_has_not",
        shows: "a restart tells of nothing again, and of the end of what an earlier process told",
        mutants: &["events-of-the-adopted"],
    },
    Proof {
        promise: "P7",
        test: "pods::told::an_application_of_another_user_is_told_by_the_program_that_init_has_left_it",
        shows: "a change is a signal in another container, by the program that init has put there",
        mutants: &[],
    },
    Proof {
        promise: "P7",
        test: "pods::plain::an_application_of_a_printed_pod_is_told_by_the_program_that_is_put_there",
        shows: "the same in a pod that `seedcar manifest --exec` prints",
        mutants: &[],
    },
    Proof {
        promise: "P7",
        test: "manifest::with_exec_every_form_has_the_program_where_the_application_can_start_it",
        shows: "every form of a manifest with `--exec`: the volume, who writes there and who starts from there",
        mutants: &["manifest-forgets-exec"],
    },
    Proof {
        promise: "P9",
        test: "pods::login::a_service_account_of_the_pod_is_enough_from_the_first_read_to_the_logout",
        shows: "an auth method of type kubernetes that asks the real API server: login, renewal, logout; and who is told no",
        mutants: &[],
    },
    Proof {
        promise: "P10",
        test: "pods::limits::a_full_volume_keeps_the_old_files_and_the_least_memory_is_enough",
        shows: "a full tmpfs, and the memory limit that the chart computes",
        mutants: &[],
    },
];
