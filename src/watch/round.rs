//! What one answer of the watch means, and what is remembered for the next: no socket, no clock.

use std::time::Duration;

use crate::consul::error::Error;
use crate::metrics::Id;
use crate::model::confirmation::{Confirmation, Mechanism, Origin};
use crate::model::follow::{Ask, Bell, Follow, Full, Offered, Use};
use crate::model::moment::Moment;
use crate::model::reading::{Marks, Reading};
use crate::model::snapshot::Digest;
use crate::sync::Source;

/// Content confirmed by Consul at most this long ago is adopted without reading it again.
const FRESH: Duration = Duration::from_secs(60);

/// The watch of one source between two questions.
pub struct Round {
    follow: Follow,
    wait: Duration,
    /// What was last read, accepted or held: the doorbell's word is about this.
    last: Option<(Digest, Marks)>,
    /// When the doorbell was asked that answered last.
    rung: Moment,
}

// === impl Round ===

impl Round {
    /// Where to begin: content that Consul confirmed a moment ago need not be read again.
    pub fn start(source: &Source, wait: Duration, now: Moment) -> Self {
        let adopted = source.board.read(|state| {
            let [source] = state.sources.as_slice() else {
                return None;
            };
            let published = source.published.as_ref()?;
            let fresh = source.confirmed.is_some_and(|c| now.since(c.when) < FRESH);
            // While an answer is held Consul's index says nothing of what is published.
            let sound = published.origin == Origin::Consul && !published.stale;
            let usable = fresh && sound && source.hold.is_none();
            let last = (published.digest, published.marks);
            usable.then_some((published.index, published.bytes, last))
        });
        let (follow, last) = match adopted {
            Some((index, bytes, last)) => (Follow::adopt(wait, index, bytes), Some(last)),
            None => (Follow::new(wait), None),
        };
        Self { follow, wait, last, rung: Moment::default() }
    }

    /// The next thing to do.
    pub fn next(&mut self, now: Moment) -> Ask {
        self.follow.next(now)
    }

    /// Reads everything next: a person accepted a held answer, or the token changed.
    pub fn reread(&mut self) {
        self.follow.reread();
    }

    /// A whole body came as the answer to `ask`. True if its content is to be offered; then
    /// [`offered`](Self::offered) has to follow.
    pub fn full(
        &mut self,
        source: &Source,
        ask: Ask,
        answer: Full,
        reading: &mut Reading,
        now: Moment,
        dice: f64,
    ) -> bool {
        if let Ask::Fetch(_) | Ask::Narrow(..) = ask {
            // Any server may have answered, and one that lags knows nothing of what came after the
            // doorbell's index: the content was current when the leader named that, not later.
            reading.sent = self.rung;
        }
        let usable = self.follow.full(answer, dice);
        if usable != Use::Offer {
            source.answered(Mechanism::Watch, now);
            count(source, "index_reset");
            return false;
        }
        if source.is_given_up(reading.sent) {
            source.answered(Mechanism::Watch, now);
            self.follow.reread();
            count(source, "index_reset");
            return false;
        }
        true
    }

    /// What became of the content that came as the answer to `ask`.
    pub fn offered(
        &mut self,
        source: &Source,
        ask: Ask,
        answer: Full,
        reading: &Reading,
        offered: Offered,
        now: Moment,
    ) {
        source.answered(Mechanism::Watch, now);
        let woken = answer.elapsed < self.wait - self.wait / 16 && ask != Ask::Read;
        self.follow.offered(offered, now);
        if offered == Offered::Same && woken {
            self.follow.idle_wake(now);
        }
        self.last = Some((reading.snapshot.digest(), reading.marks()));
        source.board.update(|s| s.sources[source.at].watched_index = answer.index);
        count(source, if offered == Offered::Changed { "changed" } else { "unchanged" });
    }

    /// The doorbell answered. `sent`: when it was asked; `date`: Consul's clock, in seconds.
    pub fn rung(
        &mut self,
        source: &Source,
        ask: Ask,
        bell: Bell,
        (sent, date): (Moment, i64),
        now: Moment,
        dice: f64,
    ) {
        self.rung = sent;
        let usable = self.follow.bell(bell, now, dice);
        source.answered(Mechanism::Watch, now);
        if source.is_given_up(sent) {
            return self.follow.reread();
        }
        match (usable, self.last) {
            (Use::Confirm, Some((digest, marks))) => {
                let how = Mechanism::Watch;
                let confirmation = Confirmation { digest, when: sent, date, how };
                let stands = source.confirm(confirmation) || is_held(source, &digest);
                let overtaken = !stands && is_overtaken(source, &marks);
                if overtaken || is_disputed(source, &digest, &marks) {
                    // Somebody published or held something else meanwhile: one of us is wrong.
                    self.follow.reread();
                }
                count(source, "unchanged");
            }
            (Use::Confirm, None) => self.follow.reread(),
            (Use::Distrust, _) => count(source, "index_reset"),
            _ if matches!(ask, Ask::Ring(_)) => count(source, "changed"),
            _ => {}
        }
    }

    /// What the content is to be weighed by could not be learned: it is read again.
    pub fn unweighed(&mut self, source: &Source, ask: Ask, error: &Error, now: Moment, dice: f64) {
        self.follow.reread();
        self.failed(source, ask, error, now, dice);
    }

    /// The question failed.
    pub fn failed(&mut self, source: &Source, ask: Ask, error: &Error, now: Moment, dice: f64) {
        self.follow.failed(error.trouble(), dice);
        source.failed(error, Mechanism::Watch, self.follow.pending_pause(), now);
        if matches!(ask, Ask::Block(_) | Ask::Ring(_)) {
            count(source, "error");
        }
    }
}

/// Whether this content is the one being refused. That it has not changed is then no news.
fn is_held(source: &Source, digest: &Digest) -> bool {
    let hold = source.board.read(|s| s.sources[source.at].hold);
    hold.is_some_and(|hold| hold.digest == Some(*digest))
}

/// Whether the heartbeat has refused other content since this was read. One of the two is out of
/// date, and a hold that is over must not stay until the next heartbeat.
fn is_disputed(source: &Source, digest: &Digest, last: &Marks) -> bool {
    source.board.read(|state| {
        let source = &state.sources[source.at];
        let other = source.hold.and_then(|hold| hold.digest).is_some_and(|held| held != *digest);
        other && source.held_marks.is_some_and(|held| held.answered > last.answered)
    })
}

/// Whether something newer is published than what was read last. If not, that is still on its way.
fn is_overtaken(source: &Source, last: &Marks) -> bool {
    source.board.read(|state| {
        let published = state.sources[source.at].published.as_ref();
        published.is_some_and(|p| p.marks.supersedes(last))
    })
}

fn count(source: &Source, result: &str) {
    source.metrics.count(Id::WatchRequests, &[&source.name, result]);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::board::Board;
    use crate::consul::wire::Caps;
    use crate::model::guard::{Hold, Policy, Reason};
    use crate::model::offer::Content;
    use crate::model::reading::Mode;
    use crate::model::reads::Reads;
    use crate::model::snapshot::Snapshot;
    use crate::publisher::Inbox;

    const WAIT: Duration = Duration::from_secs(30);
    const NOW: Moment = Moment(1_000_000_000_000);

    /// A source whose published content was confirmed at `NOW`.
    fn source() -> Source {
        let board = Arc::new(Board::new(1));
        let content = Content::from_reading(&reading(NOW), Mechanism::Seed, None);
        board.published([(0, &content)].into_iter(), None, NOW);
        board.update(|s| s.sources[0].published.as_mut().expect("so").bytes = 1 << 19);
        Source {
            at: 0,
            name: "default".to_owned(),
            reads: Reads::of_prefix("p/").unwrap(),
            policy: Policy { allow_empty: false, max_shrink_percent: 50 },
            caps: Caps { max_bytes: u64::MAX, max_keys: usize::MAX },
            board,
            group: None,
            inbox: Arc::new(Inbox::new(1)),
            metrics: Arc::default(),
        }
    }

    fn reading(at: Moment) -> Reading {
        let snapshot = Arc::new(Snapshot::empty(41));
        let (sent, answered, date) = (at, at, 1_700_000_000);
        Reading {
            snapshot,
            sent,
            answered,
            date,
            mode: Mode::Default,
            filtered: false,
            hides: false,
            joint: None,
        }
    }

    /// The heartbeat refuses other content, at `NOW + seconds`.
    fn hold(source: &Source, seconds: u64) {
        let when = NOW + Duration::from_secs(seconds);
        let digest = Some(Digest::from_bytes([1; 32]));
        let (reason, keys, baseline_keys) = (Reason::Empty, 0, 9);
        source.board.update(|state| {
            let source = &mut state.sources[0];
            source.hold = Some(Hold { reason, digest, keys, baseline_keys, since: when });
            source.held_marks = Some(reading(when).marks());
        });
    }

    fn quiet() -> Bell {
        Bell { index: 41, elapsed: WAIT, size: 91, names: 7, found: true }
    }

    #[test]
    fn what_is_held_at_the_start_is_read_again() {
        let source = source();
        assert_eq!(Round::start(&source, WAIT, NOW).next(NOW), Ask::Peek);
        hold(&source, 0);
        assert_eq!(Round::start(&source, WAIT, NOW).next(NOW), Ask::Read);
    }

    #[test]
    fn news_whose_transaction_failed_are_read_again() {
        let source = source();
        let mut round = Round::start(&source, WAIT, NOW);
        let ring = |round: &mut Round, index| {
            let ask = round.next(NOW);
            let bell = Bell { index, elapsed: Duration::ZERO, ..quiet() };
            round.rung(&source, ask, bell, (NOW, 0), NOW, 0.5);
        };
        ring(&mut round, 41);
        ring(&mut round, 42);
        let ask = round.next(NOW);
        assert_eq!(ask, Ask::Fetch(42));
        let full = Full { index: 42, elapsed: Duration::ZERO, size: 1 << 19 };
        assert!(round.full(&source, ask, full, &mut reading(NOW), NOW, 0.5));
        let error = Error::new(crate::consul::error::Kind::Server, "no leader".to_owned());
        round.unweighed(&source, ask, &error, NOW, 0.5);
        assert!(matches!(round.next(NOW), Ask::Pause(_)));
        assert_eq!(round.next(NOW), Ask::Peek, "the cheap question comes first");
        ring(&mut round, 42);
        assert!(matches!(round.next(NOW), Ask::Pause(_)), "full reads are spread");
        assert_eq!(round.next(NOW), Ask::Read);
    }

    #[test]
    fn a_transaction_that_fails_again_and_again_is_asked_for_ever_more_seldom() {
        let source = source();
        let mut round = Round::start(&source, WAIT, NOW);
        let mut ring = Vec::new();
        round.reread();
        for _ in 0..8 {
            let ask = round.next(NOW);
            assert_eq!(ask, Ask::Read);
            let full = Full { index: 42, elapsed: Duration::ZERO, size: 100 };
            assert!(round.full(&source, ask, full, &mut reading(NOW), NOW, 0.5));
            let error = Error::new(crate::consul::error::Kind::Server, "no".to_owned());
            round.unweighed(&source, ask, &error, NOW, 0.5);
            let Ask::Pause(pause) = round.next(NOW) else { panic!("no pause") };
            ring.push(pause);
        }
        assert!(ring[7] > 8 * ring[0], "{ring:?}");
    }

    #[test]
    fn a_hold_by_the_heartbeat_that_the_doorbell_disputes_is_read_again_once() {
        let source = source();
        let mut round = Round::start(&source, WAIT, NOW);
        let rung = |round: &mut Round, seconds| {
            let ask = round.next(NOW);
            let sent = NOW + Duration::from_secs(seconds);
            round.rung(&source, ask, quiet(), (sent, 0), sent, 0.5);
            round.next(sent)
        };
        assert_eq!(rung(&mut round, 0), Ask::Ring(41));
        hold(&source, 10);
        assert_eq!(rung(&mut round, 20), Ask::Read);
        let full = Full { index: 41, elapsed: Duration::ZERO, size: 1 << 20 };
        let now = NOW + Duration::from_secs(21);
        let mut read = reading(now);
        assert!(round.full(&source, Ask::Read, full, &mut read, now, 0.5));
        round.offered(&source, Ask::Read, full, &read, Offered::Same, now);
        assert_eq!(rung(&mut round, 22), Ask::Ring(41), "the publisher has yet to end the hold");
    }
}
