//! `seedcar status`: how fresh the volume is, and why.

use std::io::{self, Write};

use crate::cli::Form;
use crate::exit::Exit;
use crate::local;
use crate::model::application::Counts;
use crate::model::health::Health;
use crate::model::reads::Reads;
use crate::status::{Application, Source, Status};

/// Prints the running seedcar's status. With `check`, exit 75 unless everything is fresh.
pub fn run(url: &str, output: Form, check: bool, out: &mut impl Write) -> Exit {
    let status = match ask(url) {
        Ok(status) => status,
        Err(error) => {
            super::complain(format_args!("{url}/status: {error}; is `seedcar run` up there?"));
            return Exit::NotMet;
        }
    };
    let printed = match output {
        Form::Json => super::print_json(&status, out),
        Form::Table => table(&status, out),
    };
    match (printed, check && status.state != Health::Fresh) {
        (Err(_), _) => Exit::Internal,
        (Ok(()), true) => Exit::NotMet,
        (Ok(()), false) => Exit::Ok,
    }
}

fn ask(url: &str) -> io::Result<Status> {
    let (code, body) = local::get(url, "/status")?;
    if code != 200 {
        return Err(io::Error::other(format!("HTTP {code}")));
    }
    serde_json::from_str(&body).map_err(io::Error::from)
}

fn table(status: &Status, out: &mut impl Write) -> io::Result<()> {
    let word = |health: &Health| {
        serde_json::to_value(health).ok().and_then(|v| Some(v.as_str()?.to_owned()))
    };
    writeln!(out, "state       {}", word(&status.state).unwrap_or_default())?;
    if !status.reason.is_empty() {
        writeln!(out, "because     {}", status.reason)?;
    }
    writeln!(out, "generation  {}", status.generation.as_deref().unwrap_or("none"))?;
    for (name, source) in &status.sources {
        source_lines(name, source, out)?;
    }
    for (name, application) in &status.exec {
        application_lines(name, application, out)?;
    }
    Ok(())
}

fn application_lines(
    name: &str,
    application: &Application,
    out: &mut impl Write,
) -> io::Result<()> {
    let report = &application.report;
    let told = if application.pending { "BEHIND" } else { "up to date" };
    let Counts { started, signalled, restarted, failed } = report.counts;
    writeln!(out, "\napplication {name} (on a change: {})", report.on_change)?;
    writeln!(out, "  told of    {} ({told})", report.told.as_deref().unwrap_or("nothing"))?;
    writeln!(
        out,
        "  so far     {started} started, {signalled} signals, {restarted} restarts, {failed} failed"
    )
}

fn source_lines(name: &str, source: &Source, out: &mut impl Write) -> io::Result<()> {
    let unknown = || "-".to_owned();
    let reads = Reads::of_prefix(&source.prefix).map(|reads| reads.to_string());
    let reads = reads.unwrap_or_else(|| format!("prefix {}", source.prefix));
    writeln!(out, "\nsource {name} ({reads})")?;
    writeln!(out, "  origin     {}", source.origin.word())?;
    let age = source.confirmed_age.map_or_else(unknown, |age| format!("{age:.0} s ago"));
    let by = source.confirmed_by.map_or("nobody", |by| by.word());
    writeln!(out, "  confirmed  {age} by {by}")?;
    let index = source.index.map_or_else(unknown, |index| index.to_string());
    writeln!(out, "  index      {index}")?;
    writeln!(out, "  content    {} keys, {} bytes", source.keys, source.bytes)?;
    writeln!(out, "  digest     {}", source.digest.clone().unwrap_or_else(unknown))?;
    for (mechanism, state) in source.mechanisms.iter().filter(|(_, state)| state.enabled) {
        let word = if state.up { "up" } else { "down" };
        let why = state.last_error.as_ref().filter(|_| !state.up).map(|e| format!(" ({})", e.text));
        writeln!(out, "  {mechanism:<10} {word}{}", why.unwrap_or_default())?;
    }
    if let Some(backup) = &source.backup {
        writeln!(out, "  newest     {} (confirmed {})", backup.name, backup.confirmed)?;
    }
    if source.skipped_total > 0 {
        writeln!(out, "  skipped    {} keys are missing from an output", source.skipped_total)?;
    }
    if source.overridden > 0 {
        writeln!(out, "  overridden {} keys are in a later layer, too", source.overridden)?;
    }
    if let Some(held) = &source.held {
        let (keys, published) = (held.keys, held.published_keys);
        writeln!(
            out,
            "  HELD       {}: {keys} keys instead of {published}, since {}",
            held.reason.word(),
            held.since
        )?;
        if let Some(digest) = &held.digest {
            writeln!(out, "             if that is right: seedcar accept {}", &digest[..12])?;
        }
    }
    Ok(())
}
