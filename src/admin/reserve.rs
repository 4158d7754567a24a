//! Descriptors that nothing else in the process can take.
//!
//! The soft limit on descriptors is one on their numbers. It stays below the hard one, and is raised
//! for the moment in which a connection is taken: the numbers between them are free then, however
//! much the rest of the process has opened. One descriptor held open, and closed when there is no
//! other, would not do: a question to Consul that waits for one has it first.
//!
//! Whoever opens something in that moment can have the number too, and keeps it. So it is one number
//! that is laid open, and the next only if that one has gone: a thread that does not get to run between
//! the two calls loses one, not all.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many at most.
const MOST: u64 = 16;
/// Of so many that the process may have, one is held back.
const ONE_IN: u64 = 8;

/// Lowers the soft limit where it leaves no room below the hard one.
pub fn hold_back() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(maximum) = maximum else { return };
    let lowered = maximum.saturating_sub((maximum / ONE_IN).clamp(1, MOST));
    if current.is_none_or(|current| current > lowered) {
        limit(lowered, Some(maximum));
    }
}

/// Calls `take` with one number of the reserve open, and again with the next one while that is too few.
/// What it says of something else than descriptors is the answer, too.
pub fn with<T>(mut take: impl FnMut() -> Option<io::Result<T>>) -> Option<io::Result<T>> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(current) = current else { return take() };
    let end = (current + MOST).min(maximum.unwrap_or(u64::MAX));
    let mut taken = None;
    for open in (current + 1).min(end)..=end {
        limit(open, maximum);
        taken = take();
        if !matches!(&taken, Some(Err(error)) if is_out_of_descriptors(error)) {
            break;
        }
    }
    limit(current, maximum);
    taken
}

/// Neither this process nor the machine gives another one.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Where it cannot be set, there is no reserve, and all else goes on.
fn limit(current: u64, maximum: Option<u64>) {
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum });
}
