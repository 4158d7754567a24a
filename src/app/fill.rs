//! Filling the volume: every source at once, then the wait until the files are there.

use std::sync::{Arc, PoisonError};

use futures_util::future::join_all;
use tokio::sync::watch;

use super::{App, internal};
use crate::board::{Source as OnBoard, State};
use crate::exit::Exit;
use crate::keeper::Findings;
use crate::model::confirmation::{Mechanism, Origin};
use crate::model::guard::Hold;
use crate::seed::{Filled, Seed, Unseeded};
use crate::sync::Source;
use crate::{keeper, sys};

impl App {
    /// Reads the backup volume on a thread of its own: it may hang, and then only that thread does.
    /// While it does no second one is started, however often the seed is tried.
    fn look_for_backups(self: &Arc<Self>) -> std::io::Result<Option<Findings>> {
        let Some(setup) = self.keeper_setup() else {
            return Ok(None);
        };
        let mut looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(findings) = looking.as_ref().filter(|f| is_looking(f)) {
            return Ok(Some(findings.clone()));
        }
        let (found, findings) = watch::channel(None);
        *looking = Some(findings.clone());
        let app = self.clone();
        std::thread::Builder::new().name("backups".to_owned()).spawn(move || {
            let _ = found.send(Some(Arc::new(keeper::look(&setup, &app.board))));
        })?;
        Ok(Some(findings))
    }

    /// Fills every source and waits until the files are there.
    pub(super) async fn fill_and_show(self: &Arc<Self>) -> Result<Vec<(String, Filled)>, Unseeded> {
        let timeout = self.config.seed_timeout;
        let opened = tokio::time::timeout(timeout, self.volume_is_open()).await;
        opened.map_err(|_| self.volume_unusable()).flatten()?;
        let filled = self.fill().await?;
        // A volume that takes the content takes it in milliseconds; one that does not has said why.
        let shown = tokio::time::timeout(timeout, self.is_shown()).await;
        shown.map_err(|_| self.volume_unusable()).flatten()?;
        Ok(filled)
    }

    pub(super) async fn fill(self: &Arc<Self>) -> Result<Vec<(String, Filled)>, Unseeded> {
        let backups = self.look_for_backups().map_err(internal)?;
        let one = |source: &Source| Seed {
            source: source.clone(),
            client: self.client(Mechanism::Seed.word()),
            started: sys::now(),
            timeout: self.config.seed_timeout,
            backups: backups.clone(),
            required: self.config.sources[source.at].required,
        };
        let seeds: Vec<_> = self.sources.iter().map(one).collect();
        let refusals = self.board.read(|state| state.refusals);
        // What the start has mapped of the program is not resident beside what is read now.
        sys::give_back();
        let filled = join_all(seeds.iter().map(Seed::run)).await;
        let mut filled = filled.into_iter().collect::<Result<Vec<_>, _>>()?;
        self.fall_back_where_refused(&seeds, refusals, &mut filled).await?;
        let took = sys::now().since(self.started);
        self.board.update(|state| {
            for (source, filled) in state.sources.iter_mut().zip(&filled) {
                source.seed = (*filled != Filled::Kept).then(|| (Origin::from(filled), took));
            }
        });
        Ok(self.sources.iter().map(|s| s.name.clone()).zip(filled).collect())
    }

    /// As long as what there is does not pass its validation, one more source starts from its backup: the
    /// news of another may be in order.
    async fn fall_back_where_refused(
        &self,
        seeds: &[Seed],
        mut refusals: u64,
        filled: &mut [Filled],
    ) -> Result<(), Unseeded> {
        while let Some(refused) = self.refused(refusals).await {
            refusals = self.board.read(|state| state.refusals);
            let of_consul = |(i, _): &(usize, Hold)| filled[*i] == Filled::Consul;
            let left = refused.iter().any(of_consul);
            // Where all have their backups, something newer took the place of one, and was refused, too.
            let next = refused.into_iter().filter(|one| !left || of_consul(one));
            let (together, single): (Vec<_>, Vec<_>) =
                next.partition(|(i, _)| self.config.sources[*i].atomic);
            let groups = single.into_iter().map(|one| vec![one]).chain([together]);
            let mut outcome = Ok(Vec::new());
            for group in groups.filter(|group| !group.is_empty()) {
                let these: Vec<_> = group.iter().map(|(i, hold)| (&seeds[*i], *hold)).collect();
                match Seed::refused(&these).await {
                    Ok(backups) => {
                        outcome = Ok(group.iter().map(|(i, _)| *i).zip(backups).collect());
                        break;
                    }
                    Err(error) if outcome.is_ok() => outcome = Err(error),
                    Err(_) => {}
                }
            }
            let backups = outcome?;
            if backups.is_empty() {
                return Ok(());
            }
            backups.into_iter().for_each(|(i, backup)| filled[i] = backup);
        }
        Ok(())
    }

    /// The sources whose answer does not pass its validation, if more than so many were refused before
    /// something was published.
    async fn refused(&self, before: u64) -> Option<Vec<(usize, Hold)>> {
        // What still waits there is newer than a backup, and would take its place.
        let idle = || self.inbox.slots.is_idle();
        let decided = |state: &State| state.seeded || state.refusals > before && idle();
        let asking = self.config.validate.as_ref().map(|v| v.asking(self.sources.len()));
        // A volume that does not answer, or that cannot be written, is told of by whoever waits for it.
        let wait = self.config.seed_timeout + asking.unwrap_or_default();
        let _ = tokio::time::timeout(wait, self.board_shows(decided, |_| true)).await;
        self.board.read(|state| {
            let invalid =
                |(i, s): (usize, &OnBoard)| s.hold.filter(|_| s.is_invalid()).map(|hold| (i, hold));
            let refused = || state.sources.iter().enumerate().filter_map(invalid).collect();
            (!state.seeded && state.refusals > before).then(refused)
        })
    }

    /// Returns once the volume is open; at once with the reason where waiting will not help.
    async fn volume_is_open(&self) -> Result<(), Unseeded> {
        self.board_shows(|state| state.opened, |_| true).await
    }

    /// Returns once every source has something published and nothing waits.
    async fn is_shown(&self) -> Result<(), Unseeded> {
        let shown = || self.inbox.slots.is_idle();
        self.board_shows(
            |state| state.seeded && shown(),
            |kind| kind != "blocked" && kind != "invalid",
        )
        .await
    }

    pub(super) fn volume_unusable(&self) -> Unseeded {
        let error = self.board.read(|s| s.volume_error.as_ref().map(|e| e.text.clone()));
        let text = error.unwrap_or_else(|| {
            format!("volume {}: it does not answer", self.config.volume.display())
        });
        Unseeded { exit: Exit::Volume, text }
    }
}

/// Nothing is found yet, and the thread that looks is alive.
fn is_looking(findings: &Findings) -> bool {
    findings.borrow().is_none() && findings.has_changed().is_ok()
}
