//! All keys of an output in one file, in the format that an application reads. The same keys and
//! values always make the same bytes.

mod assignments;
mod bound;
pub mod instances;
mod properties;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Serialize, Serializer};

use super::key::Unsafe;
use super::output::{Format, Shape, Single, Types};

/// A file's content.
#[derive(Debug)]
pub struct Made {
    /// All of it.
    pub bytes: Vec<u8>,
    /// The keys that are not in it, by their position, and why.
    pub left_out: Vec<(usize, Unsafe)>,
}

/// One level of a file, or a value.
enum Node<'a> {
    Value { at: usize, scalar: Scalar<'a> },
    Level(BTreeMap<&'a str, Node<'a>>),
}

enum Scalar<'a> {
    Text(&'a str),
    Bool(bool),
    Integer(i64),
    Float(f64),
}

/// A file would be larger than it may.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} would be larger than {max} bytes")]
pub struct TooLarge {
    /// Its path.
    pub path: String,
    /// How large it may be, in bytes.
    pub max: u64,
}

/// Writes a file of `keys`: paths in order, none twice, with their values. Errors before it takes memory
/// for one that may be larger than allowed.
pub fn make(file: &Single, keys: &[(&str, &[u8])]) -> Result<Made, TooLarge> {
    let mut left_out = Vec::new();
    let texts = texts(keys, &mut left_out);
    let fits = |bytes: u64| {
        let too_large = || TooLarge { path: file.path.clone(), max: file.max_bytes };
        (bytes <= file.max_bytes).then_some(()).ok_or_else(too_large)
    };
    let bytes = match file.format {
        Format::Properties | Format::Env | Format::Shell => {
            fits(texts.iter().map(|(_, path, value)| bound::line(path, value)).sum())?;
            lines(file.format, texts, &mut left_out)
        }
        Format::Json | Format::Yaml | Format::Toml => {
            let top = levels(file, texts, &mut left_out);
            fits(bound::level(file.format, "", 0, &top))?;
            structured(file.format, &top)
        }
    };
    left_out.sort_unstable_by_key(|(at, _)| *at);
    Ok(Made { bytes, left_out })
}

/// The variable that a key at this path is in a file of variables: `db/max-size` is `DB_MAX_SIZE`.
pub fn variable(path: &str) -> String {
    assignments::name(path)
}

/// A key by its position, its path, and its value.
type Text<'a> = (usize, &'a str, &'a str);

/// None of the formats holds bytes that are not UTF-8.
fn texts<'a>(keys: &[(&'a str, &'a [u8])], left_out: &mut Vec<(usize, Unsafe)>) -> Vec<Text<'a>> {
    let mut texts = Vec::with_capacity(keys.len());
    for (at, (path, value)) in keys.iter().enumerate() {
        match std::str::from_utf8(value) {
            Ok(value) => texts.push((at, *path, value)),
            Err(_) => left_out.push((at, Unsafe::NotText)),
        }
    }
    texts
}

/// Formats of lines: a name, and a value.
fn lines(format: Format, texts: Vec<Text<'_>>, left_out: &mut Vec<(usize, Unsafe)>) -> Vec<u8> {
    let mut names = BTreeMap::new();
    for (at, path, value) in texts {
        let name = match format {
            Format::Properties => path.replace('/', "."),
            _ => assignments::name(path),
        };
        if format == Format::Shell && assignments::is_of_the_shell(&name) {
            left_out.push((at, Unsafe::ShellVariable));
            continue;
        }
        let line = match format {
            Format::Properties => Some(properties::line(&name, value)),
            Format::Shell => assignments::shell(&name, value),
            _ => assignments::dotenv(&name, value),
        };
        match (line, names.entry(name)) {
            (None, _) => left_out.push((at, Unsafe::NotText)),
            (Some(line), Entry::Vacant(free)) => drop(free.insert(line)),
            // The first in order keeps the name.
            (Some(_), Entry::Occupied(_)) => left_out.push((at, Unsafe::SameName)),
        }
    }
    names.into_values().collect::<String>().into_bytes()
}

fn levels<'a>(
    file: &Single,
    texts: Vec<Text<'a>>,
    left_out: &mut Vec<(usize, Unsafe)>,
) -> BTreeMap<&'a str, Node<'a>> {
    let mut top = BTreeMap::new();
    for (at, path, value) in texts {
        let value = Node::Value { at, scalar: Scalar::of(value, file.types) };
        match file.shape {
            Shape::Flat => drop(top.insert(path, value)),
            Shape::Nested => insert(&mut top, path, value, left_out),
        }
    }
    top
}

/// Where `a` and `a/b` both exist the level wins, as the directory does in a tree.
fn insert<'a>(
    mut level: &mut BTreeMap<&'a str, Node<'a>>,
    path: &'a str,
    value: Node<'a>,
    left_out: &mut Vec<(usize, Unsafe)>,
) {
    let (parents, name) = path.rsplit_once('/').map_or((None, path), |(p, name)| (Some(p), name));
    for parent in parents.into_iter().flat_map(|parents| parents.split('/')) {
        let node = level.entry(parent).or_insert_with(|| Node::Level(BTreeMap::new()));
        if let Node::Value { at, .. } = node {
            left_out.push((*at, Unsafe::Shadowed));
            *node = Node::Level(BTreeMap::new());
        }
        let Node::Level(below) = node else { unreachable!("made one") };
        level = below;
    }
    level.insert(name, value);
}

fn structured(format: Format, top: &BTreeMap<&str, Node<'_>>) -> Vec<u8> {
    let text = match format {
        Format::Json => serde_json::to_string_pretty(top).map(|text| text + "\n").ok(),
        Format::Toml => toml::to_string(top).ok(),
        _ => serde_saphyr::to_string_with_options(top, yaml()).ok(),
    };
    text.expect("maps of text, numbers and switches can be written").into_bytes()
}

/// Text of several lines is a block only where [`is_block`] says so.
fn yaml() -> serde_saphyr::SerializerOptions {
    serde_saphyr::ser_options! { prefer_block_scalars: false }
}

/// Lines that every reader takes alike: on blanks where a line begins, and on lines of nothing else,
/// readers of YAML do not agree.
fn is_block(text: &str) -> bool {
    let lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
    text.contains('\n')
        && lines.clone().all(|line| !line.is_empty() && !line.starts_with([' ', '\t']))
}

// === impl Node ===

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Level(level) => level.serialize(to),
            // To the other formats that is the text.
            Self::Value { scalar: Scalar::Text(text), .. } if is_block(text) => {
                serde_saphyr::LitStr(text).serialize(to)
            }
            Self::Value { scalar: Scalar::Text(text), .. } => to.serialize_str(text),
            Self::Value { scalar: Scalar::Bool(is), .. } => to.serialize_bool(*is),
            Self::Value { scalar: Scalar::Integer(number), .. } => to.serialize_i64(*number),
            Self::Value { scalar: Scalar::Float(number), .. } => to.serialize_f64(*number),
        }
    }
}

// === impl Scalar ===

impl<'a> Scalar<'a> {
    /// A number only where it is written back as it stood there, by everybody: `1.10` is a version, `007` a
    /// name, `1e3` a number to some readers of YAML and text to others, and above 2^53 readers of JSON
    /// that have one kind of number change the last digits.
    fn of(text: &'a str, types: Types) -> Self {
        if types == Types::Text {
            return Self::Text(text);
        }
        if let Ok(is) = text.parse() {
            return Self::Bool(is);
        }
        let integer: Option<i64> = text.parse().ok();
        let is_exact = |number: &i64| number.unsigned_abs() < 1 << 53 && number.to_string() == text;
        if let Some(number) = integer.filter(is_exact) {
            return Self::Integer(number);
        }
        let has_fraction =
            text.contains('.') && text.bytes().last().is_some_and(|b| b.is_ascii_digit());
        let float: Option<f64> = text.parse().ok().filter(|_| has_fraction);
        match float.filter(|number| format!("{number:?}") == text) {
            Some(number) if !text.contains('e') => Self::Float(number),
            _ => Self::Text(text),
        }
    }
}

#[cfg(test)]
mod tests;
