//! What is wrong with a configuration, said so that its writer can put it right.

use std::fmt;

use serde::{Serialize, Serializer};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What sort of mistake, for machines.
    pub kind: Kind,
    /// The setting's name, or the name of the unknown variable or key.
    pub setting: String,
    /// What was typed. Never given for a secret, nor for anything that may hold one.
    pub text: Option<String>,
    /// What is wrong with it.
    pub reason: String,
    /// Where it was typed. `None` when nothing was.
    #[serde(rename = "from")]
    pub origin: Option<Origin>,
    /// What to write instead.
    pub hint: Option<String>,
}

/// The sorts of mistake. A closed list: tests and scripts compare its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Needed and not there.
    Missing,
    /// Does not read as what the setting takes.
    Malformed,
    /// Reads well, but is outside what is allowed.
    Range,
    /// Contradicts another setting.
    Conflict,
    /// Exists elsewhere, and seedcar does not do it.
    Unsupported,
    /// A name that nothing has.
    Unknown,
    /// A file that cannot be read.
    Unreadable,
    /// Accepted, and worth a second look.
    Doubtful,
}

/// Something to say aloud that does not keep the program from starting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// What it is.
    #[serde(flatten)]
    pub problem: Problem,
    /// `config check` refuses it. At run time it is only said, so that an image rolled back below
    /// the one that knew the setting still starts.
    pub strict: bool,
}

/// Where a value was typed, strongest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag, by its name without dashes.
    Flag(&'static str),
    /// A `SEEDCAR_*` variable.
    Seedcar(String),
    /// A place in the configuration file.
    File {
        /// The file as it was named.
        file: String,
        /// The path of keys to the value; empty for the file as a whole.
        path: String,
        /// The line, where it is known.
        line: Option<usize>,
    },
    /// A `CONSUL_*` variable.
    Consul(String),
    /// Nowhere: the default holds.
    Default,
}

/// Why a value is refused, before it is known whose value it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reason {
    /// The sort of mistake.
    pub kind: Kind,
    /// Completes "the value ...".
    pub text: String,
    /// Replaces the hint that the setting's unit gives.
    pub hint: Option<String>,
}

// === impl Problem ===

impl Problem {
    /// A problem about `setting`, without text, origin or hint as yet.
    pub(super) fn new(kind: Kind, setting: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            kind,
            setting: setting.into(),
            text: None,
            reason: reason.into(),
            origin: None,
            hint: None,
        }
    }

    pub(super) fn text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    pub(super) fn at(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// One line, whatever was typed: the text is escaped and cut.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.setting.escape_debug())?;
        if let Some(text) = &self.text {
            write!(f, " {:?}", shortened(text))?;
        }
        write!(f, ": {}", self.reason)?;
        if let Some(origin) = &self.origin {
            write!(f, " ({origin})")?;
        }
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

/// At most 80 characters of `text`.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((cut, _)) => format!("{}...", &text[..cut]),
        None => text.to_owned(),
    }
}

// === impl Warning ===

impl Warning {
    /// Said, and no more.
    pub(super) fn mild(problem: Problem) -> Self {
        Self { problem, strict: false }
    }

    /// Said at run time, refused by `config check`.
    pub(super) fn strict(problem: Problem) -> Self {
        Self { problem, strict: true }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

// === impl Origin ===

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "--{name}"),
            // The environment and a file may have any name.
            Self::Seedcar(name) | Self::Consul(name) => write!(f, "{}", name.escape_debug()),
            Self::Default => f.write_str("default"),
            Self::File { file, path, line } => {
                write!(f, "{}", file.escape_debug())?;
                if !path.is_empty() {
                    write!(f, ": {}", path.escape_debug())?;
                }
                line.map_or(Ok(()), |line| write!(f, ", line {line}"))
            }
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

// === impl Reason ===

impl Reason {
    pub(super) fn new(kind: Kind, text: impl fmt::Display) -> Self {
        Self { kind, text: text.to_string(), hint: None }
    }

    /// Does not read.
    pub(super) fn malformed(text: impl fmt::Display) -> Self {
        Self::new(Kind::Malformed, text)
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
