//! Waiting for conditions. No test sleeps for a length of time and hopes.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(10);

/// Below the kernel's range for outgoing connections, so that a port that a stopped server left
/// is still free when the server comes back.
const PORTS: std::ops::Range<u16> = 16_000..32_000;

/// Asks until there is an answer, and panics with `what` if there is none within the time.
#[track_caller]
pub fn eventually<T>(what: &str, within: Duration, ask: impl FnMut() -> Option<T>) -> T {
    eventually_every(POLL, what, within, ask)
}

/// The same for what costs much to ask: no more often than each `poll`.
#[track_caller]
pub fn eventually_every<T>(
    poll: Duration,
    what: &str,
    within: Duration,
    mut ask: impl FnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        std::thread::sleep(poll);
    }
}

/// Whether something comes to be so within the time; for what a test counts instead of ending there.
pub fn within(time: Duration, mut is: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + time;
    while !is() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(POLL);
    }
    true
}

/// Looks for the whole `window`, and panics with `what` as soon as it is not so. For promises of the
/// kind "nothing happens": there is no condition to wait for.
#[track_caller]
pub fn throughout(what: &str, window: Duration, is: impl FnMut() -> bool) {
    throughout_every(POLL, what, window, is);
}

/// The same for what costs much to ask: no more often than each `poll`.
#[track_caller]
pub fn throughout_every(
    poll: Duration,
    what: &str,
    window: Duration,
    mut is: impl FnMut() -> bool,
) {
    let begun = Instant::now();
    while begun.elapsed() < window {
        assert!(is(), "after {:?} no longer: {what}", begun.elapsed());
        std::thread::sleep(poll);
    }
}

/// Ends threads that look at something until this flag is raised: it is, as soon as this is dropped, also
/// by an assertion that fails. Without it a scope would wait for them for ever.
pub struct Curtain<'f>(pub &'f AtomicBool);

impl Drop for Curtain<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A loopback port that nobody uses and that this process has not given out before.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let span = PORTS.end - PORTS.start;
    // Processes start far from each other, because several test runs may share a machine.
    let start = (std::process::id().wrapping_mul(7_919) % u32::from(span)) as u16;
    for _ in 0..span {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(start) % span;
        let port = PORTS.start + offset;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port in {PORTS:?}");
}
