//! Which sources the templates need, and which outputs they become.

mod understood;

use std::collections::{HashMap, HashSet};

use super::meaning::{Layout, Meaning, Place};
use super::note::{Note, Weight};
use super::settings::{Settings, Template};
use crate::config::is_dns_label;
use crate::model::key::{self, Prefix, PrefixRules};

/// Reads the file of a template. The error says why not.
pub type ReadSource<'r> = &'r dyn Fn(&str) -> Result<String, String>;

/// Sources and outputs of a configuration.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Name and prefix of each.
    pub sources: Vec<(String, String)>,
    /// What is made of them.
    pub outputs: Vec<Output>,
    /// The datacenter that all of it is read from.
    pub datacenter: Option<String>,
}

/// An output.
#[derive(Clone, Debug)]
pub struct Output {
    /// Where it was.
    pub was: String,
    /// Where it is, below `live/`.
    pub path: String,
    /// Indexes of sources.
    pub layers: Vec<usize>,
    /// The mode of its file, or files.
    pub mode: Option<u32>,
    /// What is in it.
    pub content: Content,
}

/// What is in an output.
#[derive(Clone, Debug)]
pub enum Content {
    /// One key's value, or a default.
    Value(String, Option<String>),
    /// These keys, or all.
    Keys(Vec<String>, Layout),
    /// A file for each of these keys, or of all.
    Tree(Vec<String>),
}

/// A template that is understood.
struct Read<'t> {
    template: &'t Template,
    meaning: Meaning,
}

/// Makes the plan of all templates.
pub fn plan(settings: &Settings, source: ReadSource<'_>, notes: &mut Vec<Note>) -> Plan {
    let read = |template| {
        let understood = understood::meaning(template, &settings.delimiters, source);
        let meaning = understood.map_err(|note| notes.push(note)).ok()?;
        notes.extend(meaning.1);
        Some(Read { template, meaning: meaning.0 })
    };
    let mut templates: Vec<Read<'_>> = settings.templates.iter().filter_map(read).collect();
    let datacenter = one_datacenter(&mut templates, notes);
    let mut sources = Sources::default();
    for read in &templates {
        match &read.meaning {
            Meaning::Keys { prefixes, .. } => sources.all(prefixes),
            Meaning::Mirror { prefix, .. } => sources.all(std::slice::from_ref(prefix)),
            Meaning::Value { .. } => {}
        }
    }
    sources.cover(&templates);
    let mut paths = Paths::default();
    let outputs = templates.into_iter().map(|read| {
        let output = read.output(&mut sources, &mut paths);
        notes.extend(told(read.template, &output));
        output
    });
    let outputs = outputs.collect();
    Plan { sources: sources.named(), outputs, datacenter }
}

/// One seedcar reads one datacenter: that of the first template. Templates of others are left out.
fn one_datacenter(templates: &mut Vec<Read<'_>>, notes: &mut Vec<Note>) -> Option<String> {
    let of = |read: &Read<'_>| -> Vec<Option<String>> {
        let places: Vec<&Place> = match &read.meaning {
            Meaning::Value { key, .. } => vec![key],
            Meaning::Keys { prefixes, .. } => prefixes.iter().collect(),
            Meaning::Mirror { prefix, .. } => vec![prefix],
        };
        places.into_iter().map(|place| place.datacenter.clone()).collect()
    };
    let first = templates.first().and_then(|read| of(read).first().cloned()).flatten();
    templates.retain(|read| {
        let is_same = of(read).iter().all(|name| *name == first);
        if !is_same {
            let text = "template: reads another datacenter than the first one, and one seedcar reads one: run \
                        a second one for it";
            let (file, line) = read.template.at.clone();
            notes.push(Note { file, line, weight: Weight::ByHand, text: text.to_owned() });
        }
        is_same
    });
    first
}

/// What to do about a template's command: the exact line.
fn told(template: &Template, output: &Output) -> Option<Note> {
    let given = template.command.as_ref()?;
    let only = match output.content {
        Content::Tree(_) => format!("{}/**", output.path),
        _ => output.path.clone(),
    };
    let action = super::exec::action_of(&given.text);
    let only = super::exec::word(&only);
    let text = format!(
        "template.command: seedcar runs no command: let the application be told of a change: start it with `seedcar \
         exec --only {only} --on-change {action} -- APPLICATION`, or name its URL in hook of the file"
    );
    let (file, line) = given.at.clone();
    Some(Note { file, line, weight: Weight::ByHand, text })
}

/// Prefixes, each once.
#[derive(Default)]
struct Sources {
    prefixes: Vec<String>,
    indexes: HashMap<String, usize>,
}

/// Paths that outputs have.
#[derive(Default)]
struct Paths {
    taken: HashSet<String>,
    next: HashMap<String, usize>,
}

// === impl Read ===

impl Read<'_> {
    fn output(&self, sources: &mut Sources, paths: &mut Paths) -> Output {
        let mut was = self.template.destination.clone().unwrap_or_default();
        let mut mode = self.template.mode;
        let (layers, content) = match &self.meaning {
            Meaning::Value { key, default } => {
                let (source, below) = sources.covering(&key.path);
                (vec![source], Content::Value(below, default.clone()))
            }
            Meaning::Keys { prefixes, include, layout } => {
                let mut layers = Vec::new();
                for prefix in prefixes {
                    let index = sources.index(&prefix.path);
                    // Read twice, it wins at its last place.
                    layers.retain(|layer| *layer != index);
                    layers.push(index);
                }
                (layers, Content::Keys(include.clone(), layout.clone()))
            }
            Meaning::Mirror { prefix, include, directory, mode: own } => {
                was = format!("{directory}/");
                mode = Some(*own);
                (vec![sources.index(&prefix.path)], Content::Tree(include.clone()))
            }
        };
        let path = paths.take(&was);
        Output { was, path, layers, mode, content }
    }
}

// === impl Sources ===

impl Sources {
    fn all(&mut self, prefixes: &[Place]) {
        for prefix in prefixes {
            self.index(&prefix.path);
        }
    }

    fn index(&mut self, prefix: &str) -> usize {
        if let Some(index) = self.indexes.get(prefix) {
            return *index;
        }
        let index = self.prefixes.len();
        self.prefixes.push(prefix.to_owned());
        self.indexes.insert(prefix.to_owned(), index);
        index
    }

    /// Adds what single keys need: the directory of each, where no source has it already. Shorter ones
    /// come first, so that one source does for what lies below it.
    fn cover(&mut self, templates: &[Read<'_>]) {
        let key = |read: &Read<'_>| match &read.meaning {
            Meaning::Value { key, .. } => Some(key.path.clone()),
            _ => None,
        };
        let mut keys: Vec<String> = templates.iter().filter_map(key).collect();
        keys.sort_by_key(|key| (key.matches('/').count(), key.clone()));
        for key in &keys {
            self.covering(key);
        }
    }

    /// The nearest source that has a key, and the key's path below it.
    fn covering(&mut self, key: &str) -> (usize, String) {
        let mut parents = key.rmatch_indices('/').map(|(at, _)| &key[..at]);
        let found = parents.find_map(|parent| Some((*self.indexes.get(parent)?, parent.len())));
        let (index, length) = found.unwrap_or_else(|| {
            let parent = key.rsplit_once('/').map_or("", |(parent, _)| parent);
            (self.index(parent), parent.len())
        });
        (index, key[length..].trim_start_matches('/').to_owned())
    }

    /// Each with a name: its last path element, made a name that a source can have.
    fn named(self) -> Vec<(String, String)> {
        let mut names = Paths::default();
        let name = |prefix: String| {
            let last = prefix.rsplit('/').next().unwrap_or_default();
            (names.numbered(&label(last), |name, n| format!("{name}-{n}")), prefix)
        };
        self.prefixes.into_iter().map(name).collect()
    }
}

/// At most 50 characters, so that a number has room.
fn label(text: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let text: String = text.chars().map(letter).take(50).collect();
    let text = text.trim_matches('-');
    if is_dns_label(text) { text.to_owned() } else { "source".to_owned() }
}

// === impl Paths ===

impl Paths {
    /// The name of what was at a path, or one like it that is free.
    fn take(&mut self, was: &str) -> String {
        let was = was.trim_end_matches('/');
        let name = was.rsplit('/').next().unwrap_or_default();
        let root = Prefix::parse("", PrefixRules { exact: true, allow_root: true });
        let is_safe = root.is_ok_and(|root| matches!(root.place(name), key::Place::File(_)));
        let name = if is_safe && name.len() < 200 { name } else { "output" };
        self.numbered(name, |name, n| format!("{n}-{name}"))
    }

    fn numbered(&mut self, name: &str, numbered: impl Fn(&str, usize) -> String) -> String {
        let mut free = name.to_owned();
        while !self.taken.insert(free.clone()) {
            let n = self.next.entry(name.to_owned()).or_insert(1);
            *n += 1;
            free = numbered(name, *n);
        }
        free
    }
}

#[cfg(test)]
mod tests;
