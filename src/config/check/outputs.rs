//! What is made of the sources.

use super::{
    super::{
        guess::did_you_mean,
        problem::{Kind, Problem},
        setting::Id,
        typed::{Given, NamedPrefix, TypedOutput},
    },
    Checker,
};
use crate::model::key::{Place, Prefix, PrefixRules, is_at_or_below};
use crate::model::output::{Format, Output, Shape, Single, Types};

impl Checker<'_> {
    /// One tree of all sources, unless something else is asked for; and the files of the flags.
    pub fn outputs(&mut self, payload: u64) -> Vec<Output> {
        // A tenth more, for what is between the values and before them.
        let max_bytes = payload.saturating_add(payload / 10);
        let typed = self.typed.outputs.as_deref();
        let before = self.problems.len();
        let mut outputs = match typed {
            None => vec![Output::Tree { layers: self.all_layers() }],
            Some(typed) => {
                typed.iter().filter_map(|output| self.output(output, max_bytes)).collect()
            }
        };
        for given in self.typed.all(Id::File) {
            outputs.extend(self.named_file(given, max_bytes).map(Output::File));
        }
        self.one_tree(typed.unwrap_or_default());
        self.apart();
        if self.problems.len() == before {
            // One mistake, one problem.
            self.all_used(&outputs);
        }
        outputs
    }

    fn all_layers(&self) -> Vec<usize> {
        (0..self.typed.sources.len()).collect()
    }

    fn output(&mut self, typed: &TypedOutput, max_bytes: u64) -> Option<Output> {
        let layers = match &typed.layers {
            None => self.all_layers(),
            Some(given) if given.is_empty() => {
                let problem = Problem::new(Kind::Missing, "layers", "are none");
                let hint = "name sources, or leave layers out for all of them";
                self.problems.push(problem.at(typed.origin.clone()).hint(hint));
                return None;
            }
            Some(given) => self.layers(given),
        };
        let Some(said) = &typed.file else { return Some(Output::Tree { layers }) };
        let Some(path) = said.get("path") else {
            let problem = Problem::new(Kind::Missing, "output", "has no path");
            let hint = "write the file's name, as in path: app.json";
            self.problems.push(problem.at(typed.origin.clone()).hint(hint));
            return None;
        };
        let format = match said.get("format") {
            None => self.format_of(path),
            Some(given) => self.chosen(given, "format", &Format::ALL.map(|f| (f.word(), f))),
        };
        let shapes = [("nested", Shape::Nested), ("flat", Shape::Flat)];
        let shape = said.get("shape").map(|given| (given, self.chosen(given, "shape", &shapes)));
        let words = [("text", Types::Text), ("auto", Types::Auto)];
        let types = said.get("types").map(|given| (given, self.chosen(given, "types", &words)));
        let checked = self.path_of(path);
        let format = format?;
        let nested =
            shape.filter(|(_, shape)| *shape == Some(Shape::Nested)).map(|(given, _)| given);
        let auto = types.filter(|(_, types)| *types == Some(Types::Auto)).map(|(given, _)| given);
        for given in nested.into_iter().chain(auto).filter(|_| !format.is_structured()) {
            let reason = format!("is nothing that {} has", format.word());
            let problem = Problem::new(Kind::Conflict, "output", reason).text(&given.text);
            self.problems.push(problem.at(given.origin.clone()).hint("leave it out"));
        }
        Some(Output::File(Single {
            path: checked?,
            layers,
            format,
            shape: shape.map_or(Some(Shape::Nested), |(_, shape)| shape)?,
            types: types.map_or(Some(Types::Text), |(_, types)| types)?,
            max_bytes,
        }))
    }

    fn named_file(&mut self, given: &Given, max_bytes: u64) -> Option<Single> {
        let (path, format) = (self.path_of(given), self.format_of(given));
        let layers = self.all_layers();
        let (shape, types) = (Shape::Nested, Types::Text);
        Some(Single { path: path?, layers, format: format?, shape, types, max_bytes })
    }

    fn format_of(&mut self, path: &Given) -> Option<Format> {
        let format = Format::of_name(&path.text);
        if format.is_none() {
            let hint = "end it in .json, .yaml, .toml, .properties, .env or .sh, or write its format in \
                        the file's outputs";
            self.bad_file(path, "has no ending that says how it is written", hint);
        }
        format
    }

    /// As safe as a key's path must be.
    fn path_of(&mut self, given: &Given) -> Option<String> {
        let root = Prefix::parse("", PrefixRules { exact: true, allow_root: true });
        match root.expect("allowed").place(&given.text) {
            Place::File(path) => Some(path.to_owned()),
            Place::Directory(_) | Place::Skipped(_) => {
                let hint = "write a path below live/, without '..', as in etc/app.json";
                self.bad_file(given, "is no path that a file can have", hint);
                None
            }
        }
    }

    fn chosen<T: Copy>(&mut self, given: &Given, key: &str, words: &[(&str, T)]) -> Option<T> {
        let found = words.iter().find(|(word, _)| *word == given.text);
        if found.is_none() {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let problem = Problem::new(Kind::Malformed, key, "is none of the words for it");
            let problem = problem.text(&given.text).at(given.origin.clone());
            self.problems.push(problem.hint(format!("write one of {}", known.join(", "))));
        }
        found.map(|(_, value)| *value)
    }

    fn layers(&mut self, given: &[Given]) -> Vec<usize> {
        let names = self.typed.sources.iter().map(|s| s.name.as_deref());
        let names: Vec<&str> = names.map(Option::unwrap_or_default).collect();
        let mut layers = Vec::new();
        for given in given {
            match names.iter().position(|name| *name == given.text) {
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

    fn one_tree(&mut self, typed: &[TypedOutput]) {
        for second in typed.iter().filter(|output| output.file.is_none()).skip(1) {
            let problem = Problem::new(Kind::Conflict, "output", "is a second tree");
            let hint = "write one tree; its layers may be all the sources";
            self.problems.push(problem.at(second.origin.clone()).hint(hint));
        }
    }

    /// No file is where another one is, or where another one needs a directory.
    fn apart(&mut self) {
        let said = self.typed.outputs.iter().flatten().filter_map(|o| o.file.as_ref()?.get("path"));
        let mut before: Vec<&Given> = Vec::new();
        for given in said.chain(self.typed.all(Id::File)) {
            let meets = |other: &&Given| {
                let (a, b) = (&given.text, &other.text);
                is_at_or_below(a, b) || is_at_or_below(b, a)
            };
            if before.iter().any(meets) {
                self.bad_file(
                    given,
                    "lies where another file of the outputs is",
                    "give it another path",
                );
            }
            before.push(given);
        }
    }

    fn all_used(&mut self, outputs: &[Output]) {
        let sources: &[NamedPrefix] = &self.typed.sources;
        for (i, source) in sources.iter().enumerate() {
            if outputs.iter().all(|output| !output.layers().contains(&i)) {
                let problem = Problem::new(Kind::Conflict, "source", "is in no output")
                    .text(&source.text)
                    .at(source.origin.clone());
                self.problems.push(problem.hint("add its name to the tree's layers, or remove it"));
            }
        }
    }

    fn bad_file(&mut self, given: &Given, reason: &str, hint: &str) {
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
