//! System calls that fail instead of a kill: nobody dies, nothing is torn, what failed is said, and
//! the next try or the next run puts it right.

mod backup;
mod init;
mod log;
mod publish;
mod start;

use std::collections::BTreeSet;

use super::points::{changes, chosen};
use super::scene::Scene;
use super::strace::{Call, Point};
use crate::ledger::{Tally, nightly};

/// The errors that a full, broken or read-only volume gives, and a process without descriptors.
const ERRORS: [&str; 5] = ["ENOSPC", "EIO", "EMFILE", "EROFS", "EDQUOT"];

/// Calls that make, change or open something, and the one that tells what is published, which is
/// what everything else is swept for.
const CALLS: [&str; 11] = [
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
    "readlinkat",
];

/// Calls that only look; tried nightly as well.
const LOOKS: [&str; 7] = ["read", "getdents64", "statx", "fstat", "fstatfs", "flock", "newfstatat"];

/// How often a call is tried for, where another one failed in its place.
const TRIES: usize = 6;

/// Has calls of a recorded run fail, one at a time: nightly each with each error, else those that
/// change something or decide what goes, and so many others, each with an error that is drawn anew.
/// `fail` says what was called.
fn each(
    scene: &Scene,
    calls: &[Call],
    others: usize,
    tally: &mut Tally,
    mut fail: impl FnMut(&Point, &'static str, &mut Tally) -> Vec<Call>,
) {
    let cases = cases(scene, calls, others);
    let wanted = cases.iter().filter(|(call, _)| must_fail(call));
    let wanted: BTreeSet<String> = wanted.map(|(call, _)| call.kind()).collect();
    let mut missed = wanted.clone();
    for (call, error) in cases {
        let mut point = call.point.clone();
        for _ in 0..TRIES {
            if tally.is_broken() {
                return;
            }
            let run = fail(&point, error, tally);
            if let Some(failed) = injected(&run) {
                missed.remove(&failed.kind());
            }
            if !missed.contains(&call.kind()) {
                break;
            }
            point = point_in(&run, call, &point);
        }
    }
    // What is not in every run may be in none of those.
    let few = missed.len() * 10 <= wanted.len();
    tally.check(few, || format!("never made to fail: {missed:?} of {wanted:?}"));
}

/// Where a recorded call was in another run, which had calls before it that woke a thread, wrote the
/// log or removed an old generation. One that ended early tells nothing: it comes later than thought.
fn point_in(run: &[Call], call: &Call, thought: &Point) -> Point {
    let alike = run.iter().filter(|other| other.kind() == call.kind());
    let nearest = alike.min_by_key(|other| other.point.nth.abs_diff(thought.nth));
    let later = Point { nth: thought.nth + 1, ..thought.clone() };
    nearest.map_or(later, |other| other.point.clone())
}

fn cases<'a>(scene: &Scene, calls: &'a [Call], others: usize) -> Vec<(&'a Call, &'static str)> {
    let tried = |call: &&Call| {
        let name = &*call.point.call;
        let looks = nightly() && LOOKS.contains(&name);
        scene.touches(call) && (CALLS.contains(&name) || looks)
    };
    let errors = |call: &'a Call| {
        let any = ERRORS[fastrand::usize(..ERRORS.len())];
        ERRORS.into_iter().filter(move |e| nightly() || *e == any).map(move |error| (call, error))
    };
    chosen(calls.iter().filter(tried), must_fail, others).into_iter().flat_map(errors).collect()
}

/// Whether no run may leave it out.
fn must_fail(call: &Call) -> bool {
    changes(call) || decides(call)
}

/// Whether it tells what is published: everything else is swept for that.
fn decides(call: &Call) -> bool {
    call.point.call == "readlinkat" && call.line.contains("\"..data\"")
}

/// The word of this error in metrics and logs of the volume.
fn kind(error: &str) -> &'static str {
    match error {
        "ENOSPC" | "EDQUOT" => "full",
        "EROFS" => "read_only",
        _ => "io",
    }
}

/// The call that was made to fail.
fn injected(calls: &[Call]) -> Option<&Call> {
    calls.iter().find(|call| call.injected())
}
