//! A Consul as production has it: ACLs that deny, https that asks for a certificate, and no token for
//! anybody but by a login.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::jwt::Claims;
use crate::consul::Consul;
use crate::consul::http::request;
use crate::rig::{Pod, SOON, Sidecar};
use crate::security::tls_server::{Authority, Identity};
use crate::wait::{eventually, free_port};

/// What Consul's own tools call a server's certificate.
const SERVER: &str = "server.dc1.consul";

/// The Consul, and the files of whom it knows.
pub struct Scene {
    pub consul: Consul,
    pub authority: Authority,
    files: TempDir,
    port: u16,
    key: KeyPair,
}

// === impl Scene ===

impl Scene {
    pub fn start() -> Self {
        let files = TempDir::new().expect("a directory");
        let (authority, port) = (Authority::new(files.path(), "ca"), free_port());
        put(files.path(), "server", &server(&authority));
        put(files.path(), "client", &client(&authority));
        let file = |name: &str| files.path().join(name);
        let consul = Consul::start_with_acl_and(&json!({
            "ports": {"https": port},
            "verify_incoming_https": true,
            "ca_file": file("ca.pem"),
            "cert_file": file("server.pem"),
            "key_file": file("server.key"),
        }));
        Self { consul, authority, files, port, key: KeyPair::generate().expect("a key") }
    }

    /// One for all tests that do it no harm; it ends with the last of them.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Scene>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let scene = Arc::new(Self::start());
            *shared = Arc::downgrade(&scene);
            scene
        })
    }

    /// An auth method of type jwt whose tokens may read `<name>/`, where there is a key `a`; for the
    /// subject `web`, with a binding rule whose id is returned.
    pub fn method(&self, name: &str, extra: &Value) -> String {
        let mut method = json!({
            "Name": name, "Type": "jwt",
            "Config": {
                "JWTValidationPubKeys": [self.key.public_key_pem()], "JWTSupportedAlgs": ["ES256"],
                "BoundIssuer": "e2e", "BoundAudiences": ["consul"], "ClaimMappings": {"sub": "sub"},
            },
        });
        method.as_object_mut().expect("one").extend(extra.as_object().expect("one").clone());
        add_method(&self.consul, &method)
    }

    /// Has the method's tokens read this prefix, and nothing else.
    pub fn allow(&self, name: &str, prefix: &str) {
        allow(&self.consul, name, prefix);
    }

    /// Binds whom the method names `web` to its role. Returns the rule's id.
    pub fn bind(&self, name: &str) -> String {
        bind(&self.consul, name)
    }

    /// Takes a binding rule away.
    pub fn unbind(&self, id: &str) {
        self.ask("DELETE", &format!("/v1/acl/binding-rule/{id}"), "");
    }

    pub fn ask(&self, method: &str, target: &str, body: &str) -> Value {
        ask(&self.consul, method, target, body)
    }

    /// A pod of the prefix and the method of this name, whose JWT lies in [`jwt`](Self::jwt).
    pub fn pod(&self, name: &str) -> Pod {
        self.pod_by(name, name)
    }

    /// The same by another method, or one that there is not.
    pub fn pod_by(&self, prefix: &str, method: &str) -> Pod {
        self.write_jwt(prefix, &Claims::of("web"));
        let jwt = self.jwt(prefix).display().to_string();
        self.known(prefix).arg(&["--login-method", method, "--login-token-file", &jwt])
    }

    /// A pod of this prefix that Consul's https takes, and nothing more.
    pub fn known(&self, prefix: &str) -> Pod {
        let file = |name: &str| self.file(name).display().to_string();
        self.stranger(prefix).arg(&["--ca-file", &file("ca.pem")]).arg(&[
            "--client-cert",
            &file("client.pem"),
            "--client-key",
            &file("client.key"),
        ])
    }

    /// A pod of this prefix that knows where Consul is.
    pub fn stranger(&self, prefix: &str) -> Pod {
        let at = format!("https://127.0.0.1:{}", self.port);
        let pod = Pod::bare().arg(&["--consul", &at, "--prefix", prefix]);
        pod.arg(&["--tls-server-name", SERVER, "--log-level", "debug"])
    }

    /// A file of the scene.
    pub fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// Where the JWT of a prefix's pods is.
    pub fn jwt(&self, prefix: &str) -> PathBuf {
        self.file(&format!("{prefix}.jwt"))
    }

    /// Puts another JWT there, as a kubelet does: by a rename. Returns it.
    pub fn write_jwt(&self, prefix: &str, claims: &Claims) -> String {
        let jwt = claims.sign(&self.key);
        replace(&self.jwt(prefix), &jwt);
        jwt
    }

    /// The tokens that logins by this method have made and that are there.
    pub fn tokens(&self, method: &str) -> Vec<Value> {
        tokens(&self.consul, method)
    }

    /// Waits until there are so many of them.
    #[track_caller]
    pub fn until_tokens(&self, method: &str, count: usize) {
        eventually(&format!("{count} tokens"), SOON, || {
            (self.tokens(method).len() == count).then_some(())
        });
    }

    /// Takes all of them away.
    pub fn revoke(&self, method: &str) {
        for token in self.tokens(method) {
            let accessor = token["AccessorID"].as_str().expect("an accessor");
            self.ask("DELETE", &format!("/v1/acl/token/{accessor}"), "");
        }
    }

    /// The secrets of all of them.
    pub fn secrets(&self, method: &str) -> Vec<String> {
        let secret = |token: &Value| {
            let accessor = token["AccessorID"].as_str()?;
            let token = self.ask("GET", &format!("/v1/acl/token/{accessor}"), "");
            Some(token["SecretID"].as_str()?.to_owned())
        };
        self.tokens(method).iter().filter_map(secret).collect()
    }
}

/// An auth method whose tokens may read the prefix of its name, where there is a key `a`; for whom it
/// names `web`, with a binding rule whose id is returned.
pub fn add_method(consul: &Consul, method: &Value) -> String {
    let name = method["Name"].as_str().expect("a name");
    ask(consul, "PUT", "/v1/acl/auth-method", &method.to_string());
    consul.put(&format!("{name}/a"), "1");
    allow(consul, name, name);
    let role = json!({"Name": name, "Policies": [{"Name": name}]});
    ask(consul, "PUT", "/v1/acl/role", &role.to_string());
    bind(consul, name)
}

fn allow(consul: &Consul, name: &str, prefix: &str) {
    consul.set_policy(name, &format!("key_prefix \"{prefix}/\" {{ policy = \"read\" }}"));
}

fn bind(consul: &Consul, name: &str) -> String {
    let method = ask(consul, "GET", &format!("/v1/acl/auth-method/{name}"), "");
    let selector = match method["Type"].as_str() {
        Some("kubernetes") => "serviceaccount.name==\"web\"",
        _ => "value.sub==\"web\"",
    };
    let rule = json!({
        "AuthMethod": name, "BindType": "role", "BindName": name, "Selector": selector,
    });
    let rule = ask(consul, "PUT", "/v1/acl/binding-rule", &rule.to_string());
    rule["ID"].as_str().expect("an id").to_owned()
}

fn ask(consul: &Consul, method: &str, target: &str, body: &str) -> Value {
    let answer = consul.ask(method, target, body.as_bytes()).expect("Consul answers");
    assert_eq!(answer.status, 200, "{method} {target}: {}", answer.text());
    answer.json().unwrap_or_default()
}

/// The tokens that logins by this method have made and that are there.
pub fn tokens(consul: &Consul, method: &str) -> Vec<Value> {
    let all = ask(consul, "GET", &format!("/v1/acl/tokens?authmethod={method}"), "");
    all.as_array().cloned().unwrap_or_default()
}

/// A server's certificate for Consul.
pub fn server(authority: &Authority) -> Identity {
    authority.sign(&[SERVER, "localhost", "127.0.0.1"])
}

/// A certificate to show to Consul.
pub fn client(authority: &Authority) -> Identity {
    client_with(authority, |_| {})
}

/// The same, with something else about it.
pub fn client_with(authority: &Authority, change: impl Fn(&mut CertificateParams)) -> Identity {
    authority.sign_with(&["seedcar"], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(params);
    })
}

/// `name.pem` and `name.key`, each by a rename.
pub fn put(dir: &Path, name: &str, identity: &Identity) {
    replace(&dir.join(format!("{name}.pem")), &identity.certificate);
    replace(&dir.join(format!("{name}.key")), &identity.key);
}

/// Puts a file in the place of another by a rename.
pub fn replace(file: &Path, text: &str) {
    let aside = file.with_extension("new");
    std::fs::write(&aside, text).expect("written");
    std::fs::rename(aside, file).expect("renamed");
}

/// How many logins ended so.
pub fn logins(sidecar: &Sidecar<'_>, result: &str) -> f64 {
    let series = format!("seedcar_consul_logins_total{{result=\"{result}\"}}");
    sidecar.metric(&series).unwrap_or(0.0)
}

/// How many of a mechanism's requests ended so.
pub fn requests(sidecar: &Sidecar<'_>, mechanism: &str, outcome: &str) -> f64 {
    let labels = format!("{{mechanism=\"{mechanism}\",outcome=\"{outcome}\"}}");
    sidecar.metric(&format!("seedcar_consul_requests_total{labels}")).unwrap_or(0.0)
}

/// Whether a token is known to Consul.
pub fn is_known(scene: &Scene, secret: &str) -> bool {
    let headers = [("X-Consul-Token", secret)];
    let answer = request(scene.consul.addr(), "GET", "/v1/acl/token/self", &headers, b"");
    answer.is_ok_and(|answer| answer.status == 200)
}
