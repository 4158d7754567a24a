//! The one table of settings.
//!
//! A row gives a setting its flag, its places in environment and file, its default and its help.
//! The command line, the README, `config print` and the check for unknown names are made from it.

mod markdown;
mod table;

pub use self::{markdown::settings_markdown, table::TABLE};

/// A setting, by name. [`Id::row`] leads to what is known of it.
#[allow(missing_docs, reason = "each one's help is in the table below")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Id {
    Config,
    Volume,
    Layout,
    Backup,
    BackupSecrets,
    BackupMode,
    NoBackup,
    BackupId,
    BackupDelay,
    Prefix,
    Source,
    Optional,
    Atomic,
    File,
    ExactPrefix,
    AllowRootPrefix,
    Consul,
    Token,
    TokenFile,
    LoginMethod,
    LoginTokenFile,
    LoginMeta,
    Auth,
    Ssl,
    SslVerify,
    Datacenter,
    Namespace,
    Partition,
    CaFile,
    CaPath,
    ClientCert,
    ClientKey,
    TlsServerName,
    Wait,
    NoWatch,
    Heartbeat,
    NoHeartbeat,
    SeedTimeout,
    MaxBytes,
    MaxKeys,
    MaxShrinkPercent,
    AllowEmpty,
    Control,
    Http,
    ExecDir,
    Events,
    PodName,
    PodUid,
    LogFormat,
    LogLevel,
    TerminationLog,
}

/// All that is known of one setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Which one.
    pub id: Id,
    /// Its name: the flag without dashes.
    pub name: &'static str,
    /// False for the few that only Consul's own variables set.
    pub flag: bool,
    /// What a value looks like.
    pub unit: Unit,
    /// It may be given more than once; in a variable, with commas between.
    pub repeats: bool,
    /// The path of keys in the file.
    pub file: Option<&'static str>,
    /// Consul's own variable.
    pub consul: Option<&'static str>,
    /// The default, as it would be typed; empty for none.
    pub default: &'static str,
    /// One line.
    pub help: &'static str,
    /// Never shown.
    pub secret: bool,
    /// For the reference only: most users never need it.
    pub advanced: bool,
}

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// True or false; as a flag, without a value.
    Switch,
    /// A directory.
    Dir,
    /// A file.
    File,
    /// A [`Period`](crate::units::Period).
    Period,
    /// [`Bytes`](crate::units::Bytes).
    Bytes,
    /// A whole number.
    Count,
    /// A whole number up to 100.
    Percent,
    /// Where a Consul server or agent answers.
    Address,
    /// An IP address and port to listen on.
    Listen,
    /// A Consul key prefix.
    Prefix,
    /// `KEY=VALUE`.
    Pair,
    /// `NAME=PREFIX`.
    Source,
    /// A name.
    Name,
    /// One of a few words: its stand-in and the words.
    Word(&'static str, &'static str),
}

// === impl Id ===

impl Id {
    /// What is known of this setting.
    pub const fn row(self) -> &'static Setting {
        &TABLE[self as usize]
    }
}

// === impl Setting ===

impl Setting {
    /// The variable of our own: `SEEDCAR_` and the flag.
    pub fn variable(&self) -> Option<String> {
        let name = self.name.to_uppercase().replace('-', "_");
        self.flag.then(|| format!("SEEDCAR_{name}"))
    }

    /// True when the file says the opposite of the flag: `enabled` for `--no-watch`.
    pub(super) fn opposite_in_file(&self) -> bool {
        self.file.is_some_and(|path| path.ends_with(".enabled"))
    }

    /// The default as help and README show it: nothing for none, and for a switch.
    pub fn shown_default(&self) -> &'static str {
        match self.unit {
            Unit::Switch => "",
            _ => self.default,
        }
    }
}

/// The row whose file path is `path`.
pub(super) fn by_path(path: &str) -> Option<&'static Setting> {
    TABLE.iter().find(|row| row.file == Some(path))
}

// === impl Unit ===

impl Unit {
    /// The value's stand-in in help.
    pub fn stand_in(self) -> &'static str {
        match self {
            Self::Switch => "",
            Self::Dir => "DIR",
            Self::File => "FILE",
            Self::Period => "PERIOD",
            Self::Bytes => "BYTES",
            Self::Count => "N",
            Self::Percent => "N",
            Self::Address => "ADDR",
            Self::Listen => "ADDR:PORT",
            Self::Prefix => "PREFIX",
            Self::Pair => "KEY=VALUE",
            Self::Source => "NAME=PREFIX",
            Self::Name => "NAME",
            Self::Word(stand_in, _) => stand_in,
        }
    }

    /// What to write, for whoever wrote something else.
    pub(super) fn hint(self) -> Option<String> {
        let hint = match self {
            Self::Switch => "write true or false",
            Self::Period => "write numbers with units, as in 30s, 15m, 1500ms or 1h30m",
            Self::Bytes => "write a whole number of bytes, or of Ki, Mi or Gi, as in 16Mi",
            Self::Count | Self::Percent => "write a whole number",
            Self::Address => "write host:port, http://host:port, https://host:port or unix:///path",
            Self::Listen => "write an IP address and a port, as in [::]:4292 or 127.0.0.1:4292",
            Self::Pair => "write KEY=VALUE, as in team=payments",
            Self::Word(_, words) => return Some(format!("write one of {words}")),
            Self::Dir | Self::File | Self::Prefix | Self::Source | Self::Name => return None,
        };
        Some(hint.to_owned())
    }
}
