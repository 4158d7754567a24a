//! The token of a login, in one place for every client of the process.
//!
//! Requests borrow it. A token that was replaced is logged out once the last request that carried it has
//! its answer: a question that Consul holds is never asked under a token that is taken away meanwhile.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::error::{Error, Kind};
use crate::config::Secret;

/// How long a request waits for the first login. Longer than one login may take, so that it ends with
/// that login's own error.
const PATIENCE: Duration = Duration::from_secs(20);

/// The slot: one login writes, all clients read.
pub struct Session(watch::Sender<State>);

#[derive(Default)]
struct State {
    current: Option<Current>,
    /// Why there is none, once a login has failed.
    error: Option<Error>,
    /// Consul has refused the current one.
    refused: bool,
}

struct Current {
    lease: Lease,
    returned: mpsc::Receiver<Infallible>,
}

/// The token for one request.
#[derive(Clone)]
pub struct Lease {
    secret: Secret,
    until_dropped: mpsc::Sender<Infallible>,
}

/// A token that no new request gets.
pub struct Retired {
    secret: Secret,
    returned: mpsc::Receiver<Infallible>,
}

// === impl Session ===

impl Default for Session {
    fn default() -> Self {
        Self(watch::Sender::new(State::default()))
    }
}

impl Session {
    /// The token. Waits for the first login, at most until that has failed; then its error.
    pub async fn lease(&self) -> Result<Lease, Error> {
        let mut states = self.0.subscribe();
        let settled = states.wait_for(|state| state.current.is_some() || state.error.is_some());
        let late = || Error::new(Kind::Timeout, "the login to Consul has no answer yet".to_owned());
        let settled = tokio::time::timeout(PATIENCE, settled).await.map_err(|_| late())?;
        let state = settled.map_err(|_| late())?;
        match (&state.current, &state.error) {
            (Some(current), _) => Ok(current.lease.clone()),
            (None, error) => Err(error.clone().unwrap_or_else(late)),
        }
    }

    /// Consul says that this token is unknown or may not. News only of the current one.
    pub fn refused(&self, lease: &Lease) {
        self.0.send_if_modified(|state| {
            let is_current = state.current.as_ref().is_some_and(|c| c.lease.is(lease));
            let news = is_current && !state.refused;
            state.refused |= is_current;
            news
        });
    }

    /// Returns once the current token is refused.
    pub async fn is_refused(&self) {
        // The sender lives in self, so that this cannot fail.
        let _ = self.0.subscribe().wait_for(|state| state.refused).await;
    }

    /// Requests carry this token from now on. Returns the one before.
    pub fn replace(&self, secret: Secret) -> Option<Retired> {
        let (given, returned) = mpsc::channel(1);
        let lease = Lease { secret, until_dropped: given };
        self.put(State { current: Some(Current { lease, returned }), ..State::default() })
    }

    /// Requests get this error from now on, unless there is a token: that may still work.
    pub fn failed(&self, error: Error) {
        self.0.send_modify(|state| state.error = Some(error));
    }

    /// Whether there is a token.
    pub fn is_open(&self) -> bool {
        self.0.borrow().current.is_some()
    }

    /// Whether the current token was refused.
    pub fn is_doubted(&self) -> bool {
        self.0.borrow().refused
    }

    /// Takes the token back, at the end.
    pub fn close(&self) -> Option<Retired> {
        let error = Error::new(Kind::Denied, "logged out: told to stop".to_owned());
        self.put(State { error: Some(error), ..State::default() })
    }

    fn put(&self, state: State) -> Option<Retired> {
        let Current { lease, returned } = self.0.send_replace(state).current?;
        Some(Retired { secret: lease.secret, returned })
    }
}

// === impl Lease ===

impl Lease {
    /// The token.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    fn is(&self, other: &Self) -> bool {
        self.until_dropped.same_channel(&other.until_dropped)
    }
}

// === impl Retired ===

impl Retired {
    /// The token, to log it out.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Returns once no request carries it any more.
    pub async fn is_returned(&mut self) {
        while self.returned.recv().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::on_runtime;
    use futures_util::FutureExt;

    fn secret(text: &str) -> Secret {
        text.parse().expect("a secret")
    }

    fn lease(session: &Session) -> Lease {
        on_runtime(session.lease()).expect("a runtime").expect("a token")
    }

    #[test]
    fn a_request_waits_for_the_first_login_and_no_longer_than_that() {
        let session = Session::default();
        let waits = async { tokio::time::timeout(Duration::ZERO, session.lease()).await.is_err() };
        assert!(on_runtime(waits).expect("a runtime"));
        session.failed(Error::new(Kind::Connect, "refused".to_owned()));
        let told = on_runtime(session.lease()).expect("a runtime");
        assert_eq!(told.err().map(|error| error.kind), Some(Kind::Connect));
        session.replace(secret("one"));
        session.failed(Error::new(Kind::Server, "no leader".to_owned()));
        assert_eq!(lease(&session).secret().expose(), "one", "what works stays");
    }

    #[test]
    fn a_replaced_token_is_free_once_its_last_request_is_answered() {
        let session = Session::default();
        assert!(session.replace(secret("one")).is_none());
        let held = lease(&session);
        let mut old = session.replace(secret("two")).expect("the first");
        assert!(old.is_returned().now_or_never().is_none(), "a question is held under it");
        drop(held);
        old.is_returned().now_or_never().expect("it is free");
        assert_eq!(old.secret().expose(), "one");
    }

    #[test]
    fn only_the_current_token_can_be_refused() {
        let session = Session::default();
        session.replace(secret("one"));
        let old = lease(&session);
        session.replace(secret("two"));
        session.refused(&old);
        assert!(session.is_refused().now_or_never().is_none());
        let new = lease(&session);
        session.refused(&new);
        session.is_refused().now_or_never().expect("it is");
    }
}
