//! Values that must never be shown.

use std::{collections::BTreeMap, fmt, path::PathBuf, str::FromStr};

/// A token or password. It has no `Display`, and its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Why a text cannot be a secret that goes into an HTTP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Nothing there.
    #[error("is empty")]
    Empty,
    /// A line break, most often.
    #[error("has a control character")]
    Control,
    /// A header cannot carry it.
    #[error("has a character that is not ASCII")]
    NotAscii,
}

/// Where the token for Consul is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// None: Consul's anonymous token, or the agent's default, applies.
    None,
    /// It was in the environment and cannot change.
    Env(Secret),
    /// In a file, to be read again when it changes.
    File(PathBuf),
    /// Made by logging in to Consul, and by logging in again before it expires.
    Login(Login),
}

/// How to log in to Consul.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The auth method's name.
    pub method: String,
    /// The file with the JWT that proves who we are, read anew for each login.
    pub token_file: PathBuf,
    /// What Consul notes down with the token, so that operators see whose it is.
    pub meta: BTreeMap<String, String>,
}

/// User and password for a proxy in front of Consul.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicAuth {
    /// The user.
    pub user: String,
    /// The password, unless there is none.
    pub password: Option<Secret>,
}

// === impl Secret ===

impl Secret {
    /// The secret itself: for the one header it goes into, and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(typed: &str) -> Result<Self, SecretError> {
        if typed.is_empty() {
            return Err(SecretError::Empty);
        }
        if !typed.is_ascii() {
            return Err(SecretError::NotAscii);
        }
        if typed.bytes().any(|b| b.is_ascii_control()) {
            return Err(SecretError::Control);
        }
        Ok(Self(typed.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}

// === impl BasicAuth ===

impl FromStr for BasicAuth {
    type Err = SecretError;

    /// Reads `user` or `user:password`.
    fn from_str(typed: &str) -> Result<Self, SecretError> {
        typed.parse::<Secret>()?;
        let (user, password) = match typed.split_once(':') {
            Some((user, password)) => (user, password),
            None => (typed, ""),
        };
        Ok(Self { user: user.to_owned(), password: password.parse().ok() })
    }
}

/// True for the shape of the tokens that Consul makes (a UUID) and of a JWT: no file is named so.
pub(super) fn looks_like_a_token(typed: &str) -> bool {
    let parts = typed.split('.').count();
    if typed.starts_with("eyJ") && parts == 3 && !typed.contains('/') {
        return true;
    }
    let groups: Vec<usize> = typed.split('-').map(str::len).collect();
    groups == [8, 4, 4, 4, 12] && typed.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}
