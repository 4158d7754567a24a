//! System calls that fail instead of a kill: nobody dies, nothing is torn, what failed is said, and
//! the next try or the next run puts it right.

mod backup;
mod init;
mod log;
mod publish;
mod start;

use super::points::chosen;
use super::scene::Scene;
use super::strace::{Call, Point};
use crate::ledger::nightly;

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

/// The cases: nightly each recorded call with each error, else a share of the calls, each with an
/// error that is drawn anew.
fn cases(scene: &Scene, calls: &[Call], others: usize) -> Vec<(Point, &'static str)> {
    let tried = |call: &&Call| {
        let name = &*call.point.call;
        let looks = nightly() && LOOKS.contains(&name);
        scene.touches(call) && (CALLS.contains(&name) || looks)
    };
    let points = chosen(calls.iter().filter(tried), others);
    let errors = |point: Point| {
        let any = ERRORS[fastrand::usize(..ERRORS.len())];
        let errors: Vec<_> = ERRORS.into_iter().filter(|e| nightly() || *e == any).collect();
        errors.into_iter().map(move |error| (point.clone(), error))
    };
    points.into_iter().flat_map(errors).collect()
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
