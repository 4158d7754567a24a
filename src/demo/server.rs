//! A Consul for tests and for the demonstration: its key-value API over HTTP, answer for answer as
//! Consul 1.8.7 gives it, with switches for the answers that a real one cannot be made to give.

mod answer;
mod faults;
mod handle;
mod json;
mod read;
mod request;
mod routes;
mod snapshot;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response};
use axum::serve::ListenerExt;

pub use faults::{Fault, Faults, Requests};
pub use handle::KvHandle;

use super::background::Background;

/// A bound server that does not answer yet; connections already queue up.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    addr: SocketAddr,
    kv: KvHandle,
    faults: Faults,
    log: RequestLog,
}

/// A server at work, on its own thread. Dropping it is [`Running::kill`].
#[derive(Debug)]
pub struct Running {
    addr: SocketAddr,
    kv: KvHandle,
    faults: Faults,
    log: RequestLog,
    _thread: Background,
}

/// The requests a server was asked, in the order they came in.
#[derive(Clone, Debug, Default)]
pub struct RequestLog(Arc<Mutex<Vec<Logged>>>);

/// One request that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// The HTTP method.
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// The User-Agent, empty if there was none.
    pub agent: String,
    /// When its head had been read.
    pub at: Instant,
}

#[derive(Clone)]
struct Shared {
    kv: KvHandle,
    faults: Faults,
    log: RequestLog,
    leader: Arc<str>,
}

/// Older requests are dropped from the log above this number.
const LOG_LIMIT: usize = 100_000;

// === impl Server ===

impl Server {
    /// Binds the address, whose port may be 0, with an empty table.
    ///
    /// # Errors
    /// The address is taken or not ours.
    pub fn bind(addr: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let (kv, faults, log) = Default::default();
        Ok(Self { listener, addr, kv, faults, log })
    }

    /// Serves this table instead of an empty one.
    #[must_use]
    pub fn with_kv(self, kv: KvHandle) -> Self {
        Self { kv, ..self }
    }

    /// Obeys these switches, which may be another server's too.
    #[must_use]
    pub fn with_faults(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// Writes to this log, which may be a former server's.
    #[must_use]
    pub fn with_log(self, log: RequestLog) -> Self {
        Self { log, ..self }
    }

    /// The address with the real port.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The table.
    pub fn kv(&self) -> KvHandle {
        self.kv.clone()
    }

    /// The switches.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    /// Starts answering.
    ///
    /// # Errors
    /// There is no thread or no runtime to be had.
    pub fn spawn(self) -> io::Result<Running> {
        let Self { listener, addr, kv, faults, log } = self;
        let leader = addr.to_string().into();
        let shared = Shared { kv: kv.clone(), faults: faults.clone(), log: log.clone(), leader };
        let thread = Background::spawn("demo-consul", || serve(listener, shared))?;
        Ok(Running { addr, kv, faults, log, _thread: thread })
    }
}

// === impl Running ===

impl Running {
    /// The address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The table.
    pub fn kv(&self) -> KvHandle {
        self.kv.clone()
    }

    /// The switches.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    /// The requests so far.
    pub fn log(&self) -> RequestLog {
        self.log.clone()
    }

    /// Closes the port and every connection at once, in the middle of whatever they were doing.
    /// The port can be bound again right afterwards.
    pub fn kill(self) {}
}

// === impl RequestLog ===

impl RequestLog {
    /// All requests in the log.
    pub fn all(&self) -> Vec<Logged> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Empties the log and returns what was in it.
    pub fn take(&self) -> Vec<Logged> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, logged: Logged) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() == LOG_LIMIT {
            log.drain(..LOG_LIMIT / 2);
        }
        log.push(logged);
    }
}

async fn serve(listener: TcpListener, shared: Shared) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener.tap_io(|stream| drop(stream.set_nodelay(true))),
        Err(error) => return tracing::error!(%error, "cannot serve the embedded store"),
    };
    let app = Router::new().fallback(respond).with_state(shared);
    if let Err(error) = axum::serve(listener, app).await {
        tracing::error!(%error, "the embedded store stopped");
    }
}

async fn respond(State(shared): State<Shared>, request: Request<Body>) -> Response<Body> {
    let method = request.method().to_string();
    let target = request.uri().to_string();
    let agent = request.headers().get("user-agent").map(|value| value.as_bytes());
    let agent = String::from_utf8_lossy(agent.unwrap_or_default()).into_owned();
    shared.log.push(Logged {
        method: method.clone(),
        target: target.clone(),
        agent: agent.clone(),
        at: Instant::now(),
    });

    shared.faults.answerable(&method, &target, &agent).await;
    let faults = shared.faults.judge(&method, &target, &agent);
    let answer = match faults.iter().find_map(Option::from) {
        Some(fixed) => fixed,
        None => routes::answer(&shared.kv, &shared.leader, request, &faults).await.spoiled(&faults),
    };
    shared.faults.answerable(&method, &target, &agent).await;
    answer.send(&faults)
}
