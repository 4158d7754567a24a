//! Why a file is no backup for us.

use std::io;

/// Why a file is not accepted as a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It ends before its own lengths say it does.
    #[error("is cut short")]
    Truncated,
    /// It does not start as a backup.
    #[error("does not start as a seedcar backup")]
    Magic,
    /// A newer seedcar wrote it. Not damage: left alone for when that one is back.
    #[error("has format version {0}, which only a newer seedcar reads")]
    FutureVersion(u32),
    /// The header cannot be used; says what is wrong with it.
    #[error("has a header that {0}")]
    Header(&'static str),
    /// An entry cannot be one; says what is wrong with it.
    #[error("has an entry that {0}")]
    Entry(&'static str),
    /// The entries are not as many, or not as large, as the header says.
    #[error("does not hold what its header counts")]
    Counts,
    /// This many bytes follow the last entry.
    #[error("has {0} bytes too many")]
    Trailing(u64),
    /// The SHA-256 at the end does not match.
    #[error("does not match its checksum")]
    Checksum,
    /// The content is not the one that the header names.
    #[error("does not have the content digest its header names")]
    Digest,
    /// What was packed to fit into Secrets cannot be unpacked.
    #[error("cannot be unpacked")]
    Packed,
    /// It is above the limits of this configuration. Not damage: other limits may allow it.
    #[error("has {found} {what}, above the limit of {max}")]
    Oversize {
        /// What there is too much of: file bytes, keys, value bytes.
        what: &'static str,
        /// How much there is.
        found: u64,
        /// How much is allowed.
        max: u64,
    },
    /// A FIFO, link, directory or device, by its name.
    #[error("is a {0}, not a regular file")]
    NotRegular(&'static str),
    /// It could not be read.
    #[error("cannot be read: {0}")]
    Unreadable(io::ErrorKind),
    /// There is no such file, or another replica removed it.
    #[error("does not exist")]
    Gone,
    /// The name is not that of a file in this directory.
    #[error("is not a plain file name")]
    Name,
}

// === impl Damage ===

impl Damage {
    /// The machine word used in status, logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Magic => "magic",
            Self::FutureVersion(_) => "future_version",
            Self::Header(_) => "header",
            Self::Entry(_) => "entry",
            Self::Counts => "counts",
            Self::Trailing(_) => "trailing",
            Self::Checksum => "checksum",
            Self::Digest => "digest",
            Self::Packed => "packed",
            Self::Oversize { .. } => "oversize",
            Self::NotRegular(_) => "not_regular",
            Self::Unreadable(_) => "unreadable",
            Self::Gone => "gone",
            Self::Name => "name",
        }
    }

    /// True when the bytes themselves are wrong and will be for every reader. Only such a file may
    /// be set aside; all else may be fine for another replica, another release or tomorrow.
    pub fn is_certain(self) -> bool {
        match self {
            Self::Truncated | Self::Magic | Self::Header(_) | Self::Entry(_) => true,
            Self::Counts | Self::Trailing(_) | Self::Checksum | Self::Digest | Self::Packed => true,
            Self::FutureVersion(_) | Self::Oversize { .. } | Self::NotRegular(_) => false,
            Self::Unreadable(_) | Self::Gone | Self::Name => false,
        }
    }
}

/// A deleted file is `ESTALE` on NFS.
impl From<io::Error> for Damage {
    fn from(error: io::Error) -> Self {
        let said = error.get_ref().and_then(|inner| inner.downcast_ref::<Self>());
        if let Some(said) = said {
            return *said;
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated,
            io::ErrorKind::NotFound | io::ErrorKind::StaleNetworkFileHandle => Self::Gone,
            other => Self::Unreadable(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_a_file_system_does_not_know_is_no_damage() {
        let invalid = io::Error::from_raw_os_error(libc::EINVAL);
        let why = Damage::from(invalid);
        assert_eq!(why, Damage::Unreadable(io::ErrorKind::InvalidInput));
        assert!(!why.is_certain());
        let packed = io::Error::new(io::ErrorKind::InvalidInput, Damage::Packed);
        assert_eq!(Damage::from(packed), Damage::Packed);
    }
}
