//! Secrets, TLS, hostile neighbours.

mod admin;
mod attacker;
mod echo;
mod elsewhere;
mod names;
mod planted;
mod tls;
pub mod tls_server;

use crate::ledger::Proof;

/// What this part proves.
pub const PROOFS: &[Proof] = &[
    Proof {
        promise: "P8",
        test: "security::admin",
        shows: "probes are answered while the port is flooded, starved and lied to; descriptors stay bounded",
        mutants: &["admin-without-a-cap", "admin-without-a-deadline"],
    },
    Proof {
        promise: "P11",
        test: "kubernetes::tests::what_may_quote_a_value_is_not_shown",
        shows: "what the Kubernetes API says of a backup that it refuses is not passed on",
        mutants: &["api-message-shown"],
    },
    Proof {
        promise: "P11",
        test: "security::echo",
        shows: "credentials and values that a server sends back are in no log line, at any level, nor anywhere else",
        mutants: &["credentials-echoed"],
    },
    Proof {
        promise: "P11",
        test: "security::echo::process",
        shows: "no core dump, nothing for other processes of the same user, nothing in argv, panics and backups",
        mutants: &["process-dumpable", "panic-message-logged"],
    },
    Proof {
        promise: "P11",
        test: "security::elsewhere",
        shows: "redirects are not followed and proxies of the environment not used: nobody else hears a word",
        mutants: &["redirects-default-policy", "proxies-of-the-environment"],
    },
    Proof {
        promise: "P11",
        test: "security::tls",
        shows: "a server that is not who it should be is refused with one clear line, and is told nothing",
        mutants: &["https-spoken-plain", "authority-never-read-again"],
    },
    Proof {
        promise: "P12",
        test: "security::attacker",
        shows: "directories swapped for links during publishing: nothing outside is touched, and it heals",
        mutants: &["links-followed"],
    },
    Proof {
        promise: "P12",
        test: "security::planted",
        shows: "links and directories planted at every name of ours: nothing outside is touched, and it heals",
        mutants: &["links-followed", "accept-follows-links", "directory-in-the-way"],
    },
    Proof {
        promise: "P12",
        test: "security::names",
        shows: "hostile keys in a real Consul: the tree is the model's, nothing is outside, all others are counted",
        mutants: &["key-unchecked", "depth-unchecked"],
    },
];
