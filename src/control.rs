//! What operators say to a whole fleet, by keys beside the configuration: publish nothing for now, and let
//! a held answer through.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::board::Board;
use crate::consul::error::Error;
use crate::consul::wire::Caps;
use crate::consul::{Client, List, blocking_deadline};
use crate::model::cursor;
use crate::model::key::Prefix;
use crate::model::pace::{Backoff, Bucket};
use crate::model::reading::Mode;
use crate::model::reads::Reads;
use crate::publisher::Inbox;
use crate::publisher::persist::is_digest_prefix;
use crate::supervise::Pulse;
use crate::sys;

/// What there may be under the prefix: two keys, and some of somebody else's.
const CAPS: Caps = Caps { max_bytes: 64 << 10, max_keys: 100 };
/// So many questions at once, and then one in each gap: where there is no key below the prefix, Consul
/// wakes whoever waits for one with every new key of the store.
const BURST: u32 = 2;
const GAP: Duration = Duration::from_secs(1);
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

/// What the keys say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Word {
    frozen: bool,
    accepted: Vec<String>,
}

// === impl Control ===

impl Control {
    /// Follows the keys. While Consul does not answer, or the token may not read them, what they said last
    /// counts. Never returns.
    pub async fn run(&self, pulse: &Pulse) {
        let (mut index, mut backoff) = (0, Backoff::default());
        let (mut bucket, mut last) = (Bucket::new(BURST, GAP), None);
        let mut is_told = false;
        loop {
            pulse.tick(blocking_deadline(self.wait) * 2 + SLACK);
            let pause = match self.read(index, last.as_ref()).await {
                Ok((now, word)) => {
                    backoff.reset();
                    // One that goes back was never asked for: Consul's own advice is to start anew.
                    index = if now < index { 0 } else { cursor::usable(now) };
                    is_told &= word.is_none();
                    if word.is_none() && !std::mem::replace(&mut is_told, true) {
                        tracing::warn!(event = "control_denied", prefix = %self.prefix,
                            "the token may not read the keys that speak to the fleet; what they said last counts");
                    }
                    if let Some(word) = word.filter(|word| last.as_ref() != Some(word)) {
                        self.hear(&word);
                        last = Some(word);
                    }
                    // Where there is no key, any change in the store may end the wait.
                    bucket.take(sys::now())
                }
                Err(error) => {
                    if backoff.failures() == 0 {
                        tracing::warn!(event = "control_failed", %error,
                            "the keys that speak to the fleet cannot be read; what they said last counts");
                    }
                    backoff.fail(error.trouble(), fastrand::f64())
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// The index, and what the keys say; no word where the token may not read them: an answer without keys
    /// looks the same.
    async fn read(&self, index: u64, last: Option<&Word>) -> Result<(u64, Option<Word>), Error> {
        let (prefix, mode) = (&self.prefix, Mode::Default);
        let reads = &Reads::Keys(prefix.clone());
        let block = (index > 0).then_some((index, self.wait));
        let ask = List { reads, mode, block, previous: None, caps: CAPS };
        let reading = self.client.list(ask).await?.reading;
        let snapshot = &reading.snapshot;
        let key = |name| snapshot.get(&format!("{prefix}{name}"));
        let accepted = key("accept").map(|entry| digests(&entry.value)).unwrap_or_default();
        let word = Word { frozen: key("freeze").is_some(), accepted };
        let is_doubted = !word.frozen && (reading.filtered || last != Some(&word));
        let hidden = is_doubted && self.client.may_read(&reads.rights()).await == Some(false);
        Ok((snapshot.index(), (!hidden).then_some(word)))
    }

    fn hear(&self, word: &Word) {
        let (before, held) = self.board.update(|state| {
            let mut held = false;
            for source in &mut state.sources {
                source.fleet_accepted.clone_from(&word.accepted);
                let digest = source.hold.and_then(|hold| hold.digest);
                held |= digest.is_some_and(|digest| source.accepts(&digest));
            }
            (state.fleet_frozen.replace(word.frozen), held)
        });
        if before != Some(word.frozen) {
            if word.frozen || before.is_some() {
                tracing::warn!(
                    event = "fleet_frozen",
                    frozen = word.frozen,
                    "the fleet's key says whether changes are published"
                );
            }
            self.inbox.slots.ring();
        }
        if held {
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
