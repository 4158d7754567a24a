//! `seedcar diff`: what would change.

use std::io::{self, Write};

use crate::app::diff::{Change, Diff, Kind, diff};
use crate::cli::{self, Form};
use crate::config::Config;
use crate::consul::error::Kind as Trouble;
use crate::exit::Exit;

/// Prints it. Nothing is published, and no value shown.
pub fn run(config: Config, args: &cli::Diff, out: &mut impl Write) -> Exit {
    let mut found = match diff(config) {
        Ok(found) => found,
        Err(error) => {
            super::complain(format_args!("{error}"));
            return match error.kind {
                Trouble::Denied | Trouble::Token => Exit::Denied,
                _ => Exit::NothingToSeedFrom,
            };
        }
    };
    let changes = found.files.iter().any(|file| file.change != Kind::Same);
    if !args.all {
        found.files.retain(|file| file.change != Kind::Same);
    }
    let printed = match args.output.form {
        Form::Json => super::print_json(&found, out),
        Form::Table => table(&found, out),
    };
    match (printed, args.check && (changes || found.invalid.is_some())) {
        (Err(_), _) => Exit::Internal,
        (Ok(()), true) => Exit::NotMet,
        (Ok(()), false) => Exit::Ok,
    }
}

fn table(found: &Diff, out: &mut impl Write) -> io::Result<()> {
    for Change { path, change, source, over } in &found.files {
        let sign = match change {
            Kind::Added => '+',
            Kind::Updated => '~',
            Kind::Removed => '-',
            Kind::Same => '=',
        };
        write!(out, "{sign} {path}")?;
        if let Some(source) = source {
            write!(out, "  from {source}")?;
        }
        if !over.is_empty() {
            write!(out, " over {}", over.join(", "))?;
        }
        writeln!(out)?;
    }
    for (source, key, why) in &found.skipped {
        // A key may hold whatever a terminal obeys.
        writeln!(out, "! {key:?} of {source} is missing from an output ({why})")?;
    }
    match &found.invalid {
        Some(invalid) => writeln!(out, "it would be held: {invalid}"),
        None => Ok(()),
    }
}
