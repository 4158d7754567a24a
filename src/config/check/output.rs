//! One output: its keys, and what becomes of them.

use super::{
    super::{
        problem::{Kind, Problem},
        typed::{Given, Group, Record, TypedOutput},
    },
    Checker,
};
use crate::model::encoding::Encoding;
use crate::model::key::{Place, Prefix, PrefixRules};
use crate::model::naming::{Case, Naming};
use crate::model::output::{Form, Format, MAY_BE, MODE, Named, Output, Shape, Single, Types};
use crate::model::selection::{Glob, Selection};

impl Checker<'_> {
    /// All problems of one output are found, in whatever part of it they are.
    pub(super) fn output(&mut self, output: &TypedOutput, max_bytes: u64) -> Option<Output> {
        let typed = &output.said;
        let layers = self.layers_of(typed);
        let include = self.globs(typed.list("include").unwrap_or_default());
        let exclude = self.globs(typed.list("exclude").unwrap_or_default());
        let naming = self.naming(output);
        let decode = self.rules(typed.records("decode"), "as", |checker, given| {
            checker.chosen(given, "as", &Encoding::ALL.map(|encoding| (encoding.word(), encoding)))
        });
        let key = typed.word("key").map(|key| self.path_of(key, "key"));
        let form = match (output.is_file, &key) {
            (false, _) => self.tree(typed),
            (true, Some(_)) => self.value(typed),
            (true, None) => self.single(typed, max_bytes),
        };
        let mut selection = Selection { include: include?, exclude: exclude? };
        if let Some(key) = key {
            selection.include = vec![Glob::exactly(&key?)];
        }
        let naming = naming?;
        let (layers, form) = (layers?, form?);
        Some(Output { selection, naming, decode: decode?, ..Output::of(layers, form) })
    }

    fn layers_of(&mut self, typed: &Group) -> Option<Vec<usize>> {
        match typed.list("layers") {
            None => Some(self.all_layers()),
            Some([]) => {
                let problem = Problem::new(Kind::Missing, "layers", "are none");
                let hint = "name sources, or leave layers out for all of them";
                self.problems.push(problem.at(typed.origin.clone()).hint(hint));
                None
            }
            Some(given) => Some(self.layers(given)),
        }
    }

    fn tree(&mut self, typed: &Group) -> Option<Form> {
        let modes = self.rules(typed.records("modes"), "mode", Self::mode);
        Some(Form::Tree { modes: modes? })
    }

    fn value(&mut self, typed: &Group) -> Option<Form> {
        let words = ["format", "shape", "types", "strip", "separator", "case"].into_iter();
        let words = words.filter_map(|word| Some((word, typed.word(word)?)));
        let lists = ["include", "exclude"].into_iter();
        let lists = lists.filter_map(|list| Some((list, typed.list(list)?.first()?)));
        for (name, given) in words.chain(lists) {
            let problem = Problem::new(Kind::Conflict, name, "is said of the value of one key");
            self.problems.push(problem.at(given.origin.clone()).hint("leave it out, or key"));
        }
        let path = self.path_said(typed);
        let mode = typed.word("mode").map_or(Some(MODE), |given| self.mode(given));
        let default = typed.word("default").map(|given| given.text.clone());
        Some(Form::Value(Named { path: path?, default, mode: mode? }))
    }

    fn single(&mut self, typed: &Group, max_bytes: u64) -> Option<Form> {
        if let Some(given) = typed.word("default") {
            let problem = Problem::new(Kind::Conflict, "default", "is said of no one key");
            self.problems
                .push(problem.at(given.origin.clone()).hint("name the key, or leave it out"));
        }
        let path = self.path_said(typed);
        let format = match (typed.word("format"), typed.word("path")) {
            (Some(given), _) => self.chosen(given, "format", &Format::ALL.map(|f| (f.word(), f))),
            (None, Some(path)) => self.format_of(path),
            (None, None) => None,
        };
        let shapes = [("nested", Shape::Nested), ("flat", Shape::Flat)];
        let shape = typed.word("shape").map(|given| (given, self.chosen(given, "shape", &shapes)));
        let words = [("text", Types::Text), ("auto", Types::Auto)];
        let types = typed.word("types").map(|given| (given, self.chosen(given, "types", &words)));
        let mode = typed.word("mode").map_or(Some(MODE), |given| self.mode(given));
        let format = format?;
        let nested =
            shape.filter(|(_, shape)| *shape == Some(Shape::Nested)).map(|(given, _)| given);
        let auto = types.filter(|(_, types)| *types == Some(Types::Auto)).map(|(given, _)| given);
        for given in nested.into_iter().chain(auto).filter(|_| !format.is_structured()) {
            let reason = format!("is nothing that {} has", format.word());
            let problem = Problem::new(Kind::Conflict, "output", reason).text(&given.text);
            self.problems.push(problem.at(given.origin.clone()).hint("leave it out"));
        }
        Some(Form::File(Single {
            path: path?,
            format,
            shape: shape.map_or(Some(Shape::Nested), |(_, shape)| shape)?,
            types: types.map_or(Some(Types::Text), |(_, types)| types)?,
            mode: mode?,
            max_bytes,
        }))
    }

    fn path_said(&mut self, typed: &Group) -> Option<String> {
        if let Some(path) = typed.word("path") {
            return self.path_of(path, "output");
        }
        let problem = Problem::new(Kind::Missing, "output", "has no path");
        let hint = "write the file's name, as in path: app.json";
        self.problems.push(problem.at(typed.origin.clone()).hint(hint));
        None
    }

    fn naming(&mut self, output: &TypedOutput) -> Option<Naming> {
        let typed = &output.said;
        let mut path = |word| {
            let given = typed.word(word)?;
            Some(self.path_of(given, word).map(String::into_boxed_str))
        };
        let strip = path("strip");
        let below = if output.is_file { None } else { path("path") };
        let cases = [("lower", Case::Lower), ("upper", Case::Upper)];
        let case = typed.word("case").map(|given| self.chosen(given, "case", &cases));
        let separator = typed.word("separator").map(|given| self.separator(given));
        Some(Naming {
            strip: or_none(strip)?,
            separator: or_none(separator)?,
            case: or_none(case)?,
            below: or_none(below)?,
        })
    }

    fn separator(&mut self, given: &Given) -> Option<Box<str>> {
        let is_one = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '\\');
        if !given.text.is_empty() && given.text.len() <= 8 && given.text.chars().all(is_one) {
            return Some(given.text.as_str().into());
        }
        let problem = Problem::new(Kind::Malformed, "separator", "is none").text(&given.text);
        let hint = "write up to 8 characters that a file's name may have, as in . or __";
        self.problems.push(problem.at(given.origin.clone()).hint(hint));
        None
    }

    fn mode(&mut self, given: &Given) -> Option<u32> {
        let digits = given.text.strip_prefix('0').filter(|rest| rest.len() == 3);
        let mode = digits.and_then(|rest| u32::from_str_radix(rest, 8).ok());
        let mode = mode.filter(|mode| mode & !MAY_BE == 0 && mode & 0o400 != 0);
        if mode.is_none() {
            let problem = Problem::new(Kind::Malformed, "mode", "is no mode that a file can have");
            let hint = "write it as in \"0440\" or \"0555\": its owner, seedcar, must be able to read it, and \
                        nobody may write";
            let problem = problem.text(&given.text).at(given.origin.clone());
            self.problems.push(problem.hint(hint));
        }
        mode
    }

    pub(super) fn globs(&mut self, given: &[Given]) -> Option<Vec<Glob>> {
        let globs: Vec<_> = given.iter().map(|given| self.glob(given)).collect();
        globs.into_iter().collect()
    }

    pub(super) fn glob(&mut self, given: &Given) -> Option<Glob> {
        let problem = match Glob::parse(&given.text) {
            Ok(_) if given.text.starts_with('/') || given.text.ends_with('/') => {
                Problem::new(Kind::Malformed, "pattern", "begins or ends with '/'")
                    .hint("keys do not: write db/** for all that is below db")
            }
            Ok(glob) => return Some(glob),
            Err(what) => Problem::new(Kind::Malformed, "pattern", format!("is none: {what}"))
                .hint("* stands for anything within a level, ** for levels, ? for a character"),
        };
        self.problems.push(problem.text(&given.text).at(given.origin.clone()));
        None
    }

    fn rules<T>(
        &mut self,
        typed: &[Record],
        word: &'static str,
        mut read: impl FnMut(&mut Self, &Given) -> Option<T>,
    ) -> Option<Vec<(Glob, T)>> {
        let mut rules = Vec::new();
        for record in typed {
            let (Some(keys), Some(said)) = (record.words.get("keys"), record.words.get(word))
            else {
                let problem = Problem::new(Kind::Missing, "rule", "is not whole");
                let hint = format!("write {{keys: PATTERN, {word}: ...}}");
                self.problems.push(problem.at(record.origin.clone()).hint(hint));
                return None;
            };
            let (glob, said) = (self.glob(keys), read(self, said));
            rules.push(glob.zip(said));
        }
        rules.into_iter().collect()
    }

    pub(super) fn format_of(&mut self, path: &Given) -> Option<Format> {
        let format = Format::of_name(&path.text);
        if format.is_none() {
            let hint = "end it in .json, .yaml, .toml, .properties, .env or .sh, or write its format in \
                        the file's outputs";
            self.bad_file(path, "has no ending that says how it is written", hint);
        }
        format
    }

    /// As safe as a key's path must be.
    pub(super) fn path_of(&mut self, given: &Given, name: &str) -> Option<String> {
        let root = Prefix::parse("", PrefixRules { exact: true, allow_root: true });
        match root.expect("allowed").place(&given.text) {
            Place::File(path) => Some(path.to_owned()),
            Place::Directory(_) | Place::Skipped(_) => {
                let hint = "write a path below live/, without '..', as in etc/app.json";
                let problem =
                    Problem::new(Kind::Malformed, name, "is no path that a file can have");
                let problem = problem.text(&given.text).at(given.origin.clone());
                self.problems.push(problem.hint(hint));
                None
            }
        }
    }

    pub(super) fn chosen<T: Copy>(
        &mut self,
        given: &Given,
        key: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let found = words.iter().find(|(word, _)| *word == given.text);
        if found.is_none() {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let problem = Problem::new(Kind::Malformed, key, "is none of the words for it");
            let problem = problem.text(&given.text).at(given.origin.clone());
            self.problems.push(problem.hint(format!("write one of {}", known.join(", "))));
        }
        found.map(|(_, value)| *value)
    }
}

/// What was not said is none; what was said wrong is nothing at all.
pub(super) fn or_none<T>(said: Option<Option<T>>) -> Option<Option<T>> {
    said.map_or(Some(None), |said| said.map(Some))
}
