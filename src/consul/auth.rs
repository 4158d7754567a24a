//! The token, and basic authentication for a proxy in front of Consul.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::RequestBuilder;
use reqwest::header::HeaderValue;

use super::error::{Error, Kind};
use super::session::{Lease, Session};
use crate::config::{BasicAuth, Secret, Token};

/// The longest token or JWT. What is larger is another file.
const LONGEST: u64 = 64 * 1024;

/// What requests are signed with.
pub struct Auth {
    token: Token,
    basic: Option<BasicAuth>,
    /// Where the token of a login is.
    session: Arc<Session>,
    /// What a body carries that no answer may repeat.
    within: Option<Secret>,
}

/// What one request carried, kept until its answer has been looked at.
#[derive(Default)]
pub struct Signature {
    secrets: Vec<String>,
    /// The token, if it is a login's.
    lease: Option<Lease>,
}

/// A text that shares so many characters in a row with a secret is taken to repeat it.
const TELLING: usize = 6;

// === impl Auth ===

impl Auth {
    /// From the configuration; the token of a login is in `session`.
    pub fn new(token: Token, basic: Option<BasicAuth>, session: Arc<Session>) -> Self {
        Self { token, basic, session, within: None }
    }

    /// The same proxy, and this token, if any.
    pub fn by(&self, token: Option<Secret>) -> Self {
        let token = token.map_or(Token::None, Token::Env);
        Self::new(token, self.basic.clone(), self.session.clone())
    }

    /// A body carries this secret as well.
    pub fn within(mut self, secret: Secret) -> Self {
        self.within = Some(secret);
        self
    }

    /// Signs a request. The token file is read for each: requests are rare, and so a rotated token
    /// counts from the next request on, whatever told or did not tell of its change. Of a login that is
    /// still under way the end is awaited.
    pub async fn apply(
        &self,
        mut request: RequestBuilder,
    ) -> Result<(RequestBuilder, Signature), Error> {
        let mut signature = Signature::default();
        signature.secrets.extend(self.within.as_ref().map(|s| s.expose().to_owned()));
        if let Some(basic) = &self.basic {
            let password = basic.password.as_ref().map(Secret::expose);
            request = request.basic_auth(&basic.user, password);
            let pair = format!("{}:{}", basic.user, password.unwrap_or_default());
            signature.secrets.push(STANDARD.encode(pair));
            signature.secrets.extend(password.map(str::to_owned));
        }
        let token = match &self.token {
            Token::None => return Ok((request, signature)),
            Token::Env(secret) => secret.clone(),
            Token::File(path) => read("token file", path)?,
            Token::Login(_) => {
                let lease = self.session.lease().await?;
                signature.lease.insert(lease).secret().clone()
            }
        };
        let mut value = HeaderValue::from_str(token.expose())
            .map_err(|_| Error::new(Kind::Token, "the token cannot be a header".to_owned()))?;
        value.set_sensitive(true);
        signature.secrets.push(token.expose().to_owned());
        Ok((request.header("X-Consul-Token", value), signature))
    }

    /// Consul denies what was signed so: if by a login's token, a new one may be needed.
    pub fn denied(&self, signature: &Signature) {
        if let Some(lease) = &signature.lease {
            self.session.refused(lease);
        }
    }
}

// === impl Signature ===

impl Signature {
    /// Whether a text holds one of the secrets, or a telling part: what is between us and Consul may
    /// send a request's headers back in an error, cut off or in another case.
    pub fn is_repeated_in(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        self.secrets.iter().any(|secret| {
            let secret = secret.to_ascii_lowercase();
            let width = TELLING.min(secret.len());
            let parts = secret.as_bytes().windows(width.max(1));
            parts.into_iter().any(|part| memchr::memmem::find(text.as_bytes(), part).is_some())
        })
    }
}

/// Reads a file with a token of some kind, white space around it aside. The content never reaches the
/// error.
pub fn read(kind: &str, path: &Path) -> Result<Secret, Error> {
    let error =
        |what: String| Error::new(Kind::Token, format!("{kind} {}: {what}", path.display()));
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text))
        .map_err(|e| error(e.kind().to_string()))?;
    if text.len() as u64 > LONGEST {
        return Err(error("it is larger than any token (64 KiB)".to_owned()));
    }
    text.trim().parse().map_err(|e: crate::config::SecretError| error(format!("it {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_end_is_no_token() {
        let error = read("token file", Path::new("/dev/zero")).expect_err("no end");
        assert_eq!(error.kind, Kind::Token);
        assert!(error.text.ends_with("it is larger than any token (64 KiB)"), "{error}");
    }

    #[test]
    fn a_text_that_repeats_a_secret_is_known() {
        let secrets = ["5e0a77c0-98fd", "pw", ""].map(str::to_owned);
        let signature = Signature { secrets: secrets.to_vec(), lease: None };
        for text in ["x 5e0a77c0-98fd", "cut at 5E0A77", "my pw!"] {
            assert!(signature.is_repeated_in(text), "{text}");
        }
        for text in ["", "Permission denied", "5e0a7 is short"] {
            assert!(!signature.is_repeated_in(text), "{text}");
        }
    }
}
