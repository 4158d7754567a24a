//! A source's entries at one Consul index.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

/// One key as Consul returned it. Lossless as far as a restore needs: lock state is left out.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The whole key, prefix included.
    pub key: Box<str>,
    /// The value; Consul's `null` and an empty value are the same thing and both empty here.
    pub value: Arc<[u8]>,
    /// The writer's 64 free bits.
    pub flags: u64,
    /// Index of the commit that made the key.
    pub create_index: u64,
    /// Index of the commit that last changed it (locks change it without changing the value).
    pub modify_index: u64,
    /// SHA-256 of the value, kept so that an unchanged value is hashed once in its life.
    pub value_hash: [u8; 32],
}

/// All entries under one prefix at one index. Cheap to share; never changed once made.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    index: u64,
    entries: Vec<Arc<Entry>>,
    digest: Digest,
    bytes: u64,
}

/// SHA-256 over keys, flags and values in key order: equal digests mean equal content, whatever the
/// index says. Lock and index numbers are left out, because they move while the content does not.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// A snapshot could not be made of these entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the same key twice in one answer")]
pub struct DuplicateKey;

// === impl Entry ===

impl Entry {
    /// An entry, its value hashed.
    pub fn new(key: &str, value: &[u8], flags: u64, create_index: u64, modify_index: u64) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
            flags,
            create_index,
            modify_index,
            value_hash: Sha256::digest(value).into(),
        }
    }
}

/// Values never reach a log: only the key's length and the value's size are shown.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({} B key, {} B value)", self.key.len(), self.value.len())
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// Makes a snapshot of `entries`, which are put into key order if they are not (Consul sends
    /// them in it). Errors when one key appears twice: then it is not one state of the store.
    pub fn new(index: u64, mut entries: Vec<Arc<Entry>>) -> Result<Self, DuplicateKey> {
        if !entries.is_sorted_by(|a, b| a.key < b.key) {
            entries.sort_by(|a, b| a.key.cmp(&b.key));
            if entries.windows(2).any(|w| w[0].key == w[1].key) {
                return Err(DuplicateKey);
            }
        }
        let bytes = entries.iter().map(|e| e.value.len() as u64).sum();
        let digest = digest_of(&entries);
        Ok(Self { index, entries, digest, bytes })
    }

    /// The snapshot of a prefix without keys.
    pub fn empty(index: u64) -> Self {
        Self { index, entries: Vec::new(), digest: digest_of(&[]), bytes: 0 }
    }

    /// The same at another index.
    #[must_use]
    pub fn at(&self, index: u64) -> Self {
        Self { index, ..self.clone() }
    }

    /// Consul's index for this state of the prefix.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The entries in key order.
    pub fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }

    /// The content digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How many keys.
    pub fn keys(&self) -> usize {
        self.entries.len()
    }

    /// Sum of the value sizes in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where among the entries this key is, if it is there.
    pub fn position(&self, key: &str) -> Option<usize> {
        self.entries.binary_search_by(|e| (*e.key).cmp(key)).ok()
    }

    /// The entry of this key, if there is one.
    pub fn get(&self, key: &str) -> Option<&Arc<Entry>> {
        Some(&self.entries[self.position(key)?])
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("index", &self.index)
            .field("keys", &self.keys())
            .field("digest", &self.digest)
            .finish()
    }
}

// === impl Digest ===

impl Digest {
    /// The digest as 64 lower-case hexadecimal digits.
    pub fn hex(&self) -> String {
        self.0.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// The first 12 digits, enough for people.
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 64 {
            return None;
        }
        let mut out = [0; 32];
        for (byte, pair) in out.iter_mut().zip(text.chunks(2)) {
            let digit = |c: u8| (c as char).to_digit(16);
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        Some(Self(out))
    }

    /// The first 48 bits as a number: exact in a float, so that Prometheus can compare pods.
    pub fn number(&self) -> u64 {
        self.0[..6].iter().fold(0, |n, b| n << 8 | u64::from(*b))
    }

    /// A digest from its bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        Self::from_hex(&text).ok_or_else(|| serde::de::Error::custom("not 64 hexadecimal digits"))
    }
}

fn digest_of(entries: &[Arc<Entry>]) -> Digest {
    let mut hash = Sha256::new();
    for entry in entries {
        hash.update((entry.key.len() as u64).to_le_bytes());
        hash.update(entry.key.as_bytes());
        hash.update(entry.flags.to_le_bytes());
        hash.update(entry.value_hash);
    }
    Digest(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, value: &str) -> Arc<Entry> {
        Arc::new(Entry::new(key, value.as_bytes(), 0, 1, 1))
    }

    #[test]
    fn content_alone_decides_the_digest() {
        let a = Snapshot::new(5, vec![entry("a", "1"), entry("b", "2")]).unwrap();
        let locked = Arc::new(Entry { modify_index: 9, ..(*entry("b", "2")).clone() });
        let b = Snapshot::new(9, vec![locked, entry("a", "1")]).unwrap();
        assert_eq!(a.digest(), b.digest());
        let flagged = Arc::new(Entry { flags: u64::MAX, ..(*entry("b", "2")).clone() });
        let c = Snapshot::new(5, vec![entry("a", "1"), flagged]).unwrap();
        assert_ne!(a.digest(), c.digest());
        assert_ne!(a.digest(), Snapshot::empty(5).digest());
    }

    #[test]
    fn key_and_value_borders_count() {
        let a = Snapshot::new(1, vec![entry("ab", "c")]).unwrap();
        let b = Snapshot::new(1, vec![entry("a", "bc")]).unwrap();
        assert_ne!(a.digest(), b.digest());
    }

    #[test]
    fn the_same_key_twice_is_no_snapshot() {
        let twice = vec![entry("b", "1"), entry("a", "1"), entry("b", "2")];
        assert_eq!(Snapshot::new(1, twice).unwrap_err(), DuplicateKey);
        assert_eq!(Snapshot::new(1, vec![entry("a", "1"); 2]).unwrap_err(), DuplicateKey);
    }

    #[test]
    fn a_digest_round_trips_as_text() {
        let d = Snapshot::empty(1).digest();
        assert_eq!(Digest::from_hex(&d.hex()), Some(d));
        assert_eq!(Digest::from_hex("zz"), None);
        assert!(d.number() < 1 << 48);
    }

    #[test]
    fn debug_shows_no_value() {
        let shown = format!("{:?}", entry("key", "s3cret"));
        assert!(!shown.contains("s3cret") && !shown.contains("key\""), "{shown}");
    }
}
