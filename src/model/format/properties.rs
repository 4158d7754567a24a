//! Java's properties, as `java.util.Properties` documents what it loads. All but ASCII is escaped:
//! `load(InputStream)` reads ISO 8859-1, `load(Reader)` what it is given.

use std::fmt::Write as _;

/// `name=value`.
pub(super) fn line(name: &str, value: &str) -> String {
    let mut text = String::with_capacity(name.len() + value.len() + 2);
    let to = &mut text;
    // Every space of a name ends it; of a value only those at its beginning are lost.
    append(to, name, true);
    to.push('=');
    let rest = value.trim_start_matches(' ');
    append(to, &value[..value.len() - rest.len()], true);
    append(to, rest, false);
    to.push('\n');
    text
}

/// What needs no escape is taken a piece at a time: that is nearly all of it.
fn append(to: &mut String, mut text: &str, space: bool) {
    let is_special = |byte: u8| match byte {
        b' ' => space,
        b'=' | b':' | b'#' | b'!' | b'\\' => true,
        byte => !byte.is_ascii_graphic(),
    };
    while let Some(at) = text.bytes().position(is_special) {
        to.push_str(&text[..at]);
        let mut rest = text[at..].chars();
        rest.next().into_iter().for_each(|c| escape(to, c));
        text = rest.as_str();
    }
    to.push_str(text);
}

fn escape(to: &mut String, c: char) {
    match c {
        ' ' | '=' | ':' | '#' | '!' | '\\' => to.extend(['\\', c]),
        '\t' => to.push_str("\\t"),
        '\n' => to.push_str("\\n"),
        '\r' => to.push_str("\\r"),
        '\u{c}' => to.push_str("\\f"),
        // A char of two units is two escapes.
        other => {
            for unit in other.encode_utf16(&mut [0; 2]) {
                write!(to, "\\u{unit:04X}").expect("a string takes all");
            }
        }
    }
}
