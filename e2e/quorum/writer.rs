//! The writer: one state of the whole prefix after another, each by one transaction that can happen
//! only once, through whichever server takes it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::history::{Files, History, LABEL};
use crate::consul::Cluster;
use crate::consul::http::{Answer, request_within};

/// The two prefixes that hold the same states: one is watched whole, the other by the doorbell,
/// because a key of its own makes it large.
pub const PREFIXES: [&str; 2] = ["small", "large"];
/// That key.
pub const PAD: &str = "pad";
/// Its size; above what is watched whole.
pub const PAD_BYTES: usize = 60 * 1024;

/// How long a server may take to acknowledge a write; a frozen one never does.
const PATIENCE: Duration = Duration::from_secs(3);
/// Keys that come and go: so many are there at a time.
const PASSING: usize = 8;
/// Keys that stay; each write changes one of them.
const STAYING: u64 = 16;

/// Puts states. What it has put is in the history before anybody can see it.
pub struct Writer {
    history: Arc<History>,
    addrs: Vec<SocketAddr>,
    /// The address that answered last.
    at: usize,
    /// Restores so far: a state after one is never taken for one before.
    epoch: u32,
    number: u64,
    /// What the next state is made from.
    files: Files,
    /// What the store holds; less than that after a wipe.
    stored: Files,
    /// `ModifyIndex` of the label as it is now: the transaction's condition.
    index: u64,
    /// The state that is put and not yet acknowledged.
    pending: Option<Files>,
    /// Writes that were acknowledged.
    pub acknowledged: u64,
}

// === impl Writer ===

impl Writer {
    /// A writer for an empty store.
    pub fn new(cluster: &Cluster, history: Arc<History>) -> Self {
        Self {
            history,
            addrs: cluster.addrs(),
            at: 0,
            epoch: 0,
            number: 0,
            files: Files::new(),
            stored: Files::new(),
            index: 0,
            pending: None,
            acknowledged: 0,
        }
    }

    /// One attempt to put the next state, or the one that is still pending.
    pub fn attempt(&mut self) {
        let files = match self.pending.take() {
            Some(files) => files,
            None => {
                let next = self.next();
                self.history.intend(next.clone());
                next
            }
        };
        match self.put(&files) {
            Some(index) => {
                (self.index, self.stored, self.files) = (index, files.clone(), files);
                self.history.acknowledge(index);
                self.acknowledged += 1;
            }
            None => self.pending = Some(files),
        }
    }

    /// Puts states until there is every key that there ever is at a time.
    pub fn fill(&mut self) {
        while self.number < STAYING {
            self.attempt();
        }
        self.settle();
    }

    /// Attempts until nothing is pending. Needs a cluster that takes writes.
    pub fn settle(&mut self) {
        while self.pending.is_some() {
            self.attempt();
        }
    }

    /// The last acknowledged state and its index, to come back to by [`Writer::rewind`].
    pub fn mark(&mut self) -> (Files, u64) {
        self.settle();
        (self.files.clone(), self.index)
    }

    /// The store was put back to what it was at this mark.
    pub fn rewind(&mut self, (files, index): (Files, u64)) {
        assert!(self.pending.is_none(), "a write is still under way");
        self.epoch += 1;
        self.history.intend(files.clone());
        self.history.acknowledge(index);
        (self.index, self.stored, self.files) = (index, files.clone(), files);
    }

    /// The store has lost the keys of these paths; the next state brings them back.
    pub fn lost(&mut self, is: impl Fn(&str) -> bool) {
        assert!(self.pending.is_none(), "a write is still under way");
        self.epoch += 1;
        if is(LABEL) {
            self.index = 0;
        }
        self.stored.retain(|path, _| !is(path));
    }

    fn next(&mut self) -> Files {
        self.number += 1;
        let number = self.number;
        let value = format!("{}.{number}", self.epoch).into_bytes();
        let mut files = self.files.clone();
        files.insert("passing/".to_owned(), Vec::new());
        files.insert(LABEL.to_owned(), value.clone());
        files.insert(format!("k{}", number % STAYING), value.clone());
        files.insert(format!("passing/{number:06}"), value);
        let passing: Vec<_> = files.keys().filter(|path| path.starts_with("passing/0")).collect();
        let oldest = passing[0].clone();
        if passing.len() > PASSING {
            files.remove(&oldest);
        }
        files
    }

    /// The transaction that makes these files of the last ones; the index at which it happened.
    fn put(&mut self, files: &Files) -> Option<u64> {
        let ops: Vec<Value> = PREFIXES.iter().flat_map(|p| self.operations(p, files)).collect();
        let body = json!(ops).to_string();
        let answer = self.ask("PUT", "/v1/txn", body.as_bytes());
        if let Some(answer) = answer.filter(|answer| answer.status == 200) {
            return answer.json()?["Results"][0]["KV"]["ModifyIndex"].as_u64();
        }
        // Refused, or nobody knows: Consul is asked whether it has happened.
        let target = format!("/v1/kv/{}/{LABEL}?consistent", PREFIXES[0]);
        let answer = self.ask("GET", &target, b"").filter(|answer| answer.status == 200)?;
        let entry = &answer.json()?[0];
        let value = STANDARD.decode(entry["Value"].as_str()?).ok()?;
        let index = entry["ModifyIndex"].as_u64()?;
        if files.get(LABEL) == Some(&value) {
            return Some(index);
        }
        assert_eq!(self.stored.get(LABEL), Some(&value), "somebody else writes, or Consul forgot");
        self.index = index;
        None
    }

    /// One prefix's part. The condition on the label makes a late or a repeated copy fail.
    fn operations(&self, prefix: &str, files: &Files) -> Vec<Value> {
        let op = |verb: &str, path: &str, value: &[u8], index: u64| {
            json!({"KV": {
                "Verb": verb, "Key": format!("{prefix}/{path}"),
                "Value": STANDARD.encode(value), "Index": index,
            }})
        };
        let is_new = |path: &&String| self.stored.get(*path) != files.get(*path);
        let set = files.iter().filter(|(path, _)| !path.ends_with('/') && *path != LABEL);
        let set = set.filter(|(path, _)| is_new(path)).map(|(path, v)| op("set", path, v, 0));
        let gone = self.stored.keys().filter(|path| !files.contains_key(*path));
        let gone = gone.filter(|p| !p.ends_with('/')).map(|path| op("delete", path, b"", 0));
        let first = op("cas", LABEL, &files[LABEL], self.index);
        std::iter::once(first).chain(set).chain(gone).collect()
    }

    fn ask(&mut self, method: &str, target: &str, body: &[u8]) -> Option<Answer> {
        let headers = [("X-Consul-Token", Cluster::MANAGEMENT)];
        let addr = self.addrs[self.at % self.addrs.len()];
        let answer = request_within(PATIENCE, addr, method, target, &headers, body);
        // Refused by a condition is an answer; anything else may be better elsewhere.
        match answer {
            Ok(answer) if matches!(answer.status, 200 | 409) => Some(answer),
            _ => {
                self.at += 1;
                None
            }
        }
    }
}
