//! What the prefix holds: how many keys, how large, and how they are nested.

use std::fmt;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::consul::Consul;
use crate::marked::{token, value};

/// The prefix of all keys.
pub const PREFIX: &str = "b";

/// The keys of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// How many.
    pub keys: usize,
    /// Bytes of each value.
    pub value: usize,
    /// In 100 directories, or all in one.
    pub nested: bool,
}

/// One key that was written anew.
pub struct Change {
    /// Which.
    pub n: usize,
    /// What its value begins with.
    pub token: String,
    /// When the PUT began.
    pub begun: Instant,
}

const fn kib(keys: usize, nested: bool) -> Load {
    Load { keys, value: 1024, nested }
}

/// Where time decides that a tool waits or not, and where the server's work is in nobody's way.
pub const SMALL: Load = kib(100, false);
/// Where work is counted.
pub const MIDDLE: Load = kib(1_000, true);
/// What CI measures.
pub const QUICK: &[Load] = &[SMALL, MIDDLE];
/// What the README shows.
pub const FULL: &[Load] = &[
    SMALL,
    kib(1_000, false),
    kib(10_000, false),
    kib(100, true),
    MIDDLE,
    kib(10_000, true),
    Load { keys: 20, value: 400_000, nested: false },
];

// === impl Load ===

impl Load {
    /// The path of a key below the prefix.
    pub fn path(&self, n: usize) -> String {
        if self.nested { format!("d{:02}/k{n:05}", n % 100) } else { format!("k{n:05}") }
    }

    /// A value that begins with this token.
    pub fn value(&self, token: &str) -> Vec<u8> {
        value(token, self.value)
    }

    /// Whether only what is near a changed key is read, and that is a small part: seedcar reads less than a megabyte
    /// whole.
    pub fn is_read_in_parts(&self) -> bool {
        self.keys >= 1_000
    }

    /// Whether that is one directory.
    pub fn is_read_by_directory(&self) -> bool {
        self.nested && self.is_read_in_parts()
    }

    /// All bytes of all values.
    pub fn payload(&self) -> u64 {
        (self.keys * self.value) as u64
    }

    /// Writes all keys.
    pub fn fill(&self, consul: &Consul) {
        let keys: Vec<String> =
            (0..self.keys).map(|n| format!("{PREFIX}/{}", self.path(n))).collect();
        // A transaction may have half a megabyte.
        let at_once = (300_000 / self.value).clamp(1, 64);
        for some in keys.chunks(at_once) {
            let values: Vec<Vec<u8>> = some.iter().map(|_| self.value(&token())).collect();
            if let ([key], [value]) = (some, values.as_slice()) {
                consul.put(key, value);
                continue;
            }
            let pairs =
                some.iter().zip(&values).map(|(key, value)| (key.as_str(), value.as_slice()));
            consul.txn_set(&pairs.collect::<Vec<_>>());
        }
    }

    /// Writes one key anew.
    pub fn change(&self, consul: &Consul) -> Change {
        let (n, token) = (fastrand::usize(..self.keys), token());
        let (key, value) = (format!("{PREFIX}/{}", self.path(n)), self.value(&token));
        let begun = Instant::now();
        consul.put(&key, value);
        Change { n, token, begun }
    }

    /// Writes many keys anew, one by one as fast as Consul takes them. Returns the last of them; its PUT counts from
    /// its end.
    pub fn storm(&self, consul: &Consul, keys: usize) -> Change {
        let change = (0..keys).map(|_| self.change(consul)).last().expect("some keys");
        Change { begun: Instant::now(), ..change }
    }

    /// The same in transactions.
    pub fn burst(&self, consul: &Consul, keys: usize) -> Change {
        // Each write is another value: the same again is no change to Consul.
        let write = |n: usize| {
            let token = token();
            (format!("{PREFIX}/{}", self.path(n % self.keys)), self.value(&token), token)
        };
        let writes: Vec<_> = (0..keys).map(write).collect();
        for some in writes.chunks(64) {
            let pairs = some.iter().map(|(key, value, _)| (key.as_str(), value.as_slice()));
            consul.txn_set(&pairs.collect::<Vec<_>>());
        }
        let token = writes.into_iter().next_back().map(|(_, _, token)| token);
        Change {
            n: (keys - 1) % self.keys,
            token: token.unwrap_or_default(),
            begun: Instant::now(),
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = if self.nested { "in 100 directories" } else { "flat" };
        let size = match self.value {
            value if value % 1024 == 0 => format!("{} KiB", value / 1024),
            value => format!("{} kB", value / 1000),
        };
        write!(f, "{} keys of {size}, {shape}", self.keys)
    }
}
