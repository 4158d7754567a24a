//! Descriptors that nothing else in the process can take.
//!
//! The soft limit on descriptors is one on their numbers. It stays below the hard one, and is raised
//! for the moment in which a connection is taken: the numbers between them are free then, however
//! much the rest of the process has opened. One descriptor held open, and closed when there is no
//! other, would not do: a question to Consul that waits for one has it first.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many at most. In the moment in which one is taken others can take one too, and keep it.
const MOST: u64 = 16;
/// Of so many that the process may have, one is held back.
const ONE_IN: u64 = 16;

/// Lowers the soft limit where it leaves no room below the hard one.
pub fn hold_back() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(maximum) = maximum else { return };
    let lowered = maximum.saturating_sub((maximum / ONE_IN).clamp(1, MOST));
    if current.is_none_or(|current| current > lowered) {
        limit(lowered, Some(maximum));
    }
}

/// Calls `take` while the reserve is open.
pub fn with<T>(take: impl FnOnce() -> T) -> T {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(current) = current else { return take() };
    limit((current + MOST).min(maximum.unwrap_or(u64::MAX)), maximum);
    let taken = take();
    limit(current, maximum);
    taken
}

/// Where it cannot be set, there is no reserve, and all else goes on.
fn limit(current: u64, maximum: Option<u64>) {
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum });
}
