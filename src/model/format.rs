//! All keys of an output in one file, in the format that an application reads. The same keys and
//! values always make the same bytes.

mod assignments;
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

/// Writes a file of `keys`: paths in order, none twice, with their values.
pub fn make(file: &Single, keys: &[(&str, &[u8])]) -> Made {
    let mut left_out = Vec::new();
    let texts = texts(keys, &mut left_out);
    let bytes = match file.format {
        Format::Properties | Format::Env | Format::Shell => {
            lines(file.format, texts, &mut left_out)
        }
        Format::Json | Format::Yaml | Format::Toml => {
            structured(file.format, &levels(file, texts, &mut left_out))
        }
    };
    left_out.sort_unstable_by_key(|(at, _)| *at);
    Made { bytes, left_out }
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
        if !can_hold(format, value) {
            left_out.push((at, Unsafe::NotText));
            continue;
        }
        match names.entry(name) {
            Entry::Vacant(free) => drop(free.insert(value)),
            // The first in order keeps the name.
            Entry::Occupied(_) => left_out.push((at, Unsafe::SameName)),
        }
    }
    let mut text = String::new();
    for (name, value) in &names {
        match format {
            Format::Properties => properties::line(&mut text, name, value),
            Format::Shell => assignments::shell(&mut text, name, value),
            _ => assignments::dotenv(&mut text, name, value),
        }
    }
    text.into_bytes()
}

fn can_hold(format: Format, value: &str) -> bool {
    match format {
        Format::Shell => !value.contains('\0'),
        Format::Env => !value.contains('\0') && assignments::is_for_dotenv(value),
        _ => true,
    }
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
        _ => serde_saphyr::to_string(top).ok(),
    };
    text.expect("maps of text, numbers and switches can be written").into_bytes()
}

// === impl Node ===

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Level(level) => level.serialize(to),
            Self::Value { scalar: Scalar::Text(text), .. } => to.serialize_str(text),
            Self::Value { scalar: Scalar::Bool(is), .. } => to.serialize_bool(*is),
            Self::Value { scalar: Scalar::Integer(number), .. } => to.serialize_i64(*number),
            Self::Value { scalar: Scalar::Float(number), .. } => to.serialize_f64(*number),
        }
    }
}

// === impl Scalar ===

impl<'a> Scalar<'a> {
    /// A number only where it is written back as it stood there: `1.10` is a version, `007` a name, and
    /// `1e3` a number to some readers of YAML and text to others.
    fn of(text: &'a str, types: Types) -> Self {
        if types == Types::Text {
            return Self::Text(text);
        }
        if let Ok(is) = text.parse() {
            return Self::Bool(is);
        }
        let integer: Option<i64> = text.parse().ok();
        if let Some(number) = integer.filter(|number| number.to_string() == text) {
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
