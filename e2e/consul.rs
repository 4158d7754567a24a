//! A Consul to test against: the real one as a child process, or the embedded one on a thread.

mod acl;
mod agent;
mod cluster;
mod faults;
pub mod http;
mod rig;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::process::Signal;
use seedcar::demo::server::{Fault, Faults, KvHandle, RequestLog, Requests, Running, Server};
use serde_json::{Value, json};

pub use cluster::Cluster;

use crate::wait::{eventually, free_port};
use agent::{Agent, START, lock};
use http::{Answer, request};

/// Which Consul.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The program that `CONSUL_BIN` names.
    Real,
    /// `seedcar::demo::server`.
    Embedded,
}

/// One server on loopback. Dropping it ends it.
pub struct Consul {
    addr: SocketAddr,
    token: Option<String>,
    inner: Mutex<Inner>,
}

enum Inner {
    Real(Agent),
    Embedded { running: Option<Running>, kv: KvHandle, faults: Faults },
}

// === impl Consul ===

impl Consul {
    /// Starts an empty server on a free loopback port and waits until it takes writes. The store is
    /// untouched by that: its index is still 1.
    pub fn start(kind: Kind) -> Self {
        match kind {
            Kind::Real => Self::start_real(json!({})),
            Kind::Embedded => {
                let kv = KvHandle::new();
                let faults = Faults::default();
                let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
                let running = Some(serve(addr, &kv, &faults));
                let inner = Mutex::new(Inner::Embedded { running, kv, faults });
                Self { addr, token: None, inner }
            }
        }
    }

    /// Starts a real server that denies by default, and returns it with the management token set.
    pub fn start_with_acl() -> Self {
        Self::start_with_acl_and(&json!({}))
    }

    /// The same with more configuration.
    pub fn start_with_acl_and(extra: &Value) -> Self {
        let mut all = json!({"acl": {"enabled": true, "default_policy": "deny"}});
        all.as_object_mut()
            .expect("an object")
            .extend(extra.as_object().cloned().unwrap_or_default());
        let mut consul = Self::start_real(all);
        let token = eventually("the ACL system is bootstrapped", START, || {
            let answer = consul.ask("PUT", "/v1/acl/bootstrap", b"").ok()?;
            Some(answer.json()?["SecretID"].as_str()?.to_owned())
        });
        consul.token = Some(token);
        consul.wait_writable();
        consul
    }

    /// Starts a real server with more configuration than usual.
    pub fn start_real(extra: Value) -> Self {
        let mut agent = Agent::new();
        agent.configure(None, &[], 1, &extra);
        agent.spawn();
        let consul =
            Self { addr: agent.addr(), token: None, inner: Mutex::new(Inner::Real(agent)) };
        if extra.get("acl").is_none() {
            consul.wait_writable();
        }
        consul
    }

    /// Starts a real server that waits for a second one to elect a leader with: it never has any.
    pub fn start_leaderless() -> Self {
        let mut agent = Agent::new();
        agent.configure(None, &[], 2, &json!({}));
        agent.spawn();
        let consul =
            Self { addr: agent.addr(), token: None, inner: Mutex::new(Inner::Real(agent)) };
        eventually("Consul answers", START, || {
            let answer = consul.ask("GET", "/v1/status/leader", b"").ok()?;
            (answer.status == 200).then_some(())
        });
        consul
    }

    /// Where it listens, for HTTP.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The management token, in ACL mode.
    pub fn token(&self) -> &str {
        self.token.as_deref().expect("not started with ACLs")
    }

    /// The fault switches of the embedded one.
    pub fn faults(&self) -> Faults {
        match &*lock(&self.inner) {
            Inner::Embedded { faults, .. } => faults.clone(),
            Inner::Real(_) => panic!("a real Consul has no fault switches"),
        }
    }

    /// The table of the embedded one.
    pub fn kv(&self) -> KvHandle {
        match &*lock(&self.inner) {
            Inner::Embedded { kv, .. } => kv.clone(),
            Inner::Real(_) => panic!("a real Consul hands out no table"),
        }
    }

    /// The requests that the embedded one was asked since it was last started.
    pub fn requests(&self) -> RequestLog {
        match &*lock(&self.inner) {
            Inner::Embedded { running, .. } => running.as_ref().expect("not running").log(),
            Inner::Real(_) => panic!("a real Consul keeps no such log"),
        }
    }

    /// Asks anything, with the management token if there is one.
    pub fn ask(&self, method: &str, target: &str, body: &[u8]) -> std::io::Result<Answer> {
        request(self.addr, method, target, &self.headers(), body)
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        self.token.as_deref().map(|token| ("X-Consul-Token", token)).into_iter().collect()
    }

    #[track_caller]
    fn must(&self, method: &str, target: &str, body: &[u8]) -> Answer {
        let answer = self.ask(method, target, body).expect("Consul does not answer");
        assert_eq!(answer.status, 200, "{method} {target}: {}", answer.text());
        answer
    }

    /// Stores a value.
    #[track_caller]
    pub fn put(&self, key: &str, value: impl AsRef<[u8]>) {
        self.put_flags(key, value, 0);
    }

    /// Stores a value with flags.
    #[track_caller]
    pub fn put_flags(&self, key: &str, value: impl AsRef<[u8]>, flags: u64) {
        let target = format!("{}?flags={flags}", path_of(key));
        assert_eq!(self.must("PUT", &target, value.as_ref()).text(), "true");
    }

    /// Deletes one key.
    #[track_caller]
    pub fn delete(&self, key: &str) {
        self.must("DELETE", &path_of(key), b"");
    }

    /// Deletes everything under a prefix.
    #[track_caller]
    pub fn delete_recurse(&self, prefix: &str) {
        self.must("DELETE", &format!("{}?recurse", path_of(prefix)), b"");
    }

    /// Stores values by transactions of at most 64; names may be such as no URL can say.
    #[track_caller]
    pub fn txn_set(&self, pairs: &[(&str, &[u8])]) {
        let op = |(key, value): &(&str, &[u8])| json!({"KV": {"Verb": "set", "Key": key, "Value": STANDARD.encode(value)}});
        for some in pairs.chunks(64) {
            let ops: Vec<Value> = some.iter().map(op).collect();
            self.must("PUT", "/v1/txn", json!(ops).to_string().as_bytes());
        }
    }

    /// A value, if there is such a key.
    #[track_caller]
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        let target = format!("{}?raw", path_of(key));
        let answer = self.ask("GET", &target, b"").expect("Consul does not answer");
        match answer.status {
            200 => Some(answer.body),
            404 => None,
            status => panic!("GET {target}: {status} {}", answer.text()),
        }
    }

    /// The index that a list of this prefix reports.
    #[track_caller]
    pub fn index(&self, prefix: &str) -> u64 {
        let target = format!("{}?keys&separator=/", path_of(prefix));
        let answer = self.ask("GET", &target, b"").expect("Consul does not answer");
        answer.index().expect("no index")
    }

    /// Everything in the store, to give back to [`Consul::restore`].
    pub fn snapshot(&self) -> Vec<u8> {
        self.must("GET", "/v1/snapshot", b"").body
    }

    /// Puts a snapshot in the place of everything.
    pub fn restore(&self, snapshot: &[u8]) {
        self.must("PUT", "/v1/snapshot", snapshot);
    }

    /// Ends it without warning. Its port refuses from then on.
    pub fn kill(&self) {
        match &mut *lock(&self.inner) {
            Inner::Real(agent) => agent.kill(),
            Inner::Embedded { running, .. } => drop(running.take()),
        }
    }

    /// Ends it with SIGTERM, as whoever restarts it properly does: blocked queries return first.
    pub fn terminate(&self) {
        match &mut *lock(&self.inner) {
            Inner::Real(agent) => agent.terminate(),
            Inner::Embedded { running, .. } => drop(running.take()),
        }
    }

    /// Starts it again on the same port with its data, and waits until it takes writes.
    pub fn restart(&self) {
        self.kill();
        match &mut *lock(&self.inner) {
            Inner::Real(agent) => agent.spawn(),
            Inner::Embedded { running, kv, faults } => {
                *running = Some(serve(self.addr, kv, faults));
            }
        }
        self.wait_writable();
    }

    /// Starts another, empty one on the same port, and waits until it takes writes.
    pub fn restart_empty(&self) {
        self.kill();
        match &mut *lock(&self.inner) {
            Inner::Real(agent) => agent.forget(),
            Inner::Embedded { kv, .. } => *kv = KvHandle::new(),
        }
        self.restart();
    }

    /// From now on it takes connections and says nothing.
    pub fn freeze(&self) {
        match &*lock(&self.inner) {
            Inner::Real(agent) => agent.signal(Signal::STOP),
            Inner::Embedded { faults, .. } => faults.add(Requests::all(), Fault::NeverAnswer),
        }
    }

    /// Ends a freeze; what was asked meanwhile is answered.
    pub fn thaw(&self) {
        match &*lock(&self.inner) {
            Inner::Real(agent) => agent.signal(Signal::CONT),
            Inner::Embedded { faults, .. } => {
                faults.remove(&Requests::all(), &Fault::NeverAnswer);
            }
        }
    }

    /// Creates or replaces a policy, by its name. Needs ACL mode, as the next two do.
    pub fn set_policy(&self, name: &str, rules: &str) {
        acl::set_policy(&|m, t, b| self.ask(m, t, b), name, rules);
    }

    /// Creates a token with these policies and returns its secret.
    pub fn create_token(&self, policies: &[&str]) -> String {
        acl::create_token(&|m, t, b| self.ask(m, t, b), None, policies)
    }

    /// Deletes a token by its secret.
    pub fn delete_token(&self, secret: &str) {
        acl::delete_token(&|m, t, b| self.ask(m, t, b), secret);
    }

    fn wait_writable(&self) {
        // Deleting what is not there goes through Raft and yet moves no index.
        eventually("Consul takes writes", START, || {
            let answer = self.ask("DELETE", "/v1/kv/seedcar-e2e-ready", b"").ok()?;
            (answer.status == 200).then_some(())
        });
    }
}

fn serve(addr: SocketAddr, kv: &KvHandle, faults: &Faults) -> Running {
    // A killed server's sockets may linger for a moment.
    let server =
        eventually("the port is free again", Duration::from_secs(5), || Server::bind(addr).ok());
    server.with_kv(kv.clone()).with_faults(faults.clone()).spawn().expect("no thread")
}

/// The path of a key; each byte that is not plain is escaped.
pub fn path_of(key: &str) -> String {
    let byte = |byte: u8| match byte {
        b'/' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    format!("/v1/kv/{}", key.bytes().map(byte).collect::<String>())
}
