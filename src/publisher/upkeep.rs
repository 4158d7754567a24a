//! Looking after what is published: adopting it, auditing it, removing what it replaced.

use std::os::fd::AsFd;

use super::generation::{self, Generation};
use super::manifest::Manifest;
use super::spare::{Retired, Spare};
use super::{Current, KEEP, KEEP_COUNT, Making, NAMES_AGAIN, Publisher, audit, persist, volume};
use crate::metrics::Id;
use crate::model::moment::Moment;
use crate::model::output;
use crate::model::plan::Plan;
use crate::model::plan::difference::{Changes, Difference};
use crate::sys;

impl Publisher {
    /// Takes over a generation that another process published, if it is whole and of our sources.
    pub(super) fn adopt(&mut self, name: String) {
        let Some(current) = self.try_adopt(&name) else {
            self.unadopted = Some(name);
            tracing::warn!(
                event = "not_adopted",
                "the volume holds a generation that is damaged or of other sources; it will be replaced"
            );
            return;
        };
        self.current = Some(current);
        // Whoever published it may have died between the swap and the names.
        self.show_current();
        tracing::info!(event = "adopted", generation = name, "adopted what is published");
    }

    fn try_adopt(&mut self, name: &str) -> Option<Current> {
        let fd = volume::open_directory(self.volume.home(), name).ok()?;
        let file = volume::open_file(&fd, volume::MANIFEST).ok()?;
        let manifest = Manifest::parse(&volume::read_whole(&file, 1 << 20).ok()?)?;
        let ours = self.setup.sources.iter().map(|(n, p)| (n.as_str(), p.as_str()));
        if !manifest.is_of(ours) || audit::audit(fd.as_fd(), &manifest.tree).is_err() {
            return None;
        }
        persist::adopt(&self.board, &manifest, &sys::boot_id(), sys::now());
        // Whoever published it may have ended before it told of it.
        self.note_untold(&Changes::default());
        if manifest.outputs == Some(output::digest(&self.setup.outputs)) {
            self.note_keys(&fd);
        } else {
            // Its values are not known here; the next full read brings them.
            self.ask_again();
            tracing::warn!(
                event = "other_outputs",
                "what is adopted was made of other outputs; it is made again once Consul has answered"
            );
        }
        let generation = Generation { name: name.to_owned(), fd, plan: None };
        Some(Current { generation, tree: manifest.tree })
    }

    /// Compares the volume with what was published and puts it back where it differs.
    pub(super) fn audit(&mut self) {
        // A neighbour may have left something, too.
        self.littered = true;
        let Some(current) = &self.current else { return };
        let points_here =
            matches!(self.volume.current(), Ok(Some(name)) if name == current.generation.name);
        let damage = audit::audit(current.generation.fd.as_fd(), &current.tree).err();
        if damage.is_some() || !points_here {
            return self.repair();
        }
        // Links that somebody removed are set right in passing; of files it is said.
        if self.show_current() > 0 {
            self.metrics.count(Id::Repairs, &[]);
            tracing::warn!(event = "repaired", "the files in live/ had been changed; put back");
        }
    }

    /// Tries the names again where one could not be made.
    pub(super) fn name_again(&mut self, now: Moment) {
        if self.blocked.is_none() || now < self.named + NAMES_AGAIN {
            return;
        }
        self.show_current();
    }

    /// Publishes the same content again.
    fn repair(&mut self) {
        let now = sys::now();
        self.seen = None;
        // What waits may not be published yet, or not at all.
        let Some(contents) = self.pending.contents_with(&self.board, &[]) else {
            return;
        };
        let snapshots: Vec<_> = contents.iter().map(|(snapshot, _)| snapshot.clone()).collect();
        let plan = self.plan(&snapshots);
        match self.make(plan, &contents, now, Making::Repair) {
            Ok(_) => {
                self.metrics.count(Id::Repairs, &[]);
                tracing::warn!(event = "repaired", "the published tree had been changed; put back");
                self.announce(contents, &Changes::default(), now);
            }
            Err(error) => self.publish_failed(error, now),
        }
    }

    /// Removes what is in the way of a new generation where there is no room for it: first what nobody reads,
    /// then the old generations, whose readers open again.
    pub(super) fn make_room(&mut self, plan: &Plan, difference: &Difference) -> volume::Result<()> {
        if generation::check_room(&self.volume, plan, difference).is_ok() {
            return Ok(());
        }
        if let Some(spare) = self.spare.take() {
            volume::remove_tree(self.volume.home(), &spare.name)?;
            if generation::check_room(&self.volume, plan, difference).is_ok() {
                return Ok(());
            }
        }
        for old in self.retired.drain(..) {
            volume::remove_tree(self.volume.home(), &old.name)?;
        }
        generation::check_room(&self.volume, plan, difference)
    }

    /// Removes old generations, and what a failure left.
    pub(super) fn collect(&mut self, now: Moment) {
        if self.littered {
            let kept = self.retired.iter().map(|retired| &retired.name);
            let kept = kept.chain(self.spare.as_ref().map(|spare| &spare.name));
            let current = self.current.iter().map(|c| &c.generation.name);
            let kept: Vec<_> = kept.chain(current).cloned().collect();
            self.littered = generation::sweep(&self.volume, &kept).is_err();
        }
        while let Some(oldest) = self.retired.front() {
            if self.retired.len() < KEEP_COUNT && now < oldest.until(KEEP) {
                return;
            }
            match self.end(oldest) {
                Ok(None) => {}
                Ok(spare) => self.spare = spare,
                Err(error) => {
                    tracing::warn!(event = "collect_failed", error_kind = error.kind(), %error, "an old generation stays for now");
                    self.littered = true;
                }
            }
            self.retired.pop_front();
        }
    }

    /// Removes an old generation, or makes it the spare where there is none.
    fn end(&self, old: &Retired) -> volume::Result<Option<Spare>> {
        let plan = self.current.as_ref().and_then(|current| current.generation.plan.as_ref());
        if let Some(plan) = plan.filter(|_| self.spare.is_none())
            && let Some(spare) = old.spare(&self.volume, plan)?
        {
            return Ok(Some(spare));
        }
        volume::remove_tree(self.volume.home(), &old.name).map(|()| None)
    }
}
