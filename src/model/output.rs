//! What applications see of their sources.

use sha2::{Digest as _, Sha256};

use super::snapshot::Digest;

/// One output of a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// One file per key.
    Tree {
        /// Indexes of sources. A later one wins, key by key.
        layers: Vec<usize>,
    },
    /// All keys in one file.
    File(Single),
}

/// A file that is made of all keys of its layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Single {
    /// Where it lies in the generation. A safe path, as a key's is.
    pub path: String,
    /// As of a tree.
    pub layers: Vec<usize>,
    /// How it is written.
    pub format: Format,
    /// How its keys are arranged. Formats without levels are always flat.
    pub shape: Shape,
    /// What values become. Formats without types have text only.
    pub types: Types,
    /// How large it may be, in bytes. Escaped, a value can take six times its size.
    pub max_bytes: u64,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 8259.
    Json,
    /// YAML that readers of 1.1 and 1.2 understand alike.
    Yaml,
    /// TOML 1.0.
    Toml,
    /// What `java.util.Properties` loads.
    Properties,
    /// What dotenv libraries load.
    Env,
    /// What a POSIX shell reads with `.`.
    Shell,
}

/// How keys are arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A level for each directory.
    Nested,
    /// One level, of whole paths.
    Flat,
}

/// What values become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Types {
    /// Text, always.
    Text,
    /// `true`, `false` and numbers lose their quotes, if that loses nothing else.
    Auto,
}

/// A digest of which outputs are made, and how: what made a generation is compared by it.
pub fn digest(outputs: &[Output]) -> Digest {
    Digest::from_bytes(Sha256::digest(format!("{outputs:?}")).into())
}

// === impl Output ===

impl Output {
    /// The sources it is made of, in order.
    pub fn layers(&self) -> &[usize] {
        match self {
            Self::Tree { layers } => layers,
            Self::File(file) => &file.layers,
        }
    }

    /// Makes it of others.
    pub fn set_layers(&mut self, others: Vec<usize>) {
        match self {
            Self::Tree { layers } => *layers = others,
            Self::File(file) => file.layers = others,
        }
    }
}

// === impl Format ===

impl Format {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Json, Self::Yaml, Self::Toml, Self::Properties, Self::Env, Self::Shell];

    /// The word for it in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Toml => "toml",
            Self::Properties => "properties",
            Self::Env => "env",
            Self::Shell => "shell",
        }
    }

    /// What the ending of a file name says: the word, `yml`, or `sh`.
    pub fn of_name(name: &str) -> Option<Self> {
        let ending = name.rsplit_once('.')?.1;
        match ending {
            "yml" => Some(Self::Yaml),
            "sh" => Some(Self::Shell),
            ending => Self::ALL.into_iter().find(|format| format.word() == ending),
        }
    }

    /// True when it can have levels and types.
    pub fn is_structured(self) -> bool {
        matches!(self, Self::Json | Self::Yaml | Self::Toml)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_says_the_format() {
        for format in Format::ALL.into_iter().filter(|f| *f != Format::Shell) {
            assert_eq!(Format::of_name(&format!("a.b.{}", format.word())), Some(format));
        }
        assert_eq!(Format::of_name(".env"), Some(Format::Env));
        assert_eq!(Format::of_name("a.yml"), Some(Format::Yaml));
        assert_eq!(Format::of_name("a.sh"), Some(Format::Shell));
        assert_eq!(Format::of_name("json"), None);
        assert_eq!(Format::of_name("a.ini"), None);
    }
}
