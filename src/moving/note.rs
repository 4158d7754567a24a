//! What is said about a conversion, line by line.

use std::fmt;

/// One thing to know, about a line of what was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The file as it was named.
    pub file: String,
    /// The line in it, from 1.
    pub line: usize,
    /// How much it matters.
    pub weight: Weight,
    /// What it is, why, and what to do instead.
    pub text: String,
}

/// How much something matters. A closed list: its words begin a note, and scripts may look for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Left out, and nothing is missing: seedcar does it by itself.
    NotNeeded,
    /// Carried over; worth a look, because in some cases the result is another.
    Look,
    /// Carried over, and the result is another.
    Differs,
    /// Not carried over.
    ByHand,
}

// === impl Note ===

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, weight, text } = self;
        // A file's name, and what is told of its text, may hold what a terminal obeys.
        let plain = |text: &str| text.chars().flat_map(visible).collect::<String>();
        write!(f, "{}:{line}: {}: {}", plain(file), weight.word(), plain(text))
    }
}

fn visible(c: char) -> impl Iterator<Item = char> {
    let escaped = c.is_control().then(|| c.escape_default());
    let itself = escaped.is_none().then_some(c);
    escaped.into_iter().flatten().chain(itself)
}

// === impl Weight ===

impl Weight {
    /// The word that begins a note.
    pub fn word(self) -> &'static str {
        match self {
            Self::NotNeeded => "not needed",
            Self::Look => "look",
            Self::Differs => "differs",
            Self::ByHand => "by hand",
        }
    }

    /// True where something was not carried over as it was.
    pub fn is_loss(self) -> bool {
        matches!(self, Self::Differs | Self::ByHand)
    }
}
