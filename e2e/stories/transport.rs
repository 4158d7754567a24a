//! The ways to a real Consul besides plain HTTP: TLS with certificates of our own, a Unix socket.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serde_json::json;
use tempfile::TempDir;

use crate::consul::Consul;
use crate::rig::{Ended, Pod};
use crate::wait::free_port;

/// What Consul's own tools call a server's certificate.
const SERVER: &str = "server.dc1.consul";

/// A Consul that speaks https only to whom it knows, and the files that it takes.
pub struct Secured {
    /// What it serves.
    pub consul: Consul,
    files: TempDir,
    port: u16,
}

/// An authority that signs certificates into a directory.
pub struct Authority<'d> {
    dir: &'d Path,
    issuer: Issuer<'static, KeyPair>,
}

#[test]
fn https_with_a_client_certificate_and_a_server_name_works() {
    let secured = Secured::start();
    let pod = secured.pod();
    let ended = init(&pod, &secured.known());
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert_eq!(pod.read("key").unwrap(), b"value");
}

#[test]
fn an_unknown_authority_is_refused_and_named() {
    let secured = Secured::start();
    Authority::new(secured.files.path(), "other");
    let mut args = secured.known();
    args[1] = secured.file("other.pem");
    assert_refused(&init(&secured.pod(), &args), "UnknownIssuer");
}

#[test]
fn a_certificate_for_another_name_is_refused_and_named() {
    let secured = Secured::start();
    let args = secured.known();
    assert_refused(&init(&secured.pod(), &args[..6]), "not valid for");
}

#[test]
fn without_a_client_certificate_consul_refuses() {
    let secured = Secured::start();
    let args = [&secured.known()[..2], &secured.known()[6..]].concat();
    assert_refused(&init(&secured.pod(), &args), "BadCertificate");
}

#[test]
fn a_unix_socket_works() {
    let dir = TempDir::new().expect("a directory");
    let socket = format!("unix://{}", dir.path().join("http.sock").display());
    let consul = Consul::start_real(json!({"addresses": {"http": format!("127.0.0.1 {socket}")}}));
    consul.put("app/key", "value");
    let pod = Pod::bare().arg(&["--consul", &socket, "--prefix", "app"]);
    pod.init();
    assert_eq!(pod.read("key").unwrap(), b"value");
}

#[test]
fn consuls_own_variables_are_understood() {
    let secured = Secured::start();
    let pod = Pod::bare()
        .arg(&["--prefix", "app"])
        .env("CONSUL_HTTP_ADDR", &format!("127.0.0.1:{}", secured.port))
        .env("CONSUL_HTTP_SSL", "true")
        .env("CONSUL_CACERT", &secured.file("ca.pem"))
        .env("CONSUL_CLIENT_CERT", &secured.file("client.pem"))
        .env("CONSUL_CLIENT_KEY", &secured.file("client.key"))
        .env("CONSUL_TLS_SERVER_NAME", SERVER);
    pod.init();
    assert_eq!(pod.read("key").unwrap(), b"value");
}

// === impl Secured ===

impl Secured {
    pub fn start() -> Self {
        let files = TempDir::new().expect("a directory");
        let authority = Authority::new(files.path(), "ca");
        authority.sign("server", SERVER, ExtendedKeyUsagePurpose::ServerAuth);
        authority.sign("client", "seedcar", ExtendedKeyUsagePurpose::ClientAuth);
        let (port, file) = (free_port(), |name: &str| files.path().join(name));
        let consul = Consul::start_real(json!({
            "ports": {"https": port},
            "verify_incoming_https": true,
            "ca_file": file("ca.pem"),
            "cert_file": file("server.pem"),
            "key_file": file("server.key"),
        }));
        consul.put("app/key", "value");
        Self { consul, files, port }
    }

    /// A pod that knows where it is, and nothing else.
    pub fn pod(&self) -> Pod {
        let at = format!("https://127.0.0.1:{}", self.port);
        Pod::bare().arg(&["--consul", &at, "--prefix", "app", "--seed-timeout", "2s"])
    }

    /// Everything that it takes: authority, client certificate and key, the server's name.
    pub fn known(&self) -> Vec<String> {
        let pairs = [
            ("--ca-file", self.file("ca.pem")),
            ("--client-cert", self.file("client.pem")),
            ("--client-key", self.file("client.key")),
            ("--tls-server-name", SERVER.to_owned()),
        ];
        pairs.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
    }

    /// Where a file of these lies.
    pub fn file(&self, name: &str) -> String {
        self.files.path().join(name).display().to_string()
    }
}

// === impl Authority ===

impl<'d> Authority<'d> {
    pub fn new(dir: &'d Path, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signed");
        std::fs::write(dir.join(format!("{name}.pem")), certificate.pem()).expect("written");
        Self { dir, issuer: Issuer::new(params, key) }
    }

    fn sign(&self, file: &str, name: &str, usage: ExtendedKeyUsagePurpose) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let at = |kind: &str| -> PathBuf { self.dir.join(format!("{file}.{kind}")) };
        std::fs::write(at("pem"), certificate.pem()).expect("written");
        std::fs::write(at("key"), key.serialize_pem()).expect("written");
    }
}

fn init(pod: &Pod, args: &[String]) -> Ended {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    pod.seedcar(&[&["init"], args.as_slice()].concat())
}

/// Exit 69 with one line that says what TLS had against it, and nothing published.
#[track_caller]
fn assert_refused(ended: &Ended, why: &str) {
    assert_eq!(ended.code(), 69, "{}\n{}", ended.err, ended.log);
    let last = ended.err.lines().last().unwrap_or_default();
    assert!(last.contains(why), "{last}");
    let failed = ended.events("consul_failed");
    assert!(
        !failed.is_empty() && failed.iter().all(|e| e["error_kind"] == "tls_error"),
        "{failed:?}"
    );
}
