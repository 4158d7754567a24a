//! Templates of Go's text/template, as far as their structure goes: texts, actions, and what encloses
//! others. What an action means is read elsewhere.

mod tokens;

pub use self::tokens::Mistake;
use self::tokens::Token;

/// How deep actions and parentheses may lie in each other: each level takes stack.
const DEEPEST: usize = 40;

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// What is written as it is.
    Text(String),
    /// What is replaced.
    Action(Action),
    /// What encloses others: `range`, `if`, `with`, `define`, `block`.
    Branch(Branch),
}

/// An action without others in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The line of the template, from 1.
    pub line: usize,
    /// What is before `:=`, without the dollar.
    pub variables: Vec<String>,
    /// What it says.
    pub expr: Expr,
}

/// An action with others in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Its first word.
    pub word: String,
    /// What follows the word.
    pub head: Action,
    /// What lies between it and its `end` or `else`.
    pub body: Vec<Node>,
    /// What lies between its `else` and its `end`.
    pub otherwise: Vec<Node>,
}

/// What an action says. `x | f y` is the call `f y x`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// A function.
    Call(String, Vec<Expr>),
    /// Of the value at hand (`.Key` is `Key`, `.` nothing).
    Field(String),
    /// Of a variable, without the dollar: name, and field.
    Variable(String, String),
    /// A text.
    Text(String),
    /// A number.
    Number(String),
    /// Something else, which no function here takes.
    Other,
}

/// Reads a template whose actions stand between `left` and `right`, as long as they are something.
pub fn parse(text: &str, left: &str, right: &str) -> Result<Vec<Node>, Mistake> {
    let left = Some(left).filter(|left| !left.is_empty()).unwrap_or("{{");
    let right = Some(right).filter(|right| !right.is_empty()).unwrap_or("}}");
    let tokens = tokens::split(text, left, right)?;
    let mut parser = Parser { parts: tokens.into_iter(), depth: 0 };
    let (nodes, end) = parser.nodes()?;
    match end {
        End::Text => Ok(nodes),
        End::Word(line) | End::Else(line, _) => Err(Mistake { line, what: "an end of nothing" }),
    }
}

/// What nodes end with.
enum End {
    Text,
    Word(usize),
    Else(usize, Vec<Token>),
}

struct Parser {
    parts: std::vec::IntoIter<tokens::Part>,
    depth: usize,
}

// === impl Parser ===

impl Parser {
    fn nodes(&mut self) -> Result<(Vec<Node>, End), Mistake> {
        let mut nodes = Vec::new();
        while let Some(part) = self.parts.next() {
            let (line, mut tokens) = match part {
                tokens::Part::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                tokens::Part::Action(line, tokens) => (line, tokens),
            };
            match tokens.first() {
                Some(Token::Word(word)) if word == "end" => return Ok((nodes, End::Word(line))),
                Some(Token::Word(word)) if word == "else" => {
                    tokens.remove(0);
                    return Ok((nodes, End::Else(line, tokens)));
                }
                Some(Token::Word(word)) if opens(word) => {
                    nodes.push(Node::Branch(self.branch(line, tokens)?));
                }
                _ => nodes.push(Node::Action(action(line, &tokens)?)),
            }
        }
        Ok((nodes, End::Text))
    }

    fn branch(&mut self, line: usize, tokens: Vec<Token>) -> Result<Branch, Mistake> {
        if self.depth == DEEPEST {
            return Err(Mistake { line, what: "is nested too deep" });
        }
        self.depth += 1;
        let mut tokens = tokens.into_iter();
        let word = match tokens.next() {
            Some(Token::Word(word)) => word,
            _ => String::new(),
        };
        let head = action(line, tokens.as_slice())?;
        let (body, end) = self.nodes()?;
        let otherwise = self.otherwise(line, end)?;
        self.depth -= 1;
        Ok(Branch { word, head, body, otherwise })
    }

    /// What follows up to the end. An `else if` is an `if` that ends with it.
    fn otherwise(&mut self, line: usize, end: End) -> Result<Vec<Node>, Mistake> {
        match end {
            End::Word(_) => Ok(vec![]),
            End::Text => Err(Mistake { line, what: "has no end" }),
            End::Else(line, tokens) if tokens.is_empty() => match self.nodes()? {
                (nodes, End::Word(_)) => Ok(nodes),
                _ => Err(Mistake { line, what: "has no end" }),
            },
            End::Else(line, tokens) => Ok(vec![Node::Branch(self.branch(line, tokens)?)]),
        }
    }
}

fn opens(word: &str) -> bool {
    matches!(word, "range" | "if" | "with" | "define" | "block")
}

fn action(line: usize, tokens: &[Token]) -> Result<Action, Mistake> {
    let assigns = |token: &Token| *token == Token::Assign;
    let (variables, rest) = match tokens.iter().position(assigns) {
        Some(at) => (&tokens[..at], &tokens[at + 1..]),
        None => (&[][..], tokens),
    };
    let name = |token: &Token| match token {
        Token::Variable(name, _) => Some(name.clone()),
        _ => None,
    };
    let variables = variables.iter().filter_map(name).collect();
    let mut rest = rest;
    let expr = pipeline(&mut rest, 0).ok_or(Mistake { line, what: "is nested too deep" })?;
    Ok(Action { line, variables, expr })
}

/// Reads up to a closing parenthesis. None where it is too deep.
fn pipeline(tokens: &mut &[Token], depth: usize) -> Option<Expr> {
    if depth == DEEPEST {
        return None;
    }
    let (mut operands, mut before, mut commands) = (Vec::new(), None, 0);
    while let Some((token, rest)) = tokens.split_first() {
        *tokens = rest;
        match token {
            Token::Close => break,
            // Each is an argument of the next, and so a level, too.
            Token::Pipe if commands == DEEPEST => return None,
            Token::Open => operands.push(pipeline(tokens, depth + 1)?),
            Token::Pipe => {
                before = Some(command(std::mem::take(&mut operands), before));
                commands += 1;
            }
            other => operands.push(operand(other)),
        }
    }
    Some(command(operands, before))
}

fn operand(token: &Token) -> Expr {
    match token {
        Token::Word(name) if name.starts_with(|c: char| c.is_ascii_digit()) => {
            Expr::Number(name.clone())
        }
        Token::Word(name) => Expr::Call(name.clone(), vec![]),
        Token::Field(field) => Expr::Field(field.clone()),
        Token::Variable(name, field) => Expr::Variable(name.clone(), field.clone()),
        Token::Text(text) => Expr::Text(text.clone()),
        _ => Expr::Other,
    }
}

/// One command of a pipeline; what the one before it gives is its last argument.
fn command(operands: Vec<Expr>, before: Option<Expr>) -> Expr {
    let mut operands = operands.into_iter();
    let first = operands.next();
    let arguments: Vec<Expr> = operands.chain(before).collect();
    match first {
        Some(Expr::Call(name, own)) if own.is_empty() => Expr::Call(name, arguments),
        Some(other) if arguments.is_empty() => other,
        _ => Expr::Other,
    }
}

#[cfg(test)]
mod tests;
