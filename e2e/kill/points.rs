//! Which calls of a recorded run are tried.

use super::strace::Call;
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

/// How many points were reached: a run is not the recorded one to the last call, but nearly.
#[derive(Default)]
pub struct Reach {
    tried: usize,
    reached: usize,
}

// === impl Reach ===

impl Reach {
    /// One more point was tried.
    pub fn count(&mut self, reached: bool) {
        self.tried += 1;
        self.reached += usize::from(reached);
    }

    /// A violation where too many were missed.
    pub fn judge(&self, tally: &mut Tally) {
        let Self { tried, reached } = *self;
        if reached * 10 < tried * 9 {
            tally.violation(format!("only {reached} of {tried} points were reached"));
        }
    }
}
