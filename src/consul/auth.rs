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

/// What one request was signed with: never to be repeated.
pub struct Signature(Vec<String>);

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
            let plain = format!("{}:{}", basic.user, password.unwrap_or_default());
            // The longer one first: it may hold the other.
            signature.0.push(STANDARD.encode(plain));
            signature.0.extend(password.map(str::to_owned));
            request = request.basic_auth(&basic.user, password);
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
    /// The text without any of it: what stands between us and Consul may answer a request with the
    /// request itself.
    pub fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
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
    fn what_a_request_was_signed_with_is_not_repeated() {
        let signature = Signature(["bWU6cGFzcw==", "pass", "secret"].map(str::to_owned).to_vec());
        let echo = "x-consul-token: secret authorization: Basic bWU6cGFzcw== (me:pass)";
        let hidden = "x-consul-token: *** authorization: Basic *** (me:***)";
        assert_eq!(signature.hide(echo), hidden);
    }
}
