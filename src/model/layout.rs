//! How `live/` shows what is published.

/// What applications find in `live/`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// As in a Kubernetes ConfigMap volume: links that lead through `..data`. One rename shows all of a
    /// generation.
    #[default]
    Links,
    /// Directories and files, and nothing else: for programs that cannot take links. Each file comes by
    /// a rename of its own, so that a reader may see some files before a change and some after it.
    Plain,
}

/// The link to the newest generation.
pub const DATA: &str = "..data";
/// The description inside each generation.
pub const MANIFEST: &str = "..manifest.json";

// === impl Layout ===

impl Layout {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Links, Self::Plain];

    /// The directory of the volume where generations lie, and [`DATA`] beside them. Not in `live/` where
    /// programs walk it and take for theirs what they find.
    pub const fn home(self) -> &'static str {
        match self {
            Self::Links => "live",
            Self::Plain => ".seedcar",
        }
    }

    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Links => Self::Plain,
            Self::Plain => Self::Links,
        }
    }
}
