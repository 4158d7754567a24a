//! The watch: blocking queries, one after another, for as long as the process lives.
//!
//! What to ask next and what an answer means is decided in `model::follow` and in `round`; here it
//! is asked.

pub mod round;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::consul::error::Error;
use crate::consul::{Client, Listed, Rung, blocking_deadline};
use crate::model::confirmation::Mechanism;
use crate::model::follow::{Ask, Full};
use crate::model::reading::Mode;
use crate::supervise::Pulse;
use crate::sync::Source;
use crate::sys;
use round::Round;

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

// === impl Watch ===

impl Watch {
    /// Follows the source. Never returns: no number of errors is a reason to stop.
    pub async fn run(&self, pulse: &Pulse) {
        let mut round = Round::start(&self.source, self.wait, sys::now());
        loop {
            let ask = round.next(sys::now());
            pulse.tick(self.patience(ask) + SLACK);
            tokio::select! {
                () = self.step(&mut round, ask) => {}
                // A person accepted a held answer, or the token changed: read now.
                () = self.poke.notified() => round.reread(),
            }
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
        let answer = self.put(ask).await;
        let (source, now, dice) = (&self.source, sys::now(), fastrand::f64());
        match answer {
            Ok(Answer::Full(listed)) => self.full(round, ask, listed).await,
            Ok(Answer::Bell(rung)) => {
                round.rung(source, ask, rung.bell, (rung.sent, rung.date), now, dice);
            }
            Err(error) => round.failed(source, ask, &error, now, dice),
        }
    }

    async fn put(&self, ask: Ask) -> Result<Answer, Error> {
        let (source, client) = (&self.source, &self.client);
        let block = |index| Some((index, self.wait));
        match ask {
            Ask::Block(index) => source.list(client, Mode::Default, block(index)).await,
            Ask::Fetch(index) => source.fetch(client, index).await,
            Ask::Narrow(index, names) => source.narrow(client, index, names).await,
            Ask::Peek => return source.doorbell(client, None).await.map(Answer::Bell),
            Ask::Ring(index) => {
                return source.doorbell(client, block(index)).await.map(Answer::Bell);
            }
            Ask::Read | Ask::Pause(_) => source.list(client, Mode::Default, None).await,
        }
        .map(Answer::Full)
    }

    async fn full(&self, round: &mut Round, ask: Ask, listed: Listed) {
        let (source, mut reading) = (&self.source, listed.reading);
        let index = reading.snapshot.index();
        let answer = Full { index, elapsed: listed.elapsed, size: listed.size };
        if round.full(source, ask, answer, &mut reading, sys::now(), fastrand::f64()) {
            match source.offer(&self.client, &mut reading, Mechanism::Watch).await {
                Ok(offered) => round.offered(source, ask, answer, &reading, offered, sys::now()),
                Err(error) => round.unweighed(source, ask, &error, sys::now(), fastrand::f64()),
            }
        }
    }
}
