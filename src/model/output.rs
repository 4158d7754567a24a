//! What applications see of their sources.

use sha2::{Digest as _, Sha256};

use super::encoding::Encoding;
use super::naming::Naming;
use super::selection::{Glob, Selection};
use super::snapshot::Digest;

/// The mode of a file that nothing else is said of: everybody may read it, nobody write.
pub const MODE: u32 = 0o444;

/// The bits that a file's mode may have. Nobody may write: an unchanged file is the same one in the next
/// generation, so that what is written into one would be in both.
pub const MAY_BE: u32 = 0o555;

/// One output of a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Indexes of sources. A later one wins, key by key.
    pub layers: Vec<usize>,
    /// Which keys of them it takes.
    pub selection: Selection,
    /// What it calls them.
    pub naming: Naming,
    /// How the values of some keys are encoded. Of several that match each is undone, in order.
    pub decode: Vec<(Glob, Encoding)>,
    /// How large all decoded values may be together, in bytes: few can unpack to many.
    pub max_bytes: u64,
    /// What becomes of them.
    pub form: Form,
}

/// What becomes of the keys of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// One file per key.
    Tree {
        /// The modes of some files, by their keys. The first pattern that matches counts.
        modes: Vec<(Glob, u32)>,
    },
    /// All keys in one file.
    File(Single),
    /// The value of the one key that is taken, in a file with a name of its own.
    Value(Named),
    /// The instances of a service, the one layer there is.
    Instances(Instances),
}

/// A file of a service's instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instances {
    /// Where it lies in the generation.
    pub path: String,
    /// What it says of each.
    pub listing: Listing,
    /// How large it may be, in bytes.
    pub max_bytes: u64,
}

/// What a file says of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing {
    /// All there is: an array of objects.
    Json,
    /// A line such as this, with `host:port` in the place of each `{}`.
    Lines(String),
}

/// A file that is made of all keys of its layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Single {
    /// Where it lies in the generation. A safe path, as a key's is.
    pub path: String,
    /// How it is written.
    pub format: Format,
    /// How its keys are arranged. Formats without levels are always flat.
    pub shape: Shape,
    /// What values become. Formats without types have text only.
    pub types: Types,
    /// Its mode.
    pub mode: u32,
    /// How large it may be, in bytes. Escaped, a value can take six times its size.
    pub max_bytes: u64,
}

/// A file that is the value of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Where it lies in the generation.
    pub path: String,
    /// What it holds where there is no such key. Without this there is no file then.
    pub default: Option<String>,
    /// Its mode.
    pub mode: u32,
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
    /// One file per key, as the keys are.
    pub fn tree(layers: Vec<usize>) -> Self {
        Self::of(layers, Form::Tree { modes: Vec::new() })
    }

    /// All keys, as they are, in this form.
    pub fn of(layers: Vec<usize>, form: Form) -> Self {
        let (selection, naming) = Default::default();
        Self { layers, selection, naming, decode: Vec::new(), max_bytes: 0, form }
    }
}

// === impl Form ===

impl Form {
    /// The file that it makes, if it is one.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Tree { .. } => None,
            Self::File(file) => Some(&file.path),
            Self::Value(file) => Some(&file.path),
            Self::Instances(file) => Some(&file.path),
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
