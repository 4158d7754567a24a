//! A few real servers that form a cluster, and perhaps a client agent beside them.

use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use super::acl;
use super::agent::{Agent, START, lock};
use super::http::{Answer, request, request_within};
use crate::wait::{eventually, free_port};

/// What a question of this rig may take; a frozen server would say nothing for ever.
const PATIENCE: Duration = Duration::from_secs(3);

/// Real servers that elect a leader.
pub struct Cluster {
    servers: Vec<Mutex<Agent>>,
    /// Asks the servers on behalf of those who ask it.
    client: Option<Agent>,
    token: Option<&'static str>,
}

// === impl Cluster ===

impl Cluster {
    /// The management token of a cluster with ACLs, also of one whose data was wiped.
    pub const MANAGEMENT: &'static str = "6d616e61-6765-6d65-6e74-000000000001";

    /// Starts so many real servers and waits until they have a leader and take writes.
    pub fn start(servers: usize) -> Self {
        Self::start_with(servers, &json!({}), None)
    }

    /// The same for a fleet that comes from one address, as behind NAT: Consul's own limit is 200
    /// connections of each. Ours fits what a process may open as a rule.
    pub fn start_for_many(servers: usize) -> Self {
        let limits = json!({"limits": {"http_max_conns_per_client": 900}});
        Self::start_with(servers, &limits, None)
    }

    /// Starts so many real servers that deny by default, and a client agent.
    pub fn start_with_acl(servers: usize) -> Self {
        let token = Self::MANAGEMENT;
        let acl = json!({"acl": {
            "enabled": true,
            "default_policy": "deny",
            "tokens": {"master": token, "agent": token},
        }});
        Self::start_with(servers, &acl, Some(token))
    }

    fn start_with(servers: usize, extra: &serde_json::Value, token: Option<&'static str>) -> Self {
        let mut agents: Vec<Agent> = (0..servers).map(|_| Agent::new()).collect();
        let serf: Vec<u16> = (0..servers).map(|_| free_port()).collect();
        for (agent, own) in agents.iter_mut().zip(&serf) {
            agent.configure(Some(*own), &serf, servers, extra);
            agent.spawn();
        }
        let client = token.map(|_| {
            let mut agent = Agent::new();
            let mut extra = extra.clone();
            extra["server"] = json!(false);
            agent.configure(None, &serf, 0, &extra);
            agent.spawn();
            agent
        });
        let servers = agents.into_iter().map(Mutex::new).collect();
        let cluster = Self { servers, client, token };
        cluster.wait_writable();
        cluster
    }

    /// Where each server listens, for HTTP.
    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(|agent| lock(agent).addr()).collect()
    }

    /// The process of one server, while it runs.
    pub fn pid(&self, position: usize) -> Option<u32> {
        lock(&self.servers[position]).pid()
    }

    /// Where the client agent listens.
    pub fn client(&self) -> SocketAddr {
        self.client.as_ref().expect("started without a client agent").addr()
    }

    /// The leader, as a position in [`Cluster::addrs`]; asks until there is one.
    pub fn leader(&self) -> usize {
        eventually("there is a leader", START, || self.leader_now())
    }

    /// The leader that most of the running servers name; a frozen one names none.
    pub fn leader_now(&self) -> Option<usize> {
        let running = |agent: &&Mutex<Agent>| lock(agent).runs();
        let said: Vec<String> = self
            .servers
            .iter()
            .filter(running)
            .filter_map(|agent| {
                let addr = lock(agent).addr();
                let answer = request_within(PATIENCE, addr, "GET", "/v1/status/leader", &[], b"");
                Some(answer.ok()?.json()?.as_str()?.to_owned())
            })
            .collect();
        let position = self.servers.iter().position(|agent| {
            let peer = lock(agent).peer().to_string();
            said.iter().filter(|said| **said == peer).count() * 2 > said.len()
        })?;
        lock(&self.servers[position]).runs().then_some(position)
    }

    /// Ends one server without warning.
    pub fn kill(&self, position: usize) {
        lock(&self.servers[position]).kill();
    }

    /// Ends one server as an operator does: it says good-bye.
    pub fn stop(&self, position: usize) {
        lock(&self.servers[position]).terminate();
    }

    /// Starts one server again, with its data.
    pub fn restart(&self, position: usize) {
        lock(&self.servers[position]).spawn();
    }

    /// Removes the data of a server that does not run.
    pub fn forget(&self, position: usize) {
        lock(&self.servers[position]).forget();
    }

    /// Stops one server's process in its tracks.
    pub fn freeze(&self, position: usize) {
        lock(&self.servers[position]).signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self, position: usize) {
        lock(&self.servers[position]).signal(Signal::CONT);
    }

    /// Asks one server, with the management token if there is one.
    pub fn ask(
        &self,
        position: usize,
        method: &str,
        target: &str,
        body: &[u8],
    ) -> io::Result<Answer> {
        let headers: Vec<_> = self.token.iter().map(|token| ("X-Consul-Token", *token)).collect();
        let addr = lock(&self.servers[position]).addr();
        request_within(PATIENCE, addr, method, target, &headers, body)
    }

    /// Waits until every running server takes writes, itself or through the leader.
    pub fn wait_writable(&self) {
        for position in 0..self.servers.len() {
            eventually("each server takes writes", START, || {
                if !lock(&self.servers[position]).runs() {
                    return Some(());
                }
                let target = "/v1/kv/seedcar-e2e-ready";
                let answer = self.ask(position, "DELETE", target, b"").ok()?;
                (answer.status == 200).then_some(())
            });
        }
    }

    /// Everything in the store, to give back to [`Cluster::restore`].
    pub fn snapshot(&self) -> Vec<u8> {
        let answer = self.ask_leader("GET", "/v1/snapshot", b"").expect("Consul does not answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.body
    }

    /// Puts a snapshot in the place of everything.
    pub fn restore(&self, snapshot: &[u8]) {
        let addr = lock(&self.servers[self.leader()]).addr();
        let headers: Vec<_> = self.token.iter().map(|token| ("X-Consul-Token", *token)).collect();
        let answer = request(addr, "PUT", "/v1/snapshot", &headers, snapshot);
        let answer = answer.expect("Consul does not answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Creates or replaces a policy, by its name.
    pub fn set_policy(&self, name: &str, rules: &str) {
        acl::set_policy(&|m, t, b| self.ask_leader(m, t, b), name, rules);
    }

    /// Creates a token with this secret and these policies, known to every server on return.
    pub fn create_token(&self, secret: &str, policies: &[&str]) {
        acl::create_token(&|m, t, b| self.ask_leader(m, t, b), Some(secret), policies);
        let headers = [("X-Consul-Token", secret)];
        for addr in self.addrs() {
            eventually("the new token is known everywhere", START, || {
                let target = "/v1/acl/token/self?stale";
                let answer = request(addr, "GET", target, &headers, b"").ok()?;
                (answer.status == 200).then_some(())
            });
        }
    }

    /// Deletes a token by its secret.
    pub fn delete_token(&self, secret: &str) {
        acl::delete_token(&|m, t, b| self.ask_leader(m, t, b), secret);
    }

    fn ask_leader(&self, method: &str, target: &str, body: &[u8]) -> io::Result<Answer> {
        self.ask(self.leader(), method, target, body)
    }
}
