//! One HTTP answer, and what faults make of it.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use futures_util::{StreamExt, stream};

use super::faults::Fault;

/// An answer before it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// How long the part of a cut body gets to leave before the connection is closed.
const CUT_DELAY: Duration = Duration::from_millis(20);

// === impl Answer ===

impl Answer {
    /// An answer without any header of its own.
    pub(super) fn bare(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// An answer of Consul's API: all of those vary by encoding.
    pub(super) fn empty(status: u16) -> Self {
        Self::bare(status).header("Vary", "Accept-Encoding")
    }

    pub(super) fn text(status: u16, text: impl Into<String>) -> Self {
        let body = text.into().into_bytes();
        Self { body, ..Self::empty(status) }.header("Content-Type", "text/plain; charset=utf-8")
    }

    pub(super) fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::empty(status) }.header("Content-Type", "application/json")
    }

    pub(super) fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub(super) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// The headers that come with data.
    pub(super) fn at_index(self, index: u64) -> Self {
        self.header("X-Consul-Index", index).leader_known()
    }

    pub(super) fn leader_known(self) -> Self {
        self.header("X-Consul-Knownleader", "true").header("X-Consul-Lastcontact", 0)
    }

    /// Spoils the answer. Only [`Fault::CutBody`] must wait until it is sent.
    pub(super) fn spoiled(mut self, faults: &[Fault]) -> Self {
        for fault in faults {
            match fault {
                Fault::NoIndex => self.remove("X-Consul-Index"),
                Fault::Index(index) => {
                    self.remove("X-Consul-Index");
                    self = self.header("X-Consul-Index", index);
                }
                Fault::Header(name, value) => {
                    self.remove(name);
                    self = self.header(name, value);
                }
                Fault::Body(body) => self.body.clone_from(body),
                Fault::FilteredByAcls => {
                    self = self.header("X-Consul-Results-Filtered-By-ACLs", "true");
                }
                _ => {}
            }
        }
        self
    }

    /// The answer as axum sends it.
    pub(super) fn send(self, faults: &[Fault]) -> Response<Body> {
        let cut = faults.iter().find_map(|fault| match fault {
            Fault::CutBody(bytes) => Some(*bytes),
            _ => None,
        });
        let length = self.body.len();
        let body = match cut {
            Some(bytes) if bytes < length => cut_body(self.body[..bytes].to_vec()),
            _ => Body::from(self.body),
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or_default();
        let headers = response.headers_mut();
        for (name, value) in &self.headers {
            let name = HeaderName::try_from(name.as_str());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value.as_str())) {
                headers.append(name, value);
            }
        }
        headers.insert("content-length", HeaderValue::from(length));
        response
    }

    fn remove(&mut self, name: &str) {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
    }
}

impl From<&Fault> for Option<Answer> {
    fn from(fault: &Fault) -> Self {
        match fault {
            Fault::Answer { status, headers, body } => {
                Some(Answer { status: *status, headers: headers.clone(), body: body.clone() })
            }
            _ => None,
        }
    }
}

fn cut_body(start: Vec<u8>) -> Body {
    let sent = stream::once(async { Ok::<_, io::Error>(Bytes::from(start)) });
    let cut = stream::once(async {
        tokio::time::sleep(CUT_DELAY).await;
        Err::<Bytes, _>(io::Error::other("cut on purpose"))
    });
    Body::from_stream(sent.chain(cut))
}
