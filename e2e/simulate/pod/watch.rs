//! The watch's calls.

use seedcar::consul::error::Error;
use seedcar::model::confirmation::Mechanism;
use seedcar::model::follow::{Ask, Full, Offered};
use seedcar::model::reading::Reading;
use seedcar::watch::round::Round;

use super::{Doubt, Pod, Wake};
use crate::simulate::consul::{Answer, Question, WAIT};
use crate::simulate::world::Env;

/// Its round, and what it waits for.
#[derive(Default)]
pub struct Watch {
    round: Option<Round>,
    ticket: u64,
    asked: Option<Ask>,
    doubt: Option<Box<Doubt>>,
    /// Its poke was rung before it began.
    poked: bool,
}

// === impl Watch ===

impl Watch {
    /// Its round.
    pub fn round(&mut self) -> &mut Round {
        self.round.as_mut().expect("begun")
    }
}

impl Pod {
    /// Starts the watch.
    pub(super) fn watch_begin(&mut self, env: &mut Env) {
        let process = self.process();
        let mut round = Round::start(&process.source, WAIT, env.now);
        if std::mem::take(&mut process.watch.poked) {
            round.reread();
        }
        process.watch.round = Some(round);
        self.watch_next(env);
    }

    /// Does what the round wants next; whatever was under way is let go.
    pub(super) fn watch_next(&mut self, env: &mut Env) {
        let watch = &mut self.process().watch;
        watch.ticket += 1;
        watch.doubt = None;
        let ask = watch.round().next(env.now);
        watch.asked = Some(ask);
        let ticket = watch.ticket;
        match ask {
            Ask::Pause(pause) => {
                self.later(env.now + pause, Wake::Go(Mechanism::Watch, ticket), env);
            }
            ask => self.ask(Mechanism::Watch, ticket, Question::Ask(ask), env),
        }
    }

    /// Its poke was rung: everything is read at once, or as soon as it begins.
    pub(super) fn watch_poked(&mut self, env: &mut Env) {
        let watch = &mut self.process().watch;
        match &mut watch.round {
            Some(round) => round.reread(),
            None => {
                watch.poked = true;
                return;
            }
        }
        self.watch_next(env);
    }

    /// A pause is over.
    pub(super) fn watch_go(&mut self, ticket: u64, env: &mut Env) {
        if ticket == self.process().watch.ticket {
            self.watch_next(env);
        }
    }

    /// An answer came.
    pub(super) fn watch_heard(
        &mut self,
        ticket: u64,
        answer: Result<Answer, Error>,
        env: &mut Env,
    ) {
        if ticket != self.process().watch.ticket {
            return;
        }
        let dice = env.dice.f64();
        let now = env.now;
        let process = self.process();
        let (source, watch) = (&process.source, &mut process.watch);
        if let Some(doubt) = watch.doubt.take() {
            let evidence = match &answer {
                Ok(Answer::Evidence(evidence)) => evidence.as_ref(),
                _ => None,
            };
            let how = Mechanism::Watch;
            let offered = source.settle(&doubt.reading, doubt.hold, evidence, how, now);
            return self.watch_offered(&doubt.reading, doubt.full, doubt.ask, offered, env);
        }
        let ask = watch.asked.expect("a question");
        let round = watch.round.as_mut().expect("begun");
        match answer {
            Ok(Answer::Full(full, mut reading)) => {
                reading.answered = now;
                if round.full(source, ask, full, &mut reading, now, dice) {
                    return self.watch_offer(reading, full, ask, env);
                }
            }
            Ok(Answer::Bell(bell, asked)) => round.rung(source, ask, bell, asked, now, dice),
            Ok(Answer::Evidence(_) | Answer::Word(_)) => unreachable!("only asked in doubt"),
            Err(error) => round.failed(source, ask, &error, now, dice),
        }
        self.watch_next(env);
    }

    fn watch_offer(&mut self, reading: Box<Reading>, full: Full, ask: Ask, env: &mut Env) {
        match self.weigh((reading, full, ask), Mechanism::Watch, env) {
            Ok((reading, full, ask, offered)) => {
                self.watch_offered(&reading, full, ask, offered, env)
            }
            Err(doubt) => {
                let watch = &mut self.process().watch;
                watch.doubt = Some(doubt);
                let ticket = watch.ticket;
                self.ask(Mechanism::Watch, ticket, Question::Evidence, env);
            }
        }
    }

    fn watch_offered(
        &mut self,
        reading: &Reading,
        full: Full,
        ask: Ask,
        offered: Offered,
        env: &mut Env,
    ) {
        let process = self.process();
        let round = process.watch.round.as_mut().expect("begun");
        round.offered(&process.source, ask, full, reading, offered, env.now);
        self.watch_next(env);
    }
}
