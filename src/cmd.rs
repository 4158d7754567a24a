//! One short file per subcommand.

pub mod accept;
pub mod backup;
pub mod config;
pub mod demo;
pub mod healthcheck;
pub mod init;
pub mod run;
pub mod status;
pub mod wait;

use std::io::Write;
use std::path::Path;

use crate::config::{Config, Outcome};
use crate::exit::Exit;

/// The checked configuration, or every problem on standard error.
pub fn checked(outcome: Outcome) -> Result<Config, Exit> {
    for warning in &outcome.warnings {
        eprintln!("seedcar: warning: {}", warning.problem);
    }
    outcome.config.map_err(|problems| {
        for problem in &problems {
            eprintln!("seedcar: {problem}");
        }
        Exit::Config
    })
}

/// Leaves one line where Kubernetes shows it: on standard error, and in the termination message file
/// where there is one (it is never made here: elsewhere it is a name in `/dev`).
pub fn last_words(termination_log: &Path, text: &str) {
    eprintln!("seedcar: {text}");
    if let Ok(mut file) = std::fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(termination_log)
    {
        let _ = writeln!(file, "{text}");
    }
}
