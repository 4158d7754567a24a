//! What can go wrong with a question, as a closed list.

use std::error::Error as StdError;
use std::time::Duration;

use reqwest::{Response, StatusCode};

use super::auth::Signature;
use super::wire::Malformed;
use crate::model::pace::Trouble;

/// A question without an answer that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Error {
    /// What kind.
    pub kind: Kind,
    /// For people. Never a token or a value.
    pub text: String,
    /// What `Retry-After` asked for.
    pub retry_after: Option<Duration>,
}

/// The kinds; each is a label value and a field in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Refused, no route, no such name, or cut before an answer.
    Connect,
    /// No answer in time.
    Timeout,
    /// The certificate was refused, or ours was, or a file of it cannot be read.
    Tls,
    /// 403: the token is unknown or may not.
    Denied,
    /// The token file cannot be read.
    Token,
    /// 429.
    RateLimited,
    /// 400, or any status that asking again will not change.
    BadRequest,
    /// 3xx: Consul would answer for another key.
    Redirected,
    /// 5xx.
    Server,
    /// Cut short, or not what Consul sends.
    Malformed,
    /// Larger than allowed; how many keys were read until then.
    TooLarge(usize),
}

/// What to do about a token that is denied.
pub(super) const OF_DENIED: &str = "; check the token and its policy";

/// How long and how large Consul's words to an error may be.
const WORDS: (Duration, usize) = (Duration::from_secs(1), 4096);

// === impl Error ===

impl Error {
    /// An error of this kind.
    pub fn new(kind: Kind, text: String) -> Self {
        Self { kind, text, retry_after: None }
    }

    /// Passes answers through (200 and 404) and turns every other status into an error.
    pub async fn of_status(answer: Response, signature: &Signature) -> Result<Response, Self> {
        let status = answer.status();
        let kind = match status {
            StatusCode::OK | StatusCode::NOT_FOUND => return Ok(answer),
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Kind::Denied,
            StatusCode::TOO_MANY_REQUESTS => Kind::RateLimited,
            _ if status.is_redirection() => Kind::Redirected,
            _ if status.is_server_error() => Kind::Server,
            _ => Kind::BadRequest,
        };
        let retry_after = super::retry_after(answer.headers());
        let said = first_words(answer, signature).await;
        let hint = match kind {
            Kind::Denied => OF_DENIED,
            Kind::Redirected => "; the prefix is not a clean path",
            Kind::BadRequest => "; check prefix, datacenter and namespace",
            _ => "",
        };
        let code = status.as_u16();
        let separator = if said.is_empty() { "" } else { ": " };
        Err(Self { kind, text: format!("HTTP {code}{separator}{said}{hint}"), retry_after })
    }

    /// An error of the connection.
    pub fn of_transport(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let kind = if is_tls(&error) {
            Kind::Tls
        } else if error.is_connect() {
            Kind::Connect
        } else if error.is_timeout() {
            Kind::Timeout
        } else if error.is_body() || error.is_decode() {
            Kind::Malformed
        } else {
            Kind::Connect
        };
        Self::new(kind, innermost(&error))
    }

    /// How the back-off takes it.
    pub fn trouble(&self) -> Trouble {
        match self.kind {
            Kind::RateLimited => Trouble::Busy { retry_after: self.retry_after },
            Kind::Server if self.retry_after.is_some() => {
                Trouble::Busy { retry_after: self.retry_after }
            }
            Kind::Denied
            | Kind::Token
            | Kind::BadRequest
            | Kind::Redirected
            | Kind::TooLarge(_) => Trouble::Lasting,
            _ => Trouble::Passing,
        }
    }
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        let kind = match malformed {
            Malformed::TooLarge(keys) => Kind::TooLarge(keys),
            _ => Kind::Malformed,
        };
        Self::new(kind, malformed.to_string())
    }
}

// === impl Kind ===

impl Kind {
    /// The value of the metric's label `outcome`.
    pub fn outcome(self) -> &'static str {
        match self {
            Self::Connect => "connect_error",
            Self::Timeout => "timeout",
            Self::Tls => "tls_error",
            Self::Denied => "denied",
            Self::Token => "token_error",
            Self::RateLimited => "rate_limited",
            Self::BadRequest => "bad_request",
            Self::Redirected => "redirected",
            Self::Server => "server_error",
            Self::Malformed => "malformed",
            Self::TooLarge(_) => "too_large",
        }
    }

    /// Another address may do better: this one is down, slow or without a leader.
    pub fn may_be_better_elsewhere(self) -> bool {
        self.is_unreachable() || matches!(self, Self::Tls | Self::Malformed | Self::RateLimited)
    }

    /// There was no HTTP answer below 500.
    pub fn is_unreachable(self) -> bool {
        matches!(self, Self::Connect | Self::Timeout | Self::Tls | Self::Server)
    }
}

/// Consul's own words, the beginning of them, printable: they name what is wrong. What is no words
/// (JSON, a page) may hold values, and what was cut may end inside a secret: those are not repeated.
async fn first_words(answer: Response, signature: &Signature) -> String {
    let beginning = tokio::time::timeout(WORDS.0, beginning(answer)).await;
    let text = beginning.ok().flatten().unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().next().unwrap_or_default();
    if line.trim_start().starts_with(['[', '{', '<']) {
        return String::new();
    }
    if signature.is_repeated_in(line) {
        return "(a text that repeats our credentials)".to_owned();
    }
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// The body to its end or to the end of a line, if that comes soon enough.
async fn beginning(mut answer: Response) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    while let Some(chunk) = answer.chunk().await.ok()? {
        text.extend_from_slice(&chunk);
        if text.contains(&b'\n') {
            break;
        }
        if text.len() > WORDS.1 {
            return None;
        }
    }
    Some(text)
}

fn is_tls(error: &reqwest::Error) -> bool {
    causes(error).any(holds_tls)
}

/// An `io::Error` may carry another one, and that one the error of TLS; its `source` skips them.
fn holds_tls(error: &(dyn StdError + 'static)) -> bool {
    let carried = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.is::<rustls::Error>() || carried.is_some_and(|inner| holds_tls(inner))
}

/// The last cause says what happened; the ones around it say only that something did.
fn innermost(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

fn causes<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(error.source(), |cause: &&'a (dyn StdError + 'static)| (*cause).source())
}
