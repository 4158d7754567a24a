//! What operators say to a whole fleet, by keys beside the configuration: publish nothing for now, and let
//! a held answer through.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::board::Board;
use crate::consul::wire::Caps;
use crate::consul::{Client, List, blocking_deadline};
use crate::model::key::Prefix;
use crate::model::pace::{Backoff, Trouble};
use crate::model::reading::Mode;
use crate::model::snapshot::Snapshot;
use crate::publisher::Inbox;
use crate::publisher::persist::is_digest_prefix;
use crate::supervise::Pulse;

/// What there may be under the prefix: two keys, and some of somebody else's.
const CAPS: Caps = Caps { max_bytes: 64 << 10, max_keys: 100 };
/// Between two questions, while the keys keep changing.
const GAP: Duration = Duration::from_millis(250);
/// What a slow machine may add to a deadline.
const SLACK: Duration = Duration::from_secs(60);

/// The keys that speak to a fleet.
pub struct Control {
    /// `freeze` and `accept` below it.
    pub prefix: Prefix,
    /// Its own client.
    pub client: Client,
    /// How long Consul is asked to hold a query.
    pub wait: Duration,
    /// Where it says what it read.
    pub board: Arc<Board>,
    /// Rung when something may be published.
    pub inbox: Arc<Inbox>,
    /// Rung to have everything read again.
    pub pokes: Vec<Arc<Notify>>,
}

// === impl Control ===

impl Control {
    /// Follows the keys. While Consul does not answer, what it said last counts. Never returns.
    pub async fn run(&self, pulse: &Pulse) {
        let (mut index, mut backoff) = (0, Backoff::default());
        loop {
            pulse.tick(blocking_deadline(self.wait) + SLACK);
            let block = (index > 0).then_some((index, self.wait));
            let ask = List {
                prefix: &self.prefix,
                mode: Mode::Default,
                block,
                previous: None,
                caps: CAPS,
            };
            let pause = match self.client.list(ask).await {
                Ok(listed) => {
                    backoff.reset();
                    let now = listed.reading.snapshot.index();
                    // An index that goes back was never asked for: Consul's own advice is to start anew.
                    index = if now < index { 0 } else { now };
                    self.hear(&listed.reading.snapshot);
                    GAP
                }
                Err(error) => {
                    let pause = backoff.fail(error.trouble(), fastrand::f64());
                    if backoff.failures() == 1 && error.trouble() == Trouble::Lasting {
                        tracing::warn!(event = "control_failed", %error,
                            "the keys that speak to the fleet cannot be read; what they said last counts");
                    }
                    pause
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    fn hear(&self, snapshot: &Snapshot) {
        let key = |name| snapshot.get(&format!("{}{name}", self.prefix));
        let frozen = key("freeze").is_some();
        let accepted = key("accept").map(|entry| digests(&entry.value)).unwrap_or_default();
        let (before, news) = self.board.update(|state| {
            let mut news = false;
            for source in &mut state.sources {
                // Of what is published it says nothing any more.
                let published = source.published.as_ref().map(|p| p.digest.hex());
                let is_published =
                    |d: &String| published.as_ref().is_some_and(|p| p.starts_with(d.as_str()));
                for digest in accepted.iter().filter(|d| !is_published(d)) {
                    if !source.accepted.contains(digest) {
                        source.accepted.push(digest.clone());
                        news = true;
                    }
                }
            }
            (state.fleet_frozen.replace(frozen), news)
        });
        if before != Some(frozen) {
            if frozen || before.is_some() {
                tracing::warn!(
                    event = "frozen",
                    frozen,
                    "the fleet's key says whether changes are published"
                );
            }
            self.inbox.slots.ring();
        }
        if news {
            self.pokes.iter().for_each(|poke| poke.notify_one());
        }
    }
}

/// The digests, or first digits of some, in a key's value; the rest says nothing to us.
fn digests(value: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(value).to_ascii_lowercase();
    let words = text.split([' ', ',', '\n', '\r', '\t']);
    words.filter(|word| is_digest_prefix(word)).take(100).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_holds_digests_and_what_is_none_is_nothing() {
        assert_eq!(digests(b"3F9C0A1B\n, 00000000aa x 3f9 \xff"), ["3f9c0a1b", "00000000aa"]);
        assert!(digests(b"").is_empty());
    }
}
