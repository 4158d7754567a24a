//! The first fill: Consul within its share, else the newest backup.

use std::time::Duration;

use seedcar::consul::error::{Error, Kind};
use seedcar::model::confirmation::Mechanism;
use seedcar::model::follow::{Ask, Full, Offered};
use seedcar::model::guard::{Baseline, Hold};
use seedcar::model::moment::Moment;
use seedcar::model::offer::{Content, Offer};
use seedcar::model::pace::Backoff;
use seedcar::model::reading::Reading;

use super::{Backup, Doubt, Pod, Wake};
use crate::simulate::consul::{Answer, Question};
use crate::simulate::world::Env;

/// Consul's share of the deadline.
const SHARE: Duration = Duration::from_secs(10);
/// The pause after an answer that was refused.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The seed of a process that found nothing published.
pub struct Seed {
    began: Moment,
    ticket: u64,
    backoff: Backoff,
    doubt: Option<Box<Doubt>>,
}

impl Pod {
    /// Starts the seed.
    pub(super) fn seed_begin(&mut self, env: &mut Env) {
        let began = env.now;
        let seed = Seed { began, ticket: 0, backoff: Backoff::default(), doubt: None };
        let newest = self.newest_backup().map(|b| Baseline {
            digest: b.snapshot.digest(),
            keys: b.snapshot.keys(),
            index: b.snapshot.index(),
        });
        let process = self.process();
        process.seed = Some(seed);
        process.source.board.update(|s| s.sources[0].backup_baseline = newest);
        self.later(began + SHARE, Wake::ShareIsOver, env);
        self.seed_ask(env);
    }

    /// The newest backup, by Consul's clock and index.
    pub fn newest_backup(&self) -> Option<&Backup> {
        self.volumes.backups.iter().max_by_key(|b| (b.date, b.snapshot.index()))
    }

    fn seed_ask(&mut self, env: &mut Env) {
        let Some(seed) = &mut self.process().seed else { return };
        seed.ticket += 1;
        let ticket = seed.ticket;
        self.ask(Mechanism::Seed, ticket, Question::Ask(Ask::Read), env);
    }

    /// The pause before another try is over.
    pub(super) fn seed_go(&mut self, ticket: u64, env: &mut Env) {
        if self.process().seed.as_ref().is_some_and(|seed| seed.ticket == ticket) {
            self.seed_ask(env);
        }
    }

    /// Consul's share is over.
    pub(super) fn share_is_over(&mut self, _: &mut Env) {
        if self.process().seed.is_some() {
            self.fall_back(None);
        }
    }

    /// An answer came.
    pub(super) fn seed_heard(&mut self, ticket: u64, answer: Result<Answer, Error>, env: &mut Env) {
        let Some(seed) = self.process().seed.as_mut().filter(|seed| seed.ticket == ticket) else {
            return;
        };
        if let Some(doubt) = seed.doubt.take() {
            let evidence = match &answer {
                Ok(Answer::Evidence(evidence)) => evidence.as_ref(),
                _ => None,
            };
            let how = Mechanism::Seed;
            let offered =
                self.process().source.settle(&doubt.reading, doubt.hold, evidence, how, env.now);
            return self.seed_offered(offered, env);
        }
        match answer {
            Ok(Answer::Full(full, reading)) => self.seed_offer(full, reading, env),
            Ok(_) => unreachable!("the seed asks for everything"),
            Err(error) => self.seed_failed(&error, env),
        }
    }

    fn seed_offer(&mut self, full: Full, mut reading: Box<Reading>, env: &mut Env) {
        reading.answered = env.now;
        match self.weigh((reading, full, Ask::Read), Mechanism::Seed, env) {
            Ok((.., offered)) => self.seed_offered(offered, env),
            Err(doubt) => {
                let seed = self.process().seed.as_mut().expect("under way");
                seed.doubt = Some(doubt);
                let ticket = seed.ticket;
                self.ask(Mechanism::Seed, ticket, Question::Evidence, env);
            }
        }
    }

    fn seed_offered(&mut self, offered: Offered, env: &mut Env) {
        if !matches!(offered, Offered::Held(_)) {
            self.process().seed = None;
            return;
        }
        let hold = self.hold();
        if !self.fall_back(hold) {
            self.seed_again(ASK_AGAIN, env);
        }
    }

    fn seed_failed(&mut self, error: &Error, env: &mut Env) {
        let dice = env.dice.f64();
        let process = self.process();
        let seed = process.seed.as_mut().expect("under way");
        let pause = seed.backoff.fail(error.trouble(), dice);
        process.source.failed(error, Mechanism::Seed, pause, env.now);
        let hopeless = matches!(error.kind, Kind::Connect | Kind::Denied | Kind::BadRequest);
        let over = env.now >= seed.began + SHARE;
        if !(hopeless || over) || !self.fall_back(None) {
            self.seed_again(pause, env);
        }
    }

    fn seed_again(&mut self, pause: Duration, env: &mut Env) {
        let ticket = self.process().seed.as_ref().map_or(0, |seed| seed.ticket);
        self.later(env.now + pause, Wake::Go(Mechanism::Seed, ticket), env);
    }

    /// Serves the newest backup, if there is one.
    fn fall_back(&mut self, hold: Option<Hold>) -> bool {
        let Some(backup) = self.newest_backup().cloned() else { return false };
        let content = Content::from_backup(backup.snapshot, backup.date, Moment::default());
        let process = self.process();
        process.seed = None;
        process.source.inbox.put(0, Offer::instead_of(hold, content));
        true
    }
}
