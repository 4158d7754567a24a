//! One key's value and nothing else.

use super::{Found, Meaning, Place, Reading, Remark, key_of, placed_key};
use crate::moving::note::Weight;
use crate::moving::template::Node;

pub(super) fn read(nodes: &[Node]) -> Found {
    let is_space = |node: &Node| matches!(node, Node::Text(text) if text.trim().is_empty());
    let mut rest = nodes.iter().filter(|node| !is_space(node));
    let Some(Node::Action(action)) = rest.next() else { return None };
    let (path, default) = key_of(&action.expr)?;
    if rest.next().is_some() || !action.variables.is_empty() {
        return None;
    }
    let mut remarks = Vec::new();
    if nodes.len() > 1 {
        let text = "the white space around the key (a line end, for the most part) is not written: the file \
                    is the value and nothing else";
        remarks.push(Remark::new(action.line, Weight::Differs, text));
    }
    if default.is_some() {
        let text = "keyOrDefault: an empty value stays empty; only a missing key has the default";
        remarks.push(Remark::new(action.line, Weight::Look, text));
    }
    let meaning = |key| Meaning::Value { key, default: default.map(ToOwned::to_owned) };
    Some(below(path, action.line).map(|key| Reading { meaning: meaning(key), remarks }))
}

/// A source is a directory: a key must lie in one.
fn below(path: &str, line: usize) -> Result<Place, Remark> {
    let place = placed_key(path, line)?;
    if place.path.contains('/') {
        return Ok(place);
    }
    let text =
        "key: it lies at the top of Consul's store, and a source is a prefix: move it below one";
    Err(Remark::new(line, Weight::ByHand, text))
}
