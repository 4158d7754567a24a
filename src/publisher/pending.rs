//! What waits to be published, and when it may be: decisions without a volume and without a clock.

use std::sync::Arc;
use std::time::Duration;

use crate::board::{Board, Source};
use crate::model::confirmation::{Origin, Published};
use crate::model::guard::{Hold, Reason};
use crate::model::moment::Moment;
use crate::model::offer::{Content, Offer};
use crate::model::pace::{Backoff, Trouble};
use crate::model::snapshot::Snapshot;

/// The least gap between two publishes; none before the first.
const GAP: Duration = Duration::from_millis(100);
/// The longest pause that a slow publish is followed by. One that took minutes was not busy but
/// stopped: a machine that slept, a volume that hung.
const LONGEST_GAP: Duration = Duration::from_secs(5);

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It waits to be published, or says nothing new.
    Kept,
    /// Consul went back to what is published: what waited is out of date, and the failure to publish
    /// it is over too.
    Outdates,
    /// Judged against less than what is published by now, or a part of something of which another part
    /// is out of date: to be asked for again.
    Outgrown,
}

/// A source's part of the next generation, and what is new about it.
pub type Part = (Arc<Snapshot>, Option<Content>);

/// Accepted content on its way to the volume.
#[derive(Debug)]
pub struct Pending {
    /// The sources that are published together or not at all.
    atomic: Vec<usize>,
    contents: Vec<Option<Content>>,
    /// What did not pass its validation: tried again together with what comes for other sources.
    refused: Vec<Option<Content>>,
    not_before: Moment,
    backoff: Backoff,
}

// === impl Pending ===

impl Pending {
    /// Nothing waits, for `sources` sources, of which those of `atomic` belong together.
    pub fn new(sources: usize, atomic: Vec<usize>) -> Self {
        let (contents, refused) = (vec![None; sources], vec![None; sources]);
        let (not_before, backoff) = (Moment::default(), Backoff::default());
        Self { atomic, contents, refused, not_before, backoff }
    }

    /// Takes what the mechanisms have put into the slots. Of what belongs together all is taken or none.
    /// Where a part has to be judged again, or some parts are newer than what is there and others are
    /// not, all are asked for again.
    pub fn take_all(&mut self, mut offers: Vec<(usize, Offer)>, board: &Board) -> Vec<Taken> {
        let (mut news, mut known, mut outgrown) = (0, 0, false);
        for (source, offer) in offers.iter().filter(|(source, _)| self.atomic.contains(source)) {
            let published = board.read(|s| s.sources[*source].published.clone());
            let Some(content) = &offer.content else { continue };
            outgrown |= published.as_ref().is_some_and(|p| content.is_outgrown(p));
            let is_news = self.is_news(*source, content, published.as_ref());
            *(if is_news { &mut news } else { &mut known }) += 1;
        }
        let torn = outgrown || (news > 0 && known > 0);
        if torn || known > 0 {
            offers.retain(|(source, _)| !self.atomic.contains(source));
        }
        let taken = offers.into_iter().map(|(source, offer)| self.take(source, offer, board));
        let asked_again = torn.then_some(Taken::Outgrown);
        taken.collect::<Vec<_>>().into_iter().chain(asked_again).collect()
    }

    fn is_news(&self, source: usize, content: &Content, published: Option<&Published>) -> bool {
        let waiting = self.contents[source].as_ref().map(|waiting| waiting.marks);
        let mut known = published.map(|p| p.marks).into_iter().chain(waiting);
        known.all(|marks| content.marks.supersedes(&marks))
    }

    /// Takes what a mechanism has put into a source's slot.
    fn take(&mut self, source: usize, offer: Offer, board: &Board) -> Taken {
        let published = board.read(|s| s.sources[source].published.clone());
        let is_outgrown = |c: &Content| published.as_ref().is_some_and(|p| c.is_outgrown(p));
        if offer.content.as_ref().is_some_and(is_outgrown) {
            return Taken::Outgrown;
        }
        if let Some(hold) = offer.hold {
            let digest = offer.content.as_ref().map(|content| content.snapshot.digest());
            board.update(|state| {
                let source = &mut state.sources[source];
                let is_same = |held: &Hold| held.reason == Reason::Invalid && held.digest == digest;
                if hold.is_none() && source.hold.as_ref().is_some_and(is_same) {
                    // The guard has nothing against it; its validation speaks next, and may not.
                    return;
                }
                source.hold = hold;
                source.held_marks = source.held_marks.filter(|_| hold.is_some());
            });
        }
        let Some(content) = offer.content else { return Taken::Kept };
        if !self.is_news(source, &content, published.as_ref()) {
            return Taken::Kept;
        }
        self.refused[source] = None;
        let confirmed = content.confirmation().map(|c| c.digest);
        if confirmed.is_none() || confirmed != published.map(|p| p.digest) {
            self.contents[source] = Some(content);
            return Taken::Kept;
        }
        if self.contents[source].take().is_none() {
            return Taken::Kept;
        }
        self.backoff.reset();
        Taken::Outdates
    }

    /// Something is waiting, and every source has something to show. What was adopted and has not been
    /// read since is known by its digest alone.
    pub fn is_complete(&self, board: &Board) -> bool {
        let known = |i: usize| {
            board.read(|s| s.sources[i].published.as_ref().is_some_and(|p| p.snapshot.is_some()))
        };
        self.contents.iter().any(Option::is_some)
            && (0..self.contents.len())
                .all(|i| self.contents[i].is_some() || self.refused[i].is_some() || known(i))
    }

    /// It may be published now.
    pub fn is_due(&self, board: &Board, now: Moment) -> bool {
        self.is_complete(board) && now >= self.not_before
    }

    /// The earliest moment for the next publish.
    pub fn not_before(&self) -> Moment {
        self.not_before
    }

    /// The part of every source: what is pending, else what is published. `None` while one was
    /// adopted and has not been read since.
    pub fn contents(&self, board: &Board) -> Option<Vec<Part>> {
        let (waiting, _) = self.waiting();
        self.contents_with(board, &waiting)
    }

    /// The same with what is new for these sources only, refused before or not.
    pub fn contents_with(&self, board: &Board, news: &[usize]) -> Option<Vec<Part>> {
        let published: Vec<_> = board.read(|state| {
            let snapshot = |s: &Source| s.published.as_ref()?.snapshot.clone();
            state.sources.iter().map(snapshot).collect()
        });
        let parts = published.into_iter().enumerate().map(|(i, published)| {
            let new = self.contents[i].as_ref().or(self.refused[i].as_ref());
            match new.filter(|_| news.contains(&i)) {
                Some(content) => Some((content.snapshot.clone(), Some(content.clone()))),
                None => Some((published?, None)),
            }
        });
        parts.collect()
    }

    /// The sources for which something new waits, and those whose newest was refused.
    pub fn waiting(&self) -> (Vec<usize>, Vec<usize>) {
        let there = |contents: &[Option<Content>]| {
            (0..contents.len()).filter(|i| contents[*i].is_some()).collect()
        };
        (there(&self.contents), there(&self.refused))
    }

    /// These sources by themselves, as far as they may be published so.
    pub fn apart(&self, sources: &[usize]) -> Vec<Vec<usize>> {
        let (together, single): (Vec<usize>, Vec<usize>) =
            sources.iter().partition(|source| self.atomic.contains(source));
        let together = Some(together).filter(|together| !together.is_empty());
        single.into_iter().map(|source| vec![source]).chain(together).collect()
    }

    /// A source's content is visible.
    pub fn shown(&mut self, source: usize) {
        self.contents[source] = None;
        self.refused[source] = None;
    }

    /// A source's content did not pass its validation. It is returned, unless there is none of Consul's.
    pub fn refuse(&mut self, source: usize) -> Option<Content> {
        let of_consul = |content: &mut Content| content.origin == Origin::Consul;
        let refused = self.contents[source].take_if(of_consul)?;
        self.refused[source] = Some(refused.clone());
        Some(refused)
    }

    /// A publish that began at `began` has ended well at `ended`. Many files take long to make and to
    /// remove: the pause grows with them, so that links, inodes and kernel memory stay bounded in a
    /// storm of changes.
    pub fn published(&mut self, began: Moment, ended: Moment) {
        self.backoff.reset();
        self.not_before = ended + (ended.since(began) * 4).clamp(GAP, LONGEST_GAP);
    }

    /// It has failed; what waits is tried again.
    pub fn failed(&mut self, now: Moment, dice: f64) {
        self.not_before = now + self.backoff.fail(Trouble::Passing, dice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::confirmation::Mechanism;
    use crate::model::reading::Marks;

    fn read(from: u64, to: u64, index: u64) -> Content {
        let marks = Marks { sent: Moment(from), answered: Moment(to), index };
        let content = Content::nothing();
        Content { origin: Origin::Consul, marks, how: Mechanism::Watch, ..content }
    }

    #[test]
    fn of_what_belongs_together_all_is_taken_or_none() {
        let board = Board::new(3);
        let mut pending = Pending::new(3, vec![0, 2]);
        let offers = |of: &[(usize, Content)]| {
            of.iter().cloned().map(|(at, content)| (at, Offer::accept(content))).collect::<Vec<_>>()
        };
        let taken = pending.take_all(offers(&[(0, read(1, 2, 5)), (2, read(1, 2, 5))]), &board);
        assert_eq!(taken, [Taken::Kept, Taken::Kept]);
        // The first is newer than what waits, the second overlaps with it and is older.
        let odd = offers(&[(0, read(1, 3, 6)), (1, read(1, 3, 4)), (2, read(1, 3, 4))]);
        assert_eq!(pending.take_all(odd, &board), [Taken::Kept, Taken::Outgrown]);
        // All of it is older: something newer waits already, and nobody is to be asked.
        let old = offers(&[(0, read(0, 3, 4)), (2, read(0, 3, 4))]);
        assert_eq!(pending.take_all(old, &board), []);
        let index = |at: usize| pending.contents[at].as_ref().map(|content| content.marks.index);
        assert_eq!([index(0), index(1), index(2)], [Some(5), Some(4), Some(5)]);
        let (waiting, _) = pending.waiting();
        assert_eq!(pending.apart(&waiting), [vec![1], vec![0, 2]]);
    }

    #[test]
    fn the_gap_grows_with_the_work_and_not_with_a_sleep() {
        let began = Moment(1_000_000_000_000);
        for (took, gap) in [(1, 100), (25, 100), (200, 800), (3_600_000, 5_000)] {
            let mut pending = Pending::new(1, Vec::new());
            let ended = began + Duration::from_millis(took);
            pending.published(began, ended);
            assert_eq!(pending.not_before().since(ended).as_millis(), gap, "{took} ms");
        }
    }
}
