//! A real cluster of three Consul servers with ACLs, under a writer: servers die, stand still, lose
//! their data or their memory, and tokens go.

mod fleet;
mod history;
mod leader;
mod majority;
mod observer;
mod restored;
mod scene;
mod token;
mod writer;

use crate::ledger::Proof;

/// What this part proves. Cases are the faults, and each generation that a pod showed.
pub const PROOFS: &[Proof] = &[
    Proof {
        promise: "P2",
        test: "quorum::leader::killed_and_frozen_servers",
        shows: "each tree is one state at its index and never an older one, whichever server dies or stands still",
        mutants: &[],
    },
    Proof {
        promise: "P2",
        test: "quorum::restored::the_heartbeat_repairs_and_an_old_answer_spoils_nothing",
        shows: "a watch fooled by a frozen server is repaired by the heartbeat, and its late answer is not believed",
        mutants: &["an-answer-from-before-a-restore-is-believed"],
    },
    Proof {
        promise: "P3",
        test: "quorum::leader::a_thawed_leader_turns_nothing_back",
        shows: "a leader that was frozen answers from its past, and is not believed",
        mutants: &["an-older-answer-is-believed"],
    },
    Proof {
        promise: "P3",
        test: "quorum::majority::without_a_quorum",
        shows: "without a quorum the files stay, age, and say so; a server that lags seeds nobody who has a newer backup",
        mutants: &["a-stale-answer-seeds-always", "an-older-answer-is-believed"],
    },
    Proof {
        promise: "P3",
        test: "quorum::restored::wiped_servers",
        shows: "wiped servers, one and all: a new cluster is held while it is empty and followed once it is not",
        mutants: &[],
    },
    Proof {
        promise: "P3",
        test: "quorum::token::revoked_narrowed_and_rotated",
        shows: "a token revoked, narrowed to nothing or to little, or rotated during a block takes no file away",
        mutants: &["no-keys-is-believed", "the-token-is-read-once"],
    },
    Proof {
        promise: "P7",
        test: "quorum::majority::a_rolling_restart",
        shows: "servers restarted in turn under a writer: every change arrives, no tree is wrong",
        mutants: &[],
    },
    Proof {
        promise: "P7",
        test: "quorum::restored::a_restored_snapshot_is_seen_at_once",
        shows: "a restored snapshot is seen in seconds with a wait of a minute; one with little in it is held",
        mutants: &["early-and-equal-is-quiet", "shrunken-needs-no-time"],
    },
    Proof {
        promise: "P8",
        test: "quorum::majority::without_a_quorum",
        shows: "an answer that was blocked while the quorum went confirms nothing after that",
        mutants: &["a-blocked-answer-confirms-its-end"],
    },
    Proof {
        promise: "P8",
        test: "quorum::token::revoked_narrowed_and_rotated",
        shows: "a large prefix whose names went is read again before it is confirmed",
        mutants: &["names-that-went-are-learned"],
    },
    Proof {
        promise: "P13",
        test: "quorum::fleet::the_followers_carry_the_bytes",
        shows: "60 sidecars with one list, the leader first, after changes and after an outage: a body each, and most of the bytes from the followers",
        mutants: &[
            "bodies-from-the-first-address",
            "a-fleet-reads-from-the-leader-after-an-outage",
        ],
    },
];
