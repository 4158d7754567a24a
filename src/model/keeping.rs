//! When the keeper writes a backup.

use std::time::Duration;

use super::moment::Moment;
use super::pace::{Backoff, Trouble};
use super::snapshot::Digest;

/// What the keeper of one source has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Find out what the volume holds.
    Look,
    /// Write the published snapshot.
    Write,
    /// Nothing has changed: read the newest backup back and see that it still holds the content.
    Reconfirm,
    /// Nothing before this moment, or before something changes.
    Idle(Option<Moment>),
}

/// The published content as far as backups are concerned.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    /// Its digest.
    pub digest: Digest,
    /// From Consul, in default mode: neither served from a backup nor a stale answer.
    pub confirmed: bool,
    /// The last time a heartbeat found Consul to hold exactly this.
    pub heartbeat: Option<Moment>,
}

/// How long Secrets are left alone that took nothing for a reason that only a person ends. Each try
/// reads all of them, in every pod.
const LEFT_ALONE: Duration = Duration::from_secs(120);

/// The keeper's state for one source.
#[derive(Debug)]
pub struct Keeping {
    delay: Duration,
    stored: Stored,
    unsaved_since: Option<(Digest, Moment)>,
    reconfirmed: Option<Moment>,
    backoff: Backoff,
    not_before: Moment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stored {
    Unknown,
    /// The volume has no valid backup, or none of the content that was published first.
    Nothing,
    Holds(Digest),
}

// === impl Keeping ===

impl Keeping {
    /// A keeper that writes `delay` after a published change.
    pub fn new(delay: Duration) -> Self {
        Self {
            delay,
            stored: Stored::Unknown,
            unsaved_since: None,
            reconfirmed: None,
            backoff: Backoff::default(),
            not_before: Moment::default(),
        }
    }

    /// What to do now.
    pub fn duty(&mut self, published: Option<&Published>, now: Moment) -> Duty {
        let Some(published) = published.filter(|p| p.confirmed) else {
            return Duty::Idle(None);
        };
        if now < self.not_before {
            return Duty::Idle(Some(self.not_before));
        }
        match self.stored {
            Stored::Unknown => Duty::Look,
            Stored::Holds(digest) if digest == published.digest => self.unchanged(published),
            // Nothing yet: a pod that dies before its first backup would have nothing to start from.
            Stored::Nothing => Duty::Write,
            Stored::Holds(_) => self.changed(published, now),
        }
    }

    /// The volume was looked at: the newest valid backup holds this, if there is one.
    pub fn looked(&mut self, newest: Option<Digest>) {
        self.backoff.reset();
        self.stored = newest.map_or(Stored::Nothing, Stored::Holds);
    }

    /// The published content is seeded and the newest backup holds other content: write at once.
    pub fn first(&mut self, published: Digest) {
        if matches!(self.stored, Stored::Holds(other) if other != published) {
            self.stored = Stored::Nothing;
        }
    }

    /// Written, or found there unchanged, and read back, at `heartbeat`'s confirmation.
    pub fn written(&mut self, digest: Digest, heartbeat: Option<Moment>) {
        self.backoff.reset();
        self.stored = Stored::Holds(digest);
        self.unsaved_since = None;
        self.reconfirmed = heartbeat;
    }

    /// The volume failed; tried again after a pause that grows to half a minute.
    pub fn failed(&mut self, now: Moment, dice: f64) {
        self.not_before = now + self.backoff.fail(Trouble::Lasting, dice);
    }

    /// The volume said no, and will until a person does something; tried again after two to four
    /// minutes.
    pub fn refused(&mut self, now: Moment, dice: f64) {
        self.not_before = now + LEFT_ALONE.mul_f64(1.0 + dice);
    }

    fn unchanged(&mut self, published: &Published) -> Duty {
        self.unsaved_since = None;
        match published.heartbeat {
            Some(at) if self.reconfirmed.is_none_or(|done| at > done) => Duty::Reconfirm,
            _ => Duty::Idle(None),
        }
    }

    /// Counted from the first unsaved change, not the last: under constant changes a quiet time that
    /// starts over would never end.
    fn changed(&mut self, published: &Published, now: Moment) -> Duty {
        let (_, since) = *self.unsaved_since.get_or_insert((published.digest, now));
        let due = since + self.delay;
        if now >= due || published.heartbeat.is_some_and(|at| at >= since) {
            return Duty::Write;
        }
        Duty::Idle(Some(due))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_secs(30);
    const NOW: Moment = Moment(1_000_000_000_000);

    fn digest(n: u8) -> Digest {
        Digest::from_bytes([n; 32])
    }

    fn published(n: u8) -> Published {
        Published { digest: digest(n), confirmed: true, heartbeat: None }
    }

    fn holding(n: u8) -> Keeping {
        let mut keeping = Keeping::new(DELAY);
        keeping.looked(Some(digest(n)));
        keeping
    }

    #[test]
    fn it_looks_before_it_writes_and_writes_at_once_where_there_is_none() {
        let mut keeping = Keeping::new(DELAY);
        assert_eq!(keeping.duty(Some(&published(1)), NOW), Duty::Look);
        keeping.looked(None);
        assert_eq!(keeping.duty(Some(&published(1)), NOW), Duty::Write);
        keeping.written(digest(1), None);
        assert_eq!(keeping.duty(Some(&published(1)), NOW), Duty::Idle(None));
    }

    #[test]
    fn content_seeded_but_in_no_backup_is_written_at_once() {
        let mut keeping = holding(1);
        keeping.first(digest(2));
        assert_eq!(keeping.duty(Some(&published(2)), NOW), Duty::Write);
    }

    #[test]
    fn a_change_is_written_after_the_delay_however_many_follow() {
        let mut keeping = holding(1);
        assert_eq!(keeping.duty(Some(&published(2)), NOW), Duty::Idle(Some(NOW + DELAY)));
        let later = NOW + Duration::from_secs(20);
        assert_eq!(keeping.duty(Some(&published(3)), later), Duty::Idle(Some(NOW + DELAY)));
        assert_eq!(keeping.duty(Some(&published(4)), NOW + DELAY), Duty::Write);
    }

    #[test]
    fn a_heartbeat_ends_the_delay() {
        let mut keeping = holding(1);
        keeping.duty(Some(&published(2)), NOW);
        let beaten = Published { heartbeat: Some(NOW), ..published(2) };
        assert_eq!(keeping.duty(Some(&beaten), NOW), Duty::Write);
    }

    #[test]
    fn unchanged_content_is_reconfirmed_once_a_heartbeat() {
        let mut keeping = holding(1);
        let beaten = Published { heartbeat: Some(NOW), ..published(1) };
        assert_eq!(keeping.duty(Some(&beaten), NOW), Duty::Reconfirm);
        keeping.written(digest(1), Some(NOW));
        assert_eq!(keeping.duty(Some(&beaten), NOW), Duty::Idle(None));
    }

    #[test]
    fn nothing_is_written_while_serving_from_backup() {
        let mut keeping = Keeping::new(DELAY);
        let from_backup = Published { confirmed: false, ..published(1) };
        assert_eq!(keeping.duty(Some(&from_backup), NOW), Duty::Idle(None));
        assert_eq!(keeping.duty(None, NOW), Duty::Idle(None));
    }

    #[test]
    fn a_failing_volume_is_left_alone_for_a_while() {
        let mut keeping = holding(1);
        keeping.first(digest(2));
        keeping.failed(NOW, 1.0);
        let until = NOW + Duration::from_secs(1);
        assert_eq!(keeping.duty(Some(&published(2)), NOW), Duty::Idle(Some(until)));
        assert_eq!(keeping.duty(Some(&published(2)), until), Duty::Write);
    }

    #[test]
    fn a_volume_that_says_no_is_left_alone_for_minutes_whatever_changes() {
        let mut keeping = holding(1);
        keeping.first(digest(2));
        keeping.refused(NOW, 0.5);
        let until = NOW + Duration::from_secs(180);
        assert_eq!(keeping.duty(Some(&published(3)), NOW + DELAY), Duty::Idle(Some(until)));
        assert_eq!(keeping.duty(Some(&published(3)), until), Duty::Write);
    }
}
