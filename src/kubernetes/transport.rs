//! One request to the API server and its answer, through `kube`.
//!
//! Not its `Client::try_from`: that and its TLS link the log-in helpers of kubeconfig files, a tenth
//! of our program. Nor its `request`: that logs the body of an answer that it cannot read, which may
//! be a Secret's.

use std::io;

use http::Request;
use http_body_util::{BodyExt as _, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ConfigExt as _};
use kube::{Client, Config};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use tower::ServiceBuilder;

use super::{Call, Error};
use crate::tls;

/// The longest answer that is read, in bytes. The API server takes no object above 3 MiB.
const LONGEST: usize = 4 * 1024 * 1024;

/// Connections to the API server.
pub(super) struct Transport {
    client: Client,
    token_file: String,
}

// === impl Transport ===

impl Transport {
    /// Must be called where a runtime is entered: the client has a task of its own.
    pub(super) fn in_cluster() -> Result<Self, Error> {
        let config = Config::incluster().map_err(not_in_pod)?;
        let token_file = config.auth_info.token_file.clone();
        let token_file = token_file.ok_or_else(|| Error::NotInPod("no token file".into()))?;
        let https = https(config.root_cert.as_deref().unwrap_or_default()).map_err(not_in_pod)?;
        let service = ServiceBuilder::new()
            .layer(config.base_uri_layer())
            .service(Http::builder(TokioExecutor::new()).build(https));
        Ok(Self { client: Client::new(service, config.default_namespace), token_file })
    }

    pub(super) fn namespace(&self) -> &str {
        self.client.default_namespace()
    }

    /// The status code and the body.
    pub(super) async fn send(&self, call: &Call) -> Result<(u16, Vec<u8>), Error> {
        // Read anew each time: the kubelet replaces it every hour or so.
        let token = std::fs::read_to_string(&self.token_file)
            .map_err(|error| unusable(&error, format!("{}: {error}", self.token_file)))?;
        let namespace = self.namespace();
        let request = Request::builder()
            .method(call.method)
            .uri(format!("/api/v1/namespaces/{namespace}/{}", call.path))
            .header("authorization", format!("Bearer {}", token.trim()))
            .header("accept", call.accept)
            .header("content-type", call.content_type)
            .header("user-agent", concat!("seedcar/", env!("CARGO_PKG_VERSION")))
            .body(Body::from(call.body.clone()))
            .map_err(|_| Error::NotInPod("the token is no header value".into()))?;
        let answer = self.client.send(request).await;
        let answer = answer.map_err(|error| Error::Unreachable(causes(&error)))?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), LONGEST).collect().await;
        let body = body.map_err(|error| Error::Unreachable(causes(&*error)))?;
        Ok((status, body.to_bytes().into()))
    }
}

/// Trusts the authorities of the service account and nobody else.
fn https(authorities: &[Vec<u8>]) -> Result<HttpsConnector<HttpConnector>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(CertificateDer::from(authority.as_slice()))?;
    }
    let tls = tls::trusting(roots)?.with_no_client_auth();
    Ok(HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build())
}

fn not_in_pod(error: impl std::error::Error + 'static) -> Error {
    unusable(&error, error.to_string())
}

/// What is wrong with a file of the service account: it is not there, or the process could not open it
/// just now.
fn unusable(error: &(dyn std::error::Error + 'static), text: String) -> Error {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    let open = causes.find_map(|error| error.downcast_ref::<io::Error>());
    match open.map(io::Error::kind) {
        None | Some(io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            Error::NotInPod(text)
        }
        Some(_) => Error::Unreachable(text),
    }
}

/// An error with its causes: "connection refused" is the last of several.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut at = error;
    while let Some(cause) = at.source() {
        let told = cause.to_string();
        if !text.contains(&told) {
            text = format!("{text}: {told}");
        }
        at = cause;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::Kind;

    #[test]
    fn a_file_that_cannot_be_opened_just_now_is_not_missing() {
        let kind = |code| {
            let error = io::Error::from_raw_os_error(code);
            unusable(&error, "token".to_owned()).kind()
        };
        assert_eq!(kind(libc::ENOENT), Kind::NotInPod);
        assert_eq!(kind(libc::EACCES), Kind::NotInPod);
        assert_eq!(kind(libc::EMFILE), Kind::Other);
    }
}
