//! Asking whether a generation may be seen, and what becomes of one that may not.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::manifest::Manifest;
use super::volume::Error;
use super::{Inbox, Publisher};
use crate::board::Failure;
use crate::metrics::Id;
use crate::model::confirmation::Origin;
use crate::model::guard::{Hold, Reason};
use crate::model::moment::Moment;
use crate::model::offer::Content;
use crate::model::plan::Plan;
use crate::model::snapshot::Snapshot;
use crate::sys;
use crate::validate::{self, Said};

/// A question that has taken this long gives way to something newer.
const GIVES_WAY: Duration = Duration::from_secs(1);
/// Whoever gave no answer is asked again after this.
pub(super) const AGAIN: Duration = Duration::from_secs(30);

impl Publisher {
    /// What comes from backups was validated when it was published, and is for the day when nobody is
    /// there to be asked. What a person has accepted is not asked about either.
    pub(super) fn is_to_be_validated(&self, contents: &[(Arc<Snapshot>, Option<Content>)]) -> bool {
        let news: Vec<_> =
            contents.iter().enumerate().filter_map(|(i, (_, c))| Some((i, c.as_ref()?))).collect();
        let mut of_consul = news.iter().filter(|(_, c)| c.origin == Origin::Consul).peekable();
        let is_of_backups = !news.is_empty() && of_consul.peek().is_none();
        let is_named = |i: usize, content: &Content| {
            self.board.read(|s| s.sources[i].accepts(&content.snapshot.digest()))
        };
        // Whoever accepts one part of what belongs together accepts all of it.
        let atomic = &self.setup.atomic;
        let mut together = news.iter().filter(|(i, _)| atomic.contains(i));
        let is_whole_named = together.any(|(i, content)| is_named(*i, content));
        let accepts = |(i, content): &(usize, &Content)| {
            is_named(*i, content) || atomic.contains(i) && is_whole_named
        };
        let is_accepted = of_consul.peek().is_some() && of_consul.all(accepts);
        self.setup.validate.is_some() && !is_of_backups && !is_accepted
    }

    /// The checks that are ours.
    pub(super) fn validate(&self, plan: &Plan) -> Result<(), Error> {
        let Some(validate) = &self.setup.validate else { return Ok(()) };
        let checked = validate.rules.check(plan);
        checked.map_err(|invalid| Error::Invalid { text: invalid.0, again: false })
    }

    /// Asks others about a generation that is made and not visible yet. Something newer ends a question
    /// that takes long, but not the next one, too: a slow answer is one all the same.
    pub(super) fn ask_outside(
        &mut self,
        name: &str,
        manifest: &Manifest,
        inbox: &Inbox,
    ) -> Result<(), Error> {
        let outside = self.setup.validate.as_ref().and_then(|v| v.outside.as_ref());
        let Some(outside) = outside else { return Ok(()) };
        let directory = self.setup.path.join(self.volume.layout.home()).join(name);
        let body = json!({"generation": name, "directory": directory, "sources": manifest.sources});
        let may_give_way = !self.gave_way;
        let gives_up = |taken| {
            let newer = may_give_way && taken > GIVES_WAY && inbox.slots.has_values();
            newer || self.board.read(|state| state.closed)
        };
        let began = sys::now();
        let said = validate::ask(outside, &directory, &body.to_string(), &gives_up);
        self.asked += sys::now().since(began);
        self.gave_way = said == Said::GivenUp;
        match said {
            Said::Yes => Ok(()),
            Said::No(text) => Err(Error::Invalid { text, again: false }),
            Said::Nothing(text) => Err(Error::Invalid { text, again: true }),
            Said::GivenUp => Err(Error::GivenUp),
        }
    }

    /// Holds the content of these sources, as a guard does with an answer.
    pub(super) fn refuse(&mut self, sources: &[usize], text: String, again: bool, now: Moment) {
        // Before the holds: whoever sees one finds the reason.
        let failure = Failure { kind: "invalid", text: text.clone(), at: now };
        self.board.update(|state| state.invalid = Some(failure));
        for i in sources {
            let Some(content) = self.pending.refuse(*i) else { continue };
            self.hold(*i, &content.snapshot, &content, &text, now);
        }
        self.board.update(|state| state.refusals += 1);
        if again {
            self.again_at = Some(sys::now() + AGAIN);
        }
    }

    fn hold(&self, i: usize, snapshot: &Snapshot, content: &Content, text: &str, now: Moment) {
        let name = &self.setup.sources[i].0;
        self.metrics.count(Id::HeldAnswers, &[name, Reason::Invalid.word()]);
        let (hold, is_known) = self.board.update(|state| {
            let source = &mut state.sources[i];
            let keys = source.baseline().map_or(0, |baseline| baseline.keys);
            let hold = Hold::invalid(snapshot, keys, source.hold.as_ref(), now);
            source.held_marks = Some(content.marks);
            let before = source.hold.replace(hold);
            (hold, before.is_some_and(|b| b.reason == hold.reason && b.digest == hold.digest))
        });
        if !is_known {
            tracing::warn!(
                event = "held",
                source = name,
                mechanism = content.how.word(),
                reason = hold.reason.word(),
                keys = hold.keys,
                published_keys = hold.baseline_keys,
                digest = snapshot.digest().short(),
                error = text,
                "a generation did not pass its validation and the old files stay; `seedcar accept DIGEST` lets it through"
            );
        }
    }

    /// Has what was refused for want of an answer read and asked about again.
    pub(super) fn ask_refused_again(&mut self, now: Moment) {
        if self.again_at.is_some_and(|at| now >= at) {
            self.again_at = None;
            if self.board.read(|s| s.sources.iter().any(|source| source.is_invalid())) {
                self.ask_again();
            }
        }
    }
}
