//! The one read-and-guard step that seed, watch and heartbeat share.
//!
//! An answer of Consul is judged here and nowhere else. What is accepted goes into the publisher's
//! slot; what is held goes there too, as a hold; what only confirms the published content goes to the
//! board and touches no file.

pub mod atomic;
mod narrow;

use std::sync::Arc;
use std::time::Duration;

use crate::board::{Board, Failure};
use crate::consul::error::{Error, Kind};
use crate::consul::wire::Caps;
use crate::consul::{Client, List, Listed, Rung};
use crate::metrics::{Id, Metrics};
use crate::model::confirmation::{Confirmation, Mechanism};
use crate::model::follow::{Ask, Offered};
use crate::model::full_read::FullRead;
use crate::model::guard::{Baseline, Candidate, Hold, Policy, Verdict, judge};
use crate::model::moment::Moment;
use crate::model::offer::{Content, Offer};
use crate::model::reading::{Marks, Mode, Reading};
use crate::model::reads::Reads;
use crate::model::snapshot::{Digest, Snapshot};
use crate::publisher::Inbox;
use crate::sys;

use atomic::Group;

/// How long a server that is asked for a given index may take to reach it.
const CATCH_UP: Duration = Duration::from_secs(5);

/// Of so many missing keys Consul is asked whether the token may read them: a policy that hides some
/// hides them by their names, and hardly by fewer than these.
const MISSING: usize = 256;

/// What became of an answer at the first look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weighed {
    /// It was accepted, held or known.
    Settled(Offered),
    /// It would be held; a consistent read of the same content would let it through.
    Doubted(Hold),
}

/// A verdict, and what it was measured against.
type Judged = (Verdict, Option<Baseline>);

/// One source, as its mechanisms see it.
#[derive(Clone)]
pub struct Source {
    /// Its place in the configuration.
    pub at: usize,
    /// Its name.
    pub name: String,
    /// What it reads.
    pub reads: Reads,
    /// What the guard allows.
    pub policy: Policy,
    /// How large an answer may be.
    pub caps: Caps,
    /// The sources that are read in one transaction with this one, if there are any.
    pub group: Option<Arc<Group>>,
    /// Where everybody's state stands.
    pub board: Arc<Board>,
    /// Where judged answers go.
    pub inbox: Arc<Inbox>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

// === impl Source ===

impl Source {
    /// The content that was accepted last, else what is published, if it is known here. Equal entries
    /// of the next answer are shared with it: in a storm of changes a snapshot waits and another is
    /// read while the one before is being written.
    pub fn previous(&self) -> Option<Arc<Snapshot>> {
        let published =
            || self.board.read(|s| s.sources[self.at].published.as_ref()?.snapshot.clone());
        self.inbox.latest(self.at).or_else(published)
    }

    /// The digest of what is published.
    pub fn published_digest(&self) -> Option<Digest> {
        self.board.read(|s| Some(s.sources[self.at].published.as_ref()?.digest))
    }

    /// Asks for everything.
    pub async fn list(
        &self,
        client: &Client,
        mode: Mode,
        block: Option<(u64, Duration)>,
    ) -> Result<Listed, Error> {
        let previous = self.previous();
        let (reads, caps, previous) = (&self.reads, self.caps, previous.as_deref());
        client.list(List { reads, mode, block, previous, caps }).await
    }

    /// Asks the doorbell.
    pub async fn doorbell(
        &self,
        client: &Client,
        block: Option<(u64, Duration)>,
    ) -> Result<Rung, Error> {
        client.doorbell(&self.reads, block, self.caps).await
    }

    /// Reads everything from whichever server has reached `index`. The doorbell learned the index
    /// from the leader, so that an answer at or above it is as good as the leader's; one below is
    /// returned as the stale answer it is.
    pub async fn fetch(&self, client: &Client, index: u64) -> Result<Listed, Error> {
        let mut listed = self.list(client, Mode::Stale, caught_up(index)).await?;
        if listed.reading.snapshot.index() >= index {
            listed.reading.mode = Mode::Default;
        }
        Ok(listed)
    }

    /// One full read as the heartbeat does it; `model::full_read` chooses the questions.
    pub async fn read_all(&self, client: &Client) -> Result<Listed, Error> {
        let mut read = FullRead::new(self.previous().map_or(0, |p| p.bytes()));
        let mut since = None;
        loop {
            let mut listed = match read.ask() {
                Ask::Peek => {
                    let rung = self.doorbell(client, None).await?;
                    since = Some(rung.sent);
                    read.bell(&rung.bell);
                    continue;
                }
                Ask::Fetch(index) => self.fetch(client, index).await?,
                _ => self.list(client, Mode::Default, None).await?,
            };
            if read.is_done(listed.reading.mode) {
                // The doorbell's answer came from the leader: from then on the content is current.
                if let (Ask::Fetch(_), Some(sent)) = (read.ask(), since) {
                    listed.reading.sent = sent;
                }
                return Ok(listed);
            }
        }
    }

    /// Judges an answer and sends it on its way. Asks Consul again where the guard wants evidence, and
    /// where it brings news and others are read together with it: `reading` is then what was read
    /// with them. An error is that question's; nothing has been decided then.
    pub async fn offer(
        &self,
        client: &Client,
        reading: &mut Reading,
        how: Mechanism,
    ) -> Result<Offered, Error> {
        if let Some(group) = &self.group {
            return self.offer_in_group(client, group, reading, how).await;
        }
        // What is out of date lacks what came since, and is not used.
        let is_old = self.is_outdated(&reading.marks());
        reading.hides = !is_old && self.hides(client, reading).await;
        Ok(match self.weigh(reading, how, sys::now()) {
            Weighed::Settled(offered) => offered,
            Weighed::Doubted(hold) => {
                let evidence = self.ask_evidence(client).await;
                self.settle(reading, hold, evidence.as_ref(), how, sys::now())
            }
        })
    }

    /// Whether keys are missing because the token does not see them. A narrowed policy leaves them out of
    /// a list without a word (from Consul 1.11 on with a header), at the same index as ever, and a few
    /// less are else believed. Where Consul does not answer this, they count as deleted.
    async fn hides(&self, client: &Client, reading: &Reading) -> bool {
        let missing = self.missing(&reading.snapshot);
        let missing: Vec<&str> = missing.iter().map(|key| &**key).collect();
        // That there are none at all is held in any case.
        let asked = !missing.is_empty() && reading.snapshot.keys() > 0;
        asked && client.may_read(&self.reads.rights_to(&missing)).await == Some(false)
    }

    /// The first keys that are published and not in `new`, as far as they are known by name.
    fn missing(&self, new: &Snapshot) -> Vec<Box<str>> {
        let (known, adopted) = self.board.read(|state| {
            let source = &state.sources[self.at];
            let published = source.published.as_ref().filter(|p| p.digest != new.digest());
            let keys = published.map(|_| source.adopted_keys.clone());
            (published.and_then(|p| p.snapshot.clone()), keys.flatten())
        });
        let known = known.iter().flat_map(|known| known.entries().iter().map(|e| &*e.key));
        let adopted = adopted.iter().flat_map(|keys| keys.iter().map(String::as_str));
        // Both are in the order of keys: most are where the one before was, and one more.
        let mut next = 0;
        let is_missing = |key: &&str| {
            let is_next = new.entries().get(next).is_some_and(|entry| *entry.key == **key);
            let found = if is_next { Some(next) } else { new.position(key) };
            next = found.map_or(next, |at| at + 1);
            found.is_none()
        };
        known.chain(adopted).filter(is_missing).take(MISSING).map(Box::from).collect()
    }

    /// Judges an answer: settled, or doubted so that Consul is to be asked for evidence.
    pub fn weigh(&self, reading: &Reading, how: Mechanism, now: Moment) -> Weighed {
        if self.is_outdated(&reading.marks()) {
            return Weighed::Settled(Offered::Same);
        }
        match self.judge(reading, None, now) {
            (Verdict::Confirm(hold), _) => Weighed::Doubted(hold),
            judged => Weighed::Settled(self.carry_out(judged, reading, how)),
        }
    }

    /// Judges a doubted answer by the evidence; without any the answer stays held.
    pub fn settle(
        &self,
        reading: &Reading,
        hold: Hold,
        evidence: Option<&Candidate>,
        how: Mechanism,
        now: Moment,
    ) -> Offered {
        let judged = self.by_evidence(reading, hold, evidence, now);
        self.carry_out(judged, reading, how)
    }

    fn by_evidence(
        &self,
        reading: &Reading,
        hold: Hold,
        evidence: Option<&Candidate>,
        now: Moment,
    ) -> Judged {
        let held = (Verdict::Hold(hold), None);
        evidence.map_or(held, |e| self.judge(reading, Some(e), now))
    }

    fn carry_out(&self, (verdict, against): Judged, reading: &Reading, how: Mechanism) -> Offered {
        let offered = match verdict {
            Verdict::Accept => {
                let (offer, offered) = self.accepted(reading, how, against);
                self.inbox.put(self.at, offer);
                offered
            }
            Verdict::Hold(hold) | Verdict::Confirm(hold) => {
                self.hold(hold, Some(reading.marks()), how)
            }
        };
        self.count(offered, reading, how);
        offered
    }

    fn count(&self, offered: Offered, reading: &Reading, how: Mechanism) {
        let (result, took) = (result_word(offered), reading.answered.since(reading.sent));
        self.metrics.count(Id::Syncs, &[&self.name, how.word(), result]);
        if how != Mechanism::Watch {
            self.metrics.observe(Id::SyncDuration, &[&self.name], took);
        }
    }

    /// A question failed: the hold it may mean, the counters, the state of the mechanism.
    pub fn failed(&self, error: &Error, how: Mechanism, next: Duration, now: Moment) {
        if let Kind::TooLarge(keys) = error.kind {
            let (keys_now, before) = self.board.read(|s| {
                let source = &s.sources[self.at];
                (source.baseline().map_or(0, |b| b.keys), source.hold)
            });
            self.hold(Hold::too_large(keys, keys_now, before.as_ref(), now), None, how);
        }
        let kind = error.kind.outcome();
        let failure = Failure { kind, text: error.text.clone(), at: now };
        let news = self.board.failed(self.at, how, failure, Some(now + next));
        let (source, mechanism) = (self.name.as_str(), how.word());
        let backoff_ms = next.as_millis() as u64;
        if news {
            tracing::warn!(event = "consul_failed", source, mechanism, error_kind = kind, %error,
                backoff_ms, "Consul did not answer; the files stay");
        } else {
            tracing::debug!(event = "consul_failed", source, mechanism, error_kind = kind, %error,
                backoff_ms, "Consul did not answer again");
        }
    }

    /// A question was answered: the mechanism is well.
    pub fn answered(&self, how: Mechanism, now: Moment) {
        let was_down = self.board.read(|s| {
            let health = s.sources[self.at].health(how);
            !health.up && health.last_error.is_some()
        });
        self.board.went_well(self.at, how, now);
        if was_down {
            tracing::info!(
                event = "consul_recovered",
                source = self.name,
                mechanism = how.word(),
                "Consul answers again"
            );
        }
    }

    /// Records that what is published is current, on the strength of an answer without a body.
    pub fn confirm(&self, confirmation: Confirmation) -> bool {
        self.board.confirm(self.at, confirmation)
    }

    /// The verdict, and what it was measured against.
    fn judge(&self, reading: &Reading, evidence: Option<&Candidate>, now: Moment) -> Judged {
        let candidate = Candidate::from(reading);
        self.board.read(|state| {
            let source = &state.sources[self.at];
            let accepted = source.accepts(&candidate.digest);
            let (baseline, before) = (source.baseline(), source.hold);
            let (against, before) = (baseline.as_ref(), before.as_ref());
            (judge(&self.policy, against, &candidate, accepted, before, evidence, now), baseline)
        })
    }

    /// Puts the guard's question: does the leader, having asked its followers, say the same, and may
    /// the token see all of it?
    async fn ask_evidence(&self, client: &Client) -> Option<Candidate> {
        let confirming = self.list(client, Mode::Consistent, None).await.ok()?;
        // That it may read what is missing was asked before, of keys and of nodes by their names.
        let rights = &self.reads.rights()[..1];
        let may_read = client.may_read(rights).await != Some(false);
        may_read.then(|| Candidate::from(&confirming.reading))
    }

    /// What goes to the publisher of an answer that was accepted.
    fn accepted(
        &self,
        reading: &Reading,
        how: Mechanism,
        against: Option<Baseline>,
    ) -> (Offer, Offered) {
        if let Some(before) = against.filter(|b| reading.snapshot.index() < b.index) {
            self.note_going_back(reading, before.index, how);
        }
        let content = Content::from_reading(reading, how, against);
        let confirmed = content.confirmation();
        let known = confirmed
            .is_some_and(|confirmation| self.board.confirm_with(self.at, confirmation, reading));
        // Known content goes to the publisher too: it ends a hold, and takes the place of an older
        // answer that still waits there to be published.
        (Offer::accept(content), if known { Offered::Same } else { Offered::Changed })
    }

    /// Consul decides what is true now, also with a lower index: it was restored, or is another.
    /// Whoever wonders later where a change came from finds a line. Answers that were asked before and
    /// come later, from a server that stood still, have the higher index and would be taken for the
    /// newer: what was asked until now is given up.
    fn note_going_back(&self, reading: &Reading, index_before: u64, how: Mechanism) {
        self.board.update(|s| s.sources[self.at].went_back = Some(reading.answered));
        tracing::warn!(
            event = "index_back",
            source = self.name,
            mechanism = how.word(),
            index = reading.snapshot.index(),
            index_before,
            "Consul's index went back: a restored snapshot, another cluster, or old deletions forgotten"
        );
    }

    /// Whether an answer asked at `sent` may be from before Consul's index went back.
    pub fn is_given_up(&self, sent: Moment) -> bool {
        self.board.read(|state| state.sources[self.at].is_given_up(sent))
    }

    /// Whether a newer answer than this has been judged. A full read that was under way while the
    /// watch was woken must neither end the hold of what the watch has seen, nor start one.
    fn is_outdated(&self, marks: &Marks) -> bool {
        self.board.read(|state| {
            let source = &state.sources[self.at];
            let published = source.published.as_ref().map(|p| p.marks);
            let mut judged = published.iter().chain(&source.held_marks);
            judged.any(|judged| !marks.supersedes(judged)) || source.is_given_up(marks.sent)
        })
    }

    /// Two mechanisms may refuse the same answer at the same moment: the first word counts, so that
    /// its clock is not started again and one line is logged.
    fn hold(&self, hold: Hold, marks: Option<Marks>, how: Mechanism) -> Offered {
        self.metrics.count(Id::HeldAnswers, &[&self.name, hold.reason.word()]);
        let (hold, is_known) = self.board.update(|state| {
            state.sources[self.at].held_marks = marks;
            let known = &mut state.sources[self.at].hold;
            let same = known.filter(|k| k.reason == hold.reason && k.digest == hold.digest);
            (*known.insert(same.unwrap_or(hold)), same.is_some())
        });
        self.inbox.put(self.at, Offer::hold(hold));
        if !is_known {
            let digest = hold.digest.map(|d| d.short()).unwrap_or_default();
            tracing::warn!(
                event = "held",
                source = self.name,
                mechanism = how.word(),
                reason = hold.reason.word(),
                keys = hold.keys,
                published_keys = hold.baseline_keys,
                digest,
                "an answer is refused and the old files stay; `seedcar accept DIGEST` lets it through"
            );
        }
        Offered::Held(hold.recheck_at())
    }
}

/// What a server is asked with that need not have reached this index yet: it waits until it has.
fn caught_up(index: u64) -> Option<(u64, Duration)> {
    let below = index.saturating_sub(1);
    (below > 0).then_some((below, CATCH_UP))
}

fn result_word(offered: Offered) -> &'static str {
    match offered {
        Offered::Changed => "changed",
        Offered::Same => "unchanged",
        Offered::Held(_) => "held",
    }
}
