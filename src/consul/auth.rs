//! The token, and basic authentication for a proxy in front of Consul.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::RequestBuilder;
use reqwest::header::HeaderValue;

use super::error::{Error, Kind};
use crate::config::{BasicAuth, Secret, Token};

/// What requests are signed with.
pub struct Auth {
    token: Token,
    basic: Option<BasicAuth>,
}

/// The secrets that one request carried, kept until its answer has been looked at.
pub struct Signature(Vec<String>);

/// A text that shares so many characters in a row with a secret is taken to repeat it.
const TELLING: usize = 6;

// === impl Auth ===

impl Auth {
    /// From the configuration.
    pub fn new(token: Token, basic: Option<BasicAuth>) -> Self {
        Self { token, basic }
    }

    /// Signs a request. The token file is read for each: requests are rare, and so a rotated token
    /// counts from the next request on, whatever told or did not tell of its change.
    pub fn apply(&self, mut request: RequestBuilder) -> Result<(RequestBuilder, Signature), Error> {
        let mut signature = Signature(Vec::new());
        if let Some(basic) = &self.basic {
            let password = basic.password.as_ref().map(Secret::expose);
            request = request.basic_auth(&basic.user, password);
            let pair = format!("{}:{}", basic.user, password.unwrap_or_default());
            signature.0.push(STANDARD.encode(pair));
            signature.0.extend(password.map(str::to_owned));
        }
        let token = match &self.token {
            Token::None => return Ok((request, signature)),
            Token::Env(secret) => secret.clone(),
            Token::File(path) => read(path)?,
        };
        let mut value = HeaderValue::from_str(token.expose())
            .map_err(|_| Error::new(Kind::Token, "the token cannot be a header".to_owned()))?;
        value.set_sensitive(true);
        signature.0.push(token.expose().to_owned());
        Ok((request.header("X-Consul-Token", value), signature))
    }
}

// === impl Signature ===

impl Signature {
    /// Whether a text holds one of the secrets, or a telling part: what is between us and Consul may
    /// send a request's headers back in an error, cut off or in another case.
    pub fn is_repeated_in(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        self.0.iter().any(|secret| {
            let secret = secret.to_ascii_lowercase();
            let width = TELLING.min(secret.len());
            let parts = secret.as_bytes().windows(width.max(1));
            parts.into_iter().any(|part| memchr::memmem::find(text.as_bytes(), part).is_some())
        })
    }
}

/// Reads a token file, white space around it aside. The content never reaches the error.
fn read(path: &Path) -> Result<Secret, Error> {
    let error =
        |what: String| Error::new(Kind::Token, format!("token file {}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| error(e.kind().to_string()))?;
    text.trim().parse().map_err(|e: crate::config::SecretError| error(format!("it {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_repeats_a_secret_is_known() {
        let secrets = ["5e0a77c0-98fd", "pw", ""].map(str::to_owned);
        let signature = Signature(secrets.to_vec());
        for text in ["x 5e0a77c0-98fd", "cut at 5E0A77", "my pw!"] {
            assert!(signature.is_repeated_in(text), "{text}");
        }
        for text in ["", "Permission denied", "5e0a7 is short"] {
            assert!(!signature.is_repeated_in(text), "{text}");
        }
    }
}
