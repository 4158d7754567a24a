//! Which calls of a recorded run are tried.

use super::strace::{Call, Point};
use crate::ledger::{Tally, nightly};

/// Calls that change what is on a volume, or may. A kill before another one leaves what a kill before
/// the next of these does.
const CHANGING: [&str; 10] = [
    "openat",
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

/// All points of the calls nightly; else the first and the last of each name that changes something,
/// and so many others, of which each run draws its own.
pub fn chosen<'a>(calls: impl Iterator<Item = &'a Call>, others: usize) -> Vec<Point> {
    let mut points: Vec<Point> = calls.map(|call| call.point.clone()).collect();
    if nightly() {
        return points;
    }
    let ends = CHANGING.iter().flat_map(|name| {
        let of_name = || points.iter().filter(|p| p.call == *name);
        [of_name().min_by_key(|p| p.nth), of_name().max_by_key(|p| p.nth)]
    });
    let ends: Vec<Point> = ends.flatten().cloned().collect();
    let is_end = |p: &Point| ends.contains(p);
    fastrand::shuffle(&mut points);
    let mut left = others;
    points.retain(|p| {
        let sampled = !is_end(p) && left > 0;
        left -= usize::from(sampled);
        is_end(p) || sampled
    });
    points
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
