//! Consul keys and the file names they may become.
//!
//! Consul hands out any bytes as a key: `..`, a leading `/`, empty segments, NUL. This file is the
//! only place that decides which of them may name a file, and it is a pure function of prefix and
//! key, so that init, sidecar and tests agree.

use std::fmt;

/// The longest file name Linux takes (`NAME_MAX`, limits.h), in bytes.
const NAME_MAX: usize = 255;

/// The longest path below the generation that we make, in bytes. Linux allows 4,096 for a whole
/// path (`PATH_MAX`, limits.h); the rest is left for the mount point in front of it.
const PATH_MAX: usize = 3840;

/// The most segments of a path. A walk holds a directory open for each, and a process may have few
/// descriptors (1,024 is common).
pub const DEEPEST: usize = 64;

/// A Consul key prefix that is safe to ask for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Prefix(String);

/// Why a prefix cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// The empty prefix is the whole store.
    #[error(
        "is empty: that is the whole store; name a prefix, or allow it with --allow-root-prefix"
    )]
    Root,
    /// Consul redirects such a path to another key (its HTTP server cleans paths).
    #[error("starts with '/': Consul keys do not; leave it out")]
    LeadingSlash,
    /// As above: cleaned to another key by Consul's HTTP server.
    #[error("has an empty, '.' or '..' segment: Consul would answer for another key")]
    UncleanSegment,
    /// Consul refuses unprintable characters in a URL.
    #[error("has a control character, which Consul refuses")]
    Control,
}

/// How a typed prefix is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefixRules {
    /// Take the prefix as typed: no `/` is added, so `app/db` also covers `app/db2`.
    pub exact: bool,
    /// Allow the empty prefix.
    pub allow_root: bool,
}

/// What a key becomes below `live/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'k> {
    /// A file at this relative path.
    File(&'k str),
    /// A directory at this relative path (the key ends in `/`). Empty for the prefix's own marker.
    Directory(&'k str),
    /// The key cannot name a file.
    Skipped(Unsafe),
}

/// Why a key cannot name a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unsafe {
    /// A `.` or `..` segment.
    DotSegment,
    /// An empty segment: `a//b` or a leading `/`.
    EmptySegment,
    /// The first segment starts with `..`, which the volume layout keeps for itself.
    Reserved,
    /// A control character or NUL.
    Control,
    /// A backslash, a separator elsewhere.
    Backslash,
    /// U+FFFD: the key was not UTF-8, Consul's JSON lost the bytes, two keys may look the same.
    NotUtf8,
    /// A segment above 255 bytes, or a path above 3,840 bytes or 64 segments.
    TooLong,
    /// Both `a` and `a/b` exist: the directory wins.
    Shadowed,
    /// The key ends in `/`, so it is a directory, yet it has a value, which a directory cannot hold.
    MarkerValue,
    /// A file that is made of all keys has this name, or lies where this directory would.
    Taken,
    /// The value is nothing that a file of this format can hold.
    NotText,
    /// The address of an instance is none, and would be whatever it says in a line of a service's file.
    NotAnAddress,
    /// In a file for a shell: a variable that the shell itself lives on.
    ShellVariable,
    /// Another key has the same name there: `A_B` in a file of a format is made of `a/b` and of `a-b`, and
    /// so are paths that an output cuts, joins or writes in another case.
    SameName,
    /// The value is not encoded as the output was told.
    NotDecoded,
}

/// True where `path` is `other`, or lies below it.
pub fn is_at_or_below(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

// === impl Prefix ===

impl Prefix {
    /// Reads a prefix as typed. A `/` is appended unless `rules.exact`, because Consul matches bytes:
    /// `app/db` would also deliver, and wake on, `app/db2/x`.
    pub fn parse(typed: &str, rules: PrefixRules) -> Result<Self, PrefixError> {
        if typed.is_empty() {
            return if rules.allow_root { Ok(Self(String::new())) } else { Err(PrefixError::Root) };
        }
        if typed.starts_with('/') {
            return Err(PrefixError::LeadingSlash);
        }
        if typed.chars().any(char::is_control) {
            return Err(PrefixError::Control);
        }
        let body = typed.strip_suffix('/').unwrap_or(typed);
        if body.split('/').any(|s| matches!(s, "" | "." | "..")) {
            return Err(PrefixError::UncleanSegment);
        }
        let mut text = typed.to_owned();
        if !rules.exact && !text.ends_with('/') {
            text.push('/');
        }
        Ok(Self(text))
    }

    /// A prefix that nobody can type, for keys that are no keys of Consul's.
    pub(super) fn untyped(text: String) -> Self {
        Self(text)
    }

    /// The prefix as Consul is asked for it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where `key` goes below `live/`. The part up to the prefix's last `/` is cut off, so that an
    /// exact prefix `app/db` makes `db/host` and `db2/host`.
    pub fn place<'k>(&self, key: &'k str) -> Place<'k> {
        let path = self.below(key);
        match path.strip_suffix('/') {
            _ if path.is_empty() => Place::Directory(""),
            Some(dir) => check(dir).map_or(Place::Directory(dir), Place::Skipped),
            None => check(path).map_or(Place::File(path), Place::Skipped),
        }
    }

    /// The part of `key` that is its path below `live/`, safe or not.
    pub fn below<'k>(&self, key: &'k str) -> &'k str {
        key.get(self.above().len()..).unwrap_or("")
    }

    /// What stands before that in each key: the prefix up to its last `/`.
    pub fn above(&self) -> &str {
        &self.0[..self.0.rfind('/').map_or(0, |at| at + 1)]
    }

    /// True when `key` lies under this prefix. An answer that holds any other key is not an answer.
    pub fn covers(&self, key: &str) -> bool {
        key.starts_with(&self.0)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first reason, if any, why `path` (without a trailing `/`) may not be a file name.
pub(super) fn check(path: &str) -> Option<Unsafe> {
    if path.len() > PATH_MAX || path.bytes().filter(|byte| *byte == b'/').count() >= DEEPEST {
        return Some(Unsafe::TooLong);
    }
    // One look does for nearly all: none of these three is made of such bytes.
    if !path.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'\\') {
        if path.chars().any(char::is_control) {
            return Some(Unsafe::Control);
        }
        if path.contains('\u{FFFD}') {
            return Some(Unsafe::NotUtf8);
        }
        if path.contains('\\') {
            return Some(Unsafe::Backslash);
        }
    }
    for segment in path.split('/') {
        match segment {
            "" => return Some(Unsafe::EmptySegment),
            "." | ".." => return Some(Unsafe::DotSegment),
            long if long.len() > NAME_MAX => return Some(Unsafe::TooLong),
            _ => {}
        }
    }
    path.starts_with("..").then_some(Unsafe::Reserved)
}

// === impl Unsafe ===

impl Unsafe {
    /// The machine word used in status and logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::DotSegment => "dot_segment",
            Self::EmptySegment => "empty_segment",
            Self::Reserved => "reserved",
            Self::Control => "control",
            Self::Backslash => "backslash",
            Self::NotUtf8 => "not_utf8",
            Self::TooLong => "too_long",
            Self::Shadowed => "shadowed",
            Self::MarkerValue => "marker_value",
            Self::Taken => "taken",
            Self::NotText => "not_text",
            Self::NotAnAddress => "not_an_address",
            Self::ShellVariable => "shell_variable",
            Self::SameName => "same_name",
            Self::NotDecoded => "not_decoded",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefix(typed: &str) -> Prefix {
        Prefix::parse(typed, PrefixRules::default()).unwrap()
    }

    #[test]
    fn a_prefix_gets_its_slash() {
        assert_eq!(prefix("app/db").as_str(), "app/db/");
        assert_eq!(prefix("app/db/").as_str(), "app/db/");
    }

    #[test]
    fn an_exact_prefix_keeps_its_siblings_apart() {
        let exact = PrefixRules { exact: true, ..Default::default() };
        let db = Prefix::parse("app/db", exact).unwrap();
        assert_eq!(db.place("app/db/host"), Place::File("db/host"));
        assert_eq!(db.place("app/db2/host"), Place::File("db2/host"));
        assert_eq!(db.place("app/db"), Place::File("db"));
    }

    #[test]
    fn prefixes_that_consul_would_answer_for_another_key_are_refused() {
        for (typed, why) in [
            ("", PrefixError::Root),
            ("/app", PrefixError::LeadingSlash),
            ("a//b", PrefixError::UncleanSegment),
            ("a/../b", PrefixError::UncleanSegment),
            ("a/.", PrefixError::UncleanSegment),
            ("a\n", PrefixError::Control),
        ] {
            assert_eq!(Prefix::parse(typed, PrefixRules::default()), Err(why), "{typed:?}");
        }
    }

    #[test]
    fn hostile_keys_name_no_file() {
        let p = prefix("x");
        for (key, why) in [
            ("x/../../etc/passwd", Unsafe::DotSegment),
            ("x/.", Unsafe::DotSegment),
            ("x//lead", Unsafe::EmptySegment),
            ("x/a//b", Unsafe::EmptySegment),
            ("x/..data", Unsafe::Reserved),
            ("x/..manifest.json", Unsafe::Reserved),
            ("x/a\0b", Unsafe::Control),
            ("x/a\\b", Unsafe::Backslash),
            ("x/a\u{FFFD}", Unsafe::NotUtf8),
        ] {
            assert_eq!(p.place(key), Place::Skipped(why), "{key:?}");
        }
        assert_eq!(p.place(&format!("x/{}", "n".repeat(256))), Place::Skipped(Unsafe::TooLong));
        assert_eq!(p.place(&format!("x/{}", "n/".repeat(2000))), Place::Skipped(Unsafe::TooLong));
    }

    #[test]
    fn markers_are_directories_and_odd_names_are_kept() {
        let p = prefix("x");
        assert_eq!(p.place("x/"), Place::Directory(""));
        assert_eq!(p.place("x/dir/"), Place::Directory("dir"));
        for odd in ["a b", "é", "a*b", "a:b", "...", "a..b", ".hidden", "d/..x"] {
            let key = format!("x/{odd}");
            match p.place(&key) {
                Place::File(path) => assert_eq!(path, odd),
                other => assert_eq!((odd, other), ("...", Place::Skipped(Unsafe::Reserved))),
            }
        }
    }

    proptest! {
        #[test]
        fn no_key_can_leave_the_volume(tail in "(\\.|/|\\.\\.|[a-c\\\\\0\n\u{FFFD}é]){0,12}") {
            let key = format!("p/{tail}");
            match prefix("p").place(&key) {
                Place::File(path) => {
                    prop_assert!(!path.is_empty() && !path.starts_with('/') && !path.ends_with('/'));
                    prop_assert!(path.split('/').all(|s| !matches!(s, "" | "." | "..")));
                    prop_assert!(!path.starts_with(".."));
                    prop_assert_eq!(format!("p/{path}"), key);
                }
                Place::Directory(path) => prop_assert_eq!(
                    if path.is_empty() { "p/".to_owned() } else { format!("p/{path}/") },
                    key
                ),
                Place::Skipped(_) => {}
            }
        }
    }
}
