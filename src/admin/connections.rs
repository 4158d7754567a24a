//! Serving connections so that none can keep another from being answered.
//!
//! A probe that is not answered within a second may cost the pod its life, so whoever comes last is
//! served: one connection too many closes the oldest of the address that has the most, a connection is
//! one question, and it has a few seconds for everything.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use axum::Router;
use futures_util::FutureExt as _;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::reserve;

/// How many connections there may be at a time.
const MOST: usize = 64;
/// How long one may last, from its beginning to the last byte of the answer.
const LIFETIME: Duration = Duration::from_secs(5);
/// The same without descriptors, when one is served at a time.
const SHORT: Duration = Duration::from_millis(500);
/// How often it is looked whether the last ones have ended.
const LOOK: Duration = Duration::from_millis(5);
/// How large the head of a request may be, in bytes. The least that hyper takes.
const HEAD: usize = 8 * 1024;

/// The connections, oldest first.
#[derive(Default)]
struct Open(VecDeque<Connection>);

struct Connection {
    from: IpAddr,
    /// It has been taken and not been looked at.
    arrived: Option<TcpStream>,
    answering: Option<AbortHandle>,
}

/// Serves for ever.
pub async fn serve(listener: &TcpListener, routes: Router) {
    let mut open = Open::default();
    loop {
        let mut next = Some(listener.accept().await);
        // All that wait are taken before one is answered: taking is cheap, and a flood makes room for
        // whoever came after it.
        for _ in 0..super::QUEUE {
            match next {
                Some(Ok((stream, from))) => open.take(stream, from.ip()),
                Some(Err(error)) if reserve::is_out_of_descriptors(&error) => {
                    // Without a descriptor accept fails before it looks who waits.
                    open.answer(&routes);
                    open.settle().await;
                    answer_on_reserve(listener, &routes).await;
                    break;
                }
                // The other side has gone again before it was taken.
                Some(Err(_)) => {}
                None => break,
            }
            next = tokio::task::unconstrained(listener.accept()).now_or_never();
        }
        open.answer(&routes);
        tokio::task::yield_now().await;
    }
}

// === impl Open ===

impl Open {
    fn take(&mut self, stream: TcpStream, from: IpAddr) {
        self.make_room();
        self.0.push_back(Connection { from, arrived: Some(stream), answering: None });
    }

    /// Forgets what has ended, and closes one if there are too many still: the oldest of the address
    /// that has the most.
    fn make_room(&mut self) {
        self.0.retain(|connection| !connection.is_over());
        if self.0.len() < MOST {
            return;
        }
        let mut count: HashMap<IpAddr, usize> = HashMap::new();
        self.0.iter().for_each(|c| *count.entry(c.from).or_default() += 1);
        let most = count.values().max();
        let oldest = self.0.iter().position(|c| count.get(&c.from) == most);
        if let Some(connection) = oldest.and_then(|at| self.0.remove(at)) {
            connection.close();
        }
    }

    /// Gives those that are being answered a moment to end, and closes the rest.
    async fn settle(&mut self) {
        let all_over = async {
            while self.0.iter().any(|connection| !connection.is_over()) {
                sleep(LOOK).await;
            }
        };
        let _ = timeout(SHORT, all_over).await;
        self.0.drain(..).for_each(Connection::close);
        tokio::task::yield_now().await;
    }

    /// Begins to answer those that have arrived.
    fn answer(&mut self, routes: &Router) {
        for connection in &mut self.0 {
            if let Some(stream) = connection.arrived.take() {
                let answering = tokio::spawn(answer(stream, routes.clone(), LIFETIME));
                connection.answering = Some(answering.abort_handle());
            }
        }
    }
}

// === impl Connection ===

impl Connection {
    fn is_over(&self) -> bool {
        self.arrived.is_none() && self.answering.as_ref().is_none_or(AbortHandle::is_finished)
    }

    fn close(self) {
        self.answering.iter().for_each(AbortHandle::abort);
    }
}

/// Answers one connection that waits on a descriptor of the reserve.
async fn answer_on_reserve(listener: &TcpListener, routes: &Router) {
    match reserve::with(|| tokio::task::unconstrained(listener.accept()).now_or_never()) {
        Some(Ok((stream, _))) => answer(stream, routes.clone(), SHORT).await,
        Some(Err(_)) => sleep(SHORT).await,
        // Nobody waits, which only accept could tell: the next one sleeps until somebody comes.
        None => {}
    }
}

async fn answer(stream: TcpStream, routes: Router, within: Duration) {
    let mut settings = http1::Builder::new();
    settings.keep_alive(false).max_buf_size(HEAD);
    let service = TowerToHyperService::new(routes);
    // What goes wrong here is the other side's affair.
    let _ = timeout(within, settings.serve_connection(TokioIo::new(stream), service)).await;
}
