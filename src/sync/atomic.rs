//! Sources whose prefixes change together: what is new in one is read in one transaction with the
//! others, and goes to the publisher with them or not at all.
//!
//! Each is still followed by itself. An answer of one says that something is new, and orders the
//! transaction that follows it: it was sent after that answer had come, so that it holds what the
//! answer held. The highest index that answer and entries name is the mark of all its parts, so that
//! of two transactions either all parts are the newer ones or none.

use std::sync::Arc;

use super::{Judged, Source};
use crate::consul::Client;
use crate::consul::error::{Error, Kind};
use crate::consul::transaction::Together;
use crate::model::confirmation::Mechanism;
use crate::model::follow::Offered;
use crate::model::guard::Verdict;
use crate::model::reading::{Mode, Reading};
use crate::sys;

impl Source {
    /// The sources that are published together, this one first.
    fn members(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&*self.others)
    }

    /// Whether this answer confirms what is published, and nothing else is on its way there.
    pub(super) fn is_at_rest(&self, reading: &Reading) -> bool {
        let rests = |source: &Self| {
            let newest = source.previous().map(|snapshot| snapshot.digest());
            newest.is_some() && newest == source.published_digest()
        };
        self.published_digest() == Some(reading.snapshot.digest()) && self.members().all(rests)
    }

    /// Reads all members at one moment, after `news` of this one. Its own reading comes first.
    pub(super) async fn read_together(
        &self,
        client: &Client,
        news: &Reading,
    ) -> Result<Vec<Reading>, Error> {
        // What the news have read already is not held twice.
        let read = std::iter::once(Some(news.snapshot.clone()));
        let previous: Vec<_> = read.chain(self.others.iter().map(Self::previous)).collect();
        let parts: Vec<_> =
            self.members().zip(&previous).map(|(s, p)| (s.reads.prefix(), p.as_deref())).collect();
        let ask = Together { parts: &parts, mode: news.mode, caps: self.caps };
        let joint = client.together(ask).await?;
        let mark = joint.newest.max(news.snapshot.index());
        let mut readings = joint.readings;
        for (source, reading) in self.members().zip(&mut readings) {
            source.date_back(reading, (source.at == self.at).then_some(news));
            reading.joint = Some(mark);
            source.is_fit(reading)?;
        }
        Ok(readings)
    }

    /// A transaction names no index of a prefix: what is known of it is the least it can be.
    fn date_back(&self, reading: &mut Reading, news: Option<&Reading>) {
        let published = self.board.read(|s| s.sources[self.at].published.as_ref().map(|p| p.index));
        let known = news.map_or(published, |news| Some(news.snapshot.index())).unwrap_or_default();
        let index = known.max(reading.snapshot.index());
        reading.snapshot = Arc::new(reading.snapshot.at(index));
    }

    /// A stale answer seeds if it is not older than what is known, and is never a reason to delete.
    fn is_fit(&self, reading: &Reading) -> Result<(), Error> {
        let known = self.board.read(|s| s.sources[self.at].baseline());
        let (keys, index) = (reading.snapshot.keys(), reading.snapshot.index());
        let older = known.is_some_and(|known| keys < known.keys || index < known.index);
        if reading.mode == Mode::Stale && (keys == 0 || older) {
            let text = format!("a server without a leader knows less of source {}", self.name);
            return Err(Error::new(Kind::Server, text));
        }
        Ok(())
    }

    /// Judges what was read together: all of it is accepted, or nothing is published of it.
    pub(super) async fn offer_together(
        &self,
        client: &Client,
        readings: &mut [Reading],
        how: Mechanism,
    ) -> Offered {
        let mut judged = Vec::new();
        for (source, reading) in self.members().zip(readings.iter_mut()) {
            reading.hides = source.hides(client, reading).await;
            let Some(verdict) = source.conclude(client, reading).await else {
                // Newer answers have been judged meanwhile.
                return Offered::Same;
            };
            judged.push((source, &*reading, verdict));
        }
        let is_accepted = |(_, _, judged): &(_, _, Judged)| matches!(judged.0, Verdict::Accept);
        if !judged.iter().all(is_accepted) {
            return self.hold_together(judged, how);
        }
        let accepted = judged.into_iter().map(|(source, reading, (_, against))| {
            let (offer, offered) = source.accepted(reading, how, against);
            source.count(offered, reading, how);
            ((source.at, offer), offered)
        });
        let (offers, offered): (Vec<_>, Vec<_>) = accepted.unzip();
        self.inbox.put_all(offers);
        offered[0]
    }

    /// Holds those that are refused. The others stay as they are with them.
    fn hold_together(&self, judged: Vec<(&Self, &Reading, Judged)>, how: Mechanism) -> Offered {
        let mut recheck = None;
        for (source, reading, (verdict, _)) in judged {
            let (Verdict::Hold(hold) | Verdict::Confirm(hold)) = verdict else { continue };
            let offered = source.hold(hold, Some(reading.marks()), how);
            source.count(offered, reading, how);
            let next = hold.recheck_at();
            recheck = recheck.into_iter().chain(next).min();
        }
        tracing::debug!(
            event = "held_together",
            source = self.name,
            mechanism = how.word(),
            "nothing is published of what was read in one transaction with a held answer"
        );
        Offered::Held(recheck)
    }

    /// The verdict on an answer, with Consul's evidence where the guard asks for it; `None` for one that
    /// is out of date.
    async fn conclude(&self, client: &Client, reading: &Reading) -> Option<Judged> {
        if self.is_outdated(&reading.marks()) {
            return None;
        }
        match self.judge(reading, None, sys::now()) {
            (Verdict::Confirm(hold), _) => {
                let evidence = self.ask_evidence(client).await;
                Some(self.by_evidence(reading, hold, evidence.as_ref(), sys::now()))
            }
            judged => Some(judged),
        }
    }
}
