//! The access that production's Consul demands: a login instead of a token, certificates on both sides
//! that are replaced while we run, rights that change.

mod init;
mod jwt;
mod killed;
mod kubernetes;
mod renewed;
mod rights;
mod rotated;
pub mod scene;
mod spread;
mod unseen;

use crate::ledger::Proof;

/// What this part proves.
pub const PROOFS: &[Proof] = &[
    Proof {
        promise: "P9",
        test: "access::init",
        shows: "init logs in, seeds and logs out on every way out; a denied login is told, an outage is one",
        mutants: &["access-init-stays-logged-in", "access-refused-jwt-is-an-outage"],
    },
    Proof {
        promise: "P3",
        test: "access::renewed",
        shows: "a token is renewed while Consul holds a question under it, kept through an outage, replaced once refused",
        mutants: &["access-logged-out-while-held", "access-failed-login-drops-the-token"],
    },
    Proof {
        promise: "P5",
        test: "access::killed",
        shows: "whoever logs in and out killed at each call that talks: the files stay, the next run has a login of its own, what is left behind expires",
        mutants: &["access-run-stays-logged-in"],
    },
    Proof {
        promise: "P13",
        test: "access::renewed::storm",
        shows: "one login for all mechanisms, ever fewer where it does not help",
        mutants: &["access-a-login-each-refusal", "access-kept-through-a-refusal"],
    },
    Proof {
        promise: "P9",
        test: "access::spread",
        shows: "a new token is used once every server knows it, or after two seconds",
        mutants: &["access-asks-before-the-token-is-known"],
    },
    Proof {
        promise: "P11",
        test: "access::unseen",
        shows: "neither the JWT nor the token of a login is shown, also when a server sends it back",
        mutants: &["access-jwt-repeated"],
    },
    Proof {
        promise: "P9",
        test: "access::kubernetes",
        shows: "a login by an auth method of type kubernetes: Consul has the JWT reviewed by the API server",
        mutants: &[],
    },
    Proof {
        promise: "P3",
        test: "access::rotated",
        shows: "client certificate and authorities replaced while it runs, by link and by rename; half a pair is not used",
        mutants: &["access-half-a-pair-is-used"],
    },
    Proof {
        promise: "P3",
        test: "access::rights",
        shows: "a token that sees less is held, one that is gone is denied, a new one counts at once",
        mutants: &["access-hidden-keys-are-deleted", "access-adopted-keys-unknown"],
    },
];
