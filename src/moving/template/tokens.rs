//! A template's texts and actions, and the words of an action.

use crate::moving::hcl::escape;

/// What is wrong with a template, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The line of the template, from 1.
    pub line: usize,
    /// Completes "the template ...", or "an action ...".
    pub what: &'static str,
}

/// A text, or an action by its line and words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    Action(usize, Vec<Token>),
}

/// A word of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A function, a keyword or a number.
    Word(String),
    /// `.Key` is `Key`.
    Field(String),
    /// `$pair.Key` is `pair` and `Key`.
    Variable(String, String),
    /// In quotes of either kind.
    Text(String),
    Pipe,
    Open,
    Close,
    Assign,
    /// A comma, a character, anything else.
    Other,
}

/// What Go's templates take for white space.
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

pub(super) fn split(text: &str, left: &str, right: &str) -> Result<Vec<Part>, Mistake> {
    let mut scanner = Scanner { rest: text, line: 1, right };
    let mut parts = Vec::new();
    // A comment leaves one text where it stood.
    let mut before = String::new();
    loop {
        let Some(at) = scanner.rest.find(left) else {
            before.push_str(scanner.rest);
            push_text(&mut parts, before);
            return Ok(parts);
        };
        before.push_str(scanner.take(at));
        scanner.take(left.len());
        if scanner.rest.starts_with('-') && scanner.rest[1..].starts_with(SPACE) {
            before.truncate(before.trim_end_matches(SPACE).len());
            scanner.take(1);
        }
        let line = scanner.line;
        if let Some(tokens) = scanner.action()? {
            push_text(&mut parts, std::mem::take(&mut before));
            parts.push(Part::Action(line, tokens));
        }
    }
}

fn push_text(parts: &mut Vec<Part>, text: String) {
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
}

struct Scanner<'t> {
    rest: &'t str,
    line: usize,
    right: &'t str,
}

// === impl Scanner ===

impl<'t> Scanner<'t> {
    /// The words of an action, to its end and what that trims. None of a comment.
    fn action(&mut self) -> Result<Option<Vec<Token>>, Mistake> {
        if self.rest.trim_start_matches(SPACE).starts_with("/*") {
            let Some(end) = self.rest.find("*/") else {
                return self.wrong("is a comment without end");
            };
            self.take(end + 2);
            return match self.closes() {
                true => Ok(None),
                false => self.wrong("is a comment with more after it"),
            };
        }
        let mut tokens = Vec::new();
        while !self.closes() {
            match self.rest.chars().next() {
                None => return self.wrong("has no end"),
                Some(c) if SPACE.contains(&c) => drop(self.take(1)),
                Some(c) => tokens.push(self.token(c)?),
            }
        }
        Ok(Some(tokens))
    }

    /// True where the action ends here; it is taken then, with the space that it trims.
    fn closes(&mut self) -> bool {
        let trims = self.rest.strip_prefix(SPACE).and_then(|rest| rest.strip_prefix('-'));
        if trims.is_some_and(|rest| rest.starts_with(self.right)) {
            self.take(2 + self.right.len());
            let rest = self.rest.trim_start_matches(SPACE);
            self.take(self.rest.len() - rest.len());
            return true;
        }
        let is_end = self.rest.starts_with(self.right);
        if is_end {
            self.take(self.right.len());
        }
        is_end
    }

    fn token(&mut self, first: char) -> Result<Token, Mistake> {
        let of_a_word = |c: char| c.is_alphanumeric() || c == '_';
        match first {
            '"' => return self.quoted(),
            '`' => return self.raw(),
            '.' => return Ok(Token::Field(self.field().unwrap_or_default())),
            '$' => {
                self.take(1);
                let name = self.while_some(of_a_word).to_owned();
                return Ok(Token::Variable(name, self.field().unwrap_or_default()));
            }
            c if of_a_word(c) => return Ok(Token::Word(self.while_some(of_a_word).to_owned())),
            _ => {}
        }
        if self.rest.starts_with(":=") {
            self.take(2);
            return Ok(Token::Assign);
        }
        self.take(first.len_utf8());
        Ok(match first {
            '|' => Token::Pipe,
            '(' => Token::Open,
            ')' => Token::Close,
            '=' => Token::Assign,
            _ => Token::Other,
        })
    }

    /// `.A.B` is `A.B`.
    fn field(&mut self) -> Option<String> {
        let rest = self.rest.strip_prefix('.')?;
        let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'));
        let field = self.take(1 + length.unwrap_or(rest.len()));
        Some(field[1..].to_owned())
    }

    fn quoted(&mut self) -> Result<Token, Mistake> {
        let (mut text, mut at) = (String::new(), 1);
        while let Some(c) = self.rest[at..].chars().next() {
            at += c.len_utf8();
            match c {
                '"' => {
                    self.take(at);
                    return Ok(Token::Text(text));
                }
                '\n' => break,
                '\\' => {
                    let Some((c, length)) = escape(&self.rest[at..]) else { break };
                    text.push(c);
                    at += length;
                }
                c => text.push(c),
            }
        }
        self.wrong("has a text that does not end, or with an escape that is none")
    }

    fn raw(&mut self) -> Result<Token, Mistake> {
        let Some(end) = self.rest[1..].find('`') else {
            return self.wrong("has a text without end");
        };
        let text = self.take(end + 2);
        Ok(Token::Text(text[1..=end].to_owned()))
    }

    fn while_some(&mut self, takes: impl Fn(char) -> bool) -> &'t str {
        let length = self.rest.find(|c| !takes(c)).unwrap_or(self.rest.len());
        self.take(length)
    }

    /// So many bytes are read.
    fn take(&mut self, length: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(length);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    fn wrong<T>(&self, what: &'static str) -> Result<T, Mistake> {
        Err(Mistake { line: self.line, what })
    }
}
