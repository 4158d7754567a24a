//! `NAME=value` lines, for dotenv libraries and for shells. They agree on what has no quotes, and on
//! single quotes around what has neither a single quote nor a backslash.

/// What needs no quotes anywhere.
fn is_plain(value: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_./:@%+,-".contains(&b);
    !value.is_empty() && value.bytes().all(plain)
}

/// A name that a shell can have of this path: `db/max-size` is `DB_MAX_SIZE`.
pub(super) fn name(path: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let digit = path.starts_with(|c: char| c.is_ascii_digit());
    digit.then_some('_').into_iter().chain(path.chars().map(letter)).collect()
}

/// Adds a line for a shell (POSIX 2.2.2).
pub(super) fn shell(to: &mut String, name: &str, value: &str) {
    if is_plain(value) {
        return line(to, name, value);
    }
    line(to, name, &format!("'{}'", value.replace('\'', "'\\''")));
}

/// True of what a dotenv library can read. A backslash before the closing quote is taken for an escape
/// of that, however many there are; only without quotes it is none.
pub(super) fn is_for_dotenv(value: &str) -> bool {
    !value.ends_with('\\') || is_bare(value)
}

/// What a dotenv library takes as it is.
fn is_bare(value: &str) -> bool {
    value.trim() == value && !value.starts_with(['\'', '"']) && !value.contains(['\n', '\r', '#'])
}

/// Adds a line for a dotenv library. They read files as text, in which a carriage return may become
/// a line feed; so that one is escaped, which only double quotes allow.
pub(super) fn dotenv(to: &mut String, name: &str, value: &str) {
    if is_plain(value) || value.ends_with('\\') {
        return line(to, name, value);
    }
    if !value.contains(['\'', '\\', '\r']) {
        return line(to, name, &format!("'{value}'"));
    }
    let mut quoted = String::with_capacity(value.len() + 8);
    for c in value.chars() {
        match c {
            '\\' | '"' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            other => quoted.push(other),
        }
    }
    line(to, name, &format!("\"{quoted}\""));
}

fn line(to: &mut String, name: &str, value: &str) {
    to.extend([name, "=", value, "\n"]);
}
