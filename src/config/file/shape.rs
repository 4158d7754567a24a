//! The shape of the file: which keys may stand where, and what kind of value each takes.

use std::collections::BTreeMap;

use serde_yaml::{Mapping, Value};

use crate::config::{
    guess::did_you_mean,
    problem::{Kind, Origin, Problem},
    setting::{self, Id, Setting, TABLE, Unit},
    typed::{
        Given, Group, GroupKeys, NamedSource, OF_A_FILE, OF_A_SERVICE, OF_A_TREE, OF_THE_HOOK,
        OF_VALIDATION, Record, Terms, Typed, TypedOutput,
    },
};

/// Keys of the file that are no settings of the table.
const OUTPUTS: &str = "outputs";
const VALIDATE: &str = "validate";
const HOOK: &str = "hook";
/// What may be said of a source.
const OF_A_SOURCE: [&str; 6] = ["name", "prefix", "service", "exactPrefix", "required", "atomic"];

/// Walks a file and collects what it finds.
pub(super) struct Reader<'f> {
    file: &'f str,
    problems: &'f mut Vec<Problem>,
    /// The values found.
    pub typed: Typed,
}

impl<'f> Reader<'f> {
    pub fn new(file: &'f str, problems: &'f mut Vec<Problem>) -> Self {
        Self { file, problems, typed: Typed::default() }
    }

    /// Walks the mapping at `path`. Nothing at all is an empty one: all its keys are commented out.
    pub fn mapping(&mut self, path: &str, value: &Value) {
        for (key, value) in self.fields(path, value).into_iter().flatten() {
            self.entry(&join(path, &key), value);
        }
    }

    fn entry(&mut self, path: &str, value: &Value) {
        match setting::by_path(path) {
            _ if path == OUTPUTS => self.outputs(value),
            _ if path == VALIDATE => {
                self.typed.validate = self.group(path, value, &OF_VALIDATION);
            }
            _ if path == HOOK => self.typed.hook = self.group(path, value, &OF_THE_HOOK),
            Some(row) if row.id == Id::Source => self.sources(value),
            Some(row) => self.setting(row, path, value),
            None if is_group(path) => self.mapping(path, value),
            None => self.unknown(path, &siblings(path)),
        }
    }

    fn setting(&mut self, row: &'static Setting, path: &str, value: &Value) {
        match value {
            Value::Null => {}
            Value::Sequence(items) if row.repeats => {
                for (i, item) in items.iter().enumerate() {
                    self.scalar(row, &format!("{path}[{i}]"), item);
                }
            }
            _ if row.repeats => self.refuse(path, "is not a list", "write [one, two]"),
            value => self.scalar(row, path, value),
        }
    }

    fn scalar(&mut self, row: &'static Setting, path: &str, value: &Value) {
        let text = match value {
            _ if row.unit == Unit::Switch => {
                let on = self.bool(path, value);
                (on != row.opposite_in_file()).to_string()
            }
            Value::String(text) => text.clone(),
            Value::Number(n) if takes_numbers(row.unit) => n.to_string(),
            other => return self.mistyped(path, other),
        };
        let origin = self.at(path);
        self.typed.add(row.id, text, origin);
    }

    fn sources(&mut self, value: &Value) {
        for (i, item) in self.list("sources", value) {
            let path = format!("sources[{i}]");
            let Some(fields) = self.fields(&path, item) else {
                continue;
            };
            let (mut name, mut prefix, mut service) = (None, None, None);
            let mut terms = Terms::default();
            for (key, value) in fields {
                let at = join(&path, &key);
                match key.as_str() {
                    "name" => name = Some(self.string(&at, value)),
                    "prefix" => prefix = Some(self.string(&at, value)),
                    "service" => service = Some(self.group(&at, value, &OF_A_SERVICE)),
                    "exactPrefix" => terms.exact = self.bool(&at, value),
                    "required" => terms.required = self.bool(&at, value),
                    "atomic" => terms.atomic = self.bool(&at, value),
                    _ => self.unknown(&at, &OF_A_SOURCE),
                }
            }
            self.either(&path, (&name, &prefix, &service), terms.exact);
            let Some(Some(name)) = name else { continue };
            let (text, prefix, service) = match (prefix, service) {
                (Some(Some(prefix)), None) => (format!("{name}={prefix}"), prefix, None),
                (None, Some(Some(service))) => {
                    let of = service.word("name").map_or("", |given| &given.text);
                    (format!("{name}=service {of}"), String::new(), Some(service))
                }
                _ => continue,
            };
            let (id, name, origin) = (Id::Source, Some(name), self.at(&path));
            let source = NamedSource { id, text, name, prefix, service, terms, origin };
            self.typed.sources.push(source);
        }
    }

    /// A source has a name, and reads a prefix or a service.
    fn either<N, P, S>(
        &mut self,
        path: &str,
        (name, prefix, service): (&Option<N>, &Option<P>, &Option<S>),
        exact: bool,
    ) {
        let reads = prefix.is_some() || service.is_some();
        for (key, there) in [("name", name.is_some()), ("prefix", reads)] {
            if !there {
                let problem = Problem::new(Kind::Missing, join(path, key), "is missing");
                self.problems.push(problem.at(self.at(path)));
            }
        }
        for (key, there) in [("prefix", prefix.is_some()), ("exactPrefix", exact)] {
            if there && service.is_some() {
                let reason = "is said of a source that is a service";
                let problem = Problem::new(Kind::Conflict, join(path, key), reason);
                let hint = "leave it out, or service: a source reads one of them";
                self.problems.push(problem.at(self.at(path)).hint(hint));
            }
        }
    }

    fn outputs(&mut self, value: &Value) {
        let mut outputs = Vec::new();
        for (i, item) in self.list(OUTPUTS, value) {
            let path = format!("{OUTPUTS}[{i}]");
            for (kind, value) in self.fields(&path, item).into_iter().flatten() {
                let at = join(&path, &kind);
                match kind.as_str() {
                    "tree" => outputs.extend(self.output(&at, value, false)),
                    "file" => outputs.extend(self.output(&at, value, true)),
                    _ => self.unknown(&at, &["tree", "file"]),
                }
            }
        }
        if !outputs.is_empty() {
            self.typed.outputs = Some(outputs);
        }
    }

    fn output(&mut self, path: &str, value: &Value, is_file: bool) -> Option<TypedOutput> {
        let keys = if is_file { OF_A_FILE } else { OF_A_TREE };
        self.group(path, value, &keys).map(|said| TypedOutput { is_file, said })
    }

    fn group(&mut self, path: &str, value: &Value, known: &GroupKeys) -> Option<Group> {
        let mut group = Group::new(self.at(path));
        for (key, value) in self.fields(path, value)? {
            let at = join(path, &key);
            if let Some(word) = known.words.iter().find(|word| **word == key) {
                if let Some(given) = self.given(&at, value) {
                    group.say(word, given);
                }
            } else if let Some(switch) = known.switches.iter().find(|switch| **switch == key) {
                let (text, origin) = (self.bool(&at, value).to_string(), self.at(&at));
                group.say(switch, Given { text, origin });
            } else if let Some(list) = known.lists.iter().find(|list| **list == key) {
                group.say_all(list, self.givens(&at, value, known.numbers.contains(list)));
            } else if let Some((name, keys)) = known.records.iter().find(|(name, _)| *name == key) {
                group.record_all(name, self.records(&at, value, keys));
            } else {
                self.unknown(&at, &known.all());
            }
        }
        Some(group)
    }

    fn given(&mut self, path: &str, value: &Value) -> Option<Given> {
        let origin = self.at(path);
        self.string(path, value).map(|text| Given { text, origin })
    }

    fn givens(&mut self, path: &str, value: &Value, numbers: bool) -> Vec<Given> {
        let mut givens = Vec::new();
        for (i, item) in self.list(path, value) {
            let at = format!("{path}[{i}]");
            givens.extend(match item {
                Value::Number(n) if numbers => {
                    Some(Given { text: n.to_string(), origin: self.at(&at) })
                }
                item => self.given(&at, item),
            });
        }
        givens
    }

    fn records(&mut self, path: &str, value: &Value, keys: &[&'static str]) -> Vec<Record> {
        let mut records = Vec::new();
        for (i, item) in self.list(path, value) {
            let at = format!("{path}[{i}]");
            let mut record = Record { words: BTreeMap::new(), origin: self.at(&at) };
            for (key, value) in self.fields(&at, item).into_iter().flatten() {
                let below = join(&at, &key);
                match keys.iter().find(|known| **known == key) {
                    Some(known) => {
                        record.words.extend(self.given(&below, value).map(|word| (*known, word)));
                    }
                    None => self.unknown(&below, keys),
                }
            }
            records.push(record);
        }
        records
    }

    /// The items of a list, numbered.
    fn list<'v>(&mut self, path: &str, value: &'v Value) -> Vec<(usize, &'v Value)> {
        match value {
            Value::Null => vec![],
            Value::Sequence(items) => items.iter().enumerate().collect(),
            _ => {
                self.refuse(path, "is not a list", "write one item a line, after a dash");
                vec![]
            }
        }
    }

    /// The entries of a mapping, `None` when it is none.
    fn fields<'v>(&mut self, path: &str, value: &'v Value) -> Option<Vec<(String, &'v Value)>> {
        match value {
            Value::Null => Some(vec![]),
            Value::Mapping(mapping) => Some(self.named(path, mapping)),
            _ => {
                self.refuse(path, "is not a mapping", "write key: value below it");
                None
            }
        }
    }

    fn named<'v>(&mut self, path: &str, mapping: &'v Mapping) -> Vec<(String, &'v Value)> {
        let mut fields = Vec::new();
        for (key, value) in mapping {
            match key {
                Value::String(key) => fields.push((key.clone(), value)),
                Value::Number(key) => fields.push((key.to_string(), value)),
                Value::Bool(key) => fields.push((key.to_string(), value)),
                _ => self.refuse(path, "has a key that is no name", "write a name before the ':'"),
            }
        }
        fields
    }

    fn string(&mut self, path: &str, value: &Value) -> Option<String> {
        if let Value::String(text) = value {
            return Some(text.clone());
        }
        self.mistyped(path, value);
        None
    }

    fn bool(&mut self, path: &str, value: &Value) -> bool {
        value.as_bool().unwrap_or_else(|| {
            self.refuse(path, "is not true or false", "write true or false");
            false
        })
    }

    /// A value of the wrong kind. YAML reads `1e3` as a number and `no` sometimes as false, so a
    /// name must be text to be taken as typed.
    fn mistyped(&mut self, path: &str, value: &Value) {
        let (reason, hint) = match value {
            Value::Null => ("is empty", "write a value"),
            Value::Bool(_) => ("reads as true or false in YAML", "put it in quotes"),
            Value::Number(_) => ("reads as a number in YAML", "put it in quotes"),
            _ => ("is not one value", "write one value"),
        };
        self.refuse(path, reason, hint);
    }

    fn unknown(&mut self, path: &str, known: &[&str]) {
        let key = path.rsplit('.').next().unwrap_or(path);
        if key.eq_ignore_ascii_case("token") {
            let hint =
                "put it in a file of its own, from a Secret, and name that in consul.tokenFile";
            let problem =
                Problem::new(Kind::Unsupported, path, "a token does not belong in this file");
            return self.problems.push(problem.at(self.at(path)).hint(hint));
        }
        let mut problem = Problem::new(Kind::Unknown, path, "is not a key of this file");
        let known_keys = || format!("here may be {}", known.join(", "));
        problem.hint = did_you_mean(key, known.iter().copied()).or_else(|| Some(known_keys()));
        self.problems.push(problem.at(self.at(path)));
    }

    fn refuse(&mut self, path: &str, reason: &str, hint: &str) {
        let name = if path.is_empty() { "config" } else { path };
        let problem = Problem::new(Kind::Malformed, name, reason);
        self.problems.push(problem.at(self.at(path)).hint(hint));
    }

    fn at(&self, path: &str) -> Origin {
        Origin::File { file: self.file.to_owned(), path: path.to_owned(), line: None }
    }
}

/// Values that people write without quotes although YAML reads them as numbers.
fn takes_numbers(unit: Unit) -> bool {
    matches!(unit, Unit::Count | Unit::Percent | Unit::Bytes | Unit::Period)
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        return key.to_owned();
    }
    format!("{path}.{key}")
}

fn is_group(path: &str) -> bool {
    paths().any(|known| known.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// The keys that may stand where `path` ends.
fn siblings(path: &str) -> Vec<&'static str> {
    let parent = path.rfind('.').map_or("", |dot| &path[..=dot]);
    let below = paths().filter_map(|known| known.strip_prefix(parent));
    let mut keys: Vec<_> = below.filter_map(|rest| rest.split('.').next()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn paths() -> impl Iterator<Item = &'static str> {
    TABLE.iter().filter_map(|row| row.file).chain([OUTPUTS, VALIDATE, HOOK])
}
