//! `seedcar export`: what monitoring is fed with.

use std::io::Write;

use crate::cli::Export;
use crate::exit::Exit;
use crate::monitoring;

/// Prints a file. A reader who has seen enough may close the pipe.
pub fn run(what: Export, out: &mut dyn Write) -> Exit {
    let text = match what {
        Export::Rules => monitoring::rules(false),
        Export::Inhibit => monitoring::inhibit(),
        Export::Dashboard => monitoring::dashboard(),
        Export::Runbook => monitoring::runbook(),
    };
    let _ = out.write_all(text.as_bytes());
    Exit::Ok
}
