//! Health, status and metrics over HTTP, on a thread of its own.

mod connections;
mod reserve;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::metrics::Id;
use crate::shutdown::Drain;
use crate::status::Reporter;
use crate::supervise::{self, Pulse};
use crate::sys;

/// How many connections may wait to be taken.
const QUEUE: i32 = 1024;

/// What the endpoints look at.
#[derive(Clone)]
pub struct Admin {
    /// The state.
    pub reporter: Arc<Reporter>,
    /// The threads whose death or hang makes `/livez` fail. The keeper is not among them: a hung
    /// backup volume is no reason to restart.
    pub pulses: Arc<Vec<(&'static str, Arc<Pulse>)>>,
}

/// The bound port, with all that serving it takes: once the other threads run there may be no
/// descriptor left for it.
pub struct Port {
    listener: TcpListener,
    /// Until it is dropped.
    runtime: Option<Runtime>,
}

// === impl Port ===

impl Port {
    /// Binds the address, and holds back descriptors for its connections: nothing that takes some may
    /// have begun, for those that are taken above the limit stay taken. Where the default is `[::]` and
    /// there is no IPv6, all of IPv4.
    ///
    /// # Errors
    ///
    /// The address is taken or not ours, or there are no descriptors.
    pub fn bind(address: SocketAddr, may_fall_back: bool) -> std::io::Result<Self> {
        let bound = std::net::TcpListener::bind(address).or_else(|error| {
            let fall_back = may_fall_back && address.is_ipv6();
            if !fall_back {
                return Err(error);
            }
            std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port()))
        })?;
        // The standard library's 128 are soon taken, and whoever finds no place tries again a second later.
        rustix::net::listen(&bound, QUEUE)?;
        bound.set_nonblocking(true)?;
        let runtime = supervise::runtime()?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(bound)?
        };
        reserve::hold_back();
        Ok(Self { listener, runtime: Some(runtime) })
    }

    /// The address that was really bound.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until told to stop.
    pub fn serve(&self, admin: &Admin, drain: &Drain) {
        let serving = connections::serve(&self.listener, admin.clone().routes());
        self.runtime.as_ref().expect("until it is dropped").block_on(async {
            tokio::select! {
                () = serving => {}
                () = drain.wait() => {}
            }
        });
    }
}

/// A start that fails drops it where another runtime is at work, and a runtime that waited there for its
/// own threads would panic instead of letting the reason be said.
impl Drop for Port {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

// === impl Admin ===

impl Admin {
    fn routes(self) -> Router {
        Router::new()
            .route("/livez", get(livez))
            .route("/startupz", get(startupz))
            .route("/readyz", get(readyz))
            .route("/status", get(status))
            .route("/metrics", get(metrics))
            .with_state(self)
    }

    /// The threads that gave no sign of life in time.
    fn stuck(&self) -> Vec<&'static str> {
        let now = sys::now();
        let stuck = self.pulses.iter().filter(|(_, pulse)| pulse.is_stuck(now));
        stuck.map(|(name, _)| *name).collect()
    }
}

async fn livez(State(admin): State<Admin>) -> Response {
    match admin.stuck() {
        stuck if stuck.is_empty() => verdict(true, "ok".to_owned()),
        stuck => verdict(false, format!("no sign of life from: {}", stuck.join(", "))),
    }
}

async fn startupz(State(admin): State<Admin>) -> Response {
    let started = admin.reporter.is_started();
    verdict(started, if started { "ok" } else { "not seeded yet" }.to_owned())
}

async fn readyz(State(admin): State<Admin>) -> Response {
    let ready = admin.reporter.is_ready();
    verdict(ready, if ready { "ok" } else { "not seeded, or stopping" }.to_owned())
}

async fn status(State(admin): State<Admin>) -> Response {
    let text = serde_json::to_string(&admin.reporter.status()).expect("plain data");
    ([(header::CONTENT_TYPE, "application/json")], text + "\n").into_response()
}

async fn metrics(State(admin): State<Admin>) -> Response {
    for (name, pulse) in admin.pulses.iter() {
        admin.reporter.metrics.raise(Id::ThreadRestarts, &[name], pulse.restarts() as f64);
    }
    let text = admin.reporter.metrics();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

fn verdict(good: bool, text: String) -> Response {
    let code = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, text + "\n").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_was_never_served_is_dropped_anywhere() {
        let dropped = supervise::on_runtime(async {
            drop(Port::bind((Ipv4Addr::LOCALHOST, 0).into(), false).unwrap());
        });
        dropped.unwrap();
    }
}
