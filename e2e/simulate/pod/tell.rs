//! Whoever tells a service of what has changed: its calls. The service is told a while after it is asked
//! to listen, and its answer takes as long again.

use std::time::Duration;

use seedcar::model::pace::{Backoff, Trouble};

use super::{Pod, Wake};
use crate::simulate::world::Env;

/// What is under way.
#[derive(Default)]
pub struct Tell {
    backoff: Backoff,
    busy: bool,
    /// The generation that is told of, and the publish up to which that is.
    told: Option<(String, u64)>,
}

impl Pod {
    /// Something is published, or was adopted: what has changed is not known here.
    pub(super) fn note_untold(&mut self) {
        if self.tells {
            let board = &self.process().source.board;
            board.update(|state| state.untold.note(None::<std::iter::Empty<&str>>));
        }
    }

    /// Tells, if there is something to tell and nothing is under way.
    pub(super) fn tell(&mut self, env: &mut Env) {
        let process = self.process();
        let board = &process.source.board;
        let news = board.read(|s| Some((s.generation.clone()?, s.untold.news(&[])?.until)));
        let Some(news) = news.filter(|_| !process.tell.busy) else { return };
        (process.tell.busy, process.tell.told) = (true, Some(news));
        self.tell_later(Wake::Hears, env);
    }

    fn tell_later(&mut self, wake: Wake, env: &mut Env) {
        let takes = Duration::from_millis(1) + Duration::from_millis(200).mul_f64(env.dice.f64());
        self.later(env.now + takes, wake, env);
    }

    /// The service has the request.
    pub(super) fn service_hears(&mut self, env: &mut Env) {
        let (deaf, pod) = (self.volumes.deaf, self.at);
        let dice = env.dice.f64();
        let tell = &mut self.process().tell;
        if deaf {
            let pause = tell.backoff.fail(Trouble::Passing, dice);
            tell.told = None;
            return self.later(env.now + pause, Wake::Told, env);
        }
        tell.backoff.reset();
        if let Some((generation, _)) = &tell.told {
            env.oracle.heard(pod, generation);
        }
        self.tell_later(Wake::Told, env);
    }

    /// Its answer is here, or the pause after its silence is over.
    pub(super) fn has_told(&mut self) {
        let process = self.process();
        process.tell.busy = false;
        if let Some((_, until)) = process.tell.told.take() {
            process.source.board.update(|state| state.untold.told(until));
        }
    }
}
