//! Named threads that outlive their own panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::model::moment::Moment;
use crate::model::pace::{Backoff, Trouble};
use crate::shutdown::Drain;
use crate::sys;

/// What is known of a supervised thread from outside. Shared with it.
#[derive(Debug, Default)]
pub struct Pulse {
    ticked: AtomicU64,
    patience: AtomicU64,
    restarts: AtomicU64,
}

/// A supervised thread.
pub struct Unit {
    /// Its name, also that of the thread.
    pub name: &'static str,
    /// Its signs of life.
    pub pulse: Arc<Pulse>,
    thread: JoinHandle<()>,
}

// === impl Pulse ===

impl Pulse {
    /// The thread is alive and will tick again within `patience`, whatever it waits for.
    pub fn tick(&self, patience: Duration) {
        self.patience.store(patience.as_nanos() as u64, Ordering::Relaxed);
        self.ticked.store(sys::now().0, Ordering::Relaxed);
    }

    /// Whether the thread has not ticked in time.
    pub fn is_stuck(&self, now: Moment) -> bool {
        let ticked = Moment(self.ticked.load(Ordering::Relaxed));
        now.since(ticked).as_nanos() as u64 > self.patience.load(Ordering::Relaxed)
    }

    /// How often the thread panicked and was started again.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }
}

// === impl Unit ===

impl Unit {
    /// Runs `work` on its own thread. It is run again, after a growing pause, when it panics; it ends
    /// when it returns.
    pub fn spawn(
        name: &'static str,
        drain: Drain,
        work: impl Fn(&Pulse) + Send + 'static,
    ) -> std::io::Result<Self> {
        let pulse = Arc::new(Pulse::default());
        pulse.tick(Duration::from_secs(60));
        let shared = pulse.clone();
        let body = move || supervise(name, &drain, &shared, work);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body)?;
        Ok(Self { name, pulse, thread })
    }

    /// Whether the thread has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

fn supervise(name: &str, drain: &Drain, pulse: &Pulse, work: impl Fn(&Pulse)) {
    let mut backoff = Backoff::default();
    while catch_unwind(AssertUnwindSafe(|| work(pulse))).is_err() && !drain.started() {
        pulse.restarts.fetch_add(1, Ordering::Relaxed);
        let pause = backoff.fail(Trouble::Passing, fastrand::f64());
        tracing::error!(event = "thread_panicked", thread = name, "panicked; starting it again");
        pulse.tick(pause + Duration::from_secs(60));
        std::thread::sleep(pause);
    }
}

/// Runs `work` on a runtime of this thread.
pub fn on_runtime<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    runtime().map(|runtime| run_on(runtime, work))
}

/// Runs `work` on a runtime of this thread until the process is told to stop.
pub fn until_drained(drain: &Drain, pulse: &Pulse, work: impl Future<Output = ()>) {
    to_its_end(drain, pulse, async {
        tokio::select! {
            // First: what comes once we stop, such as the end of a token, is no news to any work.
            biased;
            () = drain.wait() => {}
            () = work => {}
        }
    });
}

/// The same for work that looks out for `drain` itself. Where nothing is left for a runtime, such as a
/// descriptor, it is tried again: a mechanism that gave up at the start would be missing for ever.
pub fn to_its_end(drain: &Drain, pulse: &Pulse, work: impl Future<Output = ()>) {
    let mut backoff = Backoff::default();
    let runtime = loop {
        match runtime() {
            Ok(runtime) => break runtime,
            Err(_) if drain.started() => return,
            Err(error) => {
                tracing::error!(event = "no_runtime", %error, "cannot start a runtime; trying again");
                let pause = backoff.fail(Trouble::Passing, fastrand::f64());
                pulse.tick(pause + Duration::from_secs(60));
                std::thread::sleep(pause);
            }
        }
    };
    run_on(runtime, work);
}

/// How many sockets a runtime is told of at once; for the room of a thousand it would take 12 KB, of which no
/// thread here has a use.
const EVENTS: usize = 64;

/// A runtime for one thread.
pub fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_io_events_per_tick(EVENTS)
        .build()
}

/// Ends with `shutdown_background`, because dropping a runtime would wait for a hung name lookup.
fn run_on<T>(runtime: Runtime, work: impl Future<Output = T>) -> T {
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

/// Logs where a panic happened and nothing of what it says: messages of the standard library quote
/// the strings they stumbled over, and those may be values.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(event = "panic", at, "panic");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn a_panic_is_caught_counted_and_the_work_run_again() {
        let runs = Arc::new(AtomicU32::new(0));
        let counted = runs.clone();
        let unit = Unit::spawn("test", Drain::default(), move |_| {
            assert!(counted.fetch_add(1, Ordering::Relaxed) > 0, "first run");
        })
        .unwrap();
        let pulse = unit.pulse.clone();
        unit.thread.join().unwrap();
        assert_eq!((runs.load(Ordering::Relaxed), pulse.restarts()), (2, 1));
    }

    #[test]
    fn a_thread_that_does_not_tick_is_stuck() {
        let pulse = Pulse::default();
        pulse.tick(Duration::from_secs(5));
        assert!(!pulse.is_stuck(sys::now()));
        assert!(pulse.is_stuck(sys::now() + Duration::from_secs(6)));
    }
}
