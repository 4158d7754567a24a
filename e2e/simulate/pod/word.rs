//! Whoever follows the fleet's key: its calls. How the real one waits for a change is made up here: it
//! asks every few seconds.

use std::time::Duration;

use seedcar::consul::error::Error;
use seedcar::model::freeze::{Freeze, Known};
use seedcar::model::moment::Moment;
use seedcar::model::pace::Backoff;

use super::{Address, Pod, Wake};
use crate::simulate::consul::{Answer, Question};
use crate::simulate::world::Env;

/// What it has heard.
#[derive(Default)]
pub struct Word {
    backoff: Backoff,
    opened: Moment,
}

impl Pod {
    /// Starts it, where there is a key to follow.
    pub(super) fn word_begin(&mut self, env: &mut Env) {
        self.process().word.opened = env.now;
        if self.follows {
            self.word_go(env);
        }
    }

    /// Asks.
    pub(super) fn word_go(&mut self, env: &mut Env) {
        let (pod, life) = self.who();
        env.send(Question::Word, Address { pod, life, who: None, ticket: 0 });
    }

    /// An answer came: the publisher is rung, as it is by the real one.
    pub(super) fn word_heard(&mut self, answer: Result<Answer, Error>, env: &mut Env) {
        let dice = env.dice.f64();
        let word = &mut self.process().word;
        let pause = match &answer {
            Err(error) => word.backoff.fail(error.trouble(), dice),
            Ok(_) => {
                word.backoff.reset();
                Duration::from_secs_f64(2.0 + 18.0 * dice)
            }
        };
        self.later(env.now + pause, Wake::Listen, env);
        if let Ok(Answer::Word(Some(frozen))) = answer {
            let board = &self.process().source.board;
            board.update(|state| state.fleet_frozen = Some(frozen));
            env.oracle.told(self.at, frozen);
            self.publish_soon(env);
        }
    }

    /// Whether changes wait; none do before there is something to keep.
    pub(super) fn freeze(&mut self, now: Moment) -> Option<Duration> {
        let (here, was, control) = (self.volumes.frozen, self.volumes.fleet_frozen, self.follows);
        let process = self.process();
        let (said, seeded) = process.source.board.read(|s| (s.fleet_frozen, s.seeded));
        let open = now.since(process.word.opened);
        let Freeze { look_again, .. } = Known { here, control, said, was, open }.judge();
        look_again.filter(|_| seeded)
    }

    /// What survives a restart is written at the end of the publisher's round.
    pub(super) fn keep_word(&mut self, env: &mut Env) {
        if let Some(said) = self.process().source.board.read(|s| s.fleet_frozen) {
            self.volumes.fleet_frozen = Some(said);
            env.oracle.kept(self.at, said);
        }
    }
}
