//! The heartbeat's calls.

use std::time::Duration;

use seedcar::consul::error::Error;
use seedcar::heartbeat::{first_pause, next_pause};
use seedcar::model::confirmation::Mechanism;
use seedcar::model::follow::{Ask, Full, Offered};
use seedcar::model::full_read::FullRead;
use seedcar::model::moment::Moment;
use seedcar::model::pace::Backoff;
use seedcar::model::reading::Reading;

use super::{Doubt, INTERVAL, Pod, Wake};
use crate::simulate::consul::{Answer, Question};
use crate::simulate::world::Env;

/// The full read under way, and what it waits for.
#[derive(Default)]
pub struct Beat {
    backoff: Backoff,
    ticket: u64,
    read: Option<FullRead>,
    peeked: Option<Moment>,
    doubt: Option<Box<Doubt>>,
}

impl Pod {
    /// Starts the heartbeat.
    pub(super) fn beat_begin(&mut self, env: &mut Env) {
        let pause = first_pause(INTERVAL, true, env.dice.f64());
        self.beat_in(pause, env);
    }

    /// Beats at once: the keeper wants content that it does not know.
    pub(super) fn beat_now(&mut self, env: &mut Env) {
        if self.process().beat.read.is_none() {
            self.beat_in(Duration::ZERO, env);
        }
    }

    fn beat_in(&mut self, pause: Duration, env: &mut Env) {
        let beat = &mut self.process().beat;
        beat.ticket += 1;
        (beat.read, beat.doubt, beat.peeked) = (None, None, None);
        let ticket = beat.ticket;
        self.later(env.now + pause, Wake::Go(Mechanism::Heartbeat, ticket), env);
    }

    /// The pause is over.
    pub(super) fn beat_go(&mut self, ticket: u64, env: &mut Env) {
        let process = self.process();
        if ticket == process.beat.ticket {
            let bytes = process.source.previous().map_or(0, |p| p.bytes());
            process.beat.read = Some(FullRead::new(bytes));
            self.beat_ask(env);
        }
    }

    fn beat_ask(&mut self, env: &mut Env) {
        let beat = &mut self.process().beat;
        beat.ticket += 1;
        let (ticket, ask) = (beat.ticket, beat.read.expect("under way").ask());
        self.ask(Mechanism::Heartbeat, ticket, Question::Ask(ask), env);
    }

    /// An answer came.
    pub(super) fn beat_heard(&mut self, ticket: u64, answer: Result<Answer, Error>, env: &mut Env) {
        if ticket != self.process().beat.ticket {
            return;
        }
        if let Some(doubt) = self.process().beat.doubt.take() {
            return self.beat_settle(&doubt, answer, env);
        }
        let dice = env.dice.f64();
        let now = env.now;
        let process = self.process();
        let (source, beat) = (&process.source, &mut process.beat);
        let read = beat.read.as_mut().expect("under way");
        match answer {
            Ok(Answer::Bell(bell, (sent, _))) => {
                beat.peeked = Some(sent);
                read.bell(&bell);
                self.beat_ask(env);
            }
            Ok(Answer::Full(_, reading)) if !read.is_done(reading.mode) => self.beat_ask(env),
            Ok(Answer::Full(full, mut reading)) => {
                reading.answered = now;
                if let (Ask::Fetch(_), Some(sent)) = (read.ask(), beat.peeked) {
                    reading.sent = sent;
                }
                beat.backoff.reset();
                source.answered(Mechanism::Heartbeat, now);
                self.beat_offer(reading, full, env);
            }
            Ok(Answer::Evidence(_) | Answer::Word(_)) => unreachable!("only asked in doubt"),
            Err(error) => {
                let pause = beat.backoff.fail(error.trouble(), dice);
                source.failed(&error, Mechanism::Heartbeat, pause, now);
                self.beat_in(pause, env);
            }
        }
    }

    fn beat_offer(&mut self, reading: Box<Reading>, full: Full, env: &mut Env) {
        match self.weigh((reading, full, Ask::Read), Mechanism::Heartbeat, env) {
            Ok((.., offered)) => self.beat_next(offered, env),
            Err(doubt) => {
                let beat = &mut self.process().beat;
                beat.doubt = Some(doubt);
                beat.ticket += 1;
                let ticket = beat.ticket;
                self.ask(Mechanism::Heartbeat, ticket, Question::Evidence, env);
            }
        }
    }

    fn beat_settle(&mut self, doubt: &Doubt, answer: Result<Answer, Error>, env: &mut Env) {
        let evidence = match &answer {
            Ok(Answer::Evidence(evidence)) => evidence.as_ref(),
            _ => None,
        };
        let how = Mechanism::Heartbeat;
        let source = &self.process().source;
        let offered = source.settle(&doubt.reading, doubt.hold, evidence, how, env.now);
        self.beat_next(offered, env);
    }

    fn beat_next(&mut self, offered: Offered, env: &mut Env) {
        self.beat_in(next_pause(INTERVAL, offered, env.now, env.dice.f64()), env);
    }
}
