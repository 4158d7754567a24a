//! How the program ends: one closed list of exit codes.
//!
//! The numbers follow sysexits.h where it has a word for the case, so that `kubectl describe pod`
//! alone tells an operator which of a few things went wrong.

use std::process::ExitCode;

/// Why the program ends. The discriminant is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Done, or told to stop and stopped.
    Ok = 0,
    /// A mistake in seedcar itself.
    Internal = 1,
    /// The command line makes no sense. clap uses the same number.
    Usage = 2,
    /// Consul is down and no backup passed its check.
    BackupDamaged = 65,
    /// The deadline passed with neither Consul nor a backup: unreachable, or empty.
    NothingToSeedFrom = 69,
    /// A panic outside the supervised mechanisms.
    Panic = 70,
    /// The volume cannot be written, or is full.
    Volume = 73,
    /// What `wait`, `healthcheck` or `status --check` asked for is not so. Of
    /// `config from-consul-template`: not all was carried over.
    NotMet = 75,
    /// An ACL or a file permission says no.
    Denied = 77,
    /// The configuration has problems; each was printed.
    Config = 78,
    /// `exec`: the application is no program. Shells and env(1) use the same number.
    CannotExecute = 126,
    /// `exec`: there is no such application. Shells and env(1) use the same number.
    NoProgram = 127,
}

/// One line of the table of exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The exit.
    pub exit: Exit,
    /// Its number.
    pub code: u8,
    /// Its word in logs and in the termination message.
    pub word: &'static str,
    /// What it means to an operator.
    pub meaning: &'static str,
}

/// Every exit, in the order of its code.
pub const ALL: [Row; 12] = [
    row(Exit::Ok, "ok", "done, or stopped as told"),
    row(Exit::Internal, "internal", "a mistake in seedcar itself"),
    row(Exit::Usage, "usage", "the command line makes no sense"),
    row(Exit::BackupDamaged, "backup_damaged", "Consul is down and every backup is damaged"),
    row(
        Exit::NothingToSeedFrom,
        "nothing_to_seed_from",
        "Consul is unreachable or the prefix is empty, and there is no backup",
    ),
    row(Exit::Panic, "panic", "a panic that could not be contained"),
    row(Exit::Volume, "volume", "the volume cannot be written, or is full"),
    row(
        Exit::NotMet,
        "not_met",
        "what `wait`, `healthcheck`, `status --check` or `exec` asked for is not so, or not all was carried over",
    ),
    row(Exit::Denied, "denied", "an ACL or a file permission says no"),
    row(Exit::Config, "config", "the configuration has problems, all of them printed"),
    row(Exit::CannotExecute, "cannot_execute", "`exec`: the application cannot be executed"),
    row(Exit::NoProgram, "no_program", "`exec`: there is no such application"),
];

const fn row(exit: Exit, word: &'static str, meaning: &'static str) -> Row {
    Row { exit, code: exit.code(), word, meaning }
}

/// The table for the README.
pub fn markdown() -> String {
    let mut text = String::from("| code | word | meaning |\n|---|---|---|\n");
    for Row { code, word, meaning, .. } in ALL {
        text.push_str(&format!("| {code} | `{word}` | {meaning} |\n"));
    }
    text
}

// === impl Exit ===

impl Exit {
    /// The number the process ends with.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The word in logs and in the termination message.
    pub fn word(self) -> &'static str {
        let row = ALL.iter().find(|row| row.exit == self);
        row.map_or("internal", |row| row.word)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_exit_once_under_its_fixed_code() {
        assert_eq!(ALL.map(|row| row.code), [0, 1, 2, 65, 69, 70, 73, 75, 77, 78, 126, 127]);
        for row in ALL {
            assert_eq!(row.exit.code(), row.code);
            assert_eq!(row.exit.word(), row.word);
            assert!(markdown().contains(&format!("| {} | `{}` |", row.code, row.word)));
        }
    }
}
