//! Sources.

use super::{
    super::{
        Scope, Source,
        guess::did_you_mean,
        problem::{Kind, Problem, Reason},
        setting::Id,
        typed::NamedSource,
    },
    Checker, is_dns_label,
};
use crate::model::key::{Prefix, PrefixRules};
use crate::model::reads::Reads;

/// The longest name of a source; it becomes a metric label and part of file names.
const NAME_MAX: usize = 63;

/// How many operations Consul takes in one transaction.
const OPERATIONS: usize = 64;

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
        self.are_sources(Id::Optional);
        self.are_sources(Id::Atomic);
        let mut sources = Vec::new();
        for (i, given) in typed.iter().enumerate() {
            let rules = PrefixRules { exact: rules.exact || given.terms.exact, ..rules };
            let before = &typed[..i];
            sources.extend(self.source(given, before, rules));
        }
        self.fit_a_transaction(&sources);
        sources
    }

    /// What Consul takes in one transaction, and what its answer can be told apart by.
    fn fit_a_transaction(&mut self, sources: &[Source]) {
        let atomic: Vec<&Source> = sources.iter().filter(|source| source.atomic).collect();
        for (i, source) in atomic.iter().enumerate() {
            let others = atomic.iter().filter(|other| other.name != source.name);
            let prefix = source.reads.prefix().as_str();
            let is_inside = others.clone().any(|other| other.reads.prefix().covers(prefix));
            let reason = if source.reads.service().is_some() {
                let reason = Reason::new(Kind::Conflict, "is atomic and a service");
                reason.hint("Consul reads keys in a transaction, not services")
            } else if prefix.is_empty() {
                let reason = Reason::new(Kind::Conflict, "is atomic and the whole store");
                reason.hint("Consul does not read that in a transaction: name prefixes")
            } else if is_inside {
                let reason = Reason::new(Kind::Conflict, "is atomic and inside another that is");
                reason.hint("what is inside the other is read with it already")
            } else if !source.required {
                let reason = Reason::new(Kind::Conflict, "is atomic and not required");
                reason.hint("a pod cannot start without a part of what is read together")
            } else if i == OPERATIONS {
                let text = "is one more than Consul reads in a transaction";
                Reason::new(Kind::Conflict, text).hint("at most 64 sources may be atomic")
            } else {
                continue;
            };
            let named = |given: &&NamedSource| given.name.as_ref() == Some(&source.name);
            if let Some(given) = self.typed.sources.iter().find(named).cloned() {
                self.sound::<()>(&given, Err(reason));
            }
        }
    }

    /// A list of names names sources.
    fn are_sources(&mut self, id: Id) {
        let names = self.typed.sources.iter().filter_map(|source| source.name.as_deref());
        let names: Vec<&str> = names.collect();
        for given in self.typed.all(id) {
            if !names.contains(&given.text.as_str()) {
                let name = id.row().name;
                let problem = Problem::new(Kind::Unknown, name, "is the name of no source");
                let problem = problem.text(&given.text).at(given.origin.clone());
                let hint = did_you_mean(&given.text, names.iter().copied());
                self.problems.push(Problem { hint, ..problem });
            }
        }
    }

    fn source(
        &mut self,
        given: &NamedSource,
        before: &[NamedSource],
        rules: PrefixRules,
    ) -> Option<Source> {
        let name = self.sound(given, check_name(given, before));
        let reads = match (&given.service, &given.name) {
            (Some(group), _) => self.service(group).map(Reads::Service),
            (None, Some(_)) => {
                let prefix = Prefix::parse(&given.prefix, rules).map_err(Reason::malformed);
                self.sound(given, prefix).map(Reads::Keys)
            }
            (None, None) => None, // one mistake, one problem
        };
        let name = name?;
        let named = |id| self.typed.all(id).iter().any(|given| given.text == name);
        let required = given.terms.required && !named(Id::Optional);
        let atomic = given.terms.atomic || named(Id::Atomic);
        Some(Source { name, reads: reads?, required, atomic })
    }

    fn sound<T>(&mut self, given: &NamedSource, read: Result<T, Reason>) -> Option<T> {
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
}

fn check_name(given: &NamedSource, before: &[NamedSource]) -> Result<String, Reason> {
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
