//! JSON Web Tokens of our own make (RFC 7519), signed with ES256 (RFC 7518, section 3.4).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{KeyPair, SigningKey};
use serde_json::{Value, json};

/// What a token says of whom. By default it is good for ten minutes.
pub struct Claims(Value);

// === impl Claims ===

impl Claims {
    /// The claims of this subject.
    pub fn of(subject: &str) -> Self {
        let now = seedcar::sys::wall_seconds();
        Self(json!({
            "iss": "e2e", "aud": ["consul"], "sub": subject,
            "iat": now - 3600, "nbf": now - 3600, "exp": now + 600,
        }))
    }

    /// The same for somebody else to take.
    pub fn audience(mut self, name: &str) -> Self {
        self.0["aud"] = json!([name]);
        self
    }

    /// The same, good for so many more seconds, or since so many no longer.
    pub fn good_for(mut self, seconds: i64) -> Self {
        self.0["exp"] = json!(seedcar::sys::wall_seconds() + seconds);
        self
    }

    /// The token.
    pub fn sign(&self, key: &KeyPair) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({"alg": "ES256", "typ": "JWT"})), part(&self.0));
        let signature = key.sign(signed.as_bytes()).expect("signed");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(fixed(&signature)))
    }
}

/// The two numbers of a signature in DER, as 32 bytes each.
fn fixed(der: &[u8]) -> Vec<u8> {
    let (mut at, mut fixed) = (2, Vec::new());
    for _ in 0..2 {
        let length = usize::from(der[at + 1]);
        let number = &der[at + 2..at + 2 + length];
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        fixed.extend(std::iter::repeat_n(0, 32 - number.len()));
        fixed.extend_from_slice(number);
        at += 2 + length;
    }
    fixed
}
