//! Latest-wins slots: how mechanisms hand over without ever waiting for the taker.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// One slot per source, each holding at most the latest value, drained by one thread.
pub struct Slots<T> {
    state: Mutex<State<T>>,
    bell: Condvar,
    /// Told whenever the taker is done with what it took.
    done: watch::Sender<()>,
}

struct State<T> {
    values: Vec<Option<T>>,
    rung: bool,
    closed: bool,
    /// The taker has values in its hands and has not come back for more.
    busy: bool,
}

/// What the taker got.
pub struct Taken<T> {
    /// The values put since the last time, by slot.
    pub values: Vec<(usize, T)>,
    /// The slots are closed: finish and leave.
    pub closed: bool,
}

// === impl Slots ===

impl<T> Slots<T> {
    /// As many empty slots.
    pub fn new(count: usize) -> Self {
        let values = (0..count).map(|_| None).collect();
        let state = State { values, rung: false, closed: false, busy: false };
        Self { state: Mutex::new(state), bell: Condvar::new(), done: watch::Sender::new(()) }
    }

    /// Puts a value into slot `at`. `merge` decides what stays when one is still there.
    pub fn put(&self, at: usize, value: T, merge: impl Fn(T, T) -> T) {
        self.put_all(vec![(at, value)], merge);
    }

    /// The same with several: the taker gets all of them at once.
    pub fn put_all(&self, values: Vec<(usize, T)>, merge: impl Fn(T, T) -> T) {
        let mut state = self.lock();
        for (at, value) in values {
            let merged = match state.values[at].take() {
                Some(old) => merge(old, value),
                None => value,
            };
            state.values[at] = Some(merged);
        }
        state.rung = true;
        self.bell.notify_all();
    }

    /// Wakes the taker without a value.
    pub fn ring(&self) {
        self.lock().rung = true;
        self.bell.notify_all();
    }

    /// Nothing waits to be taken, and the taker is done with what it took.
    pub fn is_idle(&self) -> bool {
        let state = self.lock();
        !state.busy && state.values.iter().all(Option::is_none)
    }

    /// Hears each time that the taker is done with what it took.
    pub fn done(&self) -> watch::Receiver<()> {
        self.done.subscribe()
    }

    /// Something waits to be taken.
    pub fn has_values(&self) -> bool {
        self.lock().values.iter().any(Option::is_some)
    }

    /// Tells the taker to finish.
    pub fn close(&self) {
        self.lock().closed = true;
        self.bell.notify_all();
    }

    /// Takes everything, waiting up to `within` for something to come.
    pub fn take(&self, within: Duration) -> Taken<T> {
        let mut state = self.lock();
        if std::mem::take(&mut state.busy) {
            self.done.send_replace(());
        }
        let (mut state, _) = self
            .bell
            .wait_timeout_while(state, within, |s| !s.rung && !s.closed)
            .unwrap_or_else(PoisonError::into_inner);
        state.rung = false;
        let slots = state.values.iter_mut().enumerate();
        let values: Vec<_> = slots.filter_map(|(at, v)| Some((at, v.take()?))).collect();
        state.busy = !values.is_empty();
        Taken { values, closed: state.closed }
    }

    /// A panic elsewhere leaves the slots as they were: each change is one assignment.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_hears_when_the_taker_is_done() {
        let slots = Slots::new(1);
        slots.put(0, 1, |_, new| new);
        let mut done = slots.done();
        assert_eq!(slots.take(Duration::ZERO).values.len(), 1);
        assert!(!slots.is_idle() && !done.has_changed().unwrap());
        slots.take(Duration::ZERO);
        assert!(slots.is_idle() && done.has_changed().unwrap());
        done.borrow_and_update();
        slots.take(Duration::ZERO);
        assert!(!done.has_changed().unwrap(), "it had nothing");
    }

    #[test]
    fn the_latest_value_wins_and_a_putter_never_waits() {
        let slots = Slots::new(2);
        for n in 0..1000 {
            slots.put(1, n, |_, new| new);
        }
        let taken = slots.take(Duration::ZERO);
        assert_eq!(taken.values, [(1, 999)]);
        assert!(slots.take(Duration::ZERO).values.is_empty());
    }

    #[test]
    fn slots_are_idle_once_the_taker_is_done_with_what_it_took() {
        let slots = Slots::new(1);
        assert!(slots.is_idle());
        slots.put(0, 1, |_, new| new);
        assert!(!slots.is_idle());
        slots.take(Duration::ZERO);
        assert!(!slots.is_idle(), "in the taker's hands");
        slots.take(Duration::ZERO);
        assert!(slots.is_idle());
    }

    #[test]
    fn closing_ends_a_wait() {
        let slots = Slots::<u8>::new(1);
        std::thread::scope(|scope| {
            let taker = scope.spawn(|| slots.take(Duration::from_secs(60)).closed);
            slots.close();
            assert!(taker.join().unwrap());
        });
    }
}
