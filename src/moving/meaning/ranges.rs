//! A line, or a member, for each key of a prefix.

use super::mirror::{element, field_of};
use super::naming::Name;
use super::{Found, Layout, Meaning, Place, Reading, Remark, include_of, list, placed};
use crate::model::output::Format;
use crate::moving::note::Weight;
use crate::moving::template::{Branch, Expr, Node};

/// What one `range` writes for each key.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    name: Name,
    one_level: bool,
    /// What is before the name, between name and value, and after it; line ends aside.
    around: [String; 3],
    /// The value goes through `toJSON`.
    is_json: bool,
    /// A comma is before each but the first.
    has_commas: bool,
    /// Each is on a line of its own.
    is_line: bool,
}

pub(super) fn read(nodes: &[Node], destination: &str) -> Found {
    let mut lines: Vec<(&Branch, Line)> = Vec::new();
    let mut texts = vec![String::new()];
    for node in nodes {
        match node {
            Node::Text(text) => texts.last_mut()?.push_str(text),
            Node::Branch(branch) => {
                lines.push((branch, Line::read(branch)?));
                texts.push(String::new());
            }
            Node::Action(_) => return None,
        }
    }
    let (first, line) = lines.first()?;
    if lines.iter().any(|(_, other)| other != line) {
        return None;
    }
    let at = first.head.line;
    let (format, mut remarks) = line.format(destination, &texts, at)?;
    let layout = line.layout(format, at, &mut remarks)?;
    if lines.len() > 1 && format == Format::Json {
        return None;
    }
    let prefixes: Result<Vec<Place>, Remark> = lines
        .iter()
        .filter_map(|(branch, _)| Some((list(&branch.head.expr)?.1, branch.head.line)))
        .map(|(prefix, at)| placed(prefix, at))
        .collect();
    let include = include_of(line.one_level);
    let reading =
        |prefixes| Reading { meaning: Meaning::Keys { prefixes, include, layout }, remarks };
    Some(prefixes.map(reading))
}

// === impl Line ===

impl Line {
    fn read(branch: &Branch) -> Option<Self> {
        let (one_level, _) = list(&branch.head.expr)?;
        if branch.word != "range" || !branch.otherwise.is_empty() {
            return None;
        }
        let element = element(branch);
        let (mut around, mut parts) = ([const { String::new() }; 3], 0);
        let (mut name, mut is_json, mut has_commas) = (None, false, false);
        for node in &branch.body {
            match node {
                Node::Text(text) => around[parts].push_str(text),
                Node::Branch(comma) if parts == 0 && is_comma(comma, branch) => has_commas = true,
                Node::Action(action) if action.variables.is_empty() && parts == 0 => {
                    name = Some(Name::read(&action.expr, element)?);
                    parts = 1;
                }
                Node::Action(action) if action.variables.is_empty() && parts == 1 => {
                    is_json = value(&action.expr, element)?;
                    parts = 2;
                }
                _ => return None,
            }
        }
        if around[2].starts_with([' ', '\t']) {
            // To some readers it is the value's.
            return None;
        }
        let is_line = around[0].contains('\n') || around[2].contains('\n');
        around[0] = around[0].trim_start().to_owned();
        around[2] = around[2].trim_end().to_owned();
        let name = name.filter(|_| parts == 2)?;
        Some(Self { name, one_level, around, is_json, has_commas, is_line })
    }

    /// The format that this is, between these texts.
    fn format(
        &self,
        destination: &str,
        texts: &[String],
        at: usize,
    ) -> Option<(Format, Vec<Remark>)> {
        let around = self.around.each_ref().map(String::as_str);
        let is_around = |open: &str, close: &str| {
            texts.first().is_some_and(|text| text.trim() == open)
                && texts.last().is_some_and(|text| text.trim() == close)
        };
        let ends = |format| Format::of_name(destination) == Some(format);
        let format = match around {
            ["\"", "\": \"" | "\":\"", "\""] if !self.is_json => Format::Json,
            ["\"", "\": " | "\":", ""] if self.is_json => Format::Json,
            ["", ": \"", "\""] if ends(Format::Yaml) && !self.is_json => Format::Yaml,
            ["", ": ", ""] if ends(Format::Yaml) => Format::Yaml,
            ["", " = \"", "\""] if ends(Format::Toml) && !self.is_json => Format::Toml,
            ["", " = ", ""] if ends(Format::Toml) && self.is_json => Format::Toml,
            [pre @ ("" | "export "), between, after] if !self.is_json => {
                return self.assignment(destination, texts, at, [pre, between, after]);
            }
            _ => return None,
        };
        let fits = match format {
            Format::Json => self.has_commas && is_around("{", "}"),
            _ => self.is_line && !self.has_commas && say_nothing(texts),
        };
        fits.then(|| (format, vec![]))
    }

    /// `NAME=value` lines: which reader they are for, the ending says.
    fn assignment(
        &self,
        destination: &str,
        texts: &[String],
        at: usize,
        around: [&str; 3],
    ) -> Option<(Format, Vec<Remark>)> {
        let is_one = matches!(around, [_, "=", ""] | [_, "=\"", "\""] | [_, "='", "'"]);
        if !is_one || !self.is_line || self.has_commas || !say_nothing(texts) {
            return None;
        }
        assignment_format(destination, around, at)
    }

    fn layout(&self, format: Format, at: usize, remarks: &mut Vec<Remark>) -> Option<Layout> {
        let layout = self.name.layout(format, self.one_level, at, remarks)?;
        let has_types = format == Format::Yaml && !self.is_json && self.around[1] == ": ";
        if has_types {
            let text = "true, false and plain numbers have no quotes; everything else is text, also what YAML \
                        would take for something else (no, 012, 1.10)";
            remarks.push(Remark::new(at, Weight::Differs, text));
        }
        Some(Layout { has_types, ..layout })
    }
}

/// The format of `NAME=value` lines in a file of this name, and what is to be said.
pub(super) fn assignment_format(
    destination: &str,
    around: [&str; 3],
    at: usize,
) -> Option<(Format, Vec<Remark>)> {
    let name = destination.rsplit('/').next().unwrap_or(destination);
    let is_export = around[0] == "export ";
    let is_bare = around[1] == "=";
    if is_export {
        let text = "lines have no export: read the file with `set -a; . FILE; set +a`";
        return Some((Format::Shell, vec![Remark::new(at, Weight::Differs, text)]));
    }
    let format = match Format::of_name(name) {
        Some(Format::Properties) if !is_bare => return None,
        Some(format @ (Format::Properties | Format::Shell | Format::Env)) => format,
        _ => Format::Env,
    };
    let is_known = Format::of_name(name) == Some(format)
        || name.starts_with(".env")
        || matches!(name, "env" | "environment");
    let text = match format {
        Format::Properties => {
            "values are escaped as java.util.Properties reads them; a reader that knows no escapes sees a \\ \
             before : = # ! and \\"
        }
        _ if !is_known => {
            "lines are written as dotenv libraries and shells read them: a value with spaces, quotes or other signs is \
             in quotes"
        }
        _ => return Some((format, vec![])),
    };
    let weight = if is_known { Weight::Look } else { Weight::Differs };
    Some((format, vec![Remark::new(at, weight, text)]))
}

/// True of texts around actions that have no meaning in files of lines. A comment must not stand on the line of an
/// action, which would be part of it, or it of the value.
pub(super) fn say_nothing(texts: &[String]) -> bool {
    let space = |c: char| c == ' ' || c == '\t' || c == '\r';
    let last = texts.len().saturating_sub(1);
    texts.iter().enumerate().all(|(i, text)| {
        let begins = i == 0 || text.trim_start_matches(space).starts_with('\n');
        let ends = i == last || text.trim_end_matches(space).ends_with('\n');
        text.trim().is_empty() || (is_comment(text) && begins && ends)
    })
}

/// True of what has no meaning in files of lines.
pub(super) fn is_comment(text: &str) -> bool {
    text.lines()
        .map(str::trim)
        .all(|line| line.is_empty() || line == "---" || line.starts_with('#'))
}

/// Of `.Value`, whether it goes through `toJSON`.
fn value(expr: &Expr, element: Option<&str>) -> Option<bool> {
    match expr {
        Expr::Call(name, arguments) if name == "toJSON" && arguments.len() == 1 => {
            (field_of(&arguments[0], element) == Some("Value")).then_some(true)
        }
        expr => (field_of(expr, element) == Some("Value")).then_some(false),
    }
}

/// `{{ if $i }},{{ end }}`, where `$i` counts.
fn is_comma(branch: &Branch, range: &Branch) -> bool {
    let [counter, _] = range.head.variables.as_slice() else { return false };
    let counts = |expr: &Expr| matches!(expr, Expr::Variable(name, field) if name == counter && field.is_empty());
    let zero = |expr: &Expr| matches!(expr, Expr::Number(number) if number == "0");
    let asks = match &branch.head.expr {
        Expr::Call(name, of) if name == "ne" || name == "gt" => {
            of.len() == 2 && counts(&of[0]) && zero(&of[1])
        }
        expr => counts(expr),
    };
    let writes = |nodes: &[Node]| matches!(nodes, [Node::Text(text)] if text.trim() == ",");
    branch.word == "if" && asks && writes(&branch.body) && branch.otherwise.is_empty()
}
