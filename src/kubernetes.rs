//! The Kubernetes API, for the two things that want it: backups in Secrets, and Events.
//!
//! Nothing here is needed to keep an application's configuration: a pod that asks for neither has no
//! token for the API and never calls it. Calls block the thread that makes them, for a bounded time,
//! so that an API server that hangs hangs that thread and nothing else.

mod error;
pub mod events;
pub mod secrets;
#[cfg_attr(not(feature = "kube"), path = "kubernetes/without.rs")]
mod transport;

use std::time::Duration;

use serde::Deserialize;

pub use error::{Error, Kind};
use transport::Transport;

use crate::{supervise, sys};

/// One try: a large Secret over a slow network takes a second.
const ATTEMPT: Duration = Duration::from_secs(4);
/// All tries of one call. A seed gives Consul 10 s by default, and waits for its backups as long.
const PATIENCE: Duration = Duration::from_secs(8);
/// Between tries at first; doubled each time.
const PAUSE: Duration = Duration::from_millis(200);

/// The API server, asked with the service account of this pod.
pub struct Api {
    runtime: tokio::runtime::Runtime,
    transport: Transport,
}

/// One question.
#[cfg_attr(not(feature = "kube"), expect(dead_code, reason = "nobody to ask"))]
struct Call {
    method: &'static str,
    /// Below the namespace: `secrets/NAME`.
    path: String,
    accept: &'static str,
    content_type: &'static str,
    body: Vec<u8>,
}

const JSON: &str = "application/json";

// === impl Api ===

impl Api {
    /// Finds the API server as every program in a pod does: by `KUBERNETES_SERVICE_HOST` and `_PORT`,
    /// and by the files of the service account in `/var/run/secrets/kubernetes.io/serviceaccount`.
    /// Errors when one of them is missing; asks nothing yet.
    pub fn in_cluster() -> Result<Self, Error> {
        let runtime =
            supervise::runtime().map_err(|error| Error::Unreachable(error.to_string()))?;
        let transport = {
            let _entered = runtime.enter();
            Transport::in_cluster()?
        };
        Ok(Self { runtime, transport })
    }

    /// The namespace of this pod.
    fn namespace(&self) -> &str {
        self.transport.namespace()
    }

    /// Asks until there is an answer that another try would not change, at most `PATIENCE` long.
    fn call(&self, call: &Call) -> Result<Vec<u8>, Error> {
        let until = sys::now() + PATIENCE;
        let mut pause = PAUSE;
        loop {
            let answer = self.runtime.block_on(self.attempt(call));
            match answer {
                Err(error) if error.may_pass() && sys::now() + pause < until => {
                    std::thread::sleep(pause);
                    pause *= 2;
                }
                answer => return answer,
            }
        }
    }

    async fn attempt(&self, call: &Call) -> Result<Vec<u8>, Error> {
        let answer = tokio::time::timeout(ATTEMPT, self.transport.send(call)).await;
        let (status, body) =
            answer.map_err(|_| Error::Unreachable("no answer in time".into()))??;
        if (200..300).contains(&status) { Ok(body) } else { Err(refused(status, &body)) }
    }
}

/// What Kubernetes says about a failure: an object of kind `Status`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    reason: String,
    message: String,
}

/// Whose message is shown: these name who may not do what, and what is missing. Others may quote what
/// was sent.
const TELLING: [u16; 3] = [401, 403, 404];

fn refused(status: u16, body: &[u8]) -> Error {
    let said: Status = serde_json::from_slice(body).unwrap_or_default();
    let telling = TELLING.contains(&status);
    let message = if telling { said.message } else { String::new() };
    let short = |text: String| text.chars().take(300).collect();
    Error::Refused { status, reason: short(said.reason), message: short(message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_quote_a_value_is_not_shown() {
        let body = br#"{"reason":"Invalid","message":"data: Invalid value: hunter2"}"#;
        let error = refused(422, body).to_string();
        assert!(error.contains("Invalid") && !error.contains("hunter2"), "{error}");
        let body =
            br#"{"reason":"Forbidden","message":"secrets \"a\" is forbidden: User \"x\" cannot"}"#;
        assert!(refused(403, body).to_string().contains("is forbidden: User"));
        assert!(refused(502, b"<html>").to_string().contains("502"));
    }
}
