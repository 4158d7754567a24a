//! `tree "p" | explode | toJSON` and its like: levels, by a function.

use super::ranges::say_nothing;
use super::{Found, Layout, Meaning, Reading, include_of, list, placed};
use crate::model::output::Format;
use crate::moving::template::{Expr, Node};

pub(super) fn read(nodes: &[Node]) -> Found {
    let mut texts = vec![String::new()];
    let mut actions = Vec::new();
    for node in nodes {
        match node {
            Node::Text(text) => texts.last_mut()?.push_str(text),
            Node::Action(action) => {
                actions.push(action);
                texts.push(String::new());
            }
            Node::Branch(_) => return None,
        }
    }
    let [action] = actions.as_slice() else { return None };
    if !action.variables.is_empty() || !say_nothing(&texts) {
        return None;
    }
    let (format, inner) = written(&action.expr)?;
    let (one_level, prefix) = list(exploded(inner)?)?;
    let is_blank = texts.iter().all(|text| text.trim().is_empty());
    let is_indented = texts[0].ends_with([' ', '\t']);
    // In JSON a comment would be an error; in YAML what is before the first line moves it alone.
    if format == Format::Json && !is_blank || format == Format::Yaml && is_indented {
        return None;
    }
    let layout = Layout { is_nested: true, ..Layout::flat(format) };
    let meaning = |prefix| {
        let include = include_of(one_level);
        Meaning::Keys { prefixes: vec![prefix], include, layout }
    };
    Some(placed(prefix, action.line).map(|p| Reading { meaning: meaning(p), remarks: vec![] }))
}

fn written(expr: &Expr) -> Option<(Format, &Expr)> {
    let Expr::Call(name, arguments) = expr else { return None };
    let format = match name.as_str() {
        "toJSON" | "toJSONPretty" | "toUnescapedJSON" | "toUnescapedJSONPretty" => Format::Json,
        "toYAML" => Format::Yaml,
        "toTOML" => Format::Toml,
        _ => return None,
    };
    match arguments.as_slice() {
        [inner] => Some((format, inner)),
        _ => None,
    }
}

fn exploded(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::Call(name, arguments) if name == "explode" && arguments.len() == 1 => {
            arguments.first()
        }
        _ => None,
    }
}
