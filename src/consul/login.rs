//! Logging in to Consul: a JWT for a token of our own, and logging out.
//!
//! One thread owns the login, and all clients read its token from the [`Session`]: however many of them
//! are refused at once, one login follows. A login is a write that Consul's leader has to take, so that
//! its outage must cost nothing but the wait: the token that there is stays until another one is there.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::addresses::To;
use super::auth;
use super::error::{Error, Kind, OF_DENIED};
use super::session::{Retired, Session};
use super::{Client, body, date};
use crate::board::{self, Board, Failure};
use crate::config::{self, Secret};
use crate::metrics::{Id, Metrics};
use crate::model::confirmation::Mechanism;
use crate::model::renewal::Renewal;
use crate::shutdown::Drain;
use crate::supervise::Pulse;
use crate::sys;

/// How long a login may take. Others wait for it no longer than that.
const ANSWER: Duration = Duration::from_secs(15);
/// How long a new token may need to be known by every server, and how often that is asked. One that asks
/// with it too early has "ACL not found" remembered by its agent for half a minute (acl_token_ttl);
/// consul-k8s waits the same way.
const SPREAD: (Duration, Duration) = (Duration::from_secs(2), Duration::from_millis(100));
/// How long a token's logout may take while we go on, and at our end.
const LOGOUT: Duration = Duration::from_secs(5);
const FAREWELL: Duration = Duration::from_millis(300);
/// How long the answer to a login is awaited when we are told to stop meanwhile.
const UNDER_WAY: Duration = Duration::from_millis(150);
/// What a slow machine may add before the thread counts as stuck.
const SLACK: Duration = Duration::from_secs(60);

/// The owner of the login.
pub struct Login {
    /// How to log in.
    pub settings: config::Login,
    /// Its own client.
    pub client: Client,
    /// Where it puts the token.
    pub session: Arc<Session>,
    /// Where it shows how it fares.
    pub board: Arc<Board>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Rung when what was denied may be asked for again.
    pub pokes: Vec<(usize, Mechanism, Arc<Notify>)>,
    /// Rung to log in at once where that has failed: the JWT's file has changed.
    pub poke: Arc<Notify>,
    /// Tokens that are to be logged out: replaced ones under which Consul still holds a question.
    pub retired: Mutex<Vec<Secret>>,
    /// Says when to stop.
    pub drain: Drain,
}

/// A token, and what life it has left by Consul's own clock; `None` for one that does not expire.
type Token = (Secret, Option<Duration>);

/// A token as Consul writes it.
#[derive(Deserialize)]
struct Made {
    #[serde(rename = "SecretID")]
    secret: String,
    #[serde(rename = "ExpirationTime")]
    expires: Option<String>,
}

/// What the owner waits for before the next login.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Next {
    /// Until the token is refused: it has no end.
    Refusal,
    /// This long, or until it is refused.
    Renewal(Duration),
    /// This long, whatever else is refused: a login has failed, or was of no use.
    Retry(Duration),
}

// === impl Login ===

impl Login {
    /// Logs in, and again when it is time, until told to stop; then it logs out.
    pub async fn run(&self, pulse: &Pulse) {
        self.keep(pulse).await;
        self.end().await;
    }

    async fn keep(&self, pulse: &Pulse) {
        let mut renewal = Renewal::default();
        let mut retired = FuturesUnordered::new();
        // After a panic the token may be refused any moment, or not: only Consul knows.
        let mut since = sys::now();
        let mut next =
            if self.session.is_open() { Next::Refusal } else { Next::Retry(Duration::ZERO) };
        let mut began = Instant::now();
        loop {
            // Whatever else happens meanwhile does not put it off.
            let left = next.pause().map(|pause| pause.saturating_sub(began.elapsed()));
            pulse.tick(left.map_or(Duration::MAX, |left| left + ANSWER + SLACK));
            tokio::select! {
                () = self.drain.wait() => return,
                () = sleep(left) => {}
                () = self.poke.notified(), if matches!(next, Next::Retry(_)) => {}
                () = self.session.is_refused(), if !matches!(next, Next::Retry(_)) => {
                    let lived = sys::now().since(since);
                    next = Next::Retry(renewal.refused(lived, fastrand::f64()));
                    began = Instant::now();
                    continue;
                }
                Some(()) = retired.next() => continue,
            }
            let Some(made) = self.log_in_unless_stopped().await else {
                return;
            };
            next = match made {
                Ok((secret, left)) => {
                    renewal.worked();
                    since = sys::now();
                    retired.extend(self.switch(secret, left).map(|old| self.retire(old)));
                    let keep = left.map(|left| Renewal::keep(left, fastrand::f64()));
                    keep.map_or(Next::Refusal, Next::Renewal)
                }
                Err(error) => {
                    let pause = renewal.failed(error.trouble(), fastrand::f64());
                    self.failed(error, pause);
                    Next::Retry(pause)
                }
            };
            began = Instant::now();
        }
    }

    /// A login, in a token that any server knows. One that is under way when we are told to stop has been
    /// heard by Consul, most likely: its answer is awaited for a moment, so that its token is logged out.
    async fn log_in_unless_stopped(&self) -> Option<Result<Token, Error>> {
        let mut login = pin!(self.log_in());
        let made = tokio::select! {
            made = &mut login => made,
            () = self.drain.wait() => {
                let late = tokio::time::timeout(UNDER_WAY, login).await;
                self.retired().extend(late.into_iter().flatten().map(|(secret, _)| secret));
                return None;
            }
        };
        if let Ok((secret, _)) = &made {
            tokio::select! {
                () = self.spread(secret) => {}
                () = self.drain.wait() => {
                    self.retired().push(secret.clone());
                    return None;
                }
            }
        }
        Some(made)
    }

    /// Logs out, in as much time as there is at the end. What is not logged out expires.
    async fn end(&self) {
        let mut tokens = std::mem::take(&mut *self.retired());
        tokens.extend(self.session.close().map(|token| token.secret().clone()));
        let all = join_all(tokens.iter().map(|token| self.log_out(token)));
        if tokio::time::timeout(FAREWELL, all).await.is_err() {
            tracing::warn!(
                event = "logout_failed",
                method = self.settings.method,
                "no answer to the logout in time: the token is left to expire"
            );
        }
        self.board.update(|state| state.login = Some(board::Login::default()));
    }

    /// One login, in its time.
    async fn log_in(&self) -> Result<Token, Error> {
        let late = |_| Error::new(Kind::Timeout, format!("no answer within {ANSWER:.0?}"));
        let made = tokio::time::timeout(ANSWER, self.ask()).await.map_err(late).flatten();
        let made = made.map_err(|error| self.explained(error));
        let outcome = made.as_ref().map_or_else(|error| error.kind.outcome(), |_| "ok");
        self.metrics.count(Id::ConsulLogins, &[outcome]);
        self.client.ended(To::Usual, made.as_ref().map(|_| true));
        made
    }

    async fn ask(&self) -> Result<Token, Error> {
        let jwt = auth::read("login token file", &self.settings.token_file)?;
        let question = Question {
            method: &self.settings.method,
            jwt: jwt.expose(),
            meta: &self.settings.meta,
        };
        let question = serde_json::to_string(&question).expect("text is JSON");
        let by = self.client.auth.by(None).within(jwt);
        let path = format!("/v1/acl/login?{}", self.client.scope());
        let answer =
            self.client.request_by(&by, &path, Some((Method::POST, question)), ANSWER).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            let text = "HTTP 404: no such question: is that Consul 1.5 or later?".to_owned();
            return Err(Error::new(Kind::BadRequest, text));
        }
        let now = date(answer.headers());
        let made = understood(&body(answer, 64 * 1024).await?)?;
        let secret = made.secret.parse().map_err(|_| malformed())?;
        Ok((secret, made.expires.as_deref().and_then(|end| left(end, now))))
    }

    /// Returns once any server knows the token, or it has been given enough time for that.
    async fn spread(&self, secret: &Secret) {
        let path = format!("/v1/acl/token/self?stale{}", self.client.scope());
        let by = self.client.auth.by(Some(secret.clone()));
        let known = async {
            while let Err(Error { kind: Kind::Denied, .. }) =
                self.client.request_by(&by, &path, None, SPREAD.0).await
            {
                tokio::time::sleep(SPREAD.1).await;
            }
        };
        let _ = tokio::time::timeout(SPREAD.0, known).await;
    }

    /// Has all clients use the new token, and those ask at once that were denied with the old.
    fn switch(&self, secret: Secret, left: Option<Duration>) -> Option<Retired> {
        let (refused, first) = (self.session.is_doubted(), !self.session.is_open());
        let old = self.session.replace(secret);
        let expires = left.map(|left| sys::now() + left);
        let was_down = self.board.update(|state| {
            let login = state.login.get_or_insert_default();
            let was_down = login.error.take().is_some();
            (login.open, login.expires) = (true, expires);
            was_down
        });
        let (method, valid_s) = (&self.settings.method, left.map(|left| left.as_secs()));
        if first || refused || was_down {
            tracing::info!(event = "logged_in", method, valid_s, "logged in to Consul");
        } else {
            tracing::debug!(event = "logged_in", method, valid_s, "logged in to Consul again");
        }
        if refused || (first && was_down) {
            // Those that are well have nothing to ask: it would be all of every source.
            let denied = |(at, who, _): &&(usize, Mechanism, Arc<Notify>)| {
                self.board.read(|state| {
                    let health = state.sources[*at].health(*who);
                    !health.up && health.last_error.as_ref().is_some_and(|e| e.kind == "denied")
                })
            };
            self.pokes.iter().filter(denied).for_each(|(_, _, poke)| poke.notify_one());
        }
        old
    }

    async fn retire(&self, mut old: Retired) {
        self.retired().push(old.secret().clone());
        old.is_returned().await;
        self.retired().retain(|token| token != old.secret());
        self.log_out(old.secret()).await;
    }

    fn retired(&self) -> MutexGuard<'_, Vec<Secret>> {
        self.retired.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token that Consul does not know any more is as good as logged out.
    async fn log_out(&self, secret: &Secret) {
        let path = format!("/v1/acl/logout?{}", self.client.scope());
        let by = self.client.auth.by(Some(secret.clone()));
        let nothing = Some((Method::POST, String::new()));
        let answer = self.client.request_by(&by, &path, nothing, LOGOUT).await;
        let method = &self.settings.method;
        match answer {
            Ok(_) => tracing::debug!(event = "logged_out", method, "logged out a token"),
            Err(error) if error.kind == Kind::Denied => {}
            Err(error) => tracing::warn!(event = "logout_failed", method,
                error_kind = error.kind.outcome(), %error, "the token is left to expire"),
        }
    }

    /// A token that still works stays in use.
    fn failed(&self, error: Error, pause: Duration) {
        let kind = error.kind.outcome();
        let failure = Failure { kind, text: error.text.clone(), at: sys::now() };
        let news = self.board.update(|state| {
            let login = state.login.get_or_insert_default();
            let before = login.error.replace(failure);
            before.is_none_or(|before| before.kind != kind)
        });
        let (method, backoff_ms) = (&self.settings.method, pause.as_millis() as u64);
        if news {
            tracing::warn!(event = "login_failed", method, error_kind = kind, %error, backoff_ms,
                "cannot log in to Consul; the files stay");
        } else {
            tracing::debug!(event = "login_failed", method, error_kind = kind, %error, backoff_ms,
                "cannot log in to Consul");
        }
        self.session.failed(error);
    }

    /// Consul 1.8 answers 500 to a JWT that it refuses, and 403 to one that it knows nothing to give to
    /// (agent/consul/acl_endpoint.go): both mean that somebody has to act, and say nothing of where.
    fn explained(&self, mut error: Error) -> Error {
        let config::Login { method, token_file, .. } = &self.settings;
        let said = error.text.strip_suffix(OF_DENIED).unwrap_or(&error.text).to_owned();
        if error.kind == Kind::Server && is_about_a_jwt(&said) {
            error.kind = Kind::Denied;
        }
        let file = token_file.display();
        let hint = match error.kind {
            Kind::Denied if said.contains("ACL support disabled") => {
                "; that Consul has no ACLs: leave out --login-method".to_owned()
            }
            Kind::Denied if said.contains("ACL not found") => {
                "; is there an auth method of this name?".to_owned()
            }
            Kind::Denied if said.contains("Permission denied") => {
                format!("; none of its binding rules is for whom the JWT in {file} names")
            }
            Kind::Denied => format!("; look at the method's settings and at the JWT in {file}"),
            _ => String::new(),
        };
        error.text = format!("login by auth method {method}: {said}{hint}");
        error
    }
}

/// The question, which holds the JWT: no `Debug`.
#[derive(serde::Serialize)]
struct Question<'a> {
    #[serde(rename = "AuthMethod")]
    method: &'a str,
    #[serde(rename = "BearerToken")]
    jwt: &'a str,
    #[serde(rename = "Meta")]
    meta: &'a BTreeMap<String, String>,
}

// === impl Next ===

impl Next {
    fn pause(self) -> Option<Duration> {
        match self {
            Self::Refusal => None,
            Self::Renewal(pause) | Self::Retry(pause) => Some(pause),
        }
    }
}

async fn sleep(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

fn understood(body: &[u8]) -> Result<Made, Error> {
    // The parser's own words may quote the token.
    serde_json::from_slice(body).map_err(|_| malformed())
}

fn malformed() -> Error {
    Error::new(Kind::Malformed, "the answer holds no token".to_owned())
}

/// How long until `end` (RFC 3339), where it is `now` in seconds since 1970 by the same clock.
fn left(end: &str, now: i64) -> Option<Duration> {
    let end: jiff::Timestamp = end.parse().ok()?;
    // Consul writes "no end" as nothing, and some versions as the year 1.
    let left = u64::try_from(end.as_second().saturating_sub(now)).unwrap_or(0);
    (end.as_second() > 0).then(|| Duration::from_secs(left))
}

/// Whether Consul's words to a status of 500 are of the JWT, and not of itself or of a Kubernetes that it
/// cannot ask: an outage may name the very same things.
fn is_about_a_jwt(said: &str) -> bool {
    const OUTAGE: [&str; 10] = [
        "leader",
        "dial tcp",
        "connection re",
        "timeout",
        "deadline",
        "eof",
        "no such host",
        "failed to get conn",
        "no known consul",
        "too many requests",
    ];
    const JWT: [&str; 9] = [
        "claim",
        "jwt",
        "jws",
        "token",
        "signature",
        "audience",
        "lookup failed",
        "unauthorized",
        "service account",
    ];
    let said = said.to_ascii_lowercase();
    let names = |words: &[&str]| words.iter().any(|word| said.contains(word));
    !names(&OUTAGE) && names(&JWT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_consul_has_against_a_jwt_is_no_outage() {
        for said in [
            "HTTP 500: error validating claims: square/go-jose/jwt: validation failed, token is expired (exp)",
            "HTTP 500: rpc error making call: error validating claims: aud claim does not match any bound audience",
            "HTTP 500: error parsing token: square/go-jose: compact JWS format must have three parts",
            "HTTP 500: lookup failed: service account unauthorized; this could mean it has been deleted",
            "HTTP 500: lookup failed: [invalid bearer token, Token has been invalidated]",
        ] {
            assert!(is_about_a_jwt(said), "{said}");
        }
        for said in [
            "HTTP 500: No cluster leader",
            "HTTP 500: rpc error making call: EOF",
            "HTTP 500: rpc error getting client: failed to get conn: dial tcp 10.0.0.1:8300: connect: connection refused",
            "HTTP 500: Post \"https://10.0.0.1/apis/authentication.k8s.io/v1/tokenreviews\": dial tcp 10.0.0.1:443: i/o timeout",
            "HTTP 500",
        ] {
            assert!(!is_about_a_jwt(said), "{said}");
        }
    }

    #[test]
    fn life_is_measured_by_consuls_clock() {
        let end = "2026-11-28T18:04:27.421222645Z";
        assert_eq!(left(end, 1_795_889_007), Some(Duration::from_secs(60)));
        assert_eq!(left(end, 1_895_889_007), Some(Duration::ZERO), "it is over");
        assert_eq!(left("0001-01-01T00:00:00Z", 1_795_889_007), None);
        assert_eq!(left("soon", 0), None);
    }

    #[test]
    fn an_answer_without_a_token_is_none() {
        for body in ["", "[]", "{\"AccessorID\":\"x\"}", "{\"SecretID\":5}"] {
            let error = understood(body.as_bytes()).err().map(|error| error.kind);
            assert_eq!(error, Some(Kind::Malformed), "{body}");
        }
        let made = understood(br#"{"SecretID":"s","ExpirationTime":null,"Local":true}"#);
        assert!(made.is_ok_and(|made| made.secret == "s" && made.expires.is_none()));
    }
}
