//! The client: one function per question put to Consul.
//!
//! Each mechanism has a client of its own, so that none can exhaust or stall another's connections,
//! and names itself in the User-Agent. What is left out is left out on purpose: redirects (Consul
//! cleans odd paths by redirecting to *another key*, and the token would travel along), compression
//! (the largest cost there is on Consul's side), HTTP/2, and proxies from the environment.

mod addresses;
pub mod auth;
pub mod error;
pub mod files;
mod health;
pub mod login;
pub mod session;
pub mod tls;
pub mod transaction;
pub mod wire;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};
use serde_json::json;

use crate::config;
use crate::metrics::{Id, Metrics};
use crate::model::follow::Bell;
use crate::model::moment::Moment;
use crate::model::percent;
use crate::model::reading::{Mode, Reading};
use crate::model::reads::{Reads, Right};
use crate::model::snapshot::Snapshot;
use crate::sys;
use crate::units::consul_wait;

use addresses::{Http, To};
use error::{Error, Kind};
use session::Session;
use wire::{Caps, Decoder, Malformed, Names};

/// How long a name lookup and a TCP handshake may take together.
const CONNECT: Duration = Duration::from_secs(3);
/// How long Consul may take to start an answer that it need not block for. A server without a leader
/// needs 7 to 11 s to say so.
const ANSWER: Duration = Duration::from_secs(15);
/// Inside a body, so much must come in each such time: what comes a byte at a time is not an answer,
/// and a watch that waited for the rest of it would be as good as dead.
const PROGRESS: (u64, Duration) = (10 * 1024, Duration::from_secs(10));
/// The longest body.
const BODY: Duration = Duration::from_secs(60);
/// What Consul adds to a blocking query: up to a sixteenth of jitter, 7 s of holding for a leader.
const HOLD: Duration = Duration::from_secs(7);
/// For the network, on top of that.
const MARGIN: Duration = Duration::from_secs(3);

/// A client for one mechanism, or for the login.
pub struct Client {
    settings: config::Consul,
    auth: auth::Auth,
    agent: String,
    name: &'static str,
    metrics: Arc<Metrics>,
    http: Mutex<Http>,
}

/// A question for everything under a prefix, or for the instances of a service.
#[derive(Clone, Copy)]
pub struct List<'a> {
    /// Which.
    pub reads: &'a Reads,
    /// The consistency.
    pub mode: Mode,
    /// Block until the index is above this one, for at most this long.
    pub block: Option<(u64, Duration)>,
    /// Entries equal to those of this snapshot are shared with it.
    pub previous: Option<&'a Snapshot>,
    /// How large the answer may be.
    pub caps: Caps,
}

/// A completed list.
#[derive(Debug)]
pub struct Listed {
    /// The content.
    pub reading: Reading,
    /// Body bytes on the wire.
    pub size: u64,
    /// From request to the first byte of the answer.
    pub elapsed: Duration,
}

/// A completed doorbell question.
#[derive(Debug)]
pub struct Rung {
    /// What it says.
    pub bell: Bell,
    /// When it was asked.
    pub sent: Moment,
    /// Consul's clock, seconds since 1970.
    pub date: i64,
}

/// How long the answer to a blocking query may take before the connection is given up.
pub fn blocking_deadline(wait: Duration) -> Duration {
    wait + wait / 16 + HOLD + MARGIN
}

// === impl Client ===

impl Client {
    /// A client that calls itself `seedcar/<version> (<name>)`; `name` is a word from a closed list, that
    /// of a mechanism or `login`, and the metrics' label.
    pub fn new(
        settings: &config::Consul,
        token: &config::Token,
        session: &Arc<Session>,
        name: &'static str,
        metrics: Arc<Metrics>,
    ) -> Self {
        let agent = format!("seedcar/{} ({name})", env!("CARGO_PKG_VERSION"));
        let client = Self {
            settings: settings.clone(),
            auth: auth::Auth::new(token.clone(), settings.auth.clone(), session.clone()),
            agent,
            name,
            metrics,
            http: Mutex::new(Http::new()),
        };
        // The certificates that there are now, so that there is something to go on with when half of
        // them is replaced. What is wrong with them is told when somebody asks.
        let _ = client.client(To::Usual);
        client
    }

    /// Everything under a prefix (`GET /v1/kv/<prefix>?recurse`), or the instances of a service
    /// (`GET /v1/health/service/<name>`).
    pub async fn list(&self, ask: List<'_>) -> Result<Listed, Error> {
        let sent = sys::now();
        let answer = self.list_inner(&ask, sent).await;
        let found = answer.as_ref().map(|listed| listed.reading.snapshot.keys() > 0);
        self.ended(To::of(ask.mode), found);
        if answer.as_ref().is_ok_and(|listed| ask.is_behind(listed)) {
            self.next_address(To::Any);
        }
        if ask.block.is_none() && answer.is_ok() {
            self.metrics.observe(Id::ConsulDuration, &[], sys::now().since(sent));
        }
        answer
    }

    /// The doorbell (`?keys&separator=/`): the same index as the list, in a fraction of its size. Of a
    /// service Consul has none: there it is the list, of which only a hash is kept.
    pub async fn doorbell(
        &self,
        reads: &Reads,
        block: Option<(u64, Duration)>,
        caps: Caps,
    ) -> Result<Rung, Error> {
        let prefix = match reads {
            Reads::Keys(prefix) => prefix.as_str(),
            Reads::Service(_) => {
                let ask = List { reads, mode: Mode::Default, block, previous: None, caps };
                return Ok(Rung::from(&self.list(ask).await?));
            }
        };
        let answer = self.doorbell_inner(prefix, block, caps).await;
        self.ended(To::Usual, answer.as_ref().map(|rung| rung.bell.found));
        answer
    }

    /// Whether the token may read each of these (`POST /v1/internal/acl/authorize`), as far as Consul
    /// says: tells "denied" from "gone" where a list says the same of both.
    pub async fn may_read(&self, rights: &[Right<'_>]) -> Option<bool> {
        let ask = |right: &Right<'_>| json!({"Resource": right.resource, "Access": "read", "Segment": right.segment});
        let ask: serde_json::Value = rights.iter().map(ask).collect();
        let path = format!("/v1/internal/acl/authorize?{}", self.scope());
        let answer =
            self.request(&path, Some((Method::POST, ask.to_string())), ANSWER).await.ok()?;
        let body = body(answer, 1024 * 1024).await.ok()?;
        let said: Vec<serde_json::Value> = serde_json::from_slice(&body).ok()?;
        let allowed = |of: &serde_json::Value| of.get("Allow")?.as_bool();
        let all: Option<Vec<bool>> = said.iter().map(allowed).collect();
        all.filter(|all| !all.is_empty()).map(|all| all.into_iter().all(|allowed| allowed))
    }

    async fn list_inner(&self, ask: &List<'_>, sent: Moment) -> Result<Listed, Error> {
        let path = format!("{}{}", ask.question(), self.scope());
        let started = Instant::now();
        let to = To::of(ask.mode);
        let answer = self.request_of(to, &self.auth, &path, None, deadline(ask.block)).await?;
        let elapsed = started.elapsed();
        let head = Head::of(&answer)?;
        let (snapshot, size) = match answer.status() {
            // Of a service that nobody has registered Consul says 200.
            StatusCode::NOT_FOUND if ask.reads.service().is_some() => {
                let text = "HTTP 404: whoever answers knows no services".to_owned();
                return Err(Error::new(Kind::BadRequest, text));
            }
            StatusCode::NOT_FOUND => (Snapshot::empty(head.index), 0),
            _ => decode(answer, ask, head.index).await?,
        };
        let reading = Reading {
            snapshot: Arc::new(snapshot),
            sent,
            answered: sys::now(),
            date: head.date,
            mode: ask.mode,
            filtered: head.filtered,
            hides: false,
            joint: None,
        };
        Ok(Listed { reading, size, elapsed })
    }

    async fn doorbell_inner(
        &self,
        prefix: &str,
        block: Option<(u64, Duration)>,
        caps: Caps,
    ) -> Result<Rung, Error> {
        let (prefix, blocking) = (percent::path(prefix), blocking(block));
        let path = format!("/v1/kv/{prefix}?keys&separator=/{blocking}{}", self.scope());
        let (sent, started) = (sys::now(), Instant::now());
        let answer = self.request(&path, None, deadline(block)).await?;
        let elapsed = started.elapsed();
        let head = Head::of(&answer)?;
        let ((count, names), size) = match answer.status() {
            StatusCode::NOT_FOUND => ((0, 0), 0),
            _ => list_names(answer, caps).await?,
        };
        // The root of an empty store answers 200 with an empty list.
        let bell = Bell { index: head.index, elapsed, size, names, found: count > 0 };
        Ok(Rung { bell, sent, date: head.date })
    }

    /// One request by the configured token.
    async fn request(
        &self,
        path: &str,
        body: Option<(Method, String)>,
        within: Duration,
    ) -> Result<Response, Error> {
        self.request_by(&self.auth, path, body, within).await
    }

    /// One request by this token.
    async fn request_by(
        &self,
        auth: &auth::Auth,
        path: &str,
        body: Option<(Method, String)>,
        within: Duration,
    ) -> Result<Response, Error> {
        self.request_of(To::Usual, auth, path, body, within).await
    }

    /// One request: of the address for such questions first, of the others where it cannot be reached.
    async fn request_of(
        &self,
        to: To,
        auth: &auth::Auth,
        path: &str,
        body: Option<(Method, String)>,
        within: Duration,
    ) -> Result<Response, Error> {
        let mut last = None;
        for _ in 0..self.settings.addresses.len() {
            let (client, base) = self.client(to)?;
            let url = format!("{base}{path}");
            let request = match &body {
                None => client.get(url),
                Some((method, body)) => client.request(method.clone(), url).body(body.clone()),
            };
            let (request, signature) = auth.apply(request).await?;
            let sent = tokio::time::timeout(within, request.send()).await;
            let failure = match sent {
                Ok(Ok(answer)) => match Error::of_status(answer, &signature).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => {
                        if error.kind == Kind::Denied {
                            auth.denied(&signature);
                        }
                        self.explained(error)
                    }
                },
                Ok(Err(error)) => self.explained(Error::of_transport(error)),
                Err(_) => Error::new(Kind::Timeout, format!("no answer within {within:.0?}")),
            };
            // Only an address that cannot be reached is worth trying the next one at once: it costs
            // nothing. An answer, or the lack of one, has already cost its time.
            if failure.kind != Kind::Connect {
                return Err(failure);
            }
            self.next_address(to);
            last = Some(failure);
        }
        Err(last.unwrap_or_else(|| Error::new(Kind::Connect, "no Consul address".to_owned())))
    }

    /// The client and base URL of the address to ask, built anew if certificates have changed.
    fn client(&self, to: To) -> Result<(reqwest::Client, String), Error> {
        let mut http = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = tls::Stamp::of(&self.settings);
        if http.stamp.as_ref() != Some(&stamp) {
            let build = |address| tls::build(address, &self.settings.tls, &self.agent, CONNECT);
            let build = |address| Ok((build(address)?, tls::base_url(address, &self.settings.tls)));
            let built = self.settings.addresses.iter().map(build).collect::<Result<_, _>>();
            http.replace(built, stamp).map_err(|text| Error::new(Kind::Tls, text))?;
        }
        Ok(http.chosen(to))
    }

    fn next_address(&self, from: To) {
        self.http.lock().unwrap_or_else(PoisonError::into_inner).leave(from);
    }

    /// Datacenter, namespace and partition, sent only when set: an open-source Consul refuses even
    /// `ns=default`.
    fn scope(&self) -> String {
        let settings = &self.settings;
        let named = [
            ("dc", &settings.datacenter),
            ("ns", &settings.namespace),
            ("partition", &settings.partition),
        ];
        let set = named.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        set.map(|(name, value)| format!("&{name}={}", percent::path(value))).collect()
    }

    /// Consul does not say which datacenter it has no path to, and 500 looks like an outage. TLS does
    /// not say which file it has read.
    fn explained(&self, mut error: Error) -> Error {
        if error.kind == Kind::Tls {
            error.text += &tls::hint(&error.text, &self.settings.tls);
        }
        if let Some(name) = &self.settings.datacenter
            && error.text.contains("No path to datacenter")
        {
            error.text += &format!("; is there a datacenter {name}?");
        }
        error
    }

    fn ended(&self, to: To, outcome: Result<bool, &Error>) {
        let word = match outcome {
            Ok(true) => "ok",
            Ok(false) => "not_found",
            Err(error) => error.kind.outcome(),
        };
        self.metrics.count(Id::ConsulRequests, &[self.name, word]);
        let reached = !matches!(outcome, Err(error) if error.kind.is_unreachable());
        self.metrics.set(Id::ConsulReachable, &[], f64::from(u8::from(reached)));
        // A body may be what fails: an address that cuts or spoils all of them is left, too. One that
        // could not be reached has been left already.
        let leave =
            |error: &Error| error.kind != Kind::Connect && error.kind.may_be_better_elsewhere();
        if outcome.is_err_and(leave) {
            self.next_address(to);
        }
    }
}

// === impl List ===

impl List<'_> {
    /// Whether a server was given the time to reach an index and has not: one that its leader cannot reach
    /// answers stale reads for ever, with what it had. The next one is asked from then on.
    fn is_behind(&self, answer: &Listed) -> bool {
        let above = self.block.filter(|_| self.mode == Mode::Stale);
        above.is_some_and(|(above, _)| answer.reading.snapshot.index() <= above)
    }

    /// Path and parameters, datacenter and the like aside.
    fn question(&self) -> String {
        let consistency = self.mode.parameter();
        let blocking = blocking(self.block);
        let service = match self.reads {
            Reads::Service(service) => service,
            Reads::Keys(prefix) => {
                let prefix = percent::path(prefix.as_str());
                return format!("/v1/kv/{prefix}?recurse{consistency}{blocking}");
            }
        };
        let name = percent::path(&service.name);
        let passing = if service.passing { "passing" } else { "" };
        let tag = service.tag.as_deref().map(|tag| format!("&tag={}", percent::path(tag)));
        let tag = tag.unwrap_or_default();
        format!("/v1/health/service/{name}?{passing}{tag}{consistency}{blocking}")
    }
}

// === impl Rung ===

impl From<&Listed> for Rung {
    fn from(listed: &Listed) -> Self {
        let (reading, size, elapsed) = (&listed.reading, listed.size, listed.elapsed);
        let snapshot = &reading.snapshot;
        let (index, names) = (snapshot.index(), snapshot.digest().number());
        let bell = Bell { index, elapsed, size, names, found: snapshot.keys() > 0 };
        Self { bell, sent: reading.sent, date: reading.date }
    }
}

/// What the headers of an answer say.
struct Head {
    index: u64,
    date: i64,
    filtered: bool,
}

// === impl Head ===

impl Head {
    /// Reads the headers. An answer without a usable index is none: a proxy may have eaten it, and
    /// blocking without one would be a busy loop.
    fn of(answer: &Response) -> Result<Self, Error> {
        let headers = answer.headers();
        let index = text(headers, "x-consul-index").and_then(|t| t.parse().ok());
        let index = index
            .ok_or_else(|| Error::new(Kind::Malformed, "no X-Consul-Index in the answer".into()))?;
        let filtered = text(headers, "x-consul-results-filtered-by-acls") == Some("true");
        Ok(Self { index, date: date(headers), filtered })
    }
}

/// Consul's clock, seconds since 1970; ours where the answer does not say.
fn date(headers: &HeaderMap) -> i64 {
    let seconds = |t: SystemTime| t.duration_since(std::time::UNIX_EPOCH).ok();
    let date = text(headers, DATE.as_str()).and_then(|d| httpdate::parse_http_date(d).ok());
    let date = date.and_then(seconds).map(|d| d.as_secs() as i64);
    date.unwrap_or_else(sys::wall_seconds)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// What `Retry-After` asks for: seconds, which is what Consul says, or a date, which a proxy before it
/// may say (RFC 9110, section 10.2.3). The date is by the answer's own clock where it names one.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let said = text(headers, RETRY_AFTER.as_str())?.trim();
    if let Ok(seconds) = said.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(said).ok()?;
    let now = text(headers, DATE.as_str()).and_then(|d| httpdate::parse_http_date(d).ok());
    Some(until.duration_since(now.unwrap_or_else(SystemTime::now)).unwrap_or_default())
}

/// Index and wait as query parameters; the wait in milliseconds, as 0 would mean five minutes.
fn blocking(block: Option<(u64, Duration)>) -> String {
    block.map_or_else(String::new, |(index, wait)| {
        format!("&index={index}&wait={}", consul_wait(wait))
    })
}

/// How long the beginning of an answer may take.
pub fn deadline(block: Option<(u64, Duration)>) -> Duration {
    block.map_or(ANSWER, |(_, wait)| blocking_deadline(wait))
}

/// Decodes the body while it comes. Nothing of it counts before its end.
async fn decode(answer: Response, ask: &List<'_>, index: u64) -> Result<(Snapshot, u64), Error> {
    let mut decoder = Decoder::new(ask.reads, ask.previous, ask.caps);
    let size = each_chunk(answer, |chunk| decoder.feed(chunk).map_err(Error::from)).await?;
    Ok((decoder.finish(index)?, size))
}

/// How many names a doorbell's body lists, a hash of them, and its size.
async fn list_names(answer: Response, caps: Caps) -> Result<((usize, u64), u64), Error> {
    let mut names = Names::new(caps);
    let size = each_chunk(answer, |chunk| names.feed(chunk).map_err(Error::from)).await?;
    Ok((names.finish()?, size))
}

/// A whole body of at most `limit` bytes.
async fn body(answer: Response, limit: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let keep = |chunk: &[u8]| {
        bytes.extend_from_slice(chunk);
        let fits = bytes.len() as u64 <= limit;
        if fits { Ok(()) } else { Err(Error::from(Malformed::TooLarge(0))) }
    };
    each_chunk(answer, keep).await?;
    Ok(bytes)
}

async fn each_chunk(
    mut answer: Response,
    mut take: impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<u64, Error> {
    let end = Instant::now() + BODY;
    let (mut size, mut seen, mut due) = (0, 0, Instant::now() + PROGRESS.1);
    loop {
        match tokio::time::timeout_at(due.min(end).into(), answer.chunk()).await {
            Err(_) if due < end && size - seen >= PROGRESS.0 => {
                (seen, due) = (size, due + PROGRESS.1);
            }
            Err(_) => return Err(Error::new(Kind::Timeout, "the body stalled".to_owned())),
            Ok(Err(error)) => return Err(Error::of_transport(error)),
            Ok(Ok(None)) => return Ok(size),
            Ok(Ok(Some(chunk))) => {
                size += chunk.len() as u64;
                take(&chunk)?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::service::Service;

    #[test]
    fn a_service_is_asked_for_by_its_name_its_tag_and_its_state() {
        let question = |name, tag, passing, mode| {
            let reads = Reads::Service(Service::new(name, tag, passing).unwrap());
            let block = Some((7, Duration::from_secs(30)));
            let caps = Caps { max_bytes: 1, max_keys: 1 };
            List { reads: &reads, mode, block, previous: None, caps }.question()
        };
        assert_eq!(
            question("a/b c", Some("x&y=é"), true, Mode::Stale),
            "/v1/health/service/a/b%20c?passing&tag=x%26y%3D%C3%A9&stale&index=7&wait=30000ms"
        );
        assert_eq!(
            question("web", None, false, Mode::Default),
            "/v1/health/service/web?&index=7&wait=30000ms"
        );
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let asked = |said: &'static str, date: &'static str| {
            let pairs = [("retry-after", said), ("date", date)];
            let header = |(name, value): (&'static str, &'static str)| {
                (name.parse().unwrap(), value.parse().unwrap())
            };
            retry_after(&pairs.into_iter().map(header).collect())
        };
        let (then, later) = ("Tue, 24 Nov 2026 20:00:00 GMT", "Tue, 24 Nov 2026 20:01:30 GMT");
        assert_eq!(asked("7", then), Some(Duration::from_secs(7)));
        assert_eq!(asked(later, then), Some(Duration::from_secs(90)));
        assert_eq!(asked(then, later), Some(Duration::ZERO), "it is over");
        assert_eq!(asked("soon", then), None);
    }

    #[test]
    fn a_blocking_query_is_given_up_after_all_that_consul_may_add() {
        let wait = Duration::from_secs(30);
        assert_eq!(blocking_deadline(wait).as_millis(), 41_875);
        assert_eq!(blocking(Some((7, wait))), "&index=7&wait=30000ms");
        assert_eq!(blocking(Some((7, Duration::ZERO))), "&index=7&wait=1ms");
    }
}
