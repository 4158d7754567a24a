//! How large a file may become, without making it: an upper bound, and no more than the file itself
//! where nothing needs an escape and levels are few.

use std::collections::BTreeMap;

use super::{Node, Scalar};
use crate::model::output::Format;

/// Of a line, in any of the formats of lines.
pub(super) fn line(path: &str, value: &str) -> u64 {
    // A character of two units is two escapes of six; the shell's way out of a quote takes four.
    let escaped = |c: char| match c {
        ' '..='~' if !"\\'\"=:#! ".contains(c) => 1,
        ' '..='~' => 4,
        c => 6 * c.len_utf16() as u64,
    };
    path.chars().chain(value.chars()).map(escaped).sum::<u64>() + 6
}

/// Of a level `depth` levels down, whose own path is `path`, with all that is below it.
pub(super) fn level(
    format: Format,
    path: &str,
    depth: u64,
    below: &BTreeMap<&str, Node<'_>>,
) -> u64 {
    let indent = 2 * (depth + 1);
    let each = below.iter().map(|(name, node)| {
        let named = indent + text(format, 0, name) + 4;
        match node {
            Node::Value { scalar: Scalar::Text(value), .. } => named + text(format, indent, value),
            Node::Value { .. } => named + 24,
            Node::Level(level) => {
                let path = format!("{path}.{name}");
                // TOML names a level by its whole path.
                let header = text(format, 0, &path);
                named + header + self::level(format, &path, depth + 1, level) + indent + 4
            }
        }
    });
    each.sum::<u64>() + 4
}

/// Of a text in quotes, or in a block whose lines are indented.
fn text(format: Format, indent: u64, text: &str) -> u64 {
    let escaped = |c: char| match c {
        '\n' => 2 + if format == Format::Yaml { indent } else { 0 },
        '"' | '\\' | '\'' | '\t' | '\r' => 2,
        c if c.is_control() => 6,
        c if format == Format::Yaml && !c.is_ascii() && !c.is_alphanumeric() => 10,
        c => c.len_utf8() as u64,
    };
    text.chars().map(escaped).sum::<u64>() + 8 + indent
}
