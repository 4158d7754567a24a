//! `NAME=value` lines, for dotenv libraries and for shells.
//!
//! Libraries agree on little: one takes `\\` in any quotes for one backslash, another in none; one
//! ends a quoted value at the first quote, another knows `\"`. What is written here they all read
//! alike; what none of these ways can say is left out.

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

/// True of the variables that a shell itself lives on, or that run code when one starts: it would not
/// find its programs again, or end at once because they cannot be set.
pub(super) fn is_of_the_shell(name: &str) -> bool {
    let own = ["PATH", "IFS", "UID", "EUID", "PPID", "OPTIND", "ENV", "PS4", "SHELLOPTS"];
    own.contains(&name) || name.starts_with("LD_") || name.starts_with("BASH")
}

/// A line for a shell (POSIX 2.2.2). It has a way to say everything but NUL.
pub(super) fn shell(name: &str, value: &str) -> Option<String> {
    match value {
        value if is_plain(value) => Some(format!("{name}={value}\n")),
        value if value.contains('\0') => None,
        value => Some(format!("{name}='{}'\n", value.replace('\'', "'\\''"))),
    }
}

/// A line for dotenv libraries, if there is one that they all read alike. They read files as text, in
/// which a carriage return may become a line feed.
pub(super) fn dotenv(name: &str, value: &str) -> Option<String> {
    if value.contains(['\0', '\r']) {
        return None;
    }
    let single = !value.contains('\'') && !value.contains("\\\\") && !value.ends_with('\\');
    if is_plain(value) {
        Some(format!("{name}={value}\n"))
    } else if single {
        Some(format!("{name}='{value}'\n"))
    } else if is_bare(value) {
        Some(format!("{name}={value}\n"))
    } else if !value.contains(['"', '\\', '$', '`']) {
        Some(format!("{name}=\"{}\"\n", value.replace('\n', "\\n")))
    } else {
        None
    }
}

/// What they all take as it is, up to the end of the line.
fn is_bare(value: &str) -> bool {
    // What counts as space around a value differs, and what ends a line.
    let visible = |c: char| c.is_alphanumeric() || c.is_ascii_punctuation();
    value.starts_with(visible)
        && value.ends_with(visible)
        && !value.starts_with(['\'', '"', '`'])
        && value.chars().all(|c| c == ' ' || visible(c))
        && !value.contains(['#', '$'])
}
