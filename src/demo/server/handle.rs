//! The table, shared between a server and whoever writes to it directly.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::demo::kv::txn::{Failure, Line, Op};
use crate::demo::kv::{Kv, Put, Region};

/// A shared table. It outlives the server: serve the same handle again and the data is back.
#[derive(Clone, Debug, Default)]
pub struct KvHandle(Arc<Mutex<Shared>>);

#[derive(Debug, Default)]
struct Shared {
    kv: Kv,
    waiters: Vec<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    region: Region,
    wake: oneshot::Sender<Wake>,
}

/// Why a blocked query's sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// Something nearby was written: ask again.
    Changed,
    /// The table was replaced: answer with what was known before.
    Abandoned,
}

// === impl KvHandle ===

impl KvHandle {
    /// A handle on an empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the table; keep it short, everything else waits.
    pub fn read<T>(&self, read: impl FnOnce(&Kv) -> T) -> T {
        read(&self.lock().kv)
    }

    /// Writes to the table and wakes the queries that Consul would wake.
    pub fn change<T>(&self, change: impl FnOnce(&mut Kv) -> T) -> T {
        let mut shared = self.lock();
        let result = change(&mut shared.kv);
        let Shared { kv, waiters } = &mut *shared;
        let changes = kv.take_changes();
        waiters.retain(|waiter| !waiter.wake.is_closed());
        let disturbed = |waiter: &mut Waiter| waiter.region.disturbed(&changes, kv);
        for waiter in waiters.extract_if(.., disturbed) {
            let _ = waiter.wake.send(Wake::Changed);
        }
        result
    }

    /// Stores a value with flags 0.
    pub fn put(&self, key: &str, value: impl Into<Vec<u8>>) {
        self.change(|kv| kv.put(key, Put::value(value)));
    }

    /// Stores a value with flags.
    pub fn put_flags(&self, key: &str, value: impl Into<Vec<u8>>, flags: u64) {
        self.change(|kv| kv.put(key, Put { value: value.into(), flags }));
    }

    /// Deletes one key.
    pub fn delete(&self, key: &str) {
        self.change(|kv| kv.delete(key));
    }

    /// Deletes everything under a prefix.
    pub fn delete_recurse(&self, prefix: &str) {
        self.change(|kv| kv.delete_recurse(prefix));
    }

    /// Runs operations, all or none.
    ///
    /// # Errors
    /// Every operation that failed; nothing was changed.
    pub fn transact(&self, ops: &[Op]) -> Result<Vec<Line>, Vec<Failure>> {
        self.change(|kv| kv.transact(ops))
    }

    /// Forgets all tombstones, as Consul does 15 minutes after the deletes.
    pub fn reap_tombstones(&self) {
        self.change(Kv::reap_tombstones);
    }

    /// A copy of the table as it is now.
    pub fn snapshot(&self) -> Kv {
        self.read(Kv::clone)
    }

    /// Puts a copy in the table's place. Every blocked query returns at once, with the old answer.
    pub fn restore(&self, snapshot: &Kv) {
        let mut shared = self.lock();
        shared.kv.restore(snapshot);
        for waiter in shared.waiters.drain(..) {
            let _ = waiter.wake.send(Wake::Abandoned);
        }
    }

    /// What a query sees, and where to sleep if that is not news.
    pub(super) fn query<T>(
        &self,
        query: impl FnOnce(&Kv) -> (T, Option<Region>),
    ) -> (T, Option<oneshot::Receiver<Wake>>) {
        let mut shared = self.lock();
        let (seen, region) = query(&shared.kv);
        let sleep = region.map(|region| {
            let (wake, woken) = oneshot::channel();
            shared.waiters.push(Waiter { region, wake });
            woken
        });
        (seen, sleep)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
