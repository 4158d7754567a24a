//! Java's properties, as `java.util.Properties` documents what it loads. All but ASCII is escaped:
//! `load(InputStream)` reads ISO 8859-1, `load(Reader)` what it is given.

use std::fmt::Write as _;

/// `name=value`.
pub(super) fn line(name: &str, value: &str) -> String {
    let mut text = String::with_capacity(name.len() + value.len() + 2);
    let to = &mut text;
    // Every space of a name ends it; of a value only those at its beginning are lost.
    name.chars().for_each(|c| escape(to, c, true));
    to.push('=');
    let mut leading = true;
    for c in value.chars() {
        leading &= c == ' ';
        escape(to, c, leading);
    }
    to.push('\n');
    text
}

fn escape(to: &mut String, c: char, space: bool) {
    match c {
        ' ' if space => to.push_str("\\ "),
        '\t' => to.push_str("\\t"),
        '\n' => to.push_str("\\n"),
        '\r' => to.push_str("\\r"),
        '\u{c}' => to.push_str("\\f"),
        '=' | ':' | '#' | '!' | '\\' => to.extend(['\\', c]),
        ' '..='~' => to.push(c),
        // A char of two units is two escapes.
        other => {
            for unit in other.encode_utf16(&mut [0; 2]) {
                write!(to, "\\u{unit:04X}").expect("a string takes all");
            }
        }
    }
}
