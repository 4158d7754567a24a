//! The shared settings as flags, made from the table.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

use crate::config::{Flags, Id, Setting, TABLE, Unit};

/// Every setting that has a flag.
#[derive(Clone, Default)]
pub struct Settings(pub Flags);

/// The few that say where things are, for commands that only look.
#[derive(Clone, Default)]
pub struct PlaceSettings(pub Flags);

/// The settings of [`PlaceSettings`].
const PLACES: [Id; 3] = [Id::Config, Id::Volume, Id::Http];

impl Args for Settings {
    fn augment_args(command: Command) -> Command {
        command.next_help_heading("Settings").args(TABLE.iter().filter(|row| row.flag).map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Settings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Ok(Self(given(matches)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0 = given(matches);
        Ok(())
    }
}

/// The few that a wrapper of an application has.
#[derive(Clone, Default)]
pub struct WrapperSettings(pub Flags);

/// The settings of [`WrapperSettings`].
const OF_A_WRAPPER: [Id; 5] = [Id::Config, Id::Volume, Id::ExecDir, Id::LogFormat, Id::LogLevel];

/// What clap needs of a struct that takes some of the rows.
macro_rules! some_settings {
    ($name:ident, $rows:ident) => {
        impl Args for $name {
            fn augment_args(command: Command) -> Command {
                command.args($rows.map(|id| arg(id.row())))
            }

            fn augment_args_for_update(command: Command) -> Command {
                Self::augment_args(command)
            }
        }

        impl FromArgMatches for $name {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
                Ok(Self(given(matches)))
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
                self.0 = given(matches);
                Ok(())
            }
        }
    };
}

some_settings!(PlaceSettings, PLACES);
some_settings!(WrapperSettings, OF_A_WRAPPER);

/// A setting as a flag. It is global, so that it may follow the action in `backup ls --backup DIR`,
/// and it has no default for clap to fill in: only what was typed may win over other layers.
fn arg(row: &Setting) -> Arg {
    let default = match row.shown_default() {
        "" => String::new(),
        default => format!(" [default: {default}]"),
    };
    let arg = Arg::new(row.name)
        .long(row.name)
        .help(format!("{}{default}", capitalized(row.help)))
        .hide_short_help(row.advanced)
        .global(true);
    match row.unit {
        Unit::Switch => arg.action(ArgAction::SetTrue),
        unit => arg.value_name(unit.stand_in()).action(if row.repeats {
            ArgAction::Append
        } else {
            ArgAction::Set
        }),
    }
}

fn capitalized(help: &str) -> String {
    let (first, rest) = help.split_at(1);
    first.to_ascii_uppercase() + rest
}

/// The text of each setting that was given. A command that lacks one simply does not have it.
fn given(matches: &ArgMatches) -> Flags {
    let mut flags = Flags::new();
    for row in &TABLE {
        if row.unit == Unit::Switch {
            if let Ok(Some(true)) = matches.try_get_one::<bool>(row.name) {
                flags.push(row.id, "true");
            }
            continue;
        }
        let texts = matches.try_get_many::<String>(row.name);
        for text in texts.ok().flatten().into_iter().flatten() {
            flags.push(row.id, text);
        }
    }
    flags
}
