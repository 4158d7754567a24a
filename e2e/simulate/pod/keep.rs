//! The keeper's calls.

use std::time::Duration;

use seedcar::keeper::{confirmed_date, to_keep};
use seedcar::model::confirmation::Published;
use seedcar::model::keeping::{Duty, Keeping};
use seedcar::model::moment::Moment;

use super::{Backup, Pod, Wake};
use crate::simulate::world::Env;

/// Backups are written this long after a change.
const DELAY: Duration = Duration::from_secs(30);
/// An unchanged backup is written again when it is this old, in seconds.
const REFRESH: i64 = 3600;
/// How many stay.
const MOST: usize = 8;

/// The keeper, and when it wakes.
pub struct Keep {
    keeping: Keeping,
    woken_at: Option<Moment>,
}

impl Default for Keep {
    fn default() -> Self {
        Self { keeping: Keeping::new(DELAY), woken_at: None }
    }
}

// === impl Keep ===

impl Keep {
    /// The moment it waited for has come.
    pub fn woken(&mut self, now: Moment) {
        self.woken_at = self.woken_at.filter(|at| *at > now);
    }
}

impl Pod {
    /// Does what is due.
    pub(super) fn keep(&mut self, env: &mut Env) {
        // A duty done may leave another.
        for _ in 0..4 {
            let now = env.now;
            let process = self.process();
            let seen = process.source.board.read(|s| to_keep(&s.sources[0]));
            let duty = process.keep.keeping.duty(seen.as_ref(), now);
            let published = process.source.board.read(|s| s.sources[0].published.clone());
            match (duty, published) {
                (Duty::Idle(until), _) => return self.keep_later(until, env),
                (_, None) => return,
                (Duty::Look, Some(published)) => self.keep_look(&published, env),
                (Duty::Write | Duty::Reconfirm, Some(published)) => {
                    let heartbeat = seen.and_then(|p| p.heartbeat);
                    self.keep_write(&published, heartbeat, env);
                }
            }
        }
    }

    fn keep_later(&mut self, until: Option<Moment>, env: &mut Env) {
        let Some(until) = until else { return };
        let keep = &mut self.process().keep;
        if keep.woken_at.is_none_or(|known| until < known) {
            keep.woken_at = Some(until);
            self.later(until, Wake::Keep, env);
        }
    }

    fn keep_look(&mut self, published: &Published, env: &mut Env) {
        if self.volumes.backup_fails {
            let dice = env.dice.f64();
            return self.process().keep.keeping.failed(env.now, dice);
        }
        let newest = self.newest_backup().map(|b| b.snapshot.digest());
        let keeping = &mut self.process().keep.keeping;
        keeping.looked(newest);
        keeping.first(published.digest);
    }

    fn keep_write(&mut self, published: &Published, heartbeat: Option<Moment>, env: &mut Env) {
        let Some(snapshot) = published.snapshot.clone() else {
            self.process().keep.keeping.failed(env.now, 1.0);
            return self.beat_now(env);
        };
        if self.volumes.backup_fails {
            let dice = env.dice.f64();
            return self.process().keep.keeping.failed(env.now, dice);
        }
        let date = self.process().source.board.read(|s| confirmed_date(&s.sources[0], published));
        let newest = self.newest_backup();
        let fresh = newest
            .is_some_and(|b| b.snapshot.digest() == snapshot.digest() && date - b.date < REFRESH);
        if !fresh {
            env.oracle.backed_up(published, date, env.now);
            self.volumes.backups.push(Backup { snapshot, date });
            self.volumes.backups.sort_by_key(|b| (b.date, b.snapshot.index()));
            let old = self.volumes.backups.len().saturating_sub(MOST);
            self.volumes.backups.drain(..old);
        }
        self.process().keep.keeping.written(published.digest, heartbeat);
    }
}
