//! The command line that tells an application of a change.

use super::note::{Note, Weight};
use super::settings::Exec;
use crate::units::Period;

/// What is said of the application that consul-template ran.
pub(super) fn note(exec: &Exec) -> Note {
    let mut line = format!("seedcar exec --on-change {}", on_change(exec));
    if let Some(signal) = exec.kill_signal.as_deref().map(short).filter(|signal| is_word(signal)) {
        line.push_str(&format!(" --stop-signal {signal}"));
    }
    for (flag, value) in [("--stop-timeout", &exec.kill_timeout), ("--splay", &exec.splay)] {
        // Go's durations have forms that ours have not: such a one is left to its default.
        if let Some(period) = value.as_ref().and_then(|value| value.parse::<Period>().ok()) {
            line.push_str(&format!(" {flag} {period}"));
        }
    }
    let text = format!(
        "exec: the sidecar starts no application: start it in its own container with `{line} -- {}`",
        words(&exec.command)
    );
    let (file, line) = exec.at.clone();
    Note { file, line, weight: Weight::ByHand, text }
}

fn on_change(exec: &Exec) -> String {
    let signal = exec.reload_signal.as_deref().map(short);
    signal
        .filter(|signal| is_word(signal) && signal != "NULL")
        .unwrap_or_else(|| "restart".to_owned())
}

/// `SIGHUP` is `HUP`.
fn short(signal: &str) -> String {
    let signal = signal.to_ascii_uppercase();
    signal.strip_prefix("SIG").unwrap_or(&signal).to_owned()
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// What a command does to the application, as far as its words say.
pub(super) fn action_of(command: &str) -> &'static str {
    let has = |word: &str| {
        command.split(|c: char| !c.is_alphanumeric()).any(|w| w.eq_ignore_ascii_case(word))
    };
    let signals =
        [("USR1", "SIGUSR1"), ("USR2", "SIGUSR2"), ("TERM", "SIGTERM"), ("QUIT", "SIGQUIT")];
    let signal = signals.into_iter().find(|(short, long)| has(short) || has(long));
    match signal {
        Some((signal, _)) => signal,
        None if has("restart") => "restart",
        None => "HUP",
    }
}

/// A command as consul-template runs it: by a shell where there is more to it than words.
fn words(command: &str) -> String {
    let mut quote = None;
    let is_shells = |c: char| match quote {
        Some(open) => {
            quote = Some(open).filter(|open| *open != c);
            open == '"' && matches!(c, '$' | '`')
        }
        None => {
            quote = Some(c).filter(|c| matches!(c, '"' | '\''));
            "|&;<>$`(){}*?~#\n".contains(c)
        }
    };
    if command.chars().any(is_shells) {
        format!("sh -c {}", word(command))
    } else {
        command.to_owned()
    }
}

/// A word as a shell takes it.
pub(super) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+,=-".contains(c);
    match text {
        text if !text.is_empty() && text.chars().all(plain) => text.to_owned(),
        text => format!("'{}'", text.replace('\'', "'\\''")),
    }
}
