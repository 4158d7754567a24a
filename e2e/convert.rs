//! Moving over from consul-template: real configurations of it, turned by `seedcar config
//! from-consul-template`; what the real consul-template renders of them and what seedcar publishes is
//! compared, and what is said of the rest is kept word for word.

mod cases;
mod kept;
mod options;
mod rendered;

use std::path::PathBuf;
use std::process::Command;

use crate::ledger::Proof;

/// What is promised of a conversion.
pub const PROOFS: &[Proof] = &[
    Proof {
        promise: "P2",
        test: "convert::rendered::seedcar_publishes_what_consul_template_renders",
        shows: "files of configurations carried over: bytes of single keys, modes, and the meaning of the \
                others, against the real consul-template on one Consul",
        mutants: &["convert-ls-takes-all-levels", "convert-first-prefix-wins"],
    },
    Proof {
        promise: "P8",
        test: "convert::kept::what_is_not_carried_over_is_said_word_for_word",
        shows: "each configuration gives exactly the file, the notes and the exit code that are kept with it",
        mutants: &["convert-names-unchecked"],
    },
    Proof {
        promise: "P11",
        test: "convert::kept::no_token_or_password_is_copied_or_shown",
        shows: "tokens and passwords of consul-template's configuration are in neither output",
        mutants: &["convert-copies-the-token"],
    },
];

/// The real program; none where Go, which makes it, is not there.
fn consul_template() -> Option<PathBuf> {
    if let Some(program) = std::env::var_os("CONSUL_TEMPLATE_BIN") {
        return Some(program.into());
    }
    let has_go = Command::new("go").arg("version").output().is_ok();
    assert!(!has_go, "CONSUL_TEMPLATE_BIN is not set: run ./e2e/run convert");
    crate::stories::measured("skipped: consul-template, which Go makes, and Go is not here");
    None
}
