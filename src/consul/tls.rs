//! Building a connection pool, with TLS where the address asks for it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::config::{self, Address, Scheme, Tls};
use crate::tls::{add_system_authorities, trusting};

/// What the certificate files looked like when they were last read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp(Vec<Option<File>>);

/// What one looked like: inode, size, and when it was written.
pub type File = (u64, u64, i64, i64);

/// Looks up the real host when the name to verify is another one.
struct AnotherName {
    host: String,
}

// === impl Stamp ===

impl Stamp {
    /// Looks at the files. For plain http there are none to look at.
    pub fn of(settings: &config::Consul) -> Self {
        if settings.addresses.iter().all(|a| a.scheme != Scheme::Https) {
            return Self(Vec::new());
        }
        Self(files(&settings.tls).iter().map(|path| stat(path)).collect())
    }
}

/// A pool for one address.
pub fn build(
    address: &Address,
    tls: &Tls,
    agent: &str,
    connect: Duration,
) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .user_agent(agent)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .http1_only()
        .connect_timeout(connect)
        .tcp_keepalive(Duration::from_secs(15))
        .tcp_user_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(1)
        .tls_backend_preconfigured(tls_config(address, tls)?);
    if let Some(socket) = &address.socket {
        builder = builder.unix_socket(socket.as_path());
    }
    if let Some((_, host)) = renamed(address, tls) {
        builder = builder.dns_resolver(Arc::new(AnotherName { host }));
    }
    builder.build().map_err(|error| error.to_string())
}

/// The address under which requests are sent: where another name is to be verified, that name stands
/// in the URL, so that it is what TLS asks for, and the real host is looked up behind it.
pub fn base_url(address: &Address, tls: &Tls) -> String {
    match renamed(address, tls) {
        Some((url, _)) => url,
        None => address.base.clone(),
    }
}

/// The URL with the name to verify, and the real host.
fn renamed(address: &Address, tls: &Tls) -> Option<(String, String)> {
    let name = tls.server_name.as_ref().filter(|_| address.scheme == Scheme::Https)?;
    let mut url = reqwest::Url::parse(&address.base).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    url.set_host(Some(name)).ok()?;
    Some((url.as_str().trim_end_matches('/').to_owned(), host))
}

impl Resolve for AnotherName {
    fn resolve(&self, _: Name) -> Resolving {
        let host = self.host.clone();
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// For plain http a configuration that trusts nobody: reqwest wants one in any case, and would look
/// for the system's certificates, which an image without any does not have.
fn tls_config(address: &Address, tls: &Tls) -> Result<ClientConfig, String> {
    let roots = match address.scheme {
        Scheme::Https => roots(tls)?,
        Scheme::Http | Scheme::Unix => RootCertStore::empty(),
    };
    let builder = trusting(roots).map_err(|error| error.to_string())?;
    match tls.client.as_ref().filter(|_| address.scheme == Scheme::Https) {
        None => Ok(builder.with_no_client_auth()),
        Some(client) => {
            let chain = certificates(&client.cert)?;
            let key = PrivateKeyDer::from_pem_file(&client.key)
                .map_err(|e| format!("client key {}: {e}", client.key.display()))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|e| format!("client certificate {}: {e}", client.cert.display()))
        }
    }
}

/// Which file to look at, for what TLS has against a certificate.
pub fn hint(said: &str, tls: &Tls) -> String {
    // The alerts about a client's certificate (RFC 8446, section 6.2); Go sends the first for most.
    let alerts = ["BadCertificate", "Certificate", "UnknownCA", "AccessDenied"];
    let of_ours = said.contains("fatal alert") && alerts.iter().any(|alert| said.contains(alert));
    match (&tls.client, &tls.ca_file, &tls.ca_path) {
        (Some(client), ..) if of_ours => format!(
            "; Consul refuses the client certificate {}: is it expired, or of an authority that \
             Consul does not know?",
            client.cert.display()
        ),
        (None, ..) if of_ours => {
            "; Consul asks for a client certificate: give --client-cert and --client-key".to_owned()
        }
        (_, Some(path), _) | (_, None, Some(path)) if said.contains("UnknownIssuer") => {
            format!("; no authority in {} has signed Consul's certificate", path.display())
        }
        _ => String::new(),
    }
}

fn roots(tls: &Tls) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let own = authority_files(tls);
    for path in &own {
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|e| format!("CA file {}: {e}", path.display()))?;
        }
    }
    if own.is_empty() {
        add_system_authorities(&mut roots);
    }
    if roots.is_empty() {
        return Err(
            "no CA certificates found: give --ca-file (an image from scratch has none)".into()
        );
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let error = |e: rustls::pki_types::pem::Error| format!("{}: {e}", path.display());
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(error)?.collect();
    let all = all.map_err(error)?;
    if all.is_empty() {
        return Err(format!("{}: no certificate in it", path.display()));
    }
    Ok(all)
}

fn authority_files(tls: &Tls) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = tls.ca_file.iter().cloned().collect();
    if let Some(listed) = tls.ca_path.as_ref().and_then(|dir| fs::read_dir(dir).ok()) {
        let paths = listed.filter_map(|entry| Some(entry.ok()?.path()));
        files.extend(
            paths.filter(|path| path.extension().is_some_and(|e| e == "pem" || e == "crt")),
        );
    }
    files.sort();
    files
}

fn files(tls: &Tls) -> Vec<PathBuf> {
    let client = tls.client.iter().flat_map(|c| [c.cert.clone(), c.key.clone()]);
    authority_files(tls).into_iter().chain(client).collect()
}

/// Kubernetes swaps a link, so that the file behind the name is another one: its inode tells.
pub fn stat(path: &Path) -> Option<File> {
    let m = fs::metadata(path).ok()?;
    Some((m.ino(), m.size(), m.mtime(), m.mtime_nsec()))
}
