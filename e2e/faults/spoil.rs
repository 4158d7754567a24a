//! The faults: how the proxy spoils an answer.

use std::sync::Arc;

use super::proxy::Asked;
use crate::consul::http::Answer;

/// What happens to an answer.
#[derive(Clone)]
pub struct Fault {
    /// Changes the answer.
    pub edit: Edit,
    /// How it is sent.
    pub send: Send,
    /// The answer begins as Consul's own.
    pub needs_consul: bool,
    /// Consul is not asked to wait.
    pub at_once: bool,
}

/// Changes an answer to a request.
pub type Edit = Arc<dyn Fn(&Asked, &mut Answer) + std::marker::Send + Sync>;

/// How an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Send {
    /// As it is.
    Whole,
    /// So many bytes of the head; then the connection is closed.
    HeadTo(usize),
    /// The length of the whole body, so many bytes of it; then closed.
    LengthTo(usize),
    /// So many bytes of a chunk that should be longer; then closed.
    ChunkedTo(usize),
    /// So many bytes in a whole chunk, without the last, empty one; then closed.
    ChunksTo(usize),
    /// Nothing; then reset.
    Reset,
    /// Nothing, and the connection stays.
    Silence,
    /// A head, and the connection stays.
    HeadThenSilence,
    /// A head, then a byte a second.
    Drip,
    /// A byte a second from the beginning.
    DripHead,
    /// The body, then its last byte for ever: with a length, or chunked.
    Endless { claimed: Option<usize> },
}

// === impl Fault ===

impl Fault {
    /// Consul's own answer, sent so.
    pub fn sent(send: Send) -> Self {
        let whole = matches!(send, Send::Reset | Send::Silence) || send == Send::HeadTo(0);
        Self { edit: Arc::new(|_, _| ()), send, needs_consul: !whole, at_once: false }
    }

    /// Consul's own answer, changed.
    pub fn edited(edit: impl Fn(&Asked, &mut Answer) + std::marker::Send + Sync + 'static) -> Self {
        Self { edit: Arc::new(edit), send: Send::Whole, needs_consul: true, at_once: false }
    }

    /// An answer that Consul has no part in.
    pub fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let headers = headers.iter().map(owned).collect();
        let answer = Answer { status, headers, body: body.as_bytes().to_vec() };
        let edit: Edit = Arc::new(move |_, own| *own = answer.clone());
        Self { edit, send: Send::Whole, needs_consul: false, at_once: false }
    }

    /// Another body under Consul's own head, with the length that it has.
    pub fn body(make: impl Fn(&[u8]) -> Vec<u8> + std::marker::Send + Sync + 'static) -> Self {
        Self::edited(move |_, answer| answer.body = make(&answer.body))
    }

    /// Another index: made of what was asked for and what Consul answered; `None` takes it away.
    pub fn index(
        make: impl Fn(u64, u64) -> Option<String> + std::marker::Send + Sync + 'static,
    ) -> Self {
        Self::edited(move |asked, answer| {
            let sent = asked.query("index").and_then(|n| n.parse().ok()).unwrap_or(0);
            let own = answer.index().unwrap_or(0);
            answer.headers.retain(|(name, _)| name != "x-consul-index");
            if let Some(index) = make(sent, own) {
                answer.headers.push(("x-consul-index".to_owned(), index));
            }
        })
    }

    /// The same, without waiting for news.
    pub fn at_once(mut self) -> Self {
        self.at_once = true;
        self
    }

    /// The same, sent so.
    pub fn then(mut self, send: Send) -> Self {
        self.send = send;
        self
    }
}
