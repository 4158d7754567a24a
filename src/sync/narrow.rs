//! Reading only what has changed of a large prefix, where that can be told.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::{Source, caught_up};
use crate::consul::error::Error;
use crate::consul::{Client, List, Listed};
use crate::metrics::Id;
use crate::model::moment::Moment;
use crate::model::parts::{Next, Search};
use crate::model::reading::{Mode, Reading};
use crate::model::reads::Reads;
use crate::model::snapshot::Snapshot;
use crate::sys;

/// What was confirmed longer ago than this is not built on: Consul forgets deletions after 15 minutes
/// (`tombstone_ttl`), and with them the index that tells of them.
const FRESH: Duration = Duration::from_secs(300);
/// The search is to be quicker than reading the whole: after this long with its questions it is given up,
/// and after that long with all of it. Without an end it could outlast what a watch may take for one step.
const QUESTIONS: Duration = Duration::from_secs(2);
const ALL: Duration = Duration::from_secs(20);
/// What a key takes in Consul's JSON beside its value.
const FRAME: u64 = 150;

impl Source {
    /// The prefix as it was at `index`, which the doorbell has named with names of the hash `names`. Where
    /// it cannot be told what has changed, everything is read: also where a question of the search fails,
    /// since that may be a matter of this question alone. If it is not, the read says so.
    pub async fn narrow(&self, client: &Client, index: u64, names: u64) -> Result<Listed, Error> {
        let found = match self.confirmed_content() {
            Some(held) => self.search(client, held, (index, names)).await,
            None => None,
        };
        let result = if found.is_some() { "part" } else { "whole" };
        self.metrics.count(Id::PartReads, &[&self.name, result]);
        match found {
            Some(listed) => Ok(listed),
            None => self.fetch(client, index).await,
        }
    }

    /// What is published, if Consul has confirmed it a short while ago. Not while an answer is held: what is
    /// put together here lacks what the hold is about, and would end it.
    fn confirmed_content(&self) -> Option<Arc<Snapshot>> {
        if self.reads.service().is_some() {
            return None;
        }
        let now = sys::now();
        self.board.read(|state| {
            let source = &state.sources[self.at];
            let published = source.published.as_ref()?.snapshot.clone()?;
            let confirmed = source.confirmed.filter(|c| c.digest == published.digest())?;
            if source.hold.is_some() {
                return None;
            }
            (now.since(confirmed.when) < FRESH).then_some(published)
        })
    }

    /// Asks until it is clear what has changed, and reads that.
    async fn search(
        &self,
        client: &Client,
        held: Arc<Snapshot>,
        bell: (u64, u64),
    ) -> Option<Listed> {
        let (sent, started) = (sys::now(), Instant::now());
        let mut parts = Parts { source: self, held: held.clone(), date: 0, filtered: false };
        let mut search = Search::new(held, self.reads.prefix().as_str(), bell);
        let snapshot = loop {
            match search.ask() {
                Next::Done(snapshot) => break snapshot,
                Next::Whole => return None,
                Next::Index(prefix) => {
                    let reads = Reads::of_prefix(&prefix)?;
                    let rung = client.doorbell(&reads, None, self.caps);
                    let rung = in_time(rung, started + QUESTIONS).await?;
                    parts.date = rung.date;
                    search.told(rung.bell.index, rung.bell.found);
                }
                Next::Read(prefix, index) => {
                    let reads = Reads::of_prefix(&prefix)?;
                    search.read(in_time(parts.read(client, &reads, index), started + ALL).await?);
                }
            }
        };
        parts.together(snapshot, sent, started.elapsed())
    }
}

/// An answer, if it is one and comes by then.
async fn in_time<T>(answer: impl Future<Output = Result<T, Error>>, end: Instant) -> Option<T> {
    timeout_at(end.into(), answer).await.ok()?.ok()
}

/// What the answers have in common.
struct Parts<'s> {
    source: &'s Source,
    held: Arc<Snapshot>,
    date: i64,
    filtered: bool,
}

// === impl Parts ===

impl Parts<'_> {
    /// What lies below a prefix, from whichever server has reached its index.
    async fn read(
        &mut self,
        client: &Client,
        reads: &Reads,
        index: u64,
    ) -> Result<Arc<Snapshot>, Error> {
        let block = caught_up(index);
        let (previous, caps) = (Some(&*self.held), self.source.caps);
        let listed = client.list(List { reads, mode: Mode::Stale, block, previous, caps }).await?;
        self.filtered |= listed.reading.filtered;
        Ok(listed.reading.snapshot)
    }

    /// As if it had been read at once. None where that would have been too large.
    fn together(self, snapshot: Snapshot, sent: Moment, elapsed: Duration) -> Option<Listed> {
        let caps = self.source.caps;
        let keys: u64 = snapshot.entries().iter().map(|entry| entry.key.len() as u64).sum();
        if snapshot.keys() > caps.max_keys || keys + snapshot.bytes() > caps.max_bytes {
            return None;
        }
        let size = snapshot.bytes() / 3 * 4 + keys + FRAME * snapshot.keys() as u64;
        let (mode, filtered) = (Mode::Default, self.filtered);
        let reading = Reading {
            snapshot: Arc::new(snapshot),
            sent,
            answered: sys::now(),
            date: self.date,
            mode,
            filtered,
            hides: false,
            joint: None,
        };
        Some(Listed { reading, size, elapsed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::Board;
    use crate::consul::wire::Caps;
    use crate::model::confirmation::{Confirmation, Mechanism};
    use crate::model::guard::{Hold, Policy};
    use crate::model::offer::Content;
    use crate::publisher::Inbox;

    #[test]
    fn only_what_was_confirmed_a_short_while_ago_is_built_on() {
        let board = Arc::new(Board::new(1));
        let now = sys::now();
        let reading = Reading {
            snapshot: Arc::new(Snapshot::empty(41)),
            sent: now,
            answered: now,
            date: 1_700_000_000,
            mode: Mode::Default,
            filtered: false,
            hides: false,
            joint: None,
        };
        let content = Content::from_reading(&reading, Mechanism::Watch, None);
        board.published([(0, &content)].into_iter(), None, now);
        let source = Source {
            at: 0,
            name: "default".to_owned(),
            reads: Reads::of_prefix("p/").unwrap(),
            policy: Policy { allow_empty: false, max_shrink_percent: 50 },
            caps: Caps { max_bytes: u64::MAX, max_keys: usize::MAX },
            board: board.clone(),
            group: None,
            inbox: Arc::new(Inbox::new(1)),
            metrics: Arc::default(),
        };
        assert!(source.confirmed_content().is_some());
        let when = Moment(now.0.saturating_sub(FRESH.as_nanos() as u64));
        let (digest, date, how) = (reading.snapshot.digest(), reading.date, Mechanism::Watch);
        let old = Confirmation { digest, when, date, how };
        board.update(|state| state.sources[0].confirmed = Some(old));
        assert!(source.confirmed_content().is_none());
        let of_other = Confirmation { digest: Snapshot::empty(1).digest(), when: now, ..old };
        board.update(|state| state.sources[0].confirmed = Some(of_other));
        assert!(source.confirmed_content().is_some(), "equal content, at whatever index");
        let hold = Hold::too_large(9, 1, None, now);
        board.update(|state| state.sources[0].hold = Some(hold));
        assert!(source.confirmed_content().is_none(), "an answer is held");
    }
}
