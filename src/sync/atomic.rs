//! Sources whose prefixes change together: what is new in one is read in one transaction with the
//! others, and goes to the publisher with them or not at all.
//!
//! Each is still followed by itself. An answer of one says that something is new, and orders a
//! transaction, which the leader answers after it has asked its followers: it holds what that answer
//! held, or something newer. The highest index that the answer and the entries name is the mark of all
//! its parts, so that of two transactions either all parts are the newer ones or none.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::{Judged, Source};
use crate::consul::Client;
use crate::consul::error::{Error, Kind};
use crate::consul::transaction::Together;
use crate::model::confirmation::Mechanism;
use crate::model::follow::Offered;
use crate::model::guard::Verdict;
use crate::model::reading::{Mode, Reading};
use crate::sys;

/// So often answers may be overtaken by others before the question counts as failed.
const TRIES: usize = 3;

/// Sources that are read in one transaction.
pub struct Group {
    /// All of them. None of these knows the group.
    members: Vec<Source>,
    /// One transaction at a time for each mechanism, whose sources often have the same news at the same
    /// moment. A mechanism never waits for another.
    turns: [Mutex<()>; 3],
}

// === impl Group ===

impl Group {
    /// Of these sources.
    pub fn new(members: Vec<Source>) -> Self {
        Self { members, turns: Default::default() }
    }

    fn turn(&self, how: Mechanism) -> &Mutex<()> {
        match how {
            Mechanism::Watch => &self.turns[0],
            Mechanism::Heartbeat => &self.turns[1],
            _ => &self.turns[2],
        }
    }
}

impl Source {
    /// The sources that are published together, this one first.
    fn members(&self) -> impl Iterator<Item = &Self> {
        let group = self.group.iter().flat_map(|group| &group.members);
        std::iter::once(self).chain(group.filter(|other| other.at != self.at))
    }

    /// The source whose answer is held, where this one has nothing of its own that would be.
    pub fn held_member(&self) -> &Self {
        let is_held = |source: &&Self| self.board.read(|s| s.sources[source.at].hold.is_some());
        self.members().find(is_held).unwrap_or(self)
    }

    /// Judges news of a source that others are read with, after reading all of them at one moment.
    /// `news` becomes what was read of this one.
    pub(super) async fn offer_in_group(
        &self,
        client: &Client,
        group: &Group,
        news: &mut Reading,
        how: Mechanism,
    ) -> Result<Offered, Error> {
        let _turn = group.turn(how).lock().await;
        if self.is_at_rest(news) {
            return Ok(self.confirm_known(news, how));
        }
        for _ in 0..TRIES {
            let mut readings = self.read_together(client, news).await?;
            let offered = self.offer_together(client, &mut readings, how).await;
            if let Some(offered) = offered {
                *news = readings.swap_remove(0);
                return Ok(offered);
            }
        }
        let text = "newer answers come before each transaction is judged".to_owned();
        Err(Error::new(Kind::Server, text))
    }

    /// Whether this is the content that was offered last, and no member is held: then no other has
    /// anything to do with it.
    fn is_at_rest(&self, reading: &Reading) -> bool {
        let known = self.previous().is_some_and(|p| p.digest() == reading.snapshot.digest());
        let is_calm = |source: &Self| {
            let is_held = self.board.read(|s| s.sources[source.at].hold.is_some());
            !is_held && source.previous().is_some()
        };
        known && self.members().all(is_calm)
    }

    /// What is known goes nowhere: it waits there already, or is published and current.
    fn confirm_known(&self, reading: &Reading, how: Mechanism) -> Offered {
        if !self.is_outdated(&reading.marks()) {
            let baseline = self.board.read(|s| s.sources[self.at].baseline());
            let _ = self.accepted(reading, how, baseline);
        }
        self.count(Offered::Same, reading, how);
        Offered::Same
    }

    /// Reads all members at one moment, after `news` of this one. Its own reading comes first.
    async fn read_together(&self, client: &Client, news: &Reading) -> Result<Vec<Reading>, Error> {
        // What the news have read already is not held twice.
        let read = std::iter::once(Some(news.snapshot.clone()));
        let previous: Vec<_> = read.chain(self.members().skip(1).map(Self::previous)).collect();
        let parts: Vec<_> = self
            .members()
            .zip(&previous)
            .map(|(source, previous)| (source.reads.prefix(), previous.as_deref()))
            .collect();
        let ask = Together { parts: &parts, mode: news.mode, caps: self.caps };
        let joint = client.together(ask).await.map_err(of_a_part)?;
        let mark = joint.newest.max(news.snapshot.index());
        let mut readings = joint.readings;
        for (source, reading) in self.members().zip(&mut readings) {
            source.is_fit(reading)?;
            source.date_back(reading, (source.at == self.at).then_some(news));
            reading.joint = Some(mark);
        }
        readings[0].filtered |= news.filtered;
        Ok(readings)
    }

    /// A transaction names no index of a prefix: what is known of it is the least it can be.
    fn date_back(&self, reading: &mut Reading, news: Option<&Reading>) {
        let baseline = || self.board.read(|s| s.sources[self.at].baseline().map(|b| b.index));
        let known = news.map(|news| news.snapshot.index()).or_else(baseline).unwrap_or_default();
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

    /// Judges what was read together: all of it is accepted, or nothing is published of it. `None` if
    /// other answers have been judged meanwhile that may be newer.
    async fn offer_together(
        &self,
        client: &Client,
        readings: &mut [Reading],
        how: Mechanism,
    ) -> Option<Offered> {
        let mut judged = Vec::new();
        for (source, reading) in self.members().zip(readings.iter_mut()) {
            if source.is_outdated(&reading.marks()) {
                return None;
            }
            reading.hides = source.hides(client, reading).await;
            let verdict = source.conclude(client, reading).await?;
            judged.push((source, &*reading, verdict));
        }
        let is_accepted = |(_, _, judged): &(_, _, Judged)| matches!(judged.0, Verdict::Accept);
        if !judged.iter().all(is_accepted) {
            return Some(self.hold_together(judged, how));
        }
        let accepted = judged.into_iter().map(|(source, reading, (_, against))| {
            let (offer, offered) = source.accepted(reading, how, against);
            source.count(offered, reading, how);
            ((source.at, offer), offered)
        });
        let (offers, offered): (Vec<_>, Vec<_>) = accepted.unzip();
        self.inbox.put_all(offers);
        Some(offered[0])
    }

    /// Holds those that are refused. The others stay as they are with them.
    fn hold_together(&self, judged: Vec<(&Self, &Reading, Judged)>, how: Mechanism) -> Offered {
        let mut recheck = None;
        for (source, reading, (verdict, _)) in judged {
            let (Verdict::Hold(hold) | Verdict::Confirm(hold)) = verdict else { continue };
            let offered = source.hold(hold, Some(reading.marks()), how);
            source.count(offered, reading, how);
            recheck = recheck.into_iter().chain(hold.recheck_at()).min();
        }
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

/// Which part is too large its own answers say, and are held for it.
fn of_a_part(error: Error) -> Error {
    match error.kind {
        Kind::TooLarge(_) => {
            let text = "what is read with it is larger than the limits allow".to_owned();
            Error::new(Kind::BadRequest, text)
        }
        _ => error,
    }
}
