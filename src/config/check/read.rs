//! Reads single values.

use crate::model::key::{Prefix, PrefixRules};
use std::{
    fmt::{self, Display},
    net::SocketAddr,
    num::{IntErrorKind, ParseIntError},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use super::{
    super::{
        problem::{Kind, Problem, Reason},
        secret::{Secret, SecretError, looks_like_a_token},
        setting::{Id, Setting, Unit},
        typed::{self, Given},
    },
    Checker,
};
use crate::units::{Bytes, Period};

/// The longest name that any setting takes; Kubernetes' own limit for a label.
const NAME_MAX: usize = 63;

/// What a value may be at least, and at most.
pub(super) struct Limits<T> {
    /// The least.
    pub least: T,
    /// The most, if there is one.
    pub most: Option<T>,
}

impl Checker<'_> {
    /// The value in effect, read by `parse`. One that does not pass is a problem, and its default
    /// goes on in its place.
    pub fn read<T>(&mut self, id: Id, parse: impl Fn(&str) -> Result<T, Reason>) -> T {
        let fallback = || parse(id.row().default).expect("the table's defaults are valid");
        self.optional(id, &parse).unwrap_or_else(fallback)
    }

    /// The value typed, if any, read by `parse`.
    pub fn optional<T>(&mut self, id: Id, parse: impl Fn(&str) -> Result<T, Reason>) -> Option<T> {
        let given = self.typed.one(id)?;
        self.pass(id, given, parse(&given.text))
    }

    /// All values typed, each read by `parse`.
    pub fn all<T>(&mut self, id: Id, parse: impl Fn(&str) -> Result<T, Reason>) -> Vec<T> {
        let given = self.typed.all(id);
        given.iter().filter_map(|given| self.pass(id, given, parse(&given.text))).collect()
    }

    /// The value, or its problem kept.
    pub fn pass<T>(&mut self, id: Id, given: &Given, read: Result<T, Reason>) -> Option<T> {
        let reason = match read {
            Ok(value) => return Some(value),
            Err(reason) => reason,
        };
        let row = id.row();
        self.problems.push(Problem {
            kind: reason.kind,
            setting: row.name.to_owned(),
            text: given.shown(row).map(str::to_owned),
            reason: reason.text,
            origin: Some(given.origin.clone()),
            hint: reason.hint.or_else(|| row.unit.hint()),
        });
        None
    }

    /// A period within limits.
    pub fn period(&mut self, id: Id, limits: Limits<Period>) -> Duration {
        let parse = |typed: &str| limits.hold(typed.parse().map_err(Reason::malformed)?);
        self.read(id, parse).into()
    }

    /// A size within limits.
    pub fn bytes(&mut self, id: Id, limits: Limits<Bytes>) -> u64 {
        let parse = |typed: &str| limits.hold(typed.parse().map_err(Reason::malformed)?);
        self.read(id, parse).get()
    }

    /// A whole number within limits.
    pub fn number<T>(&mut self, id: Id, limits: Limits<T>) -> T
    where
        T: FromStr<Err = ParseIntError> + PartialOrd + Display,
    {
        self.read(id, |typed| limits.hold(typed.parse().map_err(no_number)?))
    }

    /// One of a few words.
    pub fn word<T: Copy>(&mut self, id: Id, words: &[(&str, T)]) -> T {
        self.read(id, |typed| {
            let found = words.iter().find(|(word, _)| *word == typed);
            let value = found.map(|(_, value)| *value);
            value.ok_or_else(|| Reason::malformed("is none of its words"))
        })
    }
}

// === impl Limits ===

pub(super) fn at_least<T>(least: T) -> Limits<T> {
    Limits { least, most: None }
}

pub(super) fn between<T>(least: T, most: T) -> Limits<T> {
    let most = Some(most);
    Limits { least, most }
}

impl<T: PartialOrd + Display> Limits<T> {
    fn hold(&self, value: T) -> Result<T, Reason> {
        let (least, most) = (&self.least, self.most.as_ref());
        if value < *least {
            let reason = format!("is below {least}");
            return Err(Reason::new(Kind::Range, reason).hint(self.to_string()));
        }
        match most.filter(|most| value > **most) {
            None => Ok(value),
            Some(most) => {
                let reason = format!("is above {most}");
                Err(Reason::new(Kind::Range, reason).hint(self.to_string()))
            }
        }
    }
}

impl<T: Display> Display for Limits<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.most {
            Some(most) => write!(f, "allowed is {} to {most}", self.least),
            None => write!(f, "allowed is {} or more", self.least),
        }
    }
}

fn no_number(error: ParseIntError) -> Reason {
    match error.kind() {
        IntErrorKind::PosOverflow => Reason::new(Kind::Range, "is too large"),
        _ => Reason::malformed("is not a whole number"),
    }
}

pub(super) fn listen(typed: &str) -> Result<SocketAddr, Reason> {
    let read = typed.parse();
    read.map_err(|_| Reason::malformed("is not an IP address with a port"))
}

pub(super) fn switch(typed: &str) -> Result<bool, Reason> {
    typed::switch(typed).ok_or_else(|| Reason::malformed("is not true or false"))
}

pub(super) fn path(row: &Setting, typed: &str) -> Result<PathBuf, Reason> {
    if typed.is_empty() {
        return Err(Reason::malformed("is empty").hint("write a path"));
    }
    if typed.contains('\0') {
        return Err(Reason::malformed("has a NUL").hint("write a path"));
    }
    if row.unit == Unit::File && looks_like_a_token(typed) {
        let reason = Reason::malformed("looks like a token, not like a file");
        return Err(reason.hint("put the token into a file and name the file"));
    }
    Ok(PathBuf::from(typed))
}

/// A name that can stand in a URL, a file name and a metric label.
pub(super) fn prefix(typed: &str) -> Result<Prefix, Reason> {
    Prefix::parse(typed, PrefixRules::default()).map_err(Reason::malformed)
}

pub(super) fn label(typed: &str) -> Result<String, Reason> {
    let odd = |b: u8| !b.is_ascii_alphanumeric() && !matches!(b, b'-' | b'_' | b'.');
    let hint = "write letters, digits, '-', '_' and '.', at most 63";
    if typed.len() > NAME_MAX {
        return Err(Reason::malformed("is longer than 63 characters").hint(hint));
    }
    if typed.bytes().any(odd) {
        return Err(Reason::malformed("has a character that no such name has").hint(hint));
    }
    Ok(typed.to_owned())
}

/// True of what can stand between the dots of a domain name, in small letters (RFC 1123). Its length is
/// left to the caller.
pub fn is_dns_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// The name of an object of Kubernetes: a DNS subdomain (RFC 1123), so that it can stand in a URL.
pub(super) fn object_name(typed: &str) -> Result<String, Reason> {
    if typed.len() > 253 || !typed.split('.').all(is_dns_label) {
        let hint = "write small letters, digits, '-' and '.', at most 253";
        return Err(Reason::malformed("is no name of a Kubernetes object").hint(hint));
    }
    Ok(typed.to_owned())
}

pub(super) fn secret(typed: &str) -> Result<Secret, Reason> {
    typed.parse().map_err(secret_reason)
}

pub(super) fn secret_reason(error: SecretError) -> Reason {
    Reason::malformed(error).hint("look for a line break at its end, or a pasted quote")
}
