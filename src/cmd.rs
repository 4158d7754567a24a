//! One short file per subcommand.

pub mod accept;
pub mod backup;
pub mod config;
pub mod demo;
pub mod diff;
pub mod exec;
pub mod export;
pub mod freeze;
pub mod healthcheck;
pub mod init;
pub mod manifest;
pub mod run;
pub mod status;
pub mod wait;

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::config::{Config, Outcome};
use crate::exit::Exit;

/// The checked configuration, or every problem on standard error.
pub fn checked(outcome: Outcome) -> Result<Config, Exit> {
    tell(&outcome);
    outcome.config.map_err(|_| Exit::Config)
}

/// The same for the commands that a container is made of: the problems are its last words too.
pub fn checked_in_pod(outcome: Outcome) -> Result<Config, Exit> {
    if let Err(problems) = &outcome.config {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        leave_behind(&outcome.termination_log(), &lines.join("\n"));
    }
    checked(outcome)
}

fn tell(outcome: &Outcome) {
    for warning in &outcome.warnings {
        complain(format_args!("warning: {}", warning.problem));
    }
    for problem in outcome.config.as_ref().err().into_iter().flatten() {
        complain(format_args!("{problem}"));
    }
}

/// One line on standard error. Where nobody can read it the exit code still speaks, so that a failure
/// here must not change it.
fn complain(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "seedcar: {text}");
}

/// A value for programs, as JSON for people, and a line's end.
fn print_json(value: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

/// Leaves one line where Kubernetes shows it: on standard error, and in the termination message file
/// where there is one.
pub fn last_words(termination_log: &Path, text: &str) {
    complain(format_args!("{text}"));
    leave_behind(termination_log, text);
}

/// The file is never made here: elsewhere it is a name in `/dev`.
fn leave_behind(termination_log: &Path, text: &str) {
    if let Ok(mut file) =
        std::fs::OpenOptions::new().write(true).truncate(true).open(termination_log)
    {
        let _ = writeln!(file, "{text}");
    }
}
