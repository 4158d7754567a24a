//! One request to a service of the user's: JSON there, a status code back.
//!
//! What Consul is asked goes through `consul`; this is for whoever is told of a generation or asked
//! about one.

use std::time::Duration;

use reqwest::Method;
use rustls::RootCertStore;
use url::Url;

use crate::tls;

/// Sends `body` and returns the status code, or in words why there is none. Redirects are not followed,
/// proxies of the environment not asked. Nothing of an answer's body is read: it may repeat a secret.
pub async fn send(method: &str, url: Url, body: String, limit: Duration) -> Result<u16, String> {
    let method = method.parse::<Method>().map_err(|error| error.to_string())?;
    let client = client(&url)?;
    let request = client
        .request(method, url)
        .header("content-type", "application/json")
        .timeout(limit)
        .body(body);
    let answer = request.send().await.map_err(|error| words(&error, limit))?;
    Ok(answer.status().as_u16())
}

fn client(url: &Url) -> Result<reqwest::Client, String> {
    let mut roots = RootCertStore::empty();
    // Plain http needs none, and an image from scratch has none.
    if url.scheme() == "https" {
        tls::add_system_authorities(&mut roots);
        if roots.is_empty() {
            return Err("there are no CA certificates: name some in SSL_CERT_FILE".to_owned());
        }
    }
    let tls = tls::trusting(roots).map_err(|error| error.to_string())?.with_no_client_auth();
    reqwest::Client::builder()
        .user_agent(concat!("seedcar/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .http1_only()
        .tls_backend_preconfigured(tls)
        .build()
        .map_err(|error| error.to_string())
}

/// Without the URL, which may hold a password.
fn words(error: &reqwest::Error, limit: Duration) -> String {
    if error.is_timeout() {
        return format!("no answer within {limit:?}");
    }
    if error.is_connect() {
        return "no connection".to_owned();
    }
    "no whole answer".to_owned()
}
