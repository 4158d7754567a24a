//! What can go wrong with the backup volume.

use std::io;
use std::path::PathBuf;

use super::Damage;
use super::volume::Op;
use crate::kubernetes;

/// A backup could not be written, or the directory not be used. No text holds a key or a value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory could not be opened.
    #[error("cannot open backup directory {}: {source}; {}", dir.display(), advice(source))]
    Open {
        /// The directory as configured.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused one step.
    #[error("cannot {op} {name}: {source}; {}", advice(source))]
    File {
        /// The step.
        op: Op,
        /// The file, or `.` for the directory.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The Kubernetes API refused, or did not answer.
    #[error("backup in Secrets: {source}{}", api_advice(source))]
    Api {
        /// What it said.
        #[from]
        source: kubernetes::Error,
    },
    /// The Secrets are full.
    #[error(
        "the backup takes {needed} bytes packed, and the {secrets} Secrets have room for {room} \
             beside the newest backup of each source{}: name one more in backup.secrets, and let the \
             Role allow it, or delete from them what no source writes any more",
        ahead(*newer)
    )]
    Crowded {
        /// What the new backup takes.
        needed: usize,
        /// What is free in all of them together, or can be made free.
        room: usize,
        /// How many there are.
        secrets: usize,
        /// How many backups of the same source are newer than this one.
        newer: usize,
    },
    /// Another replica changed the Secret at the same time.
    #[error("other replicas keep changing the backup's Secrets; trying again")]
    Overtaken,
    /// The store was opened for reading.
    #[error("the backup directory was opened for reading only; nothing was written")]
    ReadOnly,
    /// The snapshot is above the limits, so that no reader would take the file back.
    #[error("the snapshot has {found} {what}, above the limit of {max}; raise the limit")]
    TooLarge {
        /// What there is too much of: file bytes, keys, value bytes.
        what: &'static str,
        /// How much there is.
        found: u64,
        /// How much is allowed.
        max: u64,
    },
    /// What was written could not be read back, and may be there.
    #[error(
        "{name}, just written, {why}; the next try reads it again; check the Kubernetes API server"
    )]
    NotReadBack {
        /// The file.
        name: String,
        /// Why.
        why: Damage,
    },
    /// What was written did not come back; the new file was removed and nothing else was touched.
    #[error("{name}, just written, {why}; it was removed; check the backup volume")]
    Verify {
        /// The file.
        name: String,
        /// What is wrong with it.
        why: Damage,
    },
}

/// The closed list of machine words for metric labels and log fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// No space, quota or inodes left.
    Full,
    /// The volume, or this store, is read-only.
    ReadOnly,
    /// Permission denied.
    Denied,
    /// The directory or a file is not there.
    Missing,
    /// A file just written could not be read back.
    Damaged,
    /// The snapshot is above the configured limits.
    TooLarge,
    /// Anything else the system reports.
    Io,
}

// === impl Error ===

impl Error {
    /// What kind of error this is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Open { source, .. } | Self::File { source, .. } => Kind::of(source),
            Self::Api { source } => Kind::of_api(source),
            Self::Crowded { .. } => Kind::Full,
            Self::Overtaken | Self::NotReadBack { .. } => Kind::Io,
            Self::ReadOnly => Kind::ReadOnly,
            Self::TooLarge { .. } => Kind::TooLarge,
            Self::Verify { .. } => Kind::Damaged,
        }
    }
}

// === impl Kind ===

impl Kind {
    /// All kinds, so that a metric can start with all its labels.
    pub const ALL: [Self; 7] = [
        Self::Full,
        Self::ReadOnly,
        Self::Denied,
        Self::Missing,
        Self::Damaged,
        Self::TooLarge,
        Self::Io,
    ];

    /// The machine word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ReadOnly => "read_only",
            Self::Denied => "denied",
            Self::Missing => "missing",
            Self::Damaged => "damaged",
            Self::TooLarge => "too_large",
            Self::Io => "io",
        }
    }

    fn of_api(error: &kubernetes::Error) -> Self {
        match error.kind() {
            kubernetes::Kind::Denied | kubernetes::Kind::Token => Self::Denied,
            kubernetes::Kind::Refused => Self::Denied,
            kubernetes::Kind::Missing | kubernetes::Kind::NotInPod => Self::Missing,
            kubernetes::Kind::Conflict | kubernetes::Kind::Other => Self::Io,
        }
    }

    fn of(error: &io::Error) -> Self {
        use io::ErrorKind as E;
        match error.kind() {
            E::StorageFull | E::QuotaExceeded | E::FileTooLarge => Self::Full,
            E::ReadOnlyFilesystem => Self::ReadOnly,
            E::PermissionDenied => Self::Denied,
            E::NotFound | E::StaleNetworkFileHandle => Self::Missing,
            _ => Self::Io,
        }
    }
}

fn ahead(newer: usize) -> String {
    match newer {
        0 => String::new(),
        newer => format!(
            " and {newer} newer backups of this one (another replica is ahead, or Consul's clock was)"
        ),
    }
}

/// What a person can do about it.
fn advice(error: &io::Error) -> &'static str {
    match Kind::of(error) {
        Kind::Full => "free space on the backup volume or make it larger",
        Kind::ReadOnly => "mount the backup volume writable, or set backup.mode to read",
        Kind::Denied => "give the user of this process (fsGroup in Kubernetes) access",
        Kind::Missing => "check that the backup volume is mounted there",
        _ => "check the backup volume",
    }
}

fn api_advice(error: &kubernetes::Error) -> &'static str {
    match error.kind() {
        kubernetes::Kind::Denied => {
            "; let a Role allow get and patch of these Secrets to the pod's service account"
        }
        kubernetes::Kind::Token => {
            "; the token is not this cluster's, or its service account is gone: make the pod anew"
        }
        kubernetes::Kind::Missing => {
            "; make the Secret, empty, beforehand: nobody may only by name"
        }
        kubernetes::Kind::Refused => {
            "; the Secret must not be immutable and have nothing else in it"
        }
        // It says what to do.
        kubernetes::Kind::NotInPod => "",
        kubernetes::Kind::Conflict | kubernetes::Kind::Other => "; check the Kubernetes API server",
    }
}
