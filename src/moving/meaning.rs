//! What a template means, where it means something that an output of seedcar can be.
//!
//! A template is recognised as a whole or not at all: a file that is nearly right would be worse than a
//! line that says what is not done.

mod fixed;
mod mirror;
mod naming;
mod ranges;
mod reasons;
mod value;
mod whole;

use super::note::Weight;
use super::template::{Expr, Node};
use crate::model::key::{self, Prefix, PrefixRules};
use crate::model::output::Format;

/// More than Consul takes in the path of a request, in bytes.
const LONGEST: usize = 4096;

/// What an output is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// One key's value and nothing else.
    Value {
        /// The key.
        key: Place,
        /// What there is where the key is missing.
        default: Option<String>,
    },
    /// Keys in one file.
    Keys {
        /// Where they are; a later one wins.
        prefixes: Vec<Place>,
        /// Which of them, as patterns; none for all.
        include: Vec<String>,
        /// How they are written.
        layout: Layout,
    },
    /// A file for each key.
    Mirror {
        /// Where they are.
        prefix: Place,
        /// Which of them, as patterns; none for all.
        include: Vec<String>,
        /// Where the files were.
        directory: String,
        /// Their mode.
        mode: u32,
    },
}

/// A key or a prefix in Consul.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its path, without slashes at its ends.
    pub path: String,
    /// The datacenter after the `@`.
    pub datacenter: Option<String>,
}

/// How keys are written in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The format.
    pub format: Format,
    /// A level for each directory.
    pub is_nested: bool,
    /// Numbers and switches without quotes.
    pub has_types: bool,
    /// What joins the levels of a path, where it is not what the format has.
    pub separator: Option<String>,
    /// `lower` or `upper`.
    pub case: Option<&'static str>,
}

/// What a template means, and what else is to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What it means.
    pub meaning: Meaning,
    /// What is different about it.
    pub remarks: Vec<Remark>,
}

/// Something to say about a line of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The line of the template, from 1.
    pub line: usize,
    /// How much it matters.
    pub weight: Weight,
    /// What it is.
    pub text: String,
}

/// A kind of template: what it means, why that cannot be, or nothing where it is of another kind.
type Found = Option<Result<Reading, Remark>>;

/// Reads a template that is written to `destination`.
pub fn read(nodes: &[Node], destination: &str) -> Result<Reading, Remark> {
    let found = value::read(nodes)
        .or_else(|| whole::read(nodes))
        .or_else(|| mirror::read(nodes))
        .or_else(|| ranges::read(nodes, destination))
        .or_else(|| fixed::read(nodes, destination));
    found.unwrap_or_else(|| Err(reasons::of(nodes)))
}

// === impl Layout ===

impl Layout {
    /// Keys under their whole paths.
    fn flat(format: Format) -> Self {
        Self { format, is_nested: false, has_types: false, separator: None, case: None }
    }
}

// === impl Place ===

impl Place {
    /// Of a path as templates write it: `/a/b@dc`. The error completes "the path ...".
    fn parse(typed: &str) -> Result<Self, &'static str> {
        let (path, datacenter) = match typed.split_once('@') {
            Some((path, name)) => (path, Some(name.to_owned())),
            None => (typed, None),
        };
        if !datacenter.as_deref().is_none_or(is_name) {
            return Err("names a datacenter that none can have");
        }
        if path.contains('?') {
            return Err(
                "names an Enterprise namespace or partition, of which one seedcar reads one \
                        (consul.namespace, consul.partition)",
            );
        }
        let path = path.trim_matches('/');
        if path.len() > LONGEST {
            return Err("is longer than a key may be");
        }
        let rules = PrefixRules { exact: false, allow_root: false };
        match Prefix::parse(path, rules) {
            _ if path.is_empty() => Err("is Consul's whole store: name a prefix"),
            Ok(_) => Ok(Self { path: path.to_owned(), datacenter }),
            Err(_) => Err("is none that a source can have (empty parts, '.' or '..')"),
        }
    }
}

// === impl Remark ===

impl Remark {
    fn new(line: usize, weight: Weight, text: impl Into<String>) -> Self {
        Self { line, weight, text: text.into() }
    }
}

/// The one argument of a function that lists keys: whether it takes one level only, and the prefix.
fn list(expr: &Expr) -> Option<(bool, &str)> {
    match expr {
        Expr::Call(name, arguments) => match (name.as_str(), arguments.as_slice()) {
            ("ls" | "safeLs", [Expr::Text(prefix)]) => Some((true, prefix)),
            ("tree" | "safeTree", [Expr::Text(prefix)]) => Some((false, prefix)),
            _ => None,
        },
        _ => None,
    }
}

/// The patterns that take what `ls` takes, or `tree`.
fn include_of(one_level: bool) -> Vec<String> {
    one_level.then(|| "*".to_owned()).into_iter().collect()
}

/// The key that a function reads: its path, and the default.
fn key_of(expr: &Expr) -> Option<(&str, Option<&str>)> {
    match expr {
        Expr::Call(name, arguments) => match (name.as_str(), arguments.as_slice()) {
            ("key", [Expr::Text(path)]) => Some((path, None)),
            ("keyOrDefault", [Expr::Text(path), Expr::Text(default)]) => {
                Some((path, Some(default)))
            }
            _ => None,
        },
        _ => None,
    }
}

/// What a datacenter may be called.
fn is_name(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    (1..=63).contains(&text.len()) && text.bytes().all(is_part)
}

/// A key that has a path of its own in a generation.
fn placed_key(typed: &str, line: usize) -> Result<Place, Remark> {
    let place = placed(typed, line)?;
    let root = Prefix::parse("", PrefixRules { exact: true, allow_root: true });
    let is_file = root.is_ok_and(|root| matches!(root.place(&place.path), key::Place::File(_)));
    // At the top of an output, names that begin so are ours.
    let is_reserved = place.path.split('/').any(|part| part.starts_with(".."));
    if typed.ends_with('/') || !is_file || is_reserved {
        let text =
            "key: its path is none that a file can have (odd characters, too long, or a directory)";
        return Err(Remark::new(line, Weight::ByHand, text));
    }
    Ok(place)
}

/// A path that cannot be, as the template's trouble.
fn placed(typed: &str, line: usize) -> Result<Place, Remark> {
    Place::parse(typed)
        .map_err(|why| Remark::new(line, Weight::ByHand, format!("template: its path {why}")))
}

#[cfg(test)]
mod tests;
