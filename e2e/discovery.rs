//! Services as sources, on a real Consul: instances join, leave and fail, and what is held of keys is
//! held of them.

mod files;
mod guards;
mod hostile;
mod nginx;
mod outage;
mod scene;
mod tokens;

use crate::ledger::Proof;

/// What the promises rest on where a source is a service.
pub const PROOFS: &[Proof] = &[
    Proof {
        promise: "P2",
        test: "discovery::files::instances_that_join_leave_and_fail_show_at_once",
        shows: "each change of a service is in the files, as JSON and as lines, by the watch alone",
        mutants: &["discovery-any-tag", "discovery-critical-is-healthy"],
    },
    Proof {
        promise: "P1",
        test: "discovery::files::a_service_and_keys_are_one_generation",
        shows: "instances and keys change by one rename, and what did not change is the same file",
        mutants: &[],
    },
    Proof {
        promise: "P13",
        test: "discovery::files::what_means_nothing_to_an_application_publishes_nothing",
        shows: "notes of checks make no generation",
        mutants: &["discovery-notes-are-content"],
    },
    Proof {
        promise: "P3",
        test: "discovery::guards::a_service_without_a_healthy_instance_is_held",
        shows: "all checks fail: the file stays until somebody accepts it, or one passes",
        mutants: &["discovery-empty-is-published"],
    },
    Proof {
        promise: "P3",
        test: "discovery::guards::many_that_go_at_once_are_held",
        shows: "12 of 14 instances gone at once are held as shrunken",
        mutants: &[],
    },
    Proof {
        promise: "P9",
        test: "discovery::outage::consul_is_down_and_the_backup_serves",
        shows: "a new pod gets the instances of the backup while Consul is down, and the new ones after",
        mutants: &[],
    },
    Proof {
        promise: "P14",
        test: "discovery::outage::another_question_has_another_backup",
        shows: "another tag, no tag, and keys of a prefix that reads alike do not get this service's backup",
        mutants: &["discovery-tags-share-a-backup"],
    },
    Proof {
        promise: "P3",
        test: "discovery::tokens::a_token_that_is_narrowed_takes_nothing_away",
        shows: "a token that loses its right to nodes, or to some: filtered, and the file stays",
        mutants: &["discovery-hidden-nodes-are-gone"],
    },
    Proof {
        promise: "P3",
        test: "discovery::tokens::nor_where_a_sidecar_has_adopted_what_init_left",
        shows: "the instances that init has left are known by their file until they are read again",
        mutants: &["discovery-adopted-instances-unknown"],
    },
    Proof {
        promise: "P7",
        test: "discovery::nginx::an_upstream_follows_its_service",
        shows: "a real nginx that includes the lines, told by exec, answers from the instance that there is now",
        mutants: &[],
    },
    Proof {
        promise: "P9",
        test: "discovery::tokens::init_says_which_right_is_missing",
        shows: "77, with the policy that is needed, where Consul says 200 and nothing",
        mutants: &["discovery-denied-is-empty"],
    },
    Proof {
        promise: "P12",
        test: "discovery::hostile::no_instance_can_write_a_line_of_its_own",
        shows: "addresses, names, tags and meta that would be lines of configuration, or end a JSON text",
        mutants: &["discovery-lines-take-any-address"],
    },
];
