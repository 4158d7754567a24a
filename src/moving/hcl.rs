//! HCL as it was before its second version, and JSON: the two that consul-template reads.
//!
//! Written by hand because the crates for it (hcl-rs 0.20 was tried) read HCL 2: they refuse two settings on one
//! line, a setting twice and a quoted name of a block, take `${...}` in a heredoc for an expression, and
//! read `0600` as six hundred.

mod quoted;

use serde::de::IgnoredAny;

pub use self::quoted::escape;

/// How deep blocks and lists may lie in each other: each level takes stack.
const DEEPEST: usize = 40;

/// A setting, or a block. One that stands there several times is several entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name as typed.
    pub key: String,
    /// The line that it is on, from 1.
    pub line: usize,
    /// What it is set to.
    pub value: Value,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// In quotes, or a heredoc.
    Text(Text),
    /// As typed: `0600` is another number than `600`.
    Number(String),
    /// `true` or `false`.
    Switch(bool),
    /// JSON's `null`: as if it was not there.
    Nothing,
    /// In square brackets.
    List(Vec<Value>),
    /// In braces.
    Block(Vec<Entry>),
}

/// A text and where it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// What it is, escapes undone.
    pub text: String,
    /// The line that it begins on.
    pub line: usize,
    /// Its lines are lines of the file: it is a heredoc.
    pub is_heredoc: bool,
}

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1.
    pub line: usize,
    /// Completes "the file ...".
    pub what: String,
}

/// The entries of a file. As consul-template does, takes one that begins with `{` for JSON.
pub fn parse(text: &str) -> Result<Vec<Entry>, Mistake> {
    let mut parser = Parser { rest: text, line: 1, depth: 0, is_json: false };
    parser.skip_space()?;
    if !parser.rest.starts_with('{') {
        return parser.entries(None);
    }
    // What is JSON says its own crate; where things are in it, it does not.
    serde_json::from_str::<IgnoredAny>(text)
        .map_err(|e| Mistake { line: e.line(), what: "is no JSON from there on".to_owned() })?;
    parser.is_json = true;
    parser.rest = &parser.rest[1..];
    parser.deeper(|parser| parser.entries(Some('}')))
}

struct Parser<'t> {
    rest: &'t str,
    line: usize,
    depth: usize,
    is_json: bool,
}

type Result<T, E = Mistake> = std::result::Result<T, E>;

// === impl Parser ===

impl<'t> Parser<'t> {
    /// Entries up to what closes them, or up to the end.
    fn entries(&mut self, end: Option<char>) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        loop {
            self.skip_space()?;
            match self.rest.chars().next() {
                None if end.is_none() => return Ok(entries),
                None => return self.wrong("ends within a block: a } is missing"),
                found if found == end => {
                    self.take(1);
                    return Ok(entries);
                }
                Some(',') if !entries.is_empty() => self.take(1),
                Some(_) => entries.push(self.entry()?),
            }
        }
    }

    fn entry(&mut self) -> Result<Entry> {
        let line = self.line;
        let key = self.key()?;
        self.skip_space()?;
        let value = match self.rest.chars().next() {
            Some('=' | ':') => {
                self.take(1);
                self.skip_space()?;
                self.value()?
            }
            // `template "name" {`: a block in a block.
            Some('"') => self.deeper(|inner| Ok(Value::Block(vec![inner.entry()?])))?,
            Some('{') => self.value()?,
            _ => return self.wrong("has a name without = or { after it"),
        };
        Ok(Entry { key, line, value })
    }

    fn key(&mut self) -> Result<String> {
        if self.rest.starts_with('"') {
            return Ok(self.quoted()?.text);
        }
        let of_a_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let name = self.while_some(of_a_name);
        if name.is_empty() || !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            return self.wrong("has something else where a name should be");
        }
        Ok(name.to_owned())
    }

    fn value(&mut self) -> Result<Value> {
        match self.rest.chars().next() {
            Some('"') => Ok(Value::Text(self.quoted()?)),
            Some('{') => {
                self.take(1);
                self.deeper(|inner| inner.entries(Some('}'))).map(Value::Block)
            }
            Some('[') => {
                self.take(1);
                self.deeper(Self::list).map(Value::List)
            }
            Some('<') => Ok(Value::Text(self.heredoc()?)),
            _ => self.word(),
        }
    }

    fn list(&mut self) -> Result<Vec<Value>> {
        let mut values = Vec::new();
        loop {
            self.skip_space()?;
            match self.rest.chars().next() {
                None => return self.wrong("ends within a list: a ] is missing"),
                Some(']') => {
                    self.take(1);
                    return Ok(values);
                }
                Some(',') if !values.is_empty() => self.take(1),
                Some(_) => values.push(self.value()?),
            }
        }
    }

    fn word(&mut self) -> Result<Value> {
        match self.while_some(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | '_')) {
            "true" => Ok(Value::Switch(true)),
            "false" => Ok(Value::Switch(false)),
            "null" if self.is_json => Ok(Value::Nothing),
            number if number.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.') => {
                Ok(Value::Number(number.to_owned()))
            }
            _ => self.wrong("has something else where a value should be"),
        }
    }

    fn quoted(&mut self) -> Result<Text> {
        let line = self.line;
        let read = if self.is_json { quoted::json(self.rest) } else { quoted::hcl(self.rest) };
        let Some((text, length)) = read else {
            return self.wrong("has a text that does not end, or with an escape that is none");
        };
        self.take(length);
        Ok(Text { text, line, is_heredoc: false })
    }

    fn heredoc(&mut self) -> Result<Text> {
        let Some((content, length)) = quoted::heredoc(self.rest) else {
            return self.wrong("has a heredoc (<<) that does not begin or end as one does");
        };
        let line = self.line + 1;
        self.take(length);
        Ok(Text { text: content, line, is_heredoc: true })
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == DEEPEST {
            return self.wrong("is nested too deep");
        }
        self.depth += 1;
        let read = inner(self);
        self.depth -= 1;
        read
    }

    /// White space and comments.
    fn skip_space(&mut self) -> Result<()> {
        loop {
            self.while_some(char::is_whitespace);
            let is_line = self.rest.starts_with('#') || self.rest.starts_with("//");
            if is_line && !self.is_json {
                self.while_some(|c| c != '\n');
            } else if self.rest.starts_with("/*") && !self.is_json {
                match self.rest.find("*/") {
                    Some(end) => self.take(end + 2),
                    None => return self.wrong("has a comment that does not end"),
                }
            } else {
                return Ok(());
            }
        }
    }

    fn while_some(&mut self, takes: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest;
        let length = rest.find(|c| !takes(c)).unwrap_or(rest.len());
        self.take(length);
        &rest[..length]
    }

    /// So many bytes are read.
    fn take(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        self.line += taken.matches('\n').count();
        self.rest = rest;
    }

    fn wrong<T>(&self, what: &str) -> Result<T> {
        Err(Mistake { line: self.line, what: what.to_owned() })
    }
}

#[cfg(test)]
mod tests;
