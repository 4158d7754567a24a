//! A server that speaks TLS with any certificate, and counts what it is told.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A certificate and its key, in PEM.
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

/// An authority whose certificate lies in a file.
pub struct Authority {
    file: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// The server. It holds one key, `app/key`.
pub struct Server {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    config: Mutex<Arc<ServerConfig>>,
    /// Counts the identities: a connection of an earlier one is closed.
    era: AtomicU64,
    questions: AtomicU64,
}

/// How long the server holds a question that may block.
const HOLD: Duration = Duration::from_millis(200);

// === impl Authority ===

impl Authority {
    pub fn new(dir: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signed").pem();
        let file = dir.join(format!("{name}.pem"));
        std::fs::write(&file, &certificate).expect("written");
        Self { file, issuer: Issuer::new(params, key), certificate }
    }

    /// The file that holds its certificate.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Puts its certificate in the place of another one's, by a rename.
    pub fn replace(&self, file: &Path) {
        let aside = file.with_extension("new");
        std::fs::write(&aside, &self.certificate).expect("written");
        std::fs::rename(aside, file).expect("renamed");
    }

    /// A server's identity for these names.
    pub fn sign(&self, names: &[&str]) -> Identity {
        self.sign_with(names, |_| {})
    }

    /// The same, with something else about it.
    pub fn sign_with(&self, names: &[&str], change: impl Fn(&mut CertificateParams)) -> Identity {
        let (mut params, key) = parts(names);
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("signed").pem();
        Identity { certificate, key: key.serialize_pem() }
    }
}

/// An identity that vouches for itself.
pub fn self_signed(names: &[&str]) -> Identity {
    let (params, key) = parts(names);
    let certificate = params.self_signed(&key).expect("signed").pem();
    Identity { certificate, key: key.serialize_pem() }
}

fn parts(names: &[&str]) -> (CertificateParams, KeyPair) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    (params, KeyPair::generate().expect("a key"))
}

// === impl Server ===

impl Server {
    pub fn start(identity: &Identity) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            config: Mutex::new(config(identity)),
            era: AtomicU64::new(0),
            questions: AtomicU64::new(0),
        });
        let serving = shared.clone();
        // It lives as long as the test program, and waits for connections.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = serving.clone();
                std::thread::spawn(move || shared.answer(stream));
            }
        });
        Self { addr, shared }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Shows this identity from now on, and closes what is open.
    pub fn become_known_as(&self, identity: &Identity) {
        let mut known = self.shared.config.lock().unwrap_or_else(PoisonError::into_inner);
        *known = config(identity);
        self.shared.era.fetch_add(1, Ordering::SeqCst);
    }

    /// How many questions it was asked, TLS aside.
    pub fn questions(&self) -> u64 {
        self.shared.questions.load(Ordering::SeqCst)
    }
}

impl Shared {
    /// Answers until the other side, or the era, ends.
    fn answer(&self, stream: TcpStream) -> Option<()> {
        let (era, config) = {
            let config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
            (self.era.load(Ordering::SeqCst), config.clone())
        };
        stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
        let connection = ServerConnection::new(config).ok()?;
        let mut reader = BufReader::new(StreamOwned::new(connection, stream));
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            self.questions.fetch_add(1, Ordering::SeqCst);
            let blocks = line.contains("index=");
            while line.trim_end() != "" {
                line.clear();
                reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            }
            if blocks {
                std::thread::sleep(HOLD);
            }
            if self.era.load(Ordering::SeqCst) != era {
                return None;
            }
            let body = r#"[{"Key":"app/key","Value":"dmFsdWU=","CreateIndex":7,"ModifyIndex":7}]"#;
            let head = format!(
                "HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            reader.get_mut().write_all((head + body).as_bytes()).ok()?;
            reader.get_mut().flush().ok()?;
        }
    }
}

fn config(identity: &Identity) -> Arc<ServerConfig> {
    let chain = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("PEM");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .expect("an identity");
    Arc::new(config)
}
