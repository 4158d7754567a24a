//! Which calls of a recorded run are tried.

use super::strace::{Call, Point};
use crate::ledger::{Tally, nightly};

/// Calls that change what is on a volume, or what is left of it after a power cut. A kill before
/// another one leaves what a kill before the next of these does.
const CHANGING: [&str; 9] = [
    "write",
    "fsync",
    "renameat",
    "renameat2",
    "linkat",
    "symlinkat",
    "mkdirat",
    "unlinkat",
    "fchmod",
];

/// Whether something changed by it.
pub fn changes(call: &Call) -> bool {
    !call.failed() && (CHANGING.contains(&&*call.point.call) || call.creates())
}

/// All calls nightly; else those that are `always` tried, and so many others, of which each run draws
/// its own.
pub fn chosen<'a>(
    calls: impl Iterator<Item = &'a Call>,
    always: impl Fn(&Call) -> bool,
    others: usize,
) -> Vec<&'a Call> {
    let mut calls: Vec<&Call> = calls.collect();
    if nightly() {
        return calls;
    }
    fastrand::shuffle(&mut calls);
    let mut left = others;
    calls.retain(|call| {
        let sampled = !always(call) && left > 0;
        left -= usize::from(sampled);
        always(call) || sampled
    });
    calls
}

/// How often a run is recorded.
const RECORDINGS: usize = 3;

/// The shortest of a few recordings of one kind of run. In one of them the publisher may have woken in between
/// and written its status once more: then the last of its calls is one that hardly another run comes to.
pub fn shortest(record: impl FnMut() -> Vec<Call>) -> Vec<Call> {
    let recordings = std::iter::repeat_with(record).take(RECORDINGS);
    recordings.min_by_key(Vec::len).unwrap_or_default()
}

/// How often a point is tried that is not reached: a call more or less than in the recorded run, as when a
/// lock is asked for once more, shifts those after it; the more often, the busier the machine.
const TRIES: usize = 8;

/// How many points were reached: a run is not the recorded one to the last call, but nearly.
#[derive(Default)]
pub struct Reach {
    tried: usize,
    missed: Vec<Point>,
}

// === impl Reach ===

impl Reach {
    /// One more point: `kill` is tried until it says that it was reached.
    pub fn point(&mut self, point: &Point, mut kill: impl FnMut() -> bool) {
        self.tried += 1;
        if !(0..TRIES).any(|_| kill()) {
            self.missed.push(point.clone());
        }
    }

    /// A violation where too few were reached.
    pub fn judge(&self, tally: &mut Tally) {
        if !is_enough(self.tried, self.missed.len()) {
            tally
                .violation(format!("of {} points were not reached: {:?}", self.tried, self.missed));
        }
    }
}

/// Some were reached, and at most one of ten was missed, or the one that the recorded run alone may have
/// had.
fn is_enough(tried: usize, missed: usize) -> bool {
    missed < tried && missed <= (tried / 10).max(1)
}

#[test]
fn one_may_be_missed_and_not_all() {
    assert!([(1, 0), (2, 1), (9, 1), (20, 2)].iter().all(|(tried, n)| is_enough(*tried, *n)));
    assert!(![(0, 0), (1, 1), (3, 2), (9, 2), (20, 3)].iter().any(|(t, n)| is_enough(*t, *n)));
}
