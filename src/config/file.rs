//! The configuration file. The only place that reads YAML.
//!
//! The file is read as a tree and walked by the table of settings, not by one struct: a mistake in
//! one key then does not hide those in the others. Lines are looked up afterwards, for the mistakes
//! only.

mod line;
mod shape;

use std::fs;

use serde_yaml::Value;

use self::shape::Reader;
use super::{
    problem::{Kind, Origin, Problem},
    setting::Id,
    typed::{Given, Typed},
};

/// A file's name and content.
pub(super) struct Document {
    name: String,
    text: String,
}

// === impl Document ===

impl Document {
    /// A document that is already at hand.
    #[cfg(test)]
    pub fn new(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: text.to_owned() }
    }

    /// Reads the file that `config` names; a text that no file's name begins like is the content itself.
    pub fn read(config: &Given, problems: &mut Vec<Problem>) -> Option<Self> {
        if config.is_written_out() {
            return Some(Self { name: "config".to_owned(), text: config.text.clone() });
        }
        let error = match fs::read_to_string(&config.text) {
            Ok(text) => {
                let name = config.text.clone();
                return Some(Self { name, text });
            }
            Err(error) => error,
        };
        let shown = config.shown(Id::Config.row()).map(str::to_owned);
        let reason = format!("cannot be read: {error}");
        let problem = Problem::new(Kind::Unreadable, "config", reason).at(config.origin.clone());
        problems.push(Problem { text: shown, ..problem });
        None
    }

    /// The layer that the file makes.
    pub fn layer(&self, problems: &mut Vec<Problem>) -> Typed {
        let root = match serde_yaml::from_str::<Value>(&self.text) {
            Ok(root) => root,
            Err(error) => {
                problems.push(self.no_yaml(&error));
                return Typed::default();
            }
        };
        let mut reader = Reader::new(&self.name, problems);
        reader.mapping("", &root);
        reader.typed
    }

    fn no_yaml(&self, error: &serde_yaml::Error) -> Problem {
        let origin = Origin::File {
            file: self.name.clone(),
            path: String::new(),
            line: None, // the error's own text has it
        };
        let reason = format!("is not valid YAML: {error}");
        Problem::new(Kind::Malformed, "config", reason).at(origin)
    }

    /// Adds the line to whatever came from this file.
    pub fn number<'p>(&self, problems: impl IntoIterator<Item = &'p mut Problem>) {
        for problem in problems {
            if let Some(Origin::File { path, line, .. }) = &mut problem.origin {
                *line = line.or_else(|| line::of(&self.text, path));
            }
        }
    }
}
