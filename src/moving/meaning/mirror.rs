//! `writeToFile` for each key: a tree.

use super::{Found, Meaning, Reading, Remark, include_of, list, placed};
use crate::moving::note::Weight;
use crate::moving::template::{Action, Branch, Expr, Node};

pub(super) fn read(nodes: &[Node]) -> Found {
    let branch = only_branch(nodes)?;
    let (one_level, prefix) = list(&branch.head.expr)?;
    let write = only_action(&branch.body)?;
    let element = element(branch);
    let (path, owner, mode, value) = written(&write.expr)?;
    let is_value = field_of(value, element) == Some("Value");
    let directory = directory(path, element).filter(|_| is_value && branch.otherwise.is_empty())?;
    let mode = u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o777)?;
    let mut remarks = Vec::new();
    if owner {
        let text = "writeToFile: files have no owner of their own here: give the volume's group with fsGroup, \
                    or a mode";
        remarks.push(Remark::new(write.line, Weight::ByHand, text));
    }
    let meaning = |prefix| {
        let include = include_of(one_level);
        Meaning::Mirror { prefix, include, directory, mode }
    };
    Some(placed(prefix, write.line).map(|p| Reading { meaning: meaning(p), remarks }))
}

/// The one `range` of a template that has nothing else but white space.
pub(super) fn only_branch(nodes: &[Node]) -> Option<&Branch> {
    let is_space = |node: &Node| matches!(node, Node::Text(text) if text.trim().is_empty());
    let mut rest = nodes.iter().filter(|node| !is_space(node));
    match (rest.next(), rest.next()) {
        (Some(Node::Branch(branch)), None) if branch.word == "range" => Some(branch),
        _ => None,
    }
}

fn only_action(nodes: &[Node]) -> Option<&Action> {
    let is_space = |node: &Node| matches!(node, Node::Text(text) if text.trim().is_empty());
    let mut rest = nodes.iter().filter(|node| !is_space(node));
    match (rest.next(), rest.next()) {
        (Some(Node::Action(action)), None) if action.variables.is_empty() => Some(action),
        _ => None,
    }
}

/// The variable that a `range` gives its elements to.
pub(super) fn element(branch: &Branch) -> Option<&str> {
    branch.head.variables.last().map(String::as_str)
}

/// The field of the element that an expression is: `.Key`, or `$element.Key`.
pub(super) fn field_of<'e>(expr: &'e Expr, element: Option<&str>) -> Option<&'e str> {
    match expr {
        Expr::Field(field) => Some(field),
        Expr::Variable(name, field) if Some(name.as_str()) == element => Some(field),
        _ => None,
    }
}

/// Path, whether there is an owner or a group, mode, and content. With flags it is another thing.
fn written(expr: &Expr) -> Option<(&Expr, bool, &str, &Expr)> {
    let Expr::Call(name, arguments) = expr else { return None };
    match (name.as_str(), arguments.as_slice()) {
        ("writeToFile", [path, Expr::Text(user), Expr::Text(group), Expr::Text(mode), value]) => {
            Some((path, !user.is_empty() || !group.is_empty(), mode, value))
        }
        _ => None,
    }
}

/// The directory of `printf "DIR/%s" .Key` or `print "DIR/" .Key`.
fn directory(path: &Expr, element: Option<&str>) -> Option<String> {
    let Expr::Call(name, arguments) = path else { return None };
    let [Expr::Text(text), key] = arguments.as_slice() else { return None };
    if field_of(key, element) != Some("Key") {
        return None;
    }
    let directory = match name.as_str() {
        "printf" => text.strip_suffix("/%s").or_else(|| text.strip_suffix("/%v")),
        "print" => text.strip_suffix('/'),
        _ => None,
    };
    directory.filter(|text| !text.contains('%')).map(ToOwned::to_owned)
}
