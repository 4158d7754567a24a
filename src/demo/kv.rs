//! The table behind the embedded Consul: keys, tombstones and the rules for what moves an index.
//!
//! Everything here is a plain data structure: no I/O, no clock, no tasks. A write bumps the commit
//! number, and leaves behind a list of [`Change`]s; whoever owns the table takes them with
//! [`Kv::take_changes`] and asks each [`Region`] that a query waits on whether it was disturbed.
//!
//! Keys are bytes, as in Consul, where a name may hold anything that a URL or a transaction can say.

mod region;
pub mod txn;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

pub use region::Region;

/// One key's value and Consul's bookkeeping about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Commit that created the key.
    pub create_index: u64,
    /// Commit that last changed the value, the flags or the lock.
    pub modify_index: u64,
    /// How often the key was locked; an ordinary write to a locked key sets it back to 0.
    pub lock_index: u64,
    /// The writer's own number.
    pub flags: u64,
    /// The value's bytes.
    pub value: Arc<[u8]>,
    /// The session that holds the lock.
    pub session: Option<String>,
}

/// What a write wants to store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Put {
    /// The value's bytes.
    pub value: Vec<u8>,
    /// The writer's own number.
    pub flags: u64,
}

/// One key that a commit touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: Vec<u8>,
    /// True when the commit removed it.
    pub gone: bool,
}

/// The table. `Clone` is a snapshot: values are shared.
#[derive(Clone, Debug)]
pub struct Kv {
    commit: u64,
    table_index: u64,
    entries: BTreeMap<Vec<u8>, Entry>,
    /// By key, or by prefix for a recursive delete: the commit that deleted.
    tombstones: BTreeMap<Vec<u8>, u64>,
    sessions: BTreeSet<String>,
    changes: Vec<Change>,
}

/// Why a lock was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// No session was named.
    #[error("missing session")]
    Missing,
    /// Not the form of a session id.
    #[error("failed session lookup: index error: UUID must be 36 characters")]
    Malformed,
    /// Nobody made this session, or it is gone.
    #[error("invalid session \"{0}\"")]
    Unknown(String),
}

// === impl Put ===

impl Put {
    /// The value alone, with flags 0.
    pub fn value(value: impl Into<Vec<u8>>) -> Self {
        Self { value: value.into(), flags: 0 }
    }
}

// === impl Kv ===

impl Default for Kv {
    fn default() -> Self {
        Self::new()
    }
}

impl Kv {
    /// An empty table, as after the first election of a new cluster.
    pub fn new() -> Self {
        Self {
            commit: 1,
            table_index: 0,
            entries: BTreeMap::new(),
            tombstones: BTreeMap::new(),
            sessions: BTreeSet::new(),
            changes: Vec::new(),
        }
    }

    /// The table-wide index: what a query for something missing is answered with; never below 1.
    pub fn table_index(&self) -> u64 {
        self.table_index.max(1)
    }

    /// The number of the last commit, also counting those that changed nothing.
    pub fn commit(&self) -> u64 {
        self.commit
    }

    /// All keys with their entries, in byte order.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], &Entry)> {
        self.entries.iter().map(|(key, entry)| (key.as_slice(), entry))
    }

    /// One key, with the index that a single-key query reports.
    pub fn get(&self, key: impl AsRef<[u8]>) -> (u64, Option<&Entry>) {
        match self.entries.get(key.as_ref()) {
            Some(entry) => (entry.modify_index, Some(entry)),
            None => (self.table_index(), None),
        }
    }

    /// The keys that start with `prefix`, byte by byte, in byte order.
    pub fn list(&self, prefix: impl AsRef<[u8]>) -> impl Iterator<Item = (&[u8], &Entry)> {
        under(&self.entries, prefix.as_ref()).map(|(key, entry)| (key.as_slice(), entry))
    }

    /// Names under `prefix`, cut after the first `separator` behind it and listed once each.
    pub fn keys(&self, prefix: impl AsRef<[u8]>, separator: &[u8]) -> Vec<Vec<u8>> {
        let start = prefix.as_ref().len();
        let mut names: Vec<Vec<u8>> = Vec::new();
        for (key, _) in self.list(prefix) {
            let name = match memchr::memmem::find(&key[start..], separator) {
                Some(at) if !separator.is_empty() => &key[..start + at + separator.len()],
                _ => key,
            };
            if names.last().is_none_or(|last| last != name) {
                names.push(name.to_owned());
            }
        }
        names
    }

    /// The index of a list query: the newest change under the prefix, living or deleted; without
    /// either, the table's. The root prefix always has the table's.
    pub fn prefix_index(&self, prefix: impl AsRef<[u8]>) -> u64 {
        let prefix = prefix.as_ref();
        if prefix.is_empty() {
            return self.table_index();
        }
        let living = self.list(prefix).map(|(_, entry)| entry.modify_index).max();
        let deleted = under(&self.tombstones, prefix).map(|(_, index)| *index).max();
        living.max(deleted).unwrap_or_else(|| self.table_index())
    }

    /// Stores a value. The same value and flags on an unlocked key change nothing at all.
    pub fn put(&mut self, key: impl AsRef<[u8]>, put: Put) {
        let index = self.next_commit();
        self.write(index, key.as_ref(), put, None);
    }

    /// Stores a value if the key's modify index is `expected`, or if there is no such key and
    /// `expected` is 0. Says whether it did.
    pub fn put_cas(&mut self, key: impl AsRef<[u8]>, put: Put, expected: u64) -> bool {
        let index = self.next_commit();
        let allowed = self.cas_allows(key.as_ref(), expected);
        if allowed {
            self.write(index, key.as_ref(), put, None);
        }
        allowed
    }

    /// Deletes one key; a missing one changes nothing.
    pub fn delete(&mut self, key: impl AsRef<[u8]>) {
        let index = self.next_commit();
        self.remove(index, key.as_ref());
    }

    /// Deletes one key if its modify index is `expected`. True also when there is no such key.
    pub fn delete_cas(&mut self, key: impl AsRef<[u8]>, expected: u64) -> bool {
        let index = self.next_commit();
        let allowed =
            self.entries.get(key.as_ref()).is_none_or(|entry| entry.modify_index == expected);
        if allowed {
            self.remove(index, key.as_ref());
        }
        allowed
    }

    /// Deletes everything under a prefix. One tombstone stands for all of it; the root has none,
    /// because its index is the table's.
    pub fn delete_recurse(&mut self, prefix: impl AsRef<[u8]>) {
        let index = self.next_commit();
        self.remove_tree(index, prefix.as_ref());
    }

    /// Forgets all tombstones, as Consul does 15 minutes after the deletes. Wakes nobody.
    pub fn reap_tombstones(&mut self) {
        let index = self.next_commit();
        if !self.tombstones.is_empty() {
            self.tombstones.clear();
            self.table_index = index;
        }
    }

    /// Makes a session id valid for locks.
    pub fn create_session(&mut self, id: &str) {
        self.next_commit();
        self.sessions.insert(id.to_owned());
    }

    /// Ends a session and frees its locks; the values stay.
    pub fn destroy_session(&mut self, id: &str) {
        let index = self.next_commit();
        self.sessions.remove(id);
        let held: Vec<Vec<u8>> = self
            .entries()
            .filter(|(_, entry)| entry.session.as_deref() == Some(id))
            .map(|(key, _)| key.to_owned())
            .collect();
        for key in held {
            let entry = Entry { session: None, ..self.entries[&key].clone() };
            self.store(index, &key, entry);
        }
    }

    /// Stores a value and takes the key's lock. False when another session holds it.
    ///
    /// # Errors
    /// The session is empty, malformed or unknown.
    pub fn acquire(
        &mut self,
        key: impl AsRef<[u8]>,
        put: Put,
        session: &str,
    ) -> Result<bool, LockError> {
        self.check_session(session)?;
        let index = self.next_commit();
        let held = self.entries.get(key.as_ref());
        let lock_index = match held.and_then(|entry| entry.session.as_deref()) {
            Some(holder) if holder != session => return Ok(false),
            Some(_) => held.map_or(0, |entry| entry.lock_index),
            None => held.map_or(0, |entry| entry.lock_index) + 1,
        };
        self.write(index, key.as_ref(), put, Some((lock_index, Some(session.to_owned()))));
        Ok(true)
    }

    /// Stores a value and frees the key's lock. False when this session does not hold it.
    pub fn release(&mut self, key: impl AsRef<[u8]>, put: Put, session: &str) -> bool {
        let index = self.next_commit();
        match self.entries.get(key.as_ref()) {
            Some(entry) if entry.session.as_deref() == Some(session) => {
                let lock_index = entry.lock_index;
                self.write(index, key.as_ref(), put, Some((lock_index, None)));
                true
            }
            _ => false,
        }
    }

    /// Puts a snapshot in this table's place. Its indexes come back, so every index known outside
    /// may now be too high; commits go on above both.
    pub fn restore(&mut self, snapshot: &Kv) {
        let commit = self.commit.max(snapshot.commit) + 1;
        *self = Kv { commit, changes: Vec::new(), ..snapshot.clone() };
    }

    /// What was touched since the last call.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    pub(in crate::demo) fn parts(&self) -> (u64, &BTreeMap<Vec<u8>, u64>) {
        (self.table_index, &self.tombstones)
    }

    pub(in crate::demo) fn from_parts(
        commit: u64,
        table_index: u64,
        entries: BTreeMap<Vec<u8>, Entry>,
        tombstones: BTreeMap<Vec<u8>, u64>,
    ) -> Self {
        Self { commit, table_index, entries, tombstones, ..Self::new() }
    }

    fn next_commit(&mut self) -> u64 {
        self.commit += 1;
        self.commit
    }

    fn check_session(&self, session: &str) -> Result<(), LockError> {
        match session {
            "" => Err(LockError::Missing),
            id if id.len() != 36 => Err(LockError::Malformed),
            id if !self.sessions.contains(id) => Err(LockError::Unknown(id.to_owned())),
            _ => Ok(()),
        }
    }

    fn cas_allows(&self, key: &[u8], expected: u64) -> bool {
        self.entries.get(key).map_or(expected == 0, |entry| entry.modify_index == expected)
    }

    /// `lock`: the lock's new index and holder; `None` for an ordinary write, which keeps the
    /// holder but not the lock's index.
    fn write(&mut self, index: u64, key: &[u8], put: Put, lock: Option<(u64, Option<String>)>) {
        let existing = self.entries.get(key);
        let (lock_index, session) =
            lock.unwrap_or_else(|| (0, existing.and_then(|entry| entry.session.clone())));
        let entry = Entry {
            create_index: existing.map_or(index, |entry| entry.create_index),
            modify_index: existing.map_or(index, |entry| entry.modify_index),
            lock_index,
            flags: put.flags,
            value: put.value.into(),
            session,
        };
        if existing != Some(&entry) {
            self.store(index, key, entry);
        }
    }

    fn store(&mut self, index: u64, key: &[u8], entry: Entry) {
        self.entries.insert(key.to_owned(), Entry { modify_index: index, ..entry });
        self.table_index = index;
        self.changes.push(Change { key: key.to_owned(), gone: false });
    }

    fn remove(&mut self, index: u64, key: &[u8]) {
        if self.entries.remove(key).is_some() {
            self.tombstones.insert(key.to_owned(), index);
            self.table_index = index;
            self.changes.push(Change { key: key.to_owned(), gone: true });
        }
    }

    fn remove_tree(&mut self, index: u64, prefix: &[u8]) {
        let keys: Vec<Vec<u8>> = self.list(prefix).map(|(key, _)| key.to_owned()).collect();
        if keys.is_empty() {
            return;
        }
        for key in keys {
            self.entries.remove(&key);
            self.changes.push(Change { key, gone: true });
        }
        if !prefix.is_empty() {
            self.tombstones.insert(prefix.to_owned(), index);
        }
        self.table_index = index;
    }
}

fn under<'a, V>(
    map: &'a BTreeMap<Vec<u8>, V>,
    prefix: &[u8],
) -> std::collections::btree_map::Range<'a, Vec<u8>, V> {
    let end = match prefix.iter().rposition(|byte| *byte != 0xff) {
        None => Bound::Unbounded,
        Some(at) => {
            let mut end = prefix[..=at].to_vec();
            end[at] += 1;
            Bound::Excluded(end)
        }
    };
    map.range((Bound::Included(prefix.to_vec()), end))
}

#[cfg(test)]
mod tests;
