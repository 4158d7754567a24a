//! Three real servers behind gates, and what each has done.

use std::fs;
use std::net::SocketAddr;
use std::ops::{Add, Sub};
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::gate::{Asked, Counts, Gate, Traffic};
use crate::consul::Cluster;
use crate::marked::{token, value};
use crate::wait::eventually;

/// How many; a quorum is two.
pub const SERVERS: usize = 3;
/// What all sidecars mirror.
pub const PREFIX: &str = "fleet";
/// Over so many directories.
const DIRECTORIES: usize = 24;
/// Bytes of each value.
const VALUE: usize = 1024;
/// An election on a busy machine.
const BACK: Duration = Duration::from_secs(60);

/// The cluster.
pub struct Servers {
    cluster: Cluster,
    gates: Vec<Gate>,
    keys: usize,
    /// What processes have used that were killed since.
    gone: Mutex<Vec<Used>>,
}

/// What one server's process has used, as the kernel counts it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// All threads' time, in ticks of 10 ms.
    pub cpu: Duration,
    /// Bytes that it wrote: answers, what it passed on to other servers, its log of changes.
    pub sent: u64,
}

/// What one server has done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    /// By the kernel.
    pub used: Used,
    /// By the gate.
    pub counts: Counts,
}

// === impl Servers ===

impl Servers {
    /// Starts them and fills the prefix with so many keys.
    pub fn start(keys: usize) -> Self {
        let cluster = Cluster::start_for_many(SERVERS);
        let gates = cluster.addrs().into_iter().map(Gate::before).collect();
        let gone = Mutex::new(vec![Used::default(); SERVERS]);
        let servers = Self { cluster, gates, keys, gone };
        servers.fill();
        servers
    }

    fn fill(&self) {
        // A transaction takes 64 operations at most.
        for some in (0..self.keys).collect::<Vec<_>>().chunks(64) {
            let set = |key: &usize| {
                let value = STANDARD.encode(value(&token(), VALUE));
                json!({"KV": {"Verb": "set", "Key": format!("{PREFIX}/{}", path(*key)), "Value": value}})
            };
            let all: serde_json::Value = some.iter().map(set).collect();
            self.put("/v1/txn", all.to_string().as_bytes());
        }
    }

    fn put(&self, target: &str, body: &[u8]) {
        eventually("the leader takes a write", BACK, || {
            let answer = self.cluster.ask(self.leader(), "PUT", target, body).ok()?;
            (answer.status == 200).then_some(())
        });
    }

    /// Writes one key anew. Returns its path and what its value begins with.
    pub fn change(&self) -> (String, String) {
        let (path, token) = (path(fastrand::usize(..self.keys)), token());
        self.put(&format!("/v1/kv/{PREFIX}/{path}"), &value(&token, VALUE));
        (path, token)
    }

    /// Where sidecars ask each of them.
    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.gates.iter().map(Gate::addr).collect()
    }

    /// Which of them leads.
    pub fn leader(&self) -> usize {
        self.cluster.leader()
    }

    /// Ends all of them without warning.
    pub fn kill(&self) {
        let mut gone = self.gone.lock().expect("nobody panics with it");
        for (position, gate) in self.gates.iter().enumerate() {
            gone[position] = gone[position] + self.used(position);
            gate.close();
            self.cluster.kill(position);
        }
    }

    /// Starts all of them again, with their data; the gates stay closed.
    pub fn restart(&self) {
        (0..SERVERS).for_each(|position| self.cluster.restart(position));
        for addr in self.cluster.addrs() {
            eventually("it listens", BACK, || std::net::TcpStream::connect(addr).ok());
        }
    }

    /// Waits until they have a leader and take writes.
    pub fn wait_writable(&self) {
        self.cluster.wait_writable();
    }

    /// Opens all gates.
    pub fn open(&self) {
        self.gates.iter().for_each(Gate::open);
    }

    /// What each has done until now.
    pub fn done(&self) -> Vec<Done> {
        let gone = self.gone.lock().expect("nobody panics with it");
        let done = |(position, gate): (usize, &Gate)| Done {
            used: gone[position] + self.used(position),
            counts: gate.counts(),
        };
        self.gates.iter().enumerate().map(done).collect()
    }

    fn used(&self, position: usize) -> Used {
        let read = |pid: u32| {
            let file = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
            let (stat, io) = (file("stat")?, file("io")?);
            // After the name, which is in brackets: user and system time are the 12th and 13th.
            let times = stat.rsplit(')').next()?.split_whitespace().skip(11).take(2);
            let ticks: u64 = times.filter_map(|time| time.parse::<u64>().ok()).sum();
            let sent = io.lines().find_map(|line| line.strip_prefix("wchar: "))?.parse().ok()?;
            Some(Used { cpu: Duration::from_millis(ticks * 10), sent })
        };
        self.cluster.pid(position).and_then(read).unwrap_or_default()
    }
}

// === impl Done ===

impl Done {
    /// Questions of all kinds, and the bytes of their answers.
    pub fn asked(&self) -> Traffic {
        self.counts.iter().fold(Traffic::default(), |sum, traffic| sum + *traffic)
    }

    /// Of one kind.
    pub fn of(&self, what: Asked) -> Traffic {
        self.counts[what as usize]
    }
}

impl Add for Used {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu, sent: self.sent + other.sent }
    }
}

impl Sub for Done {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        let used = Used {
            cpu: self.used.cpu.saturating_sub(before.used.cpu),
            sent: self.used.sent.saturating_sub(before.used.sent),
        };
        Self { used, counts: std::array::from_fn(|at| self.counts[at] - before.counts[at]) }
    }
}

impl Add for Done {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let counts = std::array::from_fn(|at| self.counts[at] + other.counts[at]);
        Self { used: self.used + other.used, counts }
    }
}

fn path(key: usize) -> String {
    format!("d{:02}/k{key:04}", key % DIRECTORIES)
}
