//! What is asked of a generation before anybody sees it.

use std::time::Duration;

use url::Url;

use super::{
    super::{
        Outside, Validate,
        problem::{Kind, Problem},
        typed::{Given, Group, Record},
    },
    Checker,
    output::or_none,
};
use crate::model::validation::{Rule, Schema, Syntax, Validation};
use crate::units::Period;

/// How long a command or a service may take where nothing is said of it.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than that nobody waits for a change of the configuration.
const LONGEST: Duration = Duration::from_secs(60);

impl Checker<'_> {
    /// None where nothing is asked.
    pub fn validate(&mut self) -> Option<Validate> {
        let typed = self.typed.validate.as_ref()?;
        let required = self.globs(typed.list("required").unwrap_or_default());
        let files: Vec<_> =
            typed.records("files").iter().map(|record| self.file_rule(record)).collect();
        let command = typed.list("command").unwrap_or_default();
        let command: Vec<_> = command.iter().map(|given| given.text.clone()).collect();
        let url = typed.word("url").map(|given| self.url(given));
        let timeout = self.timeout_of(typed);
        let asks = !command.is_empty() || url.is_some();
        let url = or_none(url)?;
        let outside = asks.then_some(Outside { command, url, timeout });
        let files = files.into_iter().collect::<Option<Vec<_>>>()?;
        let rules = Validation { required: required?, files };
        (!rules.is_empty() || outside.is_some()).then_some(Validate { rules, outside })
    }

    fn file_rule(&mut self, record: &Record) -> Option<Rule> {
        let Some(files) = record.words.get("files") else {
            let problem = Problem::new(Kind::Missing, "files", "are none");
            let hint = "write {files: PATTERN}, and as: or schema: beside it";
            self.problems.push(problem.at(record.origin.clone()).hint(hint));
            return None;
        };
        let syntax = match record.words.get("as") {
            Some(given) => self.chosen(given, "as", &Syntax::ALL.map(|s| (s.word(), s))),
            None => self.syntax_of(files),
        };
        let schema = record.words.get("schema").map(|given| self.schema(given));
        Some(Rule { files: self.glob(files)?, syntax: syntax?, schema: or_none(schema)? })
    }

    fn syntax_of(&mut self, files: &Given) -> Option<Syntax> {
        let syntax = Syntax::of_name(&files.text);
        if syntax.is_none() {
            let problem = Problem::new(
                Kind::Missing,
                "files",
                "have no ending that says how they are written",
            );
            let problem = problem.text(&files.text).at(files.origin.clone());
            self.problems.push(problem.hint("add as: json, yaml or toml"));
        }
        syntax
    }

    /// Read here: a schema that is missing or none is a mistake of the configuration.
    fn schema(&mut self, given: &Given) -> Option<Schema> {
        let read = std::fs::read(&given.text).map_err(|error| error.kind().to_string());
        let schema = read.and_then(|text| Schema::parse(&given.text, &text));
        let refuse = |error: &String| {
            let problem =
                Problem::new(Kind::Malformed, "schema", format!("cannot be used: {error}"));
            let hint = "name a file with a JSON Schema, whole in itself";
            problem.text(&given.text).at(given.origin.clone()).hint(hint)
        };
        self.problems.extend(schema.as_ref().err().map(refuse));
        schema.ok()
    }

    pub(super) fn url(&mut self, given: &Given) -> Option<Url> {
        let reason = match Url::parse(&given.text) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") => "is neither http nor https",
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                "has a user or password, which would be shown"
            }
            Ok(url) => return Some(url),
            Err(_) => "is none",
        };
        // It is not shown: it may hold a password.
        let problem = Problem::new(Kind::Malformed, "url", reason).at(given.origin.clone());
        self.problems.push(problem.hint("write it as in http://127.0.0.1:8080/path"));
        None
    }

    pub(super) fn timeout_of(&mut self, typed: &Group) -> Duration {
        let Some(given) = typed.word("timeout") else { return TIMEOUT };
        let parsed = given.text.parse::<Period>().map(Duration::from);
        match parsed.ok().filter(|t| (Duration::from_millis(1)..=LONGEST).contains(t)) {
            Some(timeout) => timeout,
            None => {
                let problem = Problem::new(Kind::Malformed, "timeout", "is no time up to 60 s");
                let problem = problem.text(&given.text).at(given.origin.clone());
                self.problems.push(problem.hint("write numbers with units, as in 5s or 500ms"));
                TIMEOUT
            }
        }
    }
}
