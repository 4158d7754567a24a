//! Which question a request is, and its answer.

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Method, Request};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::answer::Answer;
use super::faults::Fault;
use super::handle::{KvHandle, Wake};
use super::read::Query;
use super::request::{BadTarget, Target, go_uint};
use super::{json, snapshot};
use crate::demo::kv::Put;
use crate::demo::kv::txn::{self, Op};

/// Consul's default limit for a value and for a transaction, when the length is announced.
const MAX_BODY: u64 = 512 * 1024;
/// What a body without announced length may have; Consul has no limit there.
const MAX_CHUNKED: usize = 64 * 1024 * 1024;

const READ_WRITE: &str = "OPTIONS,GET,PUT,DELETE";

/// One request, taken apart.
struct Asked<'a> {
    method: Method,
    target: Target,
    length: Option<u64>,
    body: Body,
    kv: &'a KvHandle,
    faults: &'a [Fault],
}

/// Answers one request.
pub(super) async fn answer(
    kv: &KvHandle,
    leader: &str,
    request: Request<Body>,
    faults: &[Fault],
) -> Answer {
    let (head, body) = request.into_parts();
    let target = match Target::parse(head.uri.path(), head.uri.query()) {
        Ok(target) => target,
        Err(BadTarget::Path) => return Answer::text(400, "400 Bad Request"),
        Err(BadTarget::Query) => return Answer::empty(500),
    };
    let length = head.headers.get("content-length").and_then(|v| v.to_str().ok()?.parse().ok());
    if target.unprintable() {
        return Answer::bare(400);
    }
    if let Some(location) = target.redirect() {
        return moved(&head.method, &location);
    }
    let asked = Asked { method: head.method, target, length, body, kv, faults };
    asked.answer(leader).await
}

fn moved(method: &Method, location: &str) -> Answer {
    let answer = Answer::bare(301).header("Location", location);
    if !matches!(*method, Method::GET | Method::HEAD) {
        return answer;
    }
    let shown = location.replace('&', "&amp;");
    answer
        .header("Content-Type", "text/html; charset=utf-8")
        .body(format!("<a href=\"{shown}\">Moved Permanently</a>.\n\n"))
}

fn allowed(method: &Method, allow: &str) -> Result<(), Answer> {
    match method.as_str() {
        "OPTIONS" => Err(Answer::empty(200).header("Allow", allow)),
        method if allow.split(',').any(|allowed| allowed == method) => Ok(()),
        method => {
            Err(Answer::text(405, format!("method {method} not allowed")).header("Allow", allow))
        }
    }
}

// === impl Asked ===

impl Asked<'_> {
    async fn answer(self, leader: &str) -> Answer {
        let path = String::from_utf8_lossy(&self.target.path).into_owned();
        let allow = match path.as_str() {
            path if path.starts_with("/v1/kv/") => READ_WRITE,
            "/v1/txn" | "/v1/session/create" => "OPTIONS,PUT",
            path if path.starts_with("/v1/session/destroy/") => "OPTIONS,PUT",
            "/v1/status/leader" => "OPTIONS,GET",
            "/v1/snapshot" => "OPTIONS,GET,PUT",
            "/v1/internal/acl/authorize" => "OPTIONS,POST",
            _ => return Answer::bare(404),
        };
        let answered = match allowed(&self.method, allow) {
            Err(answer) => Err(answer),
            Ok(()) => match path.as_str() {
                "/v1/txn" => self.transact().await,
                "/v1/status/leader" => Ok(Answer::json(200, format!("\"{leader}\""))),
                "/v1/snapshot" => self.snapshot().await,
                "/v1/internal/acl/authorize" => self.authorize().await,
                "/v1/session/create" => Ok(self.create_session()),
                path if path.starts_with("/v1/session/") => self.destroy_session(path),
                _ => self.key_value().await,
            },
        };
        answered.unwrap_or_else(|refused| refused)
    }

    async fn key_value(self) -> Result<Answer, Answer> {
        self.check_options()?;
        match self.method {
            Method::GET => self.read().await,
            Method::PUT => self.write().await,
            _ => self.delete(),
        }
    }

    fn check_options(&self) -> Result<(), Answer> {
        let target = &self.target;
        if target.has("ns") {
            let text = "Bad request: Invalid query parameter: \"ns\" - Namespaces are a Consul \
                        Enterprise feature";
            return Err(Answer::text(400, text));
        }
        for weak in ["stale", "cached"] {
            if target.has(weak) && target.has("consistent") {
                let text =
                    format!("Cannot specify ?{weak} with ?consistent, conflicting semantics.");
                return Err(Answer::text(400, text));
            }
        }
        target.blocking().map_err(|text| Answer::text(400, text))?;
        match target.get("dc") {
            b"" | b"dc1" => Ok(()),
            _ => Err(Answer::text(500, "No path to datacenter")),
        }
    }

    fn key(&self) -> &[u8] {
        self.target.path.strip_prefix(b"/v1/kv/").unwrap_or_default()
    }

    fn named_key(&self) -> Result<Vec<u8>, Answer> {
        match self.key() {
            b"" => Err(Answer::text(400, "Missing key name")),
            key => Ok(key.to_vec()),
        }
    }

    fn no_conflict(&self, names: &[&str]) -> Result<(), Answer> {
        if names.iter().filter(|name| self.target.has(name)).count() < 2 {
            return Ok(());
        }
        let text = format!("Conflicting flags: {}", self.target.canonical_query());
        Err(Answer::text(400, text))
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Answer> {
        match self.target.has(name) {
            false => Ok(None),
            true => {
                go_uint(&self.target.text(name)).map(Some).map_err(|text| Answer::text(500, text))
            }
        }
    }

    fn query(&self) -> Result<Query, Answer> {
        let key = self.key().to_vec();
        if self.target.has("keys") {
            let separators = [self.target.get("separator"), self.target.get("seperator")];
            let separator = separators.into_iter().find(|separator| !separator.is_empty());
            let separator = separator.unwrap_or_default().to_vec();
            return Ok(Query::Keys { prefix: key, separator });
        }
        if self.target.has("recurse") {
            return Ok(Query::List { prefix: key });
        }
        let (key, raw) = (self.named_key()?, self.target.has("raw"));
        Ok(Query::One { key, raw })
    }

    /// Answers a GET, when it is news or when the wait is over.
    async fn read(self) -> Result<Answer, Answer> {
        let query = self.query()?;
        let hidden = self.faults.contains(&Fault::HideKeys);
        if hidden && matches!(query, Query::One { .. }) {
            return Err(Answer::text(403, "Permission denied"));
        }
        let (index, wait) = self.target.blocking().map_err(|text| Answer::text(400, text))?;
        let wait = wait + wait.mul_f64(fastrand::f64() / 16.0);
        let until = tokio::time::Instant::now() + wait;
        loop {
            let (seen, sleep) = self.kv.query(|kv| {
                let seen = query.look(kv, hidden);
                let region = seen.is_known_at(index).then(|| query.region(kv));
                (seen, region)
            });
            let Some(woken) = sleep else {
                return Ok(seen.answer());
            };
            match tokio::time::timeout_at(until, woken).await {
                Ok(Ok(Wake::Changed)) => {}
                Ok(Ok(Wake::Abandoned) | Err(_)) | Err(_) => return Ok(seen.answer()),
            }
        }
    }

    async fn write(mut self) -> Result<Answer, Answer> {
        let key = self.named_key()?;
        self.no_conflict(&["acquire", "cas", "release"])?;
        let flags = self.number("flags")?.unwrap_or(0);
        let cas = self.number("cas")?;
        let value = self.take_body("kv_max_value_size").await?.to_vec();
        let put = Put { value, flags };
        let target = &self.target;
        let (acquire, release) = (target.text("acquire"), target.text("release"));
        let stored = self.kv.change(|kv| {
            if target.has("acquire") {
                return kv.acquire(&key, put, &acquire);
            }
            Ok(match cas {
                _ if target.has("release") => kv.release(&key, put, &release),
                Some(index) => kv.put_cas(&key, put, index),
                None => {
                    kv.put(&key, put);
                    true
                }
            })
        });
        match stored {
            Ok(stored) => Ok(Answer::json(200, stored.to_string())),
            Err(error) => Err(Answer::text(500, error.to_string())),
        }
    }

    fn delete(&self) -> Result<Answer, Answer> {
        self.no_conflict(&["cas", "recurse"])?;
        let recurse = self.target.has("recurse");
        let key = if recurse { self.key().to_vec() } else { self.named_key()? };
        let cas = self.number("cas")?;
        let deleted = self.kv.change(|kv| match cas {
            _ if recurse => {
                kv.delete_recurse(&key);
                true
            }
            Some(index) => kv.delete_cas(&key, index),
            None => {
                kv.delete(&key);
                true
            }
        });
        Ok(Answer::json(200, deleted.to_string()))
    }

    async fn transact(mut self) -> Result<Answer, Answer> {
        let body = self.take_body("txn_max_req_len").await?;
        let broken = |text: String| Answer::text(400, format!("Failed to parse body: {text}"));
        let ops = operations(&body).map_err(broken)?;
        if ops.len() > txn::MAX_OPS {
            let (count, most) = (ops.len(), txn::MAX_OPS);
            let text = format!("Transaction contains too many operations ({count} > {most})");
            return Err(Answer::text(413, text));
        }
        let read_only = txn::reads_only(&ops);
        let mut outcome = self.kv.transact(&ops);
        if let (Ok(lines), true) = (&mut outcome, self.faults.contains(&Fault::HideKeys)) {
            lines.clear();
        }
        let status = if outcome.is_ok() { 200 } else { 409 };
        let answer = Answer::json(status, json::transaction(&outcome, read_only));
        Ok(if read_only { answer.leader_known() } else { answer })
    }

    async fn snapshot(mut self) -> Result<Answer, Answer> {
        if self.method == Method::GET {
            let kv = self.kv.snapshot();
            let answer = Answer::empty(200).header("Content-Type", "application/x-gzip");
            return Ok(answer.at_index(kv.table_index()).body(snapshot::encode(&kv)));
        }
        let body = self.take_chunked().await?;
        match snapshot::decode(&body) {
            Ok(kv) => self.kv.restore(&kv),
            Err(error) => {
                let text = format!("failed to decompress snapshot: {error}");
                return Err(Answer::text(500, text));
            }
        }
        Ok(Answer::empty(200))
    }

    async fn authorize(mut self) -> Result<Answer, Answer> {
        let body = self.take_chunked().await?;
        let broken = |error: serde_json::Error| {
            Answer::text(400, format!("Failed to decode request body: {error}"))
        };
        let mut questions: Vec<serde_json::Map<String, Value>> =
            serde_json::from_slice(&body).map_err(broken)?;
        let allow = !self.faults.contains(&Fault::DenyAuthorize);
        for question in &mut questions {
            question.insert("Allow".to_owned(), Value::Bool(allow));
        }
        Ok(Answer::json(200, serde_json::json!(questions).to_string()))
    }

    fn create_session(&self) -> Answer {
        let (a, b) = (fastrand::u64(..), fastrand::u64(..));
        let id = format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xffff,
            b >> 48,
            b & 0xffff_ffff_ffff
        );
        self.kv.change(|kv| kv.create_session(&id));
        Answer::json(200, format!("{{\"ID\":\"{id}\"}}"))
    }

    fn destroy_session(&self, path: &str) -> Result<Answer, Answer> {
        let id = path.trim_start_matches("/v1/session/destroy/");
        self.kv.change(|kv| kv.destroy_session(id));
        Ok(Answer::json(200, "true"))
    }

    async fn take_body(&mut self, limit_name: &str) -> Result<Bytes, Answer> {
        match self.length {
            Some(length) if length > MAX_BODY => Err(Answer::text(
                413,
                format!(
                    "Request body({length} bytes) too large, max size: {MAX_BODY} bytes. \
                     See https://www.consul.io/docs/agent/options.html#{limit_name}."
                ),
            )
            .header("Connection", "close")),
            _ => self.take_chunked().await,
        }
    }

    async fn take_chunked(&mut self) -> Result<Bytes, Answer> {
        let body = std::mem::take(&mut self.body);
        to_bytes(body, MAX_CHUNKED).await.map_err(|error| Answer::text(500, error.to_string()))
    }
}

/// The key-value operations of a transaction's body; others are passed over. Field names are
/// matched without regard to case, as Go does.
fn operations(body: &[u8]) -> Result<Vec<Op>, String> {
    let parsed: Option<Vec<Value>> =
        serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let fields = parsed.unwrap_or_default();
    fields.iter().filter_map(|op| field(op, "KV")).map(operation).collect()
}

fn field<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    let named = |(key, _): &(&String, &Value)| key.eq_ignore_ascii_case(name);
    object.as_object()?.iter().find(named).map(|(_, value)| value).filter(|v| !v.is_null())
}

fn operation(kv: &Value) -> Result<Op, String> {
    let text = |name| match field(kv, name) {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(format!("{name}: not a string: {other}")),
    };
    let number = |name| match field(kv, name) {
        None => Ok(0),
        Some(value) => value.as_u64().ok_or_else(|| format!("{name}: not an index: {value}")),
    };
    Ok(Op {
        verb: text("Verb")?,
        key: text("Key")?.into_bytes(),
        value: STANDARD.decode(text("Value")?).map_err(|error| error.to_string())?,
        flags: number("Flags")?,
        index: number("Index")?,
    })
}
