//! What the prefix holds: how many keys, how large, and how they are nested.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::consul::Consul;

/// The prefix of all keys.
pub const PREFIX: &str = "b";
/// What each value begins with: it tells one change from another.
pub const TOKEN: usize = 16;

/// The keys of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// How many.
    pub keys: usize,
    /// Bytes of each value.
    pub value: usize,
    /// In 100 directories, or all in one.
    pub nested: bool,
}

const fn kib(keys: usize, nested: bool) -> Load {
    Load { keys, value: 1024, nested }
}

/// What CI measures.
pub const QUICK: &[Load] = &[kib(100, false), kib(1_000, true)];
/// What the README shows.
pub const FULL: &[Load] = &[
    kib(100, false),
    kib(1_000, false),
    kib(10_000, false),
    kib(1_000, true),
    kib(10_000, true),
    Load { keys: 20, value: 400_000, nested: false },
];

// === impl Load ===

impl Load {
    /// The path of a key below the prefix.
    pub fn path(&self, n: usize) -> String {
        if self.nested { format!("d{:02}/k{n:05}", n % 100) } else { format!("k{n:05}") }
    }

    /// A value that begins with this token, which has [`TOKEN`] characters.
    pub fn value(&self, token: &str) -> Vec<u8> {
        let random: Vec<u8> =
            std::iter::repeat_with(|| fastrand::u8(..)).take(self.value).collect();
        let mut value = token.as_bytes().to_vec();
        value.extend_from_slice(STANDARD_NO_PAD.encode(random).as_bytes());
        value.truncate(self.value);
        value
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

    /// Writes one key anew. Returns which, and the token it begins with.
    pub fn change(&self, consul: &Consul) -> (usize, String) {
        let (n, token) = (fastrand::usize(..self.keys), token());
        consul.put(&format!("{PREFIX}/{}", self.path(n)), self.value(&token));
        (n, token)
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = if self.nested { "in 100 directories" } else { "flat" };
        let kib = self.value.div_ceil(1024);
        write!(f, "{} keys of {kib} KiB, {shape}", self.keys)
    }
}

/// A token that there was not before.
pub fn token() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(TOKEN).collect()
}
