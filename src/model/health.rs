//! States in, verdicts out.

use std::time::Duration;

use super::moment::Moment;

/// One word for a person.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Everything works and the data are current.
    Fresh,
    /// Something does not work; the data are served and are not old.
    Degraded,
    /// Nobody has confirmed the data for too long.
    Stale,
    /// Nothing is published yet.
    Seeding,
    /// Nothing is published and the volume cannot be written.
    Failed,
}

/// What a source's health is judged by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// Something is published.
    pub published: bool,
    /// It came from a backup or a stale read and Consul has not confirmed it since.
    pub unconfirmed: bool,
    /// When Consul last confirmed it.
    pub confirmed: Option<Moment>,
    /// An answer is being refused.
    pub held: bool,
    /// A mechanism that is on does not work.
    pub mechanism_down: bool,
    /// The volume cannot be written.
    pub volume_error: bool,
}

/// The age above which data are stale: two heartbeats may be missed, and five minutes of slack.
pub fn stale_after(heartbeat: Option<Duration>) -> Duration {
    heartbeat.unwrap_or_default() * 2 + Duration::from_secs(300)
}

/// The verdict on one source.
pub fn judge(facts: &Facts, now: Moment, stale_after: Duration) -> Health {
    if !facts.published {
        return if facts.volume_error { Health::Failed } else { Health::Seeding };
    }
    match facts.confirmed {
        Some(when) if now.since(when) > stale_after => Health::Stale,
        None if !facts.unconfirmed => Health::Stale,
        _ if facts.unconfirmed || facts.held || facts.mechanism_down || facts.volume_error => {
            Health::Degraded
        }
        _ => Health::Fresh,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_verdict() {
        let now = Moment(10_000_000_000_000);
        let good = Facts { published: true, confirmed: Some(now), ..Facts::default() };
        let old = now - Duration::from_secs(301);
        for (facts, verdict) in [
            (good, Health::Fresh),
            (Facts { held: true, ..good }, Health::Degraded),
            (Facts { mechanism_down: true, ..good }, Health::Degraded),
            (Facts { unconfirmed: true, confirmed: None, ..good }, Health::Degraded),
            (Facts { confirmed: Some(old), ..good }, Health::Stale),
            (Facts { published: false, ..good }, Health::Seeding),
            (Facts { published: false, volume_error: true, ..good }, Health::Failed),
        ] {
            assert_eq!(judge(&facts, now, stale_after(None)), verdict, "{facts:?}");
        }
        assert_eq!(stale_after(Some(Duration::from_secs(900))).as_secs(), 2100);
    }
}
