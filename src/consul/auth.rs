//! The token, and basic authentication for a proxy in front of Consul.

use std::path::Path;

use reqwest::RequestBuilder;
use reqwest::header::HeaderValue;

use super::error::{Error, Kind};
use crate::config::{BasicAuth, Secret, Token};

/// What a request is signed with.
pub struct Auth {
    token: Token,
    basic: Option<BasicAuth>,
}

// === impl Auth ===

impl Auth {
    /// From the configuration.
    pub fn new(token: Token, basic: Option<BasicAuth>) -> Self {
        Self { token, basic }
    }

    /// Signs a request. The token file is read for each: requests are rare, and so a rotated token
    /// counts from the next request on, whatever told or did not tell of its change.
    pub fn apply(&self, mut request: RequestBuilder) -> Result<RequestBuilder, Error> {
        if let Some(basic) = &self.basic {
            let password = basic.password.as_ref().map(Secret::expose);
            request = request.basic_auth(&basic.user, password);
        }
        let token = match &self.token {
            Token::None => return Ok(request),
            Token::Env(secret) => secret.clone(),
            Token::File(path) => read(path)?,
        };
        let mut value = HeaderValue::from_str(token.expose())
            .map_err(|_| Error::new(Kind::Token, "the token cannot be a header".to_owned()))?;
        value.set_sensitive(true);
        Ok(request.header("X-Consul-Token", value))
    }
}

/// Reads a token file, white space around it aside. The content never reaches the error.
fn read(path: &Path) -> Result<Secret, Error> {
    let error =
        |what: String| Error::new(Kind::Token, format!("token file {}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| error(e.kind().to_string()))?;
    text.trim().parse().map_err(|e: crate::config::SecretError| error(format!("it {e}")))
}
