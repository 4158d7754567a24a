//! Telling a service of each change: at least once, the newest first, and nobody waits for it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::board::{Board, Failure, State};
use crate::config::Hook;
use crate::metrics::{Id, Metrics};
use crate::model::changed::News;
use crate::model::pace::{Backoff, Trouble};
use crate::request;
use crate::supervise::Pulse;
use crate::sys;

/// The longest sleep; a change on the board ends it.
const IDLE: Duration = Duration::from_secs(60);

/// What is told, and of what.
pub struct Setup {
    /// To whom, and how.
    pub hook: Hook,
    /// The sources' names.
    pub sources: Vec<String>,
}

/// Tells of changes until the runtime is left. What changes while a request is under way is told with the
/// next; whatever was under way when the process ended is told by the one after it, which knows only that
/// there may be something.
pub async fn run(setup: &Setup, board: &Board, metrics: &Metrics, pulse: &Pulse) {
    let mut changes = board.subscribe();
    let mut backoff = Backoff::default();
    loop {
        pulse.tick(IDLE + setup.hook.timeout * 2);
        changes.borrow_and_update();
        let news = board.read(|state| {
            let news = state.untold.news(&setup.hook.only).filter(|_| state.seeded)?;
            Some((body(setup, state, &news), state.generation.clone(), news))
        });
        let Some((body, generation, news)) = news else {
            // What changed does not matter: it need not be kept.
            if board.read(|state| state.seeded && state.untold.is_there()) {
                board.update(|state| state.untold.forget_unless(&setup.hook.only));
            }
            let _ = tokio::time::timeout(IDLE, changes.changed()).await;
            continue;
        };
        let pause = match tell(&setup.hook, &body).await {
            Ok(()) => {
                backoff.reset();
                went_well(board, metrics, generation, news.until);
                continue;
            }
            Err(error) => {
                failed(board, metrics, error);
                backoff.fail(Trouble::Passing, fastrand::f64())
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn tell(hook: &Hook, body: &Value) -> Result<(), String> {
    let sent = request::send(&hook.method, hook.url.clone(), body.to_string(), hook.timeout);
    match sent.await? {
        code if hook.success.is_empty() && (200..300).contains(&code) => Ok(()),
        code if hook.success.contains(&code) => Ok(()),
        code => Err(format!("it answered {code}")),
    }
}

/// What is sent. Never a value.
fn body(setup: &Setup, state: &State, news: &News) -> Value {
    let sources = setup.sources.iter().zip(&state.sources).filter_map(|(name, source)| {
        let published = source.published.as_ref()?;
        let (origin, keys) = (published.origin.word(), published.keys);
        let (index, digest) = (published.index, published.digest.hex());
        Some((
            name.clone(),
            json!({"origin": origin, "index": index, "digest": digest, "keys": keys}),
        ))
    });
    let sources: serde_json::Map<String, Value> = sources.collect();
    json!({"generation": state.generation, "changed": news.paths, "sources": sources})
}

fn went_well(board: &Board, metrics: &Metrics, generation: Option<String>, until: u64) {
    metrics.count(Id::HookRequests, &["success"]);
    tracing::debug!(event = "hook_told", generation, "the hook has been told");
    board.update(|state| {
        state.untold.told(until);
        (state.hook.told, state.hook.error) = (generation, None);
    });
}

fn failed(board: &Board, metrics: &Metrics, error: String) {
    metrics.count(Id::HookRequests, &["error"]);
    let is_news = board.update(|state| {
        let failure = Failure { kind: "hook", text: error.clone(), at: sys::now() };
        state.hook.error.replace(failure).is_none()
    });
    if is_news {
        tracing::warn!(
            event = "hook_failed",
            error,
            "the hook could not be told of a change; trying again"
        );
    }
}
