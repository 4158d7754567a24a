//! A login by an auth method of type `kubernetes`: Consul asks the API server whose JWT it is. Here that
//! is a stand-in, which answers the two questions that Consul puts to it.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rcgen::KeyPair;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::jwt::Claims;
use super::scene::Scene;
use crate::ledger::Tally;
use crate::question;
use crate::security::tls_server::Identity;

const GROUP: &str = "access::kubernetes";

/// The API server. It knows one JWT, that of the service account `web`.
struct ApiServer {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    known: Mutex<String>,
    /// The reviews that it was asked for.
    reviews: Mutex<Vec<Value>>,
}

// === impl ApiServer ===

impl ApiServer {
    fn start(identity: &Identity) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let (shared, config) = (Arc::<Shared>::default(), config(identity));
        let serving = shared.clone();
        // It lives as long as the test program, and waits for connections.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, config) = (serving.clone(), config.clone());
                std::thread::spawn(move || shared.answer(stream, config));
            }
        });
        Self { addr, shared }
    }

    fn knows(&self, jwt: String) {
        *self.shared.known.lock().unwrap_or_else(PoisonError::into_inner) = jwt;
    }

    fn reviews(&self) -> Vec<Value> {
        self.shared.reviews.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Shared {
    fn answer(&self, stream: TcpStream, config: Arc<ServerConfig>) -> Option<()> {
        stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
        let connection = ServerConnection::new(config).ok()?;
        let mut reader = BufReader::new(StreamOwned::new(connection, stream));
        loop {
            let (first, body) = question::read(&mut reader)?;
            let (status, answer) = self.say(&first, &body);
            let answer = answer.to_string();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                answer.len()
            );
            reader.get_mut().write_all((head + &answer).as_bytes()).ok()?;
        }
    }

    /// authentication.k8s.io/v1 TokenReview, and the service account that it names.
    fn say(&self, first: &str, body: &[u8]) -> (&'static str, Value) {
        let meta = json!({"name": "web", "namespace": "default", "uid": "u-1"});
        if first.starts_with("GET /api/v1/namespaces/default/serviceaccounts/web ") {
            return (
                "200 OK",
                json!({"kind": "ServiceAccount", "apiVersion": "v1", "metadata": meta}),
            );
        }
        if !first.starts_with("POST /apis/authentication.k8s.io/v1/tokenreviews ") {
            return ("404 Not Found", json!({"kind": "Status", "status": "Failure", "code": 404}));
        }
        let review: Value = serde_json::from_slice(body).unwrap_or_default();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let status = match review["spec"]["token"] == json!(known) {
            true => json!({"authenticated": true, "user": {
                "username": "system:serviceaccount:default:web", "uid": "u-1",
                "groups": ["system:serviceaccounts"],
            }}),
            false => json!({"authenticated": false, "error": "[invalid bearer token]"}),
        };
        self.reviews.lock().unwrap_or_else(PoisonError::into_inner).push(review);
        let kind = json!({
            "kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status,
        });
        ("201 Created", kind)
    }
}

fn config(identity: &Identity) -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.expect("a certificate")], key);
    Arc::new(config.expect("an identity"))
}

#[test]
fn the_pods_service_account_is_enough() {
    let mut tally = Tally::of(GROUP);
    let scene = Scene::shared();
    let api = ApiServer::start(&scene.authority.sign(&["127.0.0.1"]));
    let reviewer = Claims::of("reviewer").sign(&KeyPair::generate().expect("a key"));
    let of = |addr: SocketAddr| {
        json!({"Type": "kubernetes", "Config": {
            "Host": format!("https://{addr}"),
            "CACert": std::fs::read_to_string(scene.authority.file()).expect("a file"),
            "ServiceAccountJWT": reviewer,
        }})
    };
    scene.method("k1", &of(api.addr));
    let pod = scene.pod("k1");
    let jwt = std::fs::read_to_string(scene.jwt("k1")).expect("a file");
    api.knows(jwt.clone());
    let ended = pod.seedcar(&["init"]);
    tally.check(ended.code() == 0, || ended.err.clone());
    tally.check(pod.read("a").as_deref() == Some(b"1"), || "not seeded".to_owned());
    // Consul has it reviewed for no audience: one of Consul's own would be refused by the API server.
    let reviewed = api.reviews();
    let as_it_is = reviewed.iter().all(|r| r["spec"]["token"] == json!(jwt));
    tally.check(as_it_is && !reviewed.is_empty(), || format!("{reviewed:?}"));
    let without = reviewed.iter().all(|r| r["spec"]["audiences"].is_null());
    tally.check(without, || format!("{reviewed:?}"));

    api.knows("another".to_owned());
    let ended = pod.seedcar(&["init", "--seed-timeout", "1s", "--no-backup"]);
    pod.wipe_volume();
    let denied = scene.pod("k1").seedcar(&["init", "--seed-timeout", "1s"]);
    let told = denied.code() == 77 && denied.err.contains("lookup failed");
    tally.check(told, || format!("{} {}", denied.code(), denied.err));
    tally.check(ended.code() == 0, || "what is published was not kept".to_owned());

    // An API server that Consul cannot reach is an outage: nobody has said no.
    let nobody = SocketAddr::from(([127, 0, 0, 1], crate::wait::free_port()));
    scene.method("k2", &of(nobody));
    let ended = scene.pod("k2").seedcar(&["init", "--seed-timeout", "1s"]);
    let outage = ended.code() == 69 && ended.err.contains("Consul is unreachable");
    tally.check(outage, || format!("{} {}", ended.code(), ended.err));
    tally.finish();
}
