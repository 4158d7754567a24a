//! What is made of the sources.

use super::service::service_file;
use super::{
    super::{
        guess::did_you_mean,
        problem::{Kind, Problem},
        setting::Id,
        typed::{Given, NamedSource, TypedOutput},
    },
    Checker,
};
use crate::model::key::is_at_or_below;
use crate::model::output::{Form, MODE, Output, Shape, Single, Types};

impl Checker<'_> {
    /// One tree of all sources, unless something else is asked for; and the files of the flags.
    pub fn outputs(&mut self, payload: u64) -> Vec<Output> {
        // A tenth more, for what is between the values and before them.
        let max_bytes = payload.saturating_add(payload / 10);
        let typed = self.typed.outputs.as_deref();
        let before = self.problems.len();
        let mut outputs = match typed {
            None if self.all_layers().is_empty() && !self.typed.sources.is_empty() => vec![],
            None => vec![Output::tree(self.all_layers())],
            Some(typed) => {
                typed.iter().filter_map(|output| self.output(output, max_bytes)).collect()
            }
        };
        for given in self.typed.all(Id::File) {
            let file = self.named_file(given, max_bytes);
            outputs.extend(file.map(|file| Output::of(self.all_layers(), Form::File(file))));
        }
        self.made_of_keys(&outputs);
        outputs.iter_mut().for_each(|output| output.max_bytes = max_bytes);
        let services = self.typed.sources.iter().enumerate();
        for (at, source) in services.filter(|(_, source)| source.service.is_some()) {
            outputs.extend(self.instances(source, at, max_bytes));
        }
        self.trees_apart(typed.unwrap_or_default());
        self.files_apart();
        if self.problems.len() == before {
            // One mistake, one problem.
            self.all_used(&outputs);
        }
        outputs
    }

    /// Every source of keys: a service has a file of its own.
    pub(super) fn all_layers(&self) -> Vec<usize> {
        let sources = self.typed.sources.iter().enumerate();
        sources.filter(|(_, source)| source.service.is_none()).map(|(at, _)| at).collect()
    }

    /// A tree or a file of nothing but services would be empty for ever.
    fn made_of_keys(&mut self, outputs: &[Output]) {
        let is_of_none = |output: &Output| output.layers.is_empty();
        if outputs.iter().any(is_of_none) && !self.typed.sources.is_empty() {
            let problem =
                Problem::new(Kind::Conflict, "output", "is made of keys, and no source is");
            let hint = "leave it out: a service has a file of its own, by its service.file";
            self.problems.push(problem.hint(hint));
        }
    }

    fn named_file(&mut self, given: &Given, max_bytes: u64) -> Option<Single> {
        let (path, format) = (self.path_of(given, "output"), self.format_of(given));
        let (shape, types, mode) = (Shape::Nested, Types::Text, MODE);
        Some(Single { path: path?, format: format?, shape, types, mode, max_bytes })
    }

    pub(super) fn layers(&mut self, given: &[Given]) -> Vec<usize> {
        let names = self.typed.sources.iter().map(|s| s.name.as_deref());
        let names: Vec<&str> = names.map(Option::unwrap_or_default).collect();
        let mut layers = Vec::new();
        for given in given {
            match names.iter().position(|name| *name == given.text) {
                Some(i) if self.typed.sources[i].service.is_some() => {
                    let hint = "leave it out: it has a file of its own, by its service.file";
                    let reason = "is a service, which has no keys";
                    self.bad_layer(given, Kind::Conflict, reason, Some(hint.to_owned()));
                }
                Some(i) if layers.contains(&i) => {
                    self.bad_layer(given, Kind::Conflict, "is there twice", None);
                }
                Some(i) => layers.push(i),
                None => {
                    let hint = did_you_mean(&given.text, names.iter().copied());
                    self.bad_layer(given, Kind::Unknown, "is the name of no source", hint);
                }
            }
        }
        layers
    }

    /// No tree lies in another one: a key of one could be a directory of the other.
    fn trees_apart(&mut self, typed: &[TypedOutput]) {
        let trees: Vec<_> = typed.iter().filter(|output| !output.is_file).collect();
        let path = |tree: &TypedOutput| tree.said.word("path").map(|given| given.text.clone());
        for (i, tree) in trees.iter().enumerate() {
            let meets = |other: &&TypedOutput| match (path(tree), path(other)) {
                (Some(a), Some(b)) => is_at_or_below(&a, &b) || is_at_or_below(&b, &a),
                // One of them is all of live/.
                _ => true,
            };
            let below = |file: &Given| path(tree).is_some_and(|t| is_at_or_below(&t, &file.text));
            let is_below = self.said_files().iter().any(below);
            if let Some(given) = tree.said.word("path").filter(|_| is_below) {
                self.bad_file(given, "lies where a file of the outputs is", "give it another path");
            }
            if trees[..i].iter().any(meets) {
                let problem = Problem::new(Kind::Conflict, "output", "lies where another tree is");
                let hint = "write one tree, whose layers may be all the sources, or give each a path of \
                            its own";
                self.problems.push(problem.at(tree.said.origin.clone()).hint(hint));
            }
        }
    }

    /// No file is where another one is, or where another one needs a directory.
    fn files_apart(&mut self) {
        let mut before: Vec<Given> = Vec::new();
        for given in self.said_files() {
            let meets = |other: &Given| {
                let (a, b) = (&given.text, &other.text);
                is_at_or_below(a, b) || is_at_or_below(b, a)
            };
            if before.iter().any(meets) {
                self.bad_file(
                    &given,
                    "lies where another file of the outputs is",
                    "give it another path",
                );
            }
            before.push(given);
        }
    }

    /// Where each file is to be: of the outputs, of the flags, of services.
    fn said_files(&self) -> Vec<Given> {
        let files = self.typed.outputs.iter().flatten().filter(|output| output.is_file);
        let files = files.filter_map(|output| output.said.word("path")).cloned();
        let flags = self.typed.all(Id::File).iter().cloned();
        files.chain(flags).chain(self.typed.sources.iter().filter_map(service_file)).collect()
    }

    fn all_used(&mut self, outputs: &[Output]) {
        let sources: &[NamedSource] = &self.typed.sources;
        for (i, source) in sources.iter().enumerate() {
            if outputs.iter().all(|output| !output.layers.contains(&i)) {
                let problem = Problem::new(Kind::Conflict, "source", "is in no output")
                    .text(&source.text)
                    .at(source.origin.clone());
                self.problems.push(problem.hint("add its name to the tree's layers, or remove it"));
            }
        }
    }

    pub(super) fn bad_file(&mut self, given: &Given, reason: &str, hint: &str) {
        let problem = Problem::new(Kind::Malformed, "output", reason);
        let problem = problem.text(&given.text).at(given.origin.clone());
        self.problems.push(problem.hint(hint));
    }

    fn bad_layer(&mut self, given: &Given, kind: Kind, reason: &str, hint: Option<String>) {
        let problem =
            Problem::new(kind, "layer", reason).text(&given.text).at(given.origin.clone());
        self.problems.push(Problem { hint, ..problem });
    }
}
