//! The watch: blocking queries, one after another, for as long as the process lives.
//!
//! What to ask next and what an answer means is decided in `model::follow`; here it is asked.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::consul::error::Error;
use crate::consul::{Client, Listed, Rung, blocking_deadline};
use crate::metrics::Id;
use crate::model::confirmation::{Confirmation, Mechanism, Origin};
use crate::model::follow::{Ask, Follow, Full, Offered, Use};
use crate::model::reading::{Marks, Mode};
use crate::model::snapshot::Digest;
use crate::supervise::Pulse;
use crate::sync::Source;
use crate::sys;

/// Content confirmed by Consul at most this long ago is adopted without reading it again.
const FRESH: Duration = Duration::from_secs(60);
/// What a slow machine may add to a deadline before a watch counts as stuck.
const SLACK: Duration = Duration::from_secs(60);

/// The watch of one source.
pub struct Watch {
    /// The source.
    pub source: Source,
    /// Its own client.
    pub client: Client,
    /// How long Consul is asked to hold a query.
    pub wait: Duration,
    /// Rung to have everything read at once.
    pub poke: Arc<Notify>,
}

/// An answer, before anyone has decided what it means.
enum Answer {
    Full(Listed),
    Bell(Rung),
}

/// What one round needs to remember for the next.
struct Round {
    follow: Follow,
    /// What was last read, accepted or held: the doorbell's word is about this.
    last: Option<(Digest, Marks)>,
}

// === impl Watch ===

impl Watch {
    /// Follows the source. Never returns: no number of errors is a reason to stop.
    pub async fn run(&self, pulse: &Pulse) {
        let (follow, last) = self.start();
        let mut round = Round { follow, last };
        loop {
            let ask = round.follow.next(sys::now());
            pulse.tick(self.patience(ask) + SLACK);
            tokio::select! {
                () = self.step(&mut round, ask) => {}
                // A person accepted a held answer, or the token changed: read now.
                () = self.poke.notified() => round.follow.reread(),
            }
        }
    }

    /// Where to begin: content that Consul confirmed a moment ago need not be read again.
    fn start(&self) -> (Follow, Option<(Digest, Marks)>) {
        let now = sys::now();
        let adopted = self.source.board.read(|state| {
            let [source] = state.sources.as_slice() else {
                return None;
            };
            let published = source.published.as_ref()?;
            let fresh = source.confirmed.is_some_and(|c| now.since(c.when) < FRESH);
            let usable = fresh && published.origin == Origin::Consul && !published.stale;
            let last = (published.digest, published.marks);
            usable.then_some((published.index, published.bytes, last))
        });
        match adopted {
            Some((index, bytes, last)) => (Follow::adopt(self.wait, index, bytes), Some(last)),
            None => (Follow::new(self.wait), None),
        }
    }

    fn patience(&self, ask: Ask) -> Duration {
        match ask {
            Ask::Pause(pause) => pause,
            _ => blocking_deadline(self.wait) + Duration::from_secs(60),
        }
    }

    async fn step(&self, round: &mut Round, ask: Ask) {
        if let Ask::Pause(pause) = ask {
            return tokio::time::sleep(pause).await;
        }
        match self.put(ask).await {
            Ok(Answer::Full(listed)) => self.full(round, ask, listed).await,
            Ok(Answer::Bell(rung)) => self.rung(round, ask, &rung),
            Err(error) => self.failed(round, ask, &error),
        }
    }

    async fn put(&self, ask: Ask) -> Result<Answer, Error> {
        let (source, client) = (&self.source, &self.client);
        let block = |index| Some((index, self.wait));
        match ask {
            Ask::Block(index) => source.list(client, Mode::Default, block(index)).await,
            Ask::Fetch(index) => source.fetch(client, index).await,
            Ask::Peek => return source.doorbell(client, None).await.map(Answer::Bell),
            Ask::Ring(index) => {
                return source.doorbell(client, block(index)).await.map(Answer::Bell);
            }
            Ask::Read | Ask::Pause(_) => source.list(client, Mode::Default, None).await,
        }
        .map(Answer::Full)
    }

    async fn full(&self, round: &mut Round, ask: Ask, listed: Listed) {
        let answer = Full {
            index: listed.reading.snapshot.index(),
            elapsed: listed.elapsed,
            size: listed.size,
        };
        let usable = round.follow.full(answer, fastrand::f64());
        self.source.answered(Mechanism::Watch, None);
        if usable != Use::Offer {
            return self.count("index_reset");
        }
        let woken = answer.elapsed < self.wait - self.wait / 16 && ask != Ask::Read;
        let offered = self.source.offer(&self.client, &listed.reading, Mechanism::Watch).await;
        let now = sys::now();
        round.follow.offered(offered, now);
        if offered == Offered::Same && woken {
            round.follow.idle_wake(now);
        }
        round.last = Some((listed.reading.snapshot.digest(), listed.reading.marks()));
        self.source.board.update(|s| s.sources[self.source.at].watched_index = answer.index);
        self.count(if offered == Offered::Changed { "changed" } else { "unchanged" });
    }

    fn rung(&self, round: &mut Round, ask: Ask, rung: &Rung) {
        let now = sys::now();
        let usable = round.follow.bell(rung.bell, now, fastrand::f64());
        self.source.answered(Mechanism::Watch, None);
        match (usable, round.last) {
            (Use::Confirm, Some((digest, marks))) => {
                let how = Mechanism::Watch;
                let confirmation = Confirmation { digest, when: rung.sent, date: rung.date, how };
                let stands = self.source.confirm(confirmation) || self.is_held(&digest);
                if !stands && self.is_overtaken(&marks) {
                    // Somebody published something else meanwhile: one of us is wrong.
                    round.follow.reread();
                }
                self.count("unchanged");
            }
            (Use::Confirm, None) => round.follow.reread(),
            _ if matches!(ask, Ask::Ring(_)) => self.count("changed"),
            _ => {}
        }
    }

    /// Whether this content is the one being refused. That it has not changed is then no news.
    fn is_held(&self, digest: &Digest) -> bool {
        let hold = self.source.board.read(|s| s.sources[self.source.at].hold);
        hold.is_some_and(|hold| hold.digest == Some(*digest))
    }

    /// Whether something newer is published than what we read last. If not, that is still on its way.
    fn is_overtaken(&self, last: &Marks) -> bool {
        self.source.board.read(|state| {
            let published = state.sources[self.source.at].published.as_ref();
            published.is_some_and(|p| p.marks.supersedes(last))
        })
    }

    fn failed(&self, round: &mut Round, ask: Ask, error: &Error) {
        round.follow.failed(error.trouble(), fastrand::f64());
        let next = round.follow.pending_pause();
        self.source.failed(error, Mechanism::Watch, next);
        if matches!(ask, Ask::Block(_) | Ask::Ring(_)) {
            self.count("error");
        }
    }

    fn count(&self, result: &str) {
        self.source.metrics.count(Id::WatchRequests, &[&self.source.name, result]);
    }
}
