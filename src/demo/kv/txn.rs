//! Transactions: several operations on the table, all or none, under one commit number.

use super::{Entry, Kv, Put};

/// The most operations that one transaction may hold.
pub const MAX_OPS: usize = 64;

/// One operation, as it came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Op {
    /// What to do: `set`, `cas`, `get`, ...
    pub verb: String,
    /// The key, or the prefix for the tree verbs.
    pub key: Vec<u8>,
    /// What `set` and `cas` store.
    pub value: Vec<u8>,
    /// The flags that `set` and `cas` store.
    pub flags: u64,
    /// The modify index that `cas`, `delete-cas` and `check-index` expect.
    pub index: u64,
}

/// One line of a transaction's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The key.
    pub key: Vec<u8>,
    /// Its entry; writes and checks answer without the value.
    pub entry: Entry,
}

/// Why one operation made the whole transaction fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Position of the operation, from 0.
    pub op: usize,
    /// Consul's text.
    pub what: String,
}

/// Whether Consul treats the operations as a read, which is answered with other fields.
pub fn reads_only(ops: &[Op]) -> bool {
    const WRITES: [&str; 7] =
        ["set", "delete", "delete-cas", "delete-tree", "cas", "lock", "unlock"];
    !ops.iter().any(|op| WRITES.contains(&op.verb.as_str()))
}

// === impl Kv ===

impl Kv {
    /// Runs all operations, or none of them.
    ///
    /// # Errors
    /// Every operation that failed; the table is as before.
    pub fn transact(&mut self, ops: &[Op]) -> Result<Vec<Line>, Vec<Failure>> {
        let empty = |(op, _)| Failure { op, what: "Must provide key".to_owned() };
        let keyless: Vec<Failure> =
            ops.iter().enumerate().filter(|(_, op)| op.key.is_empty()).map(empty).collect();
        if !keyless.is_empty() {
            return Err(keyless);
        }
        let mut next = self.clone();
        let index = next.next_commit();
        let mut lines = Vec::new();
        let mut failures = Vec::new();
        for (at, op) in ops.iter().enumerate() {
            match next.operate(index, op) {
                Ok(mut got) => lines.append(&mut got),
                Err(what) => failures.push(Failure { op: at, what }),
            }
        }
        if failures.is_empty() {
            *self = next;
            Ok(lines)
        } else {
            Err(failures)
        }
    }

    fn operate(&mut self, index: u64, op: &Op) -> Result<Vec<Line>, String> {
        let name = String::from_utf8_lossy(&op.key).into_owned();
        match op.verb.as_str() {
            "set" => Ok(self.set(index, op)),
            "cas" if self.cas_allows(&op.key, op.index) => Ok(self.set(index, op)),
            "cas" => Err(format!("failed to set key {name:?}, index is stale")),
            "get" => match self.line(&op.key) {
                Some(line) => Ok(vec![line]),
                None => Err(format!("key {name:?} doesn't exist")),
            },
            "get-tree" => Ok(self
                .list(&op.key)
                .map(|(key, entry)| Line { key: key.to_vec(), entry: entry.clone() })
                .collect()),
            "delete" => {
                self.remove(index, &op.key);
                Ok(Vec::new())
            }
            "delete-tree" => {
                self.remove_tree(index, &op.key);
                Ok(Vec::new())
            }
            "delete-cas" => match self.modify_index(&op.key) {
                Some(current) if current != op.index => {
                    Err(format!("failed to delete key {name:?}, index is stale"))
                }
                _ => {
                    self.remove(index, &op.key);
                    Ok(Vec::new())
                }
            },
            "check-index" => match self.modify_index(&op.key) {
                None => Err(format!("failed to check index, key {name:?} doesn't exist")),
                Some(current) if current != op.index => Err(format!(
                    "failed index check for key {name:?}, current modify index {current} != {}",
                    op.index
                )),
                Some(_) => Ok(self.valueless(&op.key)),
            },
            "check-not-exists" if self.entries.contains_key(&op.key) => {
                Err(format!("key {name:?} exists"))
            }
            "check-not-exists" => Ok(Vec::new()),
            other => Err(format!("unknown KV verb {other:?}")),
        }
    }

    fn set(&mut self, index: u64, op: &Op) -> Vec<Line> {
        let put = Put { value: op.value.clone(), flags: op.flags };
        self.write(index, &op.key, put, None);
        self.valueless(&op.key)
    }

    fn line(&self, key: &[u8]) -> Option<Line> {
        let entry = self.entries.get(key)?.clone();
        Some(Line { key: key.to_vec(), entry })
    }

    fn valueless(&self, key: &[u8]) -> Vec<Line> {
        let bare = |line: Line| Line { entry: Entry { value: [].into(), ..line.entry }, ..line };
        self.line(key).map(bare).into_iter().collect()
    }

    fn modify_index(&self, key: &[u8]) -> Option<u64> {
        self.entries.get(key).map(|entry| entry.modify_index)
    }
}
