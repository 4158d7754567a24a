//! Saying what was published: the manifest, the board, the log, the metrics.

use std::sync::Arc;

use super::manifest::{Manifest, Part};
use super::{Publisher, persist};
use crate::metrics::Id;
use crate::model::confirmation::Origin;
use crate::model::moment::{Moment, rfc3339};
use crate::model::offer::Content;
use crate::model::output;
use crate::model::plan::Plan;
use crate::model::plan::difference::Changes;
use crate::model::snapshot::{Digest, Snapshot};
use crate::sys;

impl Publisher {
    pub(super) fn manifest(
        &self,
        name: &str,
        tree: Digest,
        contents: &[(Arc<Snapshot>, Option<Content>)],
    ) -> Manifest {
        let boot = sys::boot_id();
        let part = |(i, (snapshot, pending)): (usize, &(Arc<Snapshot>, Option<Content>))| {
            let (name, prefix) = &self.setup.sources[i];
            let published = self.board.read(|s| s.sources[i].published.clone());
            let confirmed = self.board.read(|s| s.sources[i].confirmed);
            let (origin, stale, when, date) = match (pending, published) {
                (Some(c), _) => (c.origin, c.stale, c.marks.sent, c.date),
                (None, Some(p)) => match confirmed.filter(|c| c.digest == p.digest) {
                    Some(c) => (p.origin, p.stale, c.when, c.date),
                    None => (p.origin, p.stale, p.marks.sent, p.date),
                },
                (None, None) => (Origin::None, false, Moment::default(), 0),
            };
            Part {
                name: name.clone(),
                prefix: prefix.to_string(),
                index: snapshot.index(),
                digest: snapshot.digest(),
                keys: snapshot.keys(),
                bytes: snapshot.bytes(),
                origin,
                stale,
                confirmed: rfc3339(date),
                confirmed_boottime: when,
                boot: boot.clone(),
            }
        };
        let sources = contents.iter().enumerate().map(part).collect();
        let published = rfc3339(sys::wall_seconds());
        let outputs = Some(output::digest(&self.setup.outputs));
        Manifest { schema: 1, generation: name.to_owned(), published, tree, outputs, sources }
    }

    pub(super) fn announce(
        &mut self,
        contents: Vec<(Arc<Snapshot>, Option<Content>)>,
        changes: &Changes,
        now: Moment,
    ) {
        let at = sys::now();
        let name = self.current.as_ref().map(|c| c.generation.name.clone());
        let news = contents.iter().enumerate().filter_map(|(i, (_, c))| Some((i, c.as_ref()?)));
        let blocked = self.blocked.clone();
        self.board.update(|state| state.volume_error = blocked);
        if self.board.published(news, name, at) {
            self.ask_again();
        }
        for (i, (snapshot, content)) in contents.iter().enumerate() {
            let Some(content) = content else { continue };
            self.pending.shown(i);
            persist::consume_accept(&self.volume, &self.board, &snapshot.digest());
            tracing::info!(
                event = "published",
                source = self.setup.sources[i].0,
                origin = content.origin.word(),
                mechanism = content.how.word(),
                index = snapshot.index(),
                keys = snapshot.keys(),
                bytes = snapshot.bytes(),
                digest = snapshot.digest().short(),
                added = changes.added,
                updated = changes.updated,
                removed = changes.removed,
                duration_ms = at.since(now).as_millis() as u64,
                "published"
            );
        }
        let answered = contents.iter().filter_map(|(_, c)| c.as_ref()).map(|c| c.marks.answered);
        if let Some(answered) = answered.max().filter(|a| *a > Moment::default()) {
            self.metrics.observe(Id::PublishDuration, &[], at.since(answered));
        }
        self.metrics.add(Id::KeyChanges, &["added"], changes.added as f64);
        self.metrics.add(Id::KeyChanges, &["updated"], changes.updated as f64);
        self.metrics.add(Id::KeyChanges, &["removed"], changes.removed as f64);
    }

    /// For whoever is told of changes. Later than the generation, so that who knows of the one finds the
    /// other.
    pub(super) fn note_untold(&self, changes: &Changes) {
        if self.setup.tells {
            let paths = changes.paths.as_ref().map(|paths| paths.iter().map(|path| &**path));
            self.board.update(|state| state.untold.note(paths));
        }
    }

    /// Names the keys that became no file; the first hundred of each source. Counts those that another
    /// layer's hide.
    pub(super) fn report_skipped(&self, plan: &Plan) {
        self.board.update(|state| {
            for (i, source) in state.sources.iter_mut().enumerate() {
                let mine = || plan.skipped.iter().filter(|s| s.source == i);
                source.skipped_total = mine().count();
                source.overridden = plan.overridden.iter().filter(|o| o.source == i).count();
                source.skipped =
                    mine().take(100).map(|s| (s.entry.key.to_string(), s.why)).collect();
            }
        });
    }
}
