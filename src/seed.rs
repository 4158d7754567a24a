//! The first fill: Consul within its share of the deadline, else the newest valid backup.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use crate::consul::error::{Error as ConsulError, Kind};
use crate::consul::{Client, Listed};
use crate::exit::Exit;
use crate::keeper::{Findings, Found};
use crate::model::confirmation::{Mechanism, Origin};
use crate::model::follow::Offered;
use crate::model::guard::{Hold, Reason};
use crate::model::moment::Moment;
use crate::model::offer::{Content, Offer};
use crate::model::pace::{Backoff, Trouble};
use crate::model::reading::Mode;
use crate::sync::Source;
use crate::sys;

/// A default read that has not answered after this long is joined by a stale one, which any server
/// can answer, also without a leader.
const JOIN_STALE: Duration = Duration::from_secs(1);
/// An empty or refused answer is asked for again at this pace while there is time.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// No pause reaches further than this before the deadline: a last answer still has time to come, and
/// what is reported in the end is an answer and not a question cut short.
const LAST_TRY: Duration = Duration::from_millis(250);

/// The seed of one source.
pub struct Seed {
    /// The source.
    pub source: Source,
    /// Its own client.
    pub client: Client,
    /// When it began.
    pub started: Moment,
    /// How long it may take.
    pub timeout: Duration,
    /// What the backup volume holds; `None` where there is no backup.
    pub backups: Option<Findings>,
    /// A pod does not start without it.
    pub required: bool,
}

/// What a source was filled with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filled {
    /// An answer of Consul.
    Consul,
    /// A backup of this name, confirmed at this second of Consul's clock.
    Backup(String, i64),
    /// What was published already.
    Kept,
    /// Nothing: it is not required.
    Nothing,
}

/// Neither Consul nor a backup, in time.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
pub struct Unseeded {
    /// The exit code it means.
    pub exit: Exit,
    /// One line: what, where, what to do.
    pub text: String,
}

/// How one attempt at Consul ended.
enum Attempt {
    Accepted,
    Held(Option<Hold>),
    /// Empty, and Consul says that the token may not read what there is.
    Hidden(Hold),
    Failed(ConsulError),
}

// === impl Seed ===

impl Seed {
    /// Fills the source, or says why it cannot be.
    pub async fn run(&self) -> Result<Filled, Unseeded> {
        let mut backoff = Backoff::default();
        loop {
            let attempt = tokio::select! {
                attempt = self.attempt() => attempt,
                found = self.share_is_over() => return Ok(self.fall_back(None, &found)),
                () = until(self.started + self.patience()) => Attempt::Failed(ConsulError::new(
                    Kind::Timeout, format!("no answer within {:.0?}", self.patience()))),
            };
            let pause = match &attempt {
                Attempt::Accepted => return Ok(Filled::Consul),
                Attempt::Held(_) | Attempt::Hidden(_) => ASK_AGAIN,
                Attempt::Failed(error) => {
                    let pause = backoff.fail(pace(error), fastrand::f64());
                    self.source.failed(error, Mechanism::Seed, pause, sys::now());
                    pause
                }
            };
            if let Some(filled) = self.instead(&attempt).await {
                return Ok(filled);
            }
            if !self.required && (attempt.is_final() || sys::now() >= self.started + self.share()) {
                return Ok(self.do_without(&attempt));
            }
            let left = (self.started + self.timeout).since(sys::now());
            if left < LAST_TRY {
                return Err(self.unseeded(&attempt));
            }
            tokio::select! {
                () = tokio::time::sleep(pause.min(left - LAST_TRY)) => {}
                found = self.share_is_over() => return Ok(self.fall_back(None, &found)),
            }
        }
    }

    /// Fills a source after its answer, which the guard had accepted, did not pass its validation. That
    /// will not get better by asking for it again. Those that belong together are filled together, or
    /// none of them is.
    pub async fn refused(group: &[(&Self, Hold)]) -> Result<Vec<Filled>, Unseeded> {
        let mut backups = Vec::new();
        for (seed, hold) in group {
            let attempt = Attempt::Held(Some(*hold));
            let found = seed.backup().await.ok_or_else(|| seed.unseeded(&attempt))?;
            backups.push(seed.of_backup(Some(*hold), &found));
        }
        let (offers, filled): (Vec<_>, Vec<_>) = backups.into_iter().unzip();
        if let Some((seed, _)) = group.first() {
            seed.source.inbox.put_all(offers);
        }
        Ok(filled)
    }

    /// Asks Consul once and judges the answer.
    async fn attempt(&self) -> Attempt {
        let mut reading = match self.ask().await {
            Ok(listed) => listed.reading,
            Err(error) => return Attempt::Failed(error),
        };
        self.source.answered(Mechanism::Seed, sys::now());
        self.baseline_is_known().await;
        match self.source.offer(&self.client, &mut reading, Mechanism::Seed).await {
            Ok(Offered::Held(_)) => self.held().await,
            Ok(Offered::Changed | Offered::Same) => Attempt::Accepted,
            Err(error) => Attempt::Failed(error),
        }
    }

    /// Consul answers 404 to "there is none" and to "you may not see it"; asked, it tells them apart.
    async fn held(&self) -> Attempt {
        let source = self.source.held_member();
        let hold = source.board.read(|s| s.sources[source.at].hold);
        match hold {
            Some(hold) if hold.reason == Reason::Empty => {
                let may_read = self.client.may_read(&source.reads.rights()).await;
                let hidden = may_read == Some(false);
                if hidden { Attempt::Hidden(hold) } else { Attempt::Held(Some(hold)) }
            }
            hold => Attempt::Held(hold),
        }
    }

    async fn ask(&self) -> Result<Listed, ConsulError> {
        let default = self.source.list(&self.client, Mode::Default, None);
        tokio::pin!(default);
        let answer = tokio::select! {
            answer = &mut default => answer,
            () = tokio::time::sleep(JOIN_STALE) => tokio::select! {
                answer = &mut default => return answer,
                Some(listed) = self.ask_stale() => return Ok(listed),
            },
        };
        match answer {
            // Servers may say at once, again and again, that they have no leader: no answer either.
            Err(error) if error.kind == Kind::Server && self.is_late() => {
                self.ask_stale().await.ok_or(error)
            }
            answer => answer,
        }
    }

    fn is_late(&self) -> bool {
        sys::now() >= self.started + JOIN_STALE
    }

    async fn ask_stale(&self) -> Option<Listed> {
        let listed = self.source.list(&self.client, Mode::Stale, None).await.ok()?;
        self.is_fit(&listed).await.then_some(listed)
    }

    /// A stale answer seeds when it is not older than the backup, and is never a reason to delete.
    async fn is_fit(&self, stale: &Listed) -> bool {
        self.baseline_is_known().await;
        let snapshot = &stale.reading.snapshot;
        let baseline = self.source.board.read(|s| s.sources[self.source.at].baseline());
        snapshot.keys() > 0
            && baseline.is_none_or(|b| snapshot.index() >= b.index && snapshot.keys() >= b.keys)
    }

    /// Waits for what an answer is measured against. A backup volume that hangs delays this by no more
    /// than Consul's share, and no backup by nothing at all.
    async fn baseline_is_known(&self) {
        if self.backups.is_some() {
            let end = deadline(self.started + self.share());
            let _ = tokio::time::timeout_at(end, self.found()).await;
        }
    }

    /// How long Consul is waited for; what is not required is not worth more than Consul's share.
    fn patience(&self) -> Duration {
        if self.required { self.timeout } else { self.share() }
    }

    /// Starts without the source.
    fn do_without(&self, attempt: &Attempt) -> Filled {
        let offer = Offer::instead_of(attempt.hold(), Content::nothing());
        self.source.inbox.put(self.source.at, offer);
        let why = self.unseeded(attempt).text;
        tracing::warn!(
            event = "started_without",
            source = self.source.name,
            error = why,
            "the source is not required: it comes once Consul answers for it"
        );
        Filled::Nothing
    }

    /// A third of the deadline is Consul's; the rest is for whoever starts after us.
    fn share(&self) -> Duration {
        self.timeout / 3
    }

    /// Returns once Consul's share is over and a backup is there to be used.
    async fn share_is_over(&self) -> Arc<Vec<Found>> {
        until(self.started + self.share()).await;
        let found = self.found().await;
        let has_backup = found[self.source.at].best.is_some();
        if has_backup && !self.is_published() { found } else { pending().await }
    }

    /// What the backup volume holds, once it has answered; never where there is none.
    async fn found(&self) -> Arc<Vec<Found>> {
        let Some(mut backups) = self.backups.clone() else {
            return pending().await;
        };
        match backups.wait_for(Option::is_some).await {
            Ok(found) => (*found).clone().expect("waited for"),
            Err(_) => pending().await,
        }
    }

    /// What to serve although the attempt failed: what is published, or the backup. An answer that
    /// was refused and a Consul that says no will not get better by waiting; a Consul that is merely
    /// slow keeps its share.
    async fn instead(&self, attempt: &Attempt) -> Option<Filled> {
        if self.is_published() {
            return Some(Filled::Kept);
        }
        let is_early = sys::now() < self.started + self.share();
        match attempt {
            Attempt::Accepted => return None,
            Attempt::Failed(error) if is_early && !is_hopeless(error) => return None,
            Attempt::Failed(_) | Attempt::Held(_) | Attempt::Hidden(_) => {}
        }
        let found = self.backup().await?;
        Some(self.fall_back(attempt.hold(), &found))
    }

    /// What the backup volume holds, if there is something of this source, within the deadline.
    async fn backup(&self) -> Option<Arc<Vec<Found>>> {
        self.backups.as_ref()?;
        let end = deadline(self.started + self.timeout);
        let found = tokio::time::timeout_at(end, self.found()).await.ok()?;
        found[self.source.at].best.is_some().then_some(found)
    }

    fn fall_back(&self, hold: Option<Hold>, found: &[Found]) -> Filled {
        let ((at, offer), filled) = self.of_backup(hold, found);
        self.source.inbox.put(at, offer);
        filled
    }

    /// What goes to the publisher from the backup.
    fn of_backup(&self, hold: Option<Hold>, found: &[Found]) -> ((usize, Offer), Filled) {
        let (snapshot, backup) =
            found[self.source.at].best.as_ref().expect("asked for before falling back");
        let content = Content::from_backup(snapshot.clone(), backup.confirmed, Moment::default());
        let offer = Offer::instead_of(hold, content);
        let age_s = sys::wall_seconds() - backup.confirmed;
        tracing::warn!(
            event = "seeded_from_backup",
            source = self.source.name,
            file = backup.name,
            index = backup.index,
            keys = snapshot.keys(),
            age_s,
            "Consul gave no answer to use: seeded from the backup"
        );
        ((self.source.at, offer), Filled::Backup(backup.name.clone(), backup.confirmed))
    }

    fn is_published(&self) -> bool {
        self.source.published_digest().is_some()
    }

    /// The one line.
    fn unseeded(&self, attempt: &Attempt) -> Unseeded {
        let found = self.backups.as_ref().and_then(|b| b.borrow().clone());
        let found = found.as_ref().map(|found| &found[self.source.at]);
        let damaged = found.is_some_and(|f| !f.refused.is_empty());
        let (why, mut exit) = match attempt {
            Attempt::Failed(error) if matches!(error.kind, Kind::Denied | Kind::Token) => {
                (format!("Consul denies it ({error})"), Exit::Denied)
            }
            Attempt::Failed(error) => {
                (format!("Consul is unreachable ({error})"), Exit::NothingToSeedFrom)
            }
            Attempt::Hidden(_) => {
                let what = self.source.held_member().reads.policy();
                (format!("Consul denies it (the token may not read {what})"), Exit::Denied)
            }
            Attempt::Held(Some(Hold { reason: Reason::Empty, .. })) => {
                let what = match self.source.reads.service() {
                    None => "the prefix is empty",
                    Some(_) => "the service has no healthy instance",
                };
                let why = format!("{what} (--allow-empty if it is meant to be)");
                (why, Exit::NothingToSeedFrom)
            }
            Attempt::Held(hold) => {
                let mut reason = hold.map_or("refused", |hold| hold.reason.word()).to_owned();
                if hold.is_some_and(|hold| hold.reason == Reason::Invalid) {
                    let why = self.source.board.read(|state| state.invalid.clone());
                    reason.extend(why.map(|invalid| format!(": {}", invalid.text)));
                }
                (format!("Consul's answer is refused ({reason})"), Exit::NothingToSeedFrom)
            }
            Attempt::Accepted => ("the volume was not written".to_owned(), Exit::Volume),
        };
        let backup = match found {
            None if self.backups.is_none() => "backups are off".to_owned(),
            None => "the backup volume does not answer".to_owned(),
            Some(found) => match (&found.error, found.refused.first()) {
                (Some(error), _) => format!("no backup ({error})"),
                (None, Some((file, reason))) => {
                    format!("every backup is damaged ({file}: {reason})")
                }
                (None, None) => "there is no backup of it".to_owned(),
            },
        };
        if damaged && exit == Exit::NothingToSeedFrom {
            exit = Exit::BackupDamaged;
        }
        let (name, reads) = (&self.source.name, &self.source.reads);
        let text = format!("source {name} ({reads}): {why}, and {backup}");
        Unseeded { exit, text }
    }
}

// === impl Attempt ===

impl Attempt {
    /// The hold that it has ended in.
    fn hold(&self) -> Option<Hold> {
        match self {
            Self::Held(hold) => *hold,
            Self::Hidden(hold) => Some(*hold),
            Self::Accepted | Self::Failed(_) => None,
        }
    }

    /// An answer, of which there is nothing more to be had by asking again.
    fn is_final(&self) -> bool {
        match self {
            Self::Failed(error) => matches!(error.kind, Kind::Denied | Kind::Token),
            Self::Held(_) | Self::Hidden(_) => true,
            Self::Accepted => false,
        }
    }
}

/// Consul says no, or cannot be spoken to: waiting will not change that.
fn is_hopeless(error: &ConsulError) -> bool {
    matches!(
        error.kind,
        Kind::Connect
            | Kind::Denied
            | Kind::Token
            | Kind::Tls
            | Kind::BadRequest
            | Kind::Redirected
            | Kind::TooLarge(_)
    )
}

/// The seed has a deadline to keep: whatever went wrong, it asks again soon.
fn pace(error: &ConsulError) -> Trouble {
    match error.trouble() {
        Trouble::Lasting => Trouble::Passing,
        other => other,
    }
}

async fn until(moment: Moment) {
    tokio::time::sleep_until(deadline(moment)).await;
}

fn deadline(moment: Moment) -> tokio::time::Instant {
    tokio::time::Instant::now() + moment.since(sys::now())
}

/// The origin that a status shows for this.
impl From<&Filled> for Origin {
    fn from(filled: &Filled) -> Self {
        match filled {
            Filled::Consul | Filled::Kept => Origin::Consul,
            Filled::Nothing => Origin::None,
            Filled::Backup(..) => Origin::Backup,
        }
    }
}
