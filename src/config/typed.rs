//! What was typed, before anyone has looked whether it makes sense.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    problem::Origin,
    setting::{Id, Setting, TABLE, Unit},
};

/// The name of the source that `--prefix` makes.
pub(super) const DEFAULT_SOURCE: &str = "default";

/// The flags of one command line, each with its text.
#[derive(Clone, Default)]
pub struct Flags(Vec<(Id, String)>);

/// One value as typed. No `Debug`: it may be a secret.
#[derive(Clone)]
pub struct Given {
    /// The text.
    pub text: String,
    /// Where it was typed.
    pub origin: Origin,
}

/// A source as typed: a prefix, or a service.
#[derive(Clone)]
pub(super) struct NamedSource {
    /// The setting that it was typed as.
    pub id: Id,
    /// What was typed for it, to be shown.
    pub text: String,
    /// Its name; `None` where `NAME=` is missing.
    pub name: Option<String>,
    /// Its prefix; empty where it is a service.
    pub prefix: String,
    /// What is said of its service, if it is one.
    pub service: Option<Group>,
    /// How it is read.
    pub terms: Terms,
    /// Where it was typed.
    pub origin: Origin,
}

/// How a source is read.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    /// No `/` is to be added.
    pub exact: bool,
    /// A pod does not start without it.
    pub required: bool,
    /// In one transaction with the others of this kind.
    pub atomic: bool,
}

/// Values of one layer, or of several laid over each other.
#[derive(Clone, Default)]
pub struct Typed {
    values: BTreeMap<Id, Vec<Given>>,
    pub(super) sources: Vec<NamedSource>,
    /// The outputs, if some were given.
    pub(super) outputs: Option<Vec<TypedOutput>>,
    /// The validation, if there is one.
    pub(super) validate: Option<Group>,
    /// The hook, if there is one.
    pub(super) hook: Option<Group>,
}

/// What may be said in a group of the file, by the kind of value.
pub(super) struct GroupKeys {
    /// One text each.
    pub words: &'static [&'static str],
    /// A list of texts each.
    pub lists: &'static [&'static str],
    /// Those lists whose texts may be numbers.
    pub numbers: &'static [&'static str],
    /// true or false each.
    pub switches: &'static [&'static str],
    /// A list of mappings each, with the keys of these.
    pub records: &'static [(&'static str, &'static [&'static str])],
}

/// What may be said of a tree.
pub(super) const OF_A_TREE: GroupKeys = GroupKeys {
    words: &["path", "strip", "separator", "case"],
    lists: &["layers", "include", "exclude"],
    numbers: &[],
    switches: &[],
    records: &[("modes", &["keys", "mode"]), ("decode", &["keys", "as"])],
};

/// What may be said of a single file.
pub(super) const OF_A_FILE: GroupKeys = GroupKeys {
    words: &[
        "path",
        "format",
        "shape",
        "types",
        "mode",
        "key",
        "default",
        "strip",
        "separator",
        "case",
    ],
    lists: &["layers", "include", "exclude"],
    numbers: &[],
    switches: &[],
    records: &[("decode", &["keys", "as"])],
};

/// What may be said of a service.
pub(super) const OF_A_SERVICE: GroupKeys = GroupKeys {
    words: &["name", "tag", "file", "format", "line"],
    lists: &[],
    numbers: &[],
    switches: &["passing"],
    records: &[],
};

/// What may be said of the validation.
pub(super) const OF_VALIDATION: GroupKeys = GroupKeys {
    words: &["url", "timeout"],
    lists: &["required", "command"],
    numbers: &[],
    switches: &[],
    records: &[("files", &["files", "as", "schema"])],
};

/// What may be said of the hook.
pub(super) const OF_THE_HOOK: GroupKeys = GroupKeys {
    words: &["url", "method", "timeout"],
    lists: &["only", "success"],
    numbers: &["success"],
    switches: &[],
    records: &[],
};

/// A mapping whose values are texts.
#[derive(Clone)]
pub(super) struct Record {
    /// By key.
    pub words: BTreeMap<&'static str, Given>,
    /// Where it was typed.
    pub origin: Origin,
}

/// A group of the file as typed.
#[derive(Clone)]
pub(super) struct Group {
    words: BTreeMap<&'static str, Given>,
    lists: BTreeMap<&'static str, Vec<Given>>,
    records: BTreeMap<&'static str, Vec<Record>>,
    /// Where it was typed.
    pub origin: Origin,
}

/// An output of the file as typed.
#[derive(Clone)]
pub(super) struct TypedOutput {
    /// It is one file, and no tree.
    pub is_file: bool,
    /// What is said of it.
    pub said: Group,
}

/// One line of `config print`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// The setting's name.
    pub setting: &'static str,
    /// Its value as typed, or why it is not shown. `None` when there is none.
    pub value: Option<String>,
    /// Where it was typed.
    #[serde(rename = "from")]
    pub origin: Origin,
}

// === impl Flags ===

impl Flags {
    /// No flags.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one more value of a flag.
    pub fn push(&mut self, id: Id, text: impl Into<String>) {
        self.0.push((id, text.into()));
    }

    /// The last value of a flag.
    pub(super) fn last(&self, id: Id) -> Option<Given> {
        let found = self.0.iter().rev().find(|(other, _)| *other == id);
        found.map(|(_, text)| Given { text: text.clone(), origin: Origin::Flag(id.row().name) })
    }

    /// The flags as the topmost layer.
    pub(super) fn layer(&self) -> Typed {
        let mut typed = Typed::default();
        for row in &TABLE {
            for (_, text) in self.0.iter().filter(|(id, _)| *id == row.id) {
                typed.add(row.id, text.clone(), Origin::Flag(row.name));
            }
        }
        typed
    }
}

// === impl Typed ===

impl Typed {
    /// Adds one more value of a setting.
    pub(super) fn add(&mut self, id: Id, text: String, origin: Origin) {
        match id {
            Id::Prefix => self.sources.push(NamedSource {
                id,
                text: text.clone(),
                name: Some(DEFAULT_SOURCE.to_owned()),
                prefix: text,
                service: None,
                terms: Terms::default(),
                origin,
            }),
            Id::Source => self.sources.push(NamedSource::read(text, origin)),
            Id::NoBackup => self.switch_backup_off(text, origin),
            _ => {
                let given = Given { text, origin };
                self.values.entry(id).or_default().push(given);
            }
        }
    }

    /// `--no-backup` is `--backup-mode off` by another name, so that one of them over the other
    /// follows the usual order. Its `false` says nothing.
    fn switch_backup_off(&mut self, text: String, origin: Origin) {
        let (id, text) = match switch(&text) {
            Some(true) => (Id::BackupMode, "off".to_owned()),
            Some(false) => return,
            None => (Id::NoBackup, text),
        };
        self.values.insert(id, vec![Given { text, origin }]);
    }

    /// This layer over a lower one. A setting's values come from one layer only: lists are replaced,
    /// never joined, and so are the sources, however they were spelled.
    pub(super) fn over(mut self, lower: Self) -> Self {
        for (id, values) in lower.values {
            self.values.entry(id).or_insert(values);
        }
        if self.sources.is_empty() {
            self.sources = lower.sources;
        }
        self.outputs = self.outputs.or(lower.outputs);
        self.validate = self.validate.or(lower.validate);
        self.hook = self.hook.or(lower.hook);
        self
    }

    /// All values of a setting, empty when the default holds.
    pub(super) fn all(&self, id: Id) -> &[Given] {
        self.values.get(&id).map_or(&[], Vec::as_slice)
    }

    /// The value of a setting, unless the default holds.
    pub(super) fn one(&self, id: Id) -> Option<&Given> {
        self.all(id).last()
    }

    /// Every setting with the value in effect and its origin, secrets left out.
    pub fn effective(&self) -> Vec<Effective> {
        TABLE.iter().flat_map(|row| self.lines(row)).collect()
    }

    fn lines(&self, row: &'static Setting) -> Vec<Effective> {
        match row.id {
            Id::Prefix | Id::NoBackup => vec![],
            Id::Source => self.source_lines(),
            id if self.all(id).is_empty() => vec![Effective {
                setting: row.name,
                value: (!row.default.is_empty()).then(|| row.default.to_owned()),
                origin: Origin::Default,
            }],
            id => {
                let line = |given: &Given| Effective {
                    setting: row.name,
                    value: Some(given.shown(row).unwrap_or("(not shown)").to_owned()),
                    origin: given.origin.clone(),
                };
                self.all(id).iter().map(line).collect()
            }
        }
    }

    fn source_lines(&self) -> Vec<Effective> {
        let line = |source: &NamedSource| Effective {
            setting: "source",
            value: Some(source.to_string()),
            origin: source.origin.clone(),
        };
        let sources = self.sources.iter().flat_map(|source| {
            let service = source.service.iter().flat_map(|said| said.lines("service", "yes"));
            std::iter::once(line(source)).chain(service)
        });
        let kind = |output: &TypedOutput| if output.is_file { "file" } else { "tree" };
        let outputs = self.outputs.iter().flatten();
        let outputs = outputs.flat_map(|output| output.said.lines("output", kind(output)));
        let validate = self.validate.iter().flat_map(|group| group.lines("validate", "yes"));
        let hook = self.hook.iter().flat_map(|group| group.lines("hook", "yes"));
        sources.chain(outputs).chain(validate).chain(hook).collect()
    }
}

// === impl GroupKeys ===

impl GroupKeys {
    /// All of them.
    pub fn all(&self) -> Vec<&'static str> {
        let records = self.records.iter().map(|(key, _)| *key);
        let named = [self.words, self.lists, self.switches].concat();
        named.into_iter().chain(records).collect()
    }
}

// === impl Group ===

impl Group {
    /// Nothing is said yet.
    pub fn new(origin: Origin) -> Self {
        let (words, lists, records) = Default::default();
        Self { words, lists, records, origin }
    }

    /// What is said in one word.
    pub fn word(&self, key: &str) -> Option<&Given> {
        self.words.get(key)
    }

    /// What is said in a list.
    pub fn list(&self, key: &str) -> Option<&[Given]> {
        self.lists.get(key).map(Vec::as_slice)
    }

    /// What is said in mappings.
    pub fn records(&self, key: &str) -> &[Record] {
        self.records.get(key).map_or(&[], Vec::as_slice)
    }

    /// Adds what is said in one word.
    pub fn say(&mut self, key: &'static str, word: Given) {
        self.words.insert(key, word);
    }

    /// Adds a list.
    pub fn say_all(&mut self, key: &'static str, list: Vec<Given>) {
        self.lists.insert(key, list);
    }

    /// Adds mappings.
    pub fn record_all(&mut self, key: &'static str, records: Vec<Record>) {
        self.records.insert(key, records);
    }

    fn lines(&self, name: &'static str, kind: &str) -> impl Iterator<Item = Effective> {
        let line = |setting, text: &str, origin: &Origin| Effective {
            setting,
            value: Some(text.to_owned()),
            origin: origin.clone(),
        };
        let first = line(name, kind, &self.origin);
        // A URL may hold a password.
        let shown =
            |word: &Given| !(word.text.contains("://") && word.text.contains(['@', '?', '#']));
        let words = self.words.iter().map(move |(key, word)| {
            line(key, if shown(word) { &word.text } else { "(not shown)" }, &word.origin)
        });
        let listed = self.lists.iter().flat_map(|(key, list)| list.iter().map(move |g| (key, g)));
        let lists = listed.map(move |(key, given)| line(key, &given.text, &given.origin));
        let all = self.records.iter().flat_map(|(key, list)| list.iter().map(move |r| (key, r)));
        let records = all.map(move |(key, record)| {
            let words: Vec<_> = record.words.values().map(|word| word.text.as_str()).collect();
            line(key, &words.join(", "), &record.origin)
        });
        std::iter::once(first).chain(words).chain(lists).chain(records)
    }
}

// === impl Given ===

impl Given {
    /// Where a file is asked for: its content, and not its name.
    pub(super) fn is_written_out(&self) -> bool {
        self.text.trim_start().starts_with('{')
    }

    /// The text, unless it is a secret or may hold one: a password in an address, a token where a
    /// file was asked for.
    pub(super) fn shown(&self, row: &Setting) -> Option<&str> {
        let hidden = row.secret
            || match row.unit {
                Unit::Address => self.text.contains(['@', '?', '#']),
                Unit::File => {
                    self.is_written_out() || super::secret::looks_like_a_token(&self.text)
                }
                _ => false,
            };
        (!hidden).then_some(self.text.as_str())
    }
}

// === impl NamedSource ===

impl NamedSource {
    fn read(text: String, origin: Origin) -> Self {
        let (name, prefix) = match text.split_once('=') {
            Some((name, prefix)) => (Some(name.to_owned()), prefix.to_owned()),
            None => (None, text.clone()),
        };
        let terms = Terms::default();
        Self { id: Id::Source, text, name, prefix, service: None, terms, origin }
    }
}

// === impl Terms ===

impl Default for Terms {
    fn default() -> Self {
        Self { exact: false, required: true, atomic: false }
    }
}

impl std::fmt::Display for NamedSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let said = |said: bool, word: &'static str| if said { word } else { "" };
        let exact = said(self.terms.exact, " (exact)");
        let optional = said(!self.terms.required, " (not required)");
        let atomic = said(self.terms.atomic, " (atomic)");
        match &self.name {
            Some(_) if self.service.is_some() => write!(f, "{}{optional}", self.text),
            Some(name) => write!(f, "{name}={}{exact}{optional}{atomic}", self.prefix),
            None => f.write_str(&self.text),
        }
    }
}

/// Reads a switch.
pub(super) fn switch(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}
