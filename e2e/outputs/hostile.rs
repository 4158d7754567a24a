//! Names and values that formats have trouble with.

use std::collections::BTreeMap;

/// What some reader somewhere takes for something else.
const PIECES: &[&str] = &[
    "",
    " ",
    "  ",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    "\u{b}",
    "\u{c}",
    "\u{1b}",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{ad}",
    "\u{2028}",
    "\u{2029}",
    "\u{feff}",
    "\u{fffd}",
    "\u{e000}",
    "\u{10ffff}",
    "é",
    "ß",
    "\u{1f600}",
    "e\u{301}",
    "no",
    "No",
    "yes",
    "on",
    "off",
    "y",
    "n",
    "true",
    "FALSE",
    "null",
    "Null",
    "~",
    "nil",
    "012",
    "0o7",
    "0x1F",
    "0b1",
    "1_000",
    "1e3",
    "1.",
    ".5",
    "+1",
    "-0",
    ".inf",
    ".nan",
    "NaN",
    "1:30",
    "190:20:30",
    "2001-01-01",
    "2001-12-14t21:59:43.10-05:00",
    "=",
    "<<",
    "- a",
    "-",
    "--- ",
    "...",
    "# c",
    " # c",
    ":",
    ": ",
    "a: b",
    "?",
    "? a",
    ",",
    "{",
    "}",
    "[",
    "]",
    "&a",
    "*a",
    "!t",
    "!!str",
    "|",
    ">",
    "|-",
    "%",
    "@",
    "`",
    "'",
    "''",
    "\"",
    "\"\"\"",
    "'''",
    "\\",
    "\\\\",
    "\\n",
    "\\u0041",
    "\\'",
    "\\\"",
    "$",
    "$HOME",
    "${HOME}",
    "$(id)",
    "`id`",
    "$$",
    "export A=b",
    "A=b",
    ";",
    "&&",
    "!",
    "(",
    ")",
    "<a>",
    "&amp;",
    "password",
    "\u{1}",
    "\u{8}",
    "\0",
];

/// So many keys with values of up to six of these pieces, each piece alone among them.
pub fn values(count: usize) -> BTreeMap<String, String> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut value = |n: usize| match PIECES.get(n) {
        Some(piece) => (*piece).to_owned(),
        None => (0..random.usize(1..=6)).map(|_| PIECES[random.usize(..PIECES.len())]).collect(),
    };
    (0..count).map(|n| (format!("k{}/v{n:05}", n % 10), value(n))).collect()
}

/// Keys whose names are such pieces, as far as a file can have them.
pub fn names(count: usize) -> BTreeMap<String, String> {
    let mut random = fastrand::Rng::with_seed(8);
    let mut names = BTreeMap::new();
    while names.len() < count {
        let piece = |random: &mut fastrand::Rng| PIECES[random.usize(..PIECES.len())];
        let name: String = (0..random.usize(1..=3)).map(|_| piece(&mut random)).collect();
        let bad = |c: char| c.is_control() || matches!(c, '/' | '\\' | '\u{fffd}');
        if !name.is_empty() && !name.contains(bad) && name != "..." && !name.starts_with("..") {
            names.insert(format!("{name}/x"), names.len().to_string());
        }
    }
    names
}
