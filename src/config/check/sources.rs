//! Sources, and the outputs made of them.

use super::{
    super::{
        Output, Scope, Source,
        guess::did_you_mean,
        problem::{Kind, Problem, Reason},
        setting::Id,
        typed::{Given, NamedPrefix},
    },
    Checker, is_dns_label,
};
use crate::model::key::{Prefix, PrefixRules};

/// The longest name of a source; it becomes a metric label and part of file names.
const NAME_MAX: usize = 63;

/// What a source looks like.
const HOW_TO_NAME: &str = "write NAME=PREFIX, as in web=apps/web";

impl Checker<'_> {
    pub fn sources(&mut self) -> Vec<Source> {
        let rules = PrefixRules {
            exact: self.switch(Id::ExactPrefix),
            allow_root: self.switch(Id::AllowRootPrefix),
        };
        let typed = &self.typed.sources;
        if typed.is_empty() && self.scope == Scope::Full {
            let problem = Problem::new(Kind::Missing, "source", "is needed: no prefix is named");
            let hint = "write --prefix PREFIX, or --source NAME=PREFIX";
            self.problems.push(problem.hint(hint));
        }
        let mut sources = Vec::new();
        for (i, given) in typed.iter().enumerate() {
            let rules = PrefixRules { exact: rules.exact || given.exact, ..rules };
            let before = &typed[..i];
            sources.extend(self.source(given, before, rules));
        }
        sources
    }

    fn source(
        &mut self,
        given: &NamedPrefix,
        before: &[NamedPrefix],
        rules: PrefixRules,
    ) -> Option<Source> {
        let name = self.sound(given, check_name(given, before));
        let prefix = Prefix::parse(&given.prefix, rules).map_err(Reason::malformed);
        let prefix = match &given.name {
            Some(_) => self.sound(given, prefix),
            None => None, // one mistake, one problem
        };
        Some(Source { name: name?, prefix: prefix? })
    }

    fn sound<T>(&mut self, given: &NamedPrefix, read: Result<T, Reason>) -> Option<T> {
        let reason = match read {
            Ok(value) => return Some(value),
            Err(reason) => reason,
        };
        let problem = Problem::new(reason.kind, given.id.row().name, reason.text)
            .text(&given.text)
            .at(given.origin.clone());
        let hint = reason.hint;
        self.problems.push(Problem { hint, ..problem });
        None
    }

    pub fn outputs(&mut self) -> Vec<Output> {
        let names = self.typed.sources.iter().map(|s| s.name.as_deref());
        let names: Vec<&str> = names.map(Option::unwrap_or_default).collect();
        let layers = match &self.typed.tree {
            None => (0..names.len()).collect(),
            Some(tree) => self.layers(tree, &names),
        };
        vec![Output::Tree { layers }]
    }

    fn layers(&mut self, tree: &[Given], names: &[&str]) -> Vec<usize> {
        let mut layers = Vec::new();
        for given in tree {
            match names.iter().position(|name| *name == given.text) {
                Some(i) if layers.contains(&i) => {
                    self.bad_layer(given, Kind::Conflict, "is there twice", None)
                }
                Some(i) => layers.push(i),
                None => {
                    let hint = did_you_mean(&given.text, names.iter().copied());
                    self.bad_layer(given, Kind::Unknown, "is the name of no source", hint);
                }
            }
        }
        for (i, source) in self.typed.sources.iter().enumerate() {
            if !layers.contains(&i) {
                self.unused(source);
            }
        }
        layers
    }

    fn bad_layer(&mut self, given: &Given, kind: Kind, reason: &str, hint: Option<String>) {
        let problem =
            Problem::new(kind, "layer", reason).text(&given.text).at(given.origin.clone());
        self.problems.push(Problem { hint, ..problem });
    }

    fn unused(&mut self, source: &NamedPrefix) {
        let problem = Problem::new(Kind::Conflict, "source", "is in no output")
            .text(&source.text)
            .at(source.origin.clone());
        self.problems.push(problem.hint("add its name to the tree's layers, or remove it"));
    }
}

fn check_name(given: &NamedPrefix, before: &[NamedPrefix]) -> Result<String, Reason> {
    let name = given.name.as_deref();
    let name = name.ok_or_else(|| Reason::malformed("has no NAME=").hint(HOW_TO_NAME))?;
    if !is_dns_label(name) || name.len() > NAME_MAX {
        let reason = Reason::malformed("has a name that no source can have");
        let hint = "a name has 1 to 63 of a-z, 0-9 and '-', and no '-' at either end";
        return Err(reason.hint(hint));
    }
    if before.iter().any(|other| other.name == given.name) {
        let reason = Reason::new(Kind::Conflict, "has the name of another source");
        return Err(reason.hint("name each source once"));
    }
    Ok(name.to_owned())
}
