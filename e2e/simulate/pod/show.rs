//! The publisher's calls: writing takes a while, or fails.

use std::time::Duration;

use seedcar::board::Board;
use seedcar::model::confirmation::Origin;
use seedcar::model::guard::Hold;
use seedcar::model::moment::Moment;
use seedcar::model::offer::Content;
use seedcar::model::snapshot::Digest;
use seedcar::publisher::manifest::{Manifest, Part};
use seedcar::publisher::pending::{Pending, Taken};

use super::{BOOT, Pod, Wake};
use crate::simulate::consul::PREFIX;
use crate::simulate::world::Env;

/// After this whoever gave no answer is asked again.
const AGAIN: Duration = Duration::from_secs(30);

/// What waits, and what is being written.
pub struct Show {
    pending: Pending,
    writing: Option<Content>,
    woken_at: Option<Moment>,
}

impl Default for Show {
    fn default() -> Self {
        Self { pending: Pending::new(1, Vec::new()), writing: None, woken_at: None }
    }
}

// === impl Show ===

impl Show {
    /// It is in the middle of a publish.
    pub fn is_writing(&self) -> bool {
        self.writing.is_some()
    }
}

impl Pod {
    /// Has the publisher look at its slots in a moment.
    pub(super) fn publish_soon(&mut self, env: &mut Env) {
        self.publish_at(env.now + Duration::from_micros(200), env);
    }

    fn publish_at(&mut self, at: Moment, env: &mut Env) {
        let show = &mut self.process().show;
        if show.woken_at.is_none_or(|known| at < known) {
            show.woken_at = Some(at);
            self.later(at, Wake::Publish, env);
        }
    }

    /// One round of the publisher.
    pub(super) fn publish(&mut self, env: &mut Env) {
        let (full, hangs_until) = (self.volumes.full, self.volumes.hangs_until);
        let refuses = self.volumes.refuses;
        let dice = env.dice.f64();
        let now = env.now;
        let process = self.process();
        let (board, show) = (&process.source.board, &mut process.show);
        if show.woken_at.is_none_or(|at| at > now) {
            return;
        }
        show.woken_at = None;
        if show.writing.is_some() {
            // It will look again when it has written.
            return;
        }
        let offers = process.source.inbox.slots.take(Duration::ZERO).values;
        let outgrown = show.pending.take_all(offers, board).contains(&Taken::Outgrown);
        // Back at the slots: the taker's hands are empty.
        process.source.inbox.slots.take(Duration::ZERO);
        if outgrown {
            self.ask_again(env);
        }
        let look_again = self.freeze(now);
        self.keep_word(env);
        if look_again.is_some() {
            return self.publish_rest(look_again, env);
        }
        let here = self.volumes.frozen;
        let process = self.process();
        let (board, show) = (&process.source.board, &mut process.show);
        if show.pending.is_due(board, now) {
            let content = show.pending.contents(board).and_then(|mut parts| parts.pop()?.1);
            if full {
                show.pending.failed(now, dice);
            } else if let Some(content) =
                content.as_ref().filter(|c| refuses && is_refused(board, c))
            {
                let before = board.read(|s| s.sources[0].hold);
                let hold = Hold::invalid(&content.snapshot, 0, before.as_ref(), now);
                show.pending.refuse(0);
                board.update(|state| {
                    let source = &mut state.sources[0];
                    (source.hold, source.held_marks) = (Some(hold), Some(content.marks));
                });
                self.later(now + AGAIN, Wake::AskAgain, env);
            } else if let Some(content) = content {
                show.writing = Some(content);
                let first = !board.read(|s| s.seeded);
                env.oracle.begins(self.at, first, here);
                let took = Duration::from_millis(1) + Duration::from_millis(20).mul_f64(dice);
                self.later((now + took).max(hangs_until), Wake::Published(now), env);
                return;
            }
        }
        self.publish_rest(None, env);
    }

    /// The end of a round; `look_again` where what waits may not be published yet.
    fn publish_rest(&mut self, look_again: Option<Duration>, env: &mut Env) {
        let process = self.process();
        let show = &process.show;
        let hold = process.source.board.read(|s| s.sources[0].hold);
        if show.pending.is_complete(&process.source.board) {
            let soon = env.now + look_again.unwrap_or(Duration::from_millis(1));
            let at = show.pending.not_before().max(soon);
            self.publish_at(at, env);
        }
        self.volumes.hold = hold;
    }

    /// The rename: everybody sees it.
    pub(super) fn published(&mut self, began: Moment, env: &mut Env) {
        let first = !self.process().source.board.read(|s| s.seeded);
        let process = self.process();
        let content = process.show.writing.take().expect("being written");
        let digest = content.snapshot.digest();
        let generation = format!("..{}", env.events);
        let name = Some(generation.clone());
        let ask_again = process.source.board.published([(0, &content)].into_iter(), name, env.now);
        process.show.pending.shown(0);
        process.show.pending.published(began, env.now);
        process
            .source
            .board
            .update(|s| s.sources[0].accepted.retain(|a| !digest.hex().starts_with(a)));
        let before = self.volumes.published.take().map(|(_, s)| s);
        env.oracle.published(self.at, before.as_deref(), &content, env.now);
        env.oracle.visible(self.at, &generation);
        self.note_untold();
        self.volumes.published = Some((manifest(&content, generation), content.snapshot.clone()));
        if first {
            self.begin(env);
        } else if ask_again {
            self.ask_again(env);
        }
        self.publish_rest(None, env);
        self.publish_soon(env);
    }

    /// What was refused is read and asked about again.
    pub(super) fn ask_refused_again(&mut self, env: &mut Env) {
        if self.process().source.board.read(|s| s.sources[0].is_invalid()) {
            self.ask_again(env);
        }
    }

    /// Rings the pokes.
    fn ask_again(&mut self, env: &mut Env) {
        self.watch_poked(env);
        self.beat_now(env);
    }
}

/// About every other content nobody answers, unless a person has. The first fill is another story: what
/// is refused there ends in the backup.
fn is_refused(board: &Board, content: &Content) -> bool {
    let digest = content.snapshot.digest();
    let accepted = board.read(|s| s.sources[0].accepts(&digest));
    let seeded = board.read(|s| s.seeded);
    seeded && !accepted && content.origin == Origin::Consul && digest.number() % 2 == 1
}

fn manifest(content: &Content, generation: String) -> Manifest {
    let snapshot = &content.snapshot;
    let part = Part {
        name: "default".to_owned(),
        prefix: PREFIX.to_owned(),
        index: snapshot.index(),
        digest: snapshot.digest(),
        keys: snapshot.keys(),
        bytes: snapshot.bytes(),
        origin: content.origin,
        stale: content.stale,
        confirmed: seedcar::model::moment::rfc3339(content.date),
        confirmed_boottime: content.marks.sent,
        boot: BOOT.to_owned(),
    };
    let tree = Digest::from_bytes([0; 32]);
    let published = String::new();
    Manifest { schema: 1, generation, published, tree, outputs: None, sources: vec![part] }
}
