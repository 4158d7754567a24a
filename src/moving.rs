//! Moving over: from a configuration of consul-template to ours. Pure: texts in, a text and notes out.
//!
//! [`hcl`] reads the configuration and [`settings`] says what each setting is; [`template`] reads a template and
//! [`meaning`] says which output it is, if it is one; [`plan`] puts sources and outputs together and [`yaml`]
//! writes them. What is not carried over is a [`note`] with the line it is about: nothing is dropped in silence.
//! Tokens and passwords are neither copied nor shown.

mod exec;
pub mod hcl;
pub mod meaning;
pub mod note;
pub mod plan;
pub mod settings;
pub mod template;
pub mod yaml;

use std::collections::HashMap;

use self::note::Note;
use self::plan::ReadSource;
use self::settings::{Reader, Template};

/// What is carried over.
pub enum Input {
    /// A configuration file, HCL or JSON.
    Configuration {
        /// The file as it was named.
        name: String,
        /// Its text.
        text: String,
    },
    /// One template.
    Template(Box<Template>),
}

/// What came of it.
#[derive(Debug)]
pub struct Moved {
    /// Our configuration file.
    pub yaml: String,
    /// What is different, or was not carried over, file by file and line by line.
    pub notes: Vec<Note>,
}

/// A configuration that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct Unreadable {
    /// The file as it was named.
    pub file: String,
    /// The line in it, from 1.
    pub line: usize,
    /// Completes "the file ...".
    pub what: String,
}

/// Carries over all of `inputs`, a later one over an earlier one. `source` reads the templates that they name.
pub fn from_consul_template(
    inputs: Vec<Input>,
    source: ReadSource<'_>,
) -> Result<Moved, Unreadable> {
    let mut reader = Reader::default();
    for input in inputs {
        match input {
            Input::Template(template) => reader.settings.templates.push(*template),
            Input::Configuration { name, text } => {
                let entries = hcl::parse(&text).map_err(|mistake| Unreadable {
                    file: name.clone(),
                    line: mistake.line,
                    what: mistake.what,
                })?;
                reader.file(&name, &entries);
            }
        }
    }
    let Reader { settings, mut notes, .. } = reader;
    notes.extend(settings.exec.as_ref().map(exec::note));
    let plan = plan::plan(&settings, source, &mut notes);
    let yaml = yaml::write(&settings, &plan, &mut notes);
    Ok(Moved { yaml, notes: in_order(notes) })
}

/// File by file as they came, line by line.
fn in_order(mut notes: Vec<Note>) -> Vec<Note> {
    let mut files: HashMap<String, usize> = HashMap::new();
    for note in &notes {
        let next = files.len();
        files.entry(note.file.clone()).or_insert(next);
    }
    notes.sort_by_key(|note| (files[&note.file], note.line));
    notes
}

#[cfg(test)]
mod tests;
