//! The heartbeat: a full read now and then, which repairs whatever the watch has missed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::consul::Client;
use crate::consul::error::Error;
use crate::metrics::Id;
use crate::model::confirmation::Mechanism;
use crate::model::follow::Offered;
use crate::model::moment::Moment;
use crate::model::pace::Backoff;
use crate::supervise::Pulse;
use crate::sync::Source;
use crate::sys;

/// A found change counts as missed if the watch has not seen its index this long after.
const MISSED_AFTER: Duration = Duration::from_secs(5);
/// The least pause before a hold is judged again that may end without a person. A restored cluster's
/// shrunken answer is held for as long as nobody accepts it: that must not cost Consul a read of
/// everything every few seconds.
const RECHECK: Duration = Duration::from_secs(60);
/// A full read with its deadlines, and a slow machine.
const SLACK: Duration = Duration::from_secs(240);

/// The heartbeat of one source.
pub struct Heartbeat {
    /// The source.
    pub source: Source,
    /// Its own client.
    pub client: Client,
    /// The period, before jitter.
    pub interval: Duration,
    /// The watch is on, so that a change found here is one that it has missed.
    pub watched: bool,
    /// Rung to beat at once.
    pub poke: Arc<Notify>,
}

// === impl Heartbeat ===

impl Heartbeat {
    /// Beats. Never returns. The first beat falls anywhere in the period, so that pods started
    /// together do not beat together.
    pub async fn run(&self, pulse: &Pulse) {
        let mut backoff = Backoff::default();
        let mut pause = first_pause(self.interval, self.watched, fastrand::f64());
        loop {
            pulse.tick(pause + SLACK);
            self.next_in(pause);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.poke.notified() => {}
            }
            pulse.tick(SLACK);
            pause = self.beat(&mut backoff).await;
        }
    }

    /// One beat; returns the pause until the next.
    async fn beat(&self, backoff: &mut Backoff) -> Duration {
        let pause = match self.read().await {
            Ok((offered, index)) => {
                backoff.reset();
                if offered == Offered::Changed {
                    self.count_missed(index).await;
                }
                next_pause(self.interval, offered, sys::now(), fastrand::f64())
            }
            Err(error) => {
                let pause = backoff.fail(error.trouble(), fastrand::f64());
                self.source.failed(&error, Mechanism::Heartbeat, pause, sys::now());
                pause
            }
        };
        // The volume is looked over whether Consul answers or not.
        self.source.inbox.ask_audit();
        sys::give_back();
        pause
    }

    /// Reads everything. Returns what became of it, and its index.
    async fn read(&self) -> Result<(Offered, u64), Error> {
        let mut reading = self.source.read_all(&self.client).await?.reading;
        let index = reading.snapshot.index();
        let offered = self.source.offer(&self.client, &mut reading, Mechanism::Heartbeat).await?;
        self.source.answered(Mechanism::Heartbeat, sys::now());
        Ok((offered, index))
    }

    /// A change that the watch brings at the same moment was not missed.
    async fn count_missed(&self, index: u64) {
        if !self.watched {
            return;
        }
        tokio::time::sleep(MISSED_AFTER.min(self.interval)).await;
        let seen = self.source.board.read(|s| s.sources[self.source.at].watched_index);
        if seen < index {
            self.source.metrics.count(Id::WatchMissed, &[&self.source.name]);
            tracing::warn!(
                event = "watch_missed",
                source = self.source.name,
                index,
                "the heartbeat found a change that the watch has not seen"
            );
        }
    }

    fn next_in(&self, pause: Duration) {
        let next = sys::now() + pause;
        let at = self.source.at;
        let health = |s: &mut crate::board::State| {
            s.sources[at].health_mut(Mechanism::Heartbeat).next = Some(next);
        };
        self.source.board.update(health);
    }
}

/// The pause before the first beat. Without a watch nothing else would replace content from a backup.
pub fn first_pause(interval: Duration, watched: bool, dice: f64) -> Duration {
    let pause = interval.mul_f64(dice);
    if watched { pause } else { pause.min(Duration::from_secs(1)) }
}

/// The pause before the next beat: a tenth up or down, and shorter for a hold that may end by itself.
pub fn next_pause(interval: Duration, offered: Offered, now: Moment, dice: f64) -> Duration {
    let pause = interval.mul_f64(0.9 + 0.2 * dice);
    match offered {
        Offered::Held(Some(due)) => pause.min(due.since(now).max(RECHECK)),
        _ => pause,
    }
}
