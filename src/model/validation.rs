//! What a generation must be like before anybody sees it.

mod bounded;

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeSeed as _;
use serde_json::Value;

use super::output::Format;
use super::plan::{File, Plan};
use super::selection::Glob;

/// The checks that need nobody else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validation {
    /// Each matches at least one file.
    pub required: Vec<Glob>,
    /// What the files that match must hold.
    pub files: Vec<Rule>,
}

/// What some files must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which files.
    pub files: Glob,
    /// How they are written.
    pub syntax: Syntax,
    /// What is in them.
    pub schema: Option<Schema>,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// RFC 8259.
    Json,
    /// YAML 1.2.
    Yaml,
    /// TOML 1.0.
    Toml,
}

/// A JSON Schema, ready to be used.
#[derive(Clone)]
pub struct Schema {
    name: String,
    validator: Arc<jsonschema::Validator>,
}

/// Why a generation is not to be seen: which file, and what is wrong with it, never what it holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

/// Of the things that a schema finds wrong so many are said.
const MOST_SAID: usize = 3;

// === impl Validation ===

impl Validation {
    /// True where there is nothing to check.
    pub fn is_empty(&self) -> bool {
        self.required.is_empty() && self.files.is_empty()
    }

    /// Checks a whole generation.
    pub fn check(&self, plan: &Plan) -> Result<(), Invalid> {
        for glob in &self.required {
            if !plan.files.iter().any(|file| glob.matches(file.path())) {
                return Err(Invalid(format!("no file is {glob}, which is required")));
            }
        }
        for rule in &self.files {
            let matching = plan.files.iter().filter(|file| rule.files.matches(file.path()));
            matching.into_iter().try_for_each(|file| rule.check(file))?;
        }
        Ok(())
    }
}

// === impl Rule ===

impl Rule {
    fn check(&self, file: &File) -> Result<(), Invalid> {
        let invalid = |what| Invalid(format!("{}: {what}", file.path()));
        let value = self.syntax.parse(file.value()).map_err(invalid)?;
        self.schema.as_ref().map_or(Ok(()), |schema| schema.check(&value)).map_err(invalid)
    }
}

// === impl Syntax ===

impl Syntax {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Json, Self::Yaml, Self::Toml];

    /// The format of outputs that is written so.
    fn format(self) -> Format {
        match self {
            Self::Json => Format::Json,
            Self::Yaml => Format::Yaml,
            Self::Toml => Format::Toml,
        }
    }

    /// The word for it in the configuration.
    pub fn word(self) -> &'static str {
        self.format().word()
    }

    /// What the ending of a name says.
    pub fn of_name(name: &str) -> Option<Self> {
        let format = Format::of_name(name)?;
        Self::ALL.into_iter().find(|syntax| syntax.format() == format)
    }

    /// Parsers quote what they do not understand, which may be a secret: of their errors only the place
    /// is said.
    fn parse(self, content: &[u8]) -> Result<Value, String> {
        match self {
            Self::Json => serde_json::from_slice(content)
                .map_err(|e| format!("is not JSON (line {}, column {})", e.line(), e.column())),
            Self::Yaml => yaml(content),
            Self::Toml => {
                let text = std::str::from_utf8(content).map_err(|_| "is not UTF-8".to_owned())?;
                toml::from_str(text).map_err(|e| {
                    let before = &text.as_bytes()[..e.span().map_or(0, |span| span.start)];
                    let line = 1 + memchr::memchr_iter(b'\n', before).count();
                    format!("is not TOML (line {line})")
                })
            }
        }
    }
}

/// An alias stands for as much as one likes, and a few lines of them for gigabytes: what a file may become
/// is bounded by its size.
fn yaml(content: &[u8]) -> Result<Value, String> {
    let left = Cell::new(content.len() as u64 * 4 + 1024);
    let parser = serde_yaml::Deserializer::from_slice(content);
    let value = bounded::Bounded(&left).deserialize(parser);
    value.map_err(|error: serde_yaml::Error| {
        let line = error.location().map_or(0, |at| at.line());
        match left.get() {
            0 => "is YAML that becomes many times its size".to_owned(),
            _ => format!("is not YAML that JSON could say, too (line {line})"),
        }
    })
}

// === impl Schema ===

impl Schema {
    /// Reads the schema that is called `name` in what is said of it. The error is about the schema, and
    /// no secret.
    pub fn parse(name: &str, text: &[u8]) -> Result<Self, String> {
        let schema = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let validator = jsonschema::validator_for(&schema).map_err(|error| error.to_string())?;
        Ok(Self { name: name.to_owned(), validator: Arc::new(validator) })
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        let said: Vec<String> = self
            .validator
            .iter_errors(value)
            .take(MOST_SAID)
            // Where in the schema, and nothing of the file: names in it may be secrets, too.
            .map(|error| error.schema_path().to_string())
            .collect();
        if said.is_empty() {
            return Ok(());
        }
        Err(format!("is not what {} says at {}", self.name, said.join(", ")))
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Schema {}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schema({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::key::{Prefix, PrefixRules};
    use crate::model::snapshot::{Entry, Snapshot};

    fn plan(entries: &[(&str, &[u8])]) -> Plan {
        let entries = entries.iter().map(|(k, v)| Arc::new(Entry::new(k, v, 0, 1, 1))).collect();
        let prefix = Prefix::parse("p", PrefixRules::default()).unwrap();
        Plan::tree(&[(&prefix, &Snapshot::new(1, entries).unwrap())])
    }

    fn rule(files: &str, schema: Option<&str>) -> Validation {
        let schema = schema.map(|text| Schema::parse("s.json", text.as_bytes()).unwrap());
        let syntax = Syntax::of_name(files).unwrap();
        let files = Glob::parse(files).unwrap();
        Validation { required: vec![], files: vec![Rule { files, syntax, schema }] }
    }

    fn said(validation: &Validation, entries: &[(&str, &[u8])]) -> String {
        validation.check(&plan(entries)).map_or_else(|invalid| invalid.0, |()| String::new())
    }

    #[test]
    fn what_is_required_is_there() {
        let required = ["db/host", "tls/*.crt"].map(|glob| Glob::parse(glob).unwrap()).to_vec();
        let validation = Validation { required, files: vec![] };
        assert_eq!(said(&validation, &[("p/db/host", b"x"), ("p/tls/a.crt", b"x")]), "");
        let missing = said(&validation, &[("p/db/host", b"x"), ("p/tls/a/b.crt", b"x")]);
        assert_eq!(missing, "no file is tls/*.crt, which is required");
    }

    #[test]
    fn what_does_not_parse_is_told_by_its_place_and_not_by_its_content() {
        for (name, good, bad, what) in [
            ("a.json", "{\"a\": 1}", "{\"a\":\n S3CRET}", "a.json: is not JSON (line 2, column 2)"),
            ("a.toml", "a = 1", "a = 1\nb = S3CRET", "a.toml: is not TOML (line 2)"),
            (
                "a.yaml",
                "a: [1]",
                "a: 1\nb: @S3CRET",
                "a.yaml: is not YAML that JSON could say, too (line 2)",
            ),
        ] {
            let (rule, key) = (rule(&format!("*{}", &name[1..]), None), format!("p/{name}"));
            assert_eq!(said(&rule, &[(&key, good.as_bytes())]), "");
            let text = said(&rule, &[(&key, bad.as_bytes())]);
            assert_eq!(text, what);
        }
        assert_eq!(said(&rule("*.json", None), &[("p/d/a.json", b"{")]), "", "a star is one level");
    }

    #[test]
    fn a_schema_says_where_and_what_and_no_value() {
        let schema = r#"{"type": "object", "required": ["port"], "properties": {
            "port": {"type": "integer"}, "mode": {"enum": ["a", "b"]}, "name": {"pattern": "^[a-z]+$"}}}"#;
        let rule = rule("app.json", Some(schema));
        assert_eq!(said(&rule, &[("p/app.json", br#"{"port": 1, "mode": "a", "name": "x"}"#)]), "");
        let text = said(
            &rule,
            &[("p/app.json", br#"{"port": "S3CRET", "mode": "S3CRET", "name": "S3CRET"}"#)],
        );
        assert!(text.starts_with("app.json: is not what s.json says at /properties/"), "{text}");
        assert!(text.contains("/properties/port/type") && !text.contains("S3CRET"), "{text}");
        let missing = said(&rule, &[("p/app.json", b"{}")]);
        assert_eq!(missing, "app.json: is not what s.json says at /required");
        assert!(Schema::parse("s", b"{\"type\": 7}").is_err() && Schema::parse("s", b"{").is_err());
    }

    #[test]
    fn a_few_lines_of_yaml_do_not_become_gigabytes() {
        let ones = vec!["1"; 5000].join(",");
        let aliases = vec!["*a"; 5000].join(",");
        let bomb = format!("a: &a [{ones}]\nb: [{aliases}]\n");
        let text = said(&rule("*.yaml", None), &[("p/a.yaml", bomb.as_bytes())]);
        assert_eq!(text, "a.yaml: is YAML that becomes many times its size");
        let fine = "a: &a {x: 1}\nb: *a\nc: [*a, *a]\n";
        assert_eq!(said(&rule("*.yaml", None), &[("p/a.yaml", fine.as_bytes())]), "");
    }

    proptest! {
        #[test]
        fn nothing_panics(content in prop::collection::vec(any::<u8>(), 0..200)) {
            for syntax in Syntax::ALL {
                let _ = syntax.parse(&content);
            }
        }
    }
}
