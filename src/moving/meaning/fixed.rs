//! Some keys, each by its name: lines of `NAME={{ key "..." }}`, or JSON with keys for its texts.

use std::collections::BTreeSet;

use serde_json::Value;

use super::ranges::{assignment_format, is_comment};
use super::{Found, Layout, Meaning, Place, Reading, Remark, key_of, placed_key};
use crate::model::format;
use crate::model::output::Format;
use crate::moving::note::Weight;
use crate::moving::template::Node;

/// Stands for a key while the text around it is read. A private character of Unicode: a template that has it
/// is not read here.
const MARK: char = '\u{f8ff}';

/// A name in the file, and which of the keys it has.
type Named = (String, usize);

pub(super) fn read(nodes: &[Node], destination: &str) -> Found {
    let (text, keys) = marked(nodes)?;
    let (format, is_nested, names, remarks) = match json(&text) {
        Some(names) => (Format::Json, true, names, vec![]),
        None => lines(&text, destination, keys.first()?.1)?,
    };
    Some(found(&keys, format, is_nested, &names, remarks))
}

fn found(
    keys: &[(&str, usize)],
    format: Format,
    is_nested: bool,
    names: &[Named],
    remarks: Vec<Remark>,
) -> Result<Reading, Remark> {
    let line = keys.first().map_or(1, |(_, line)| *line);
    let places: Result<Vec<Place>, Remark> =
        keys.iter().map(|(path, at)| placed_key(path, *at)).collect();
    let places = places?;
    let Some(prefix) = common(&places, names, format) else {
        let text = "template: its names are not those that seedcar makes of the keys' paths below one prefix: \
                    rename the keys in Consul, or read the keys as files of a tree";
        return Err(Remark::new(line, Weight::ByHand, text));
    };
    let below = |place: &Place| escaped(&place.path[prefix.path.len() + 1..]);
    let mut include: Vec<String> = places.iter().map(below).collect();
    include.sort_unstable();
    include.dedup();
    let layout = Layout { is_nested, ..Layout::flat(format) };
    Ok(Reading { meaning: Meaning::Keys { prefixes: vec![prefix], include, layout }, remarks })
}

/// The text with a mark for each key, and the keys with their lines.
fn marked(nodes: &[Node]) -> Option<(String, Vec<(&str, usize)>)> {
    let (mut text, mut keys) = (String::new(), Vec::new());
    for node in nodes {
        match node {
            Node::Text(more) if more.contains(MARK) => return None,
            Node::Text(more) => text.push_str(more),
            Node::Action(action) if action.variables.is_empty() => {
                let (path, default) = key_of(&action.expr)?;
                if default.is_some() {
                    return None;
                }
                text.push_str(&format!("{MARK}{}{MARK}", keys.len()));
                keys.push((path, action.line));
            }
            _ => return None,
        }
    }
    Some((text, keys))
}

/// Which key a text is, as a whole.
fn mark(text: &str) -> Option<usize> {
    text.strip_prefix(MARK)?.strip_suffix(MARK)?.parse().ok()
}

/// The names of a JSON object all of whose texts are keys.
fn json(text: &str) -> Option<Vec<Named>> {
    let top: Value = serde_json::from_str(text).ok()?;
    let mut names = Vec::new();
    members(&top, "", &mut names)?;
    Some(names).filter(|names| !names.is_empty())
}

fn members(value: &Value, path: &str, names: &mut Vec<Named>) -> Option<()> {
    for (name, value) in value.as_object()? {
        let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        match value {
            Value::String(text) => names.push((path, mark(text)?)),
            Value::Object(_) if !name.contains('/') => members(value, &path, names)?,
            _ => return None,
        }
    }
    Some(())
}

type Lines = (Format, bool, Vec<Named>, Vec<Remark>);

fn lines(text: &str, destination: &str, at: usize) -> Option<Lines> {
    let (mut names, mut kind) = (Vec::new(), None);
    for line in text.lines().map(str::trim_start).filter(|line| !is_comment(line)) {
        let (before, rest) = line.split_once(MARK)?;
        let (number, after) = rest.split_once(MARK)?;
        let (pre, name) =
            before.strip_prefix("export ").map_or(("", before), |name| ("export ", name));
        let (name, between) = name.split_at(name.find('=')?);
        let around = [pre, between, after];
        if !matches!(around, [_, "=", ""] | [_, "=\"", "\""] | [_, "='", "'"]) {
            return None;
        }
        // What the lines have in common; quotes may differ from one to the next.
        if *kind.get_or_insert(pre) != pre {
            return None;
        }
        names.push((name.to_owned(), number.parse().ok()?));
    }
    let (format, remarks) = assignment_format(destination, [kind?, "=", ""], at)?;
    Some((format, false, names, remarks))
}

/// The longest prefix below which the keys have these names.
fn common(places: &[Place], names: &[Named], format: Format) -> Option<Place> {
    let first = places.first()?;
    let fits = |prefix: &str| {
        names.iter().all(|(name, at)| {
            let path = &places[*at].path;
            let below = path.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/'));
            below.is_some_and(|below| named(below, format) == *name)
        })
    };
    let same_place = places.iter().all(|place| place.datacenter == first.datacenter);
    let used: BTreeSet<usize> = names.iter().map(|(_, at)| *at).collect();
    let different: BTreeSet<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
    let all_named = used.len() == places.len() && different.len() == names.len();
    let mut ends = first.path.rmatch_indices('/').map(|(at, _)| &first.path[..at]);
    let prefix = ends.find(|prefix| fits(prefix)).filter(|_| same_place && all_named)?;
    Some(Place { path: prefix.to_owned(), datacenter: first.datacenter.clone() })
}

/// The name that a key has in a file of this format.
fn named(path: &str, format: Format) -> String {
    match format {
        Format::Json => path.to_owned(),
        Format::Properties => path.replace('/', "."),
        _ => format::variable(path),
    }
}

/// A path as a pattern that takes it alone.
fn escaped(path: &str) -> String {
    let each = path.chars().map(|c| match c {
        '*' | '?' | '[' => format!("[{c}]"),
        c => c.to_string(),
    });
    each.collect()
}
