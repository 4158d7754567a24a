//! How large a file may become, without making it: an upper bound, and no more than the file itself
//! where nothing needs an escape and levels are few.

use std::collections::BTreeMap;

use super::{Node, Scalar};
use crate::model::output::Format;

/// In lines. The shell's way out of a quote takes four.
const OF_LINES: [u8; 256] = weights(b"\\'\"=:#! ", 4);
/// In quotes.
const OF_TEXTS: [u8; 256] = weights(b"\n\"\\'\t\r", 2);

/// Of a line, in any of the formats of lines.
pub(super) fn line(path: &str, value: &str) -> u64 {
    // A character of two units is two escapes of six.
    let other = |c: char| 6 * c.len_utf16() as u64;
    sum(path, &OF_LINES, other) + sum(value, &OF_LINES, other) + 6
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
    let is_yaml = format == Format::Yaml;
    let other = |c: char| match c {
        c if c.is_control() => 6,
        c if is_yaml && !c.is_alphanumeric() => 10,
        c => c.len_utf8() as u64,
    };
    let lines = if is_yaml { memchr::memchr_iter(b'\n', text.as_bytes()).count() } else { 0 };
    sum(text, &OF_TEXTS, other) + lines as u64 * indent + 8 + indent
}

/// What each character of ASCII becomes at most: those of `special` so many bytes, an escape of six where
/// nothing shows, and all else what it is.
const fn weights(special: &[u8], escaped: u8) -> [u8; 256] {
    let mut weights = [6; 256];
    let mut visible = b' ';
    while visible <= b'~' {
        weights[visible as usize] = 1;
        visible += 1;
    }
    let mut at = 0;
    while at < special.len() {
        weights[special[at] as usize] = escaped;
        at += 1;
    }
    weights
}

/// By a table, since all that is published goes through here.
fn sum(text: &str, ascii: &[u8; 256], other: impl Fn(char) -> u64) -> u64 {
    let weight = |byte: u8| u64::from(ascii[usize::from(byte)]);
    if text.is_ascii() {
        return text.bytes().map(weight).sum();
    }
    text.chars()
        .map(|c| u8::try_from(c).ok().filter(u8::is_ascii).map_or_else(|| other(c), weight))
        .sum()
}
