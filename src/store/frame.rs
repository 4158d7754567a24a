//! The backup file: one snapshot in one file, complete and checkable by itself. This page is the
//! whole format; the code below only does what it says.
//!
//! # Name
//!
//! `seedcar-<readable>-<hash>-<confirmed>-<index>-<random>.backup`, for example
//! `seedcar-app_db-fd0e14a8a591a7f8-20261123T044341Z-1234-5f1c0a9be2d3c4b5.backup`:
//!
//! * `<readable>-<hash>`: [`Identity::stem`].
//! * `<confirmed>`: the header's time, in whole seconds of UTC.
//! * `<index>`: the header's index, decimal.
//! * `<random>`: 64 random bits as 16 hexadecimal digits.
//!
//! While it is written a file is called `.seedcar-tmp-<readable>-<hash>-<random>`. A backup found
//! damaged gets `.damaged` appended. A name is a hint only: whose a backup is and how new it is
//! stands in its header, and the header is believed once the checksum has been found right.
//!
//! # Encoding
//!
//! Numbers are little-endian and unsigned, nothing is aligned or padded, texts are UTF-8.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | magic: 0x89, then `seedcar` |
//! | 4 | format version: 1 |
//! | 4 | length of the header, at most 65,536 |
//! | as said | header: one JSON object |
//! | as many as the header's `keys` | entries |
//! | 32 | SHA-256 of everything before it |
//!
//! Nothing may follow. One entry, in strictly rising byte order of the keys:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of the key |
//! | 4 | length of the value |
//! | 8 | flags |
//! | 8 | create index |
//! | 8 | modify index |
//! | as said | key, UTF-8, starting with the identity's prefix |
//! | as said | value, any bytes |
//!
//! # Header
//!
//! | field | what |
//! |---|---|
//! | `identity` | object: `prefix`, and those of `id`, `datacenter`, `namespace`, `partition` that are configured; see [`Identity`] |
//! | `index` | Consul's index of this state of the prefix |
//! | `confirmed` | when Consul last confirmed this content, by Consul's own clock; RFC 3339 in UTC |
//! | `keys` | number of entries |
//! | `bytes` | sum of the value lengths |
//! | `digest` | content digest: SHA-256, 64 hexadecimal digits, over each entry's key length (8 bytes), key, flags (8 bytes) and SHA-256 of its value |
//! | `writer` | who wrote it: free text, such as a pod name |
//! | `version` | the seedcar that wrote it |
//!
//! # Versions
//!
//! A reader ignores header fields that it does not know, so that fields can be added. Any other
//! change makes a new format version; magic, version and their places stay for all of them.
//!
//! | reader \ file | 1 | above 1 |
//! |---|---|---|
//! | 1 | read | refused as [`Damage::FutureVersion`], left untouched |

use std::io::{self, Read, Write};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Damage, Identity, Limits};
use crate::model::snapshot::{Digest, Entry, Snapshot};

const MAGIC: [u8; 8] = *b"\x89seedcar";
const VERSION: u32 = 1;
/// Magic, version and header length.
const START: u64 = 16;
/// What every entry takes beside its key and value.
pub(super) const ENTRY: u64 = 32;
const CHECKSUM: u64 = 32;
/// The longest header. Ours take some 400 bytes plus the prefix.
pub(super) const HEADER_MAX: u64 = 65_536;

/// What a backup says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Whose backup it is.
    pub identity: Identity,
    /// Consul's index of this state of the prefix.
    pub index: u64,
    /// When Consul last confirmed this content, by Consul's own clock.
    #[serde(with = "rfc3339")]
    pub confirmed: Timestamp,
    /// Number of entries.
    pub keys: u64,
    /// Sum of the value sizes in bytes.
    pub bytes: u64,
    /// The content digest.
    pub digest: Digest,
    /// Who wrote it, such as a pod name.
    pub writer: String,
    /// The seedcar version that wrote it.
    pub version: String,
}

// === impl Header ===

impl Header {
    /// The header of a backup of `snapshot`, written by this seedcar.
    pub(super) fn new(
        identity: &Identity,
        snapshot: &Snapshot,
        confirmed: Timestamp,
        writer: &str,
    ) -> Self {
        Self {
            identity: identity.clone(),
            index: snapshot.index(),
            confirmed,
            keys: snapshot.keys() as u64,
            bytes: snapshot.bytes(),
            digest: snapshot.digest(),
            writer: writer.chars().take(256).collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// What decides which of two backups is newer.
    pub fn rank(&self) -> (Timestamp, u64) {
        (self.confirmed, self.index)
    }
}

/// Writes the backup. Streams: beside the header nothing is copied.
///
/// Errors are those of `out`, and `InvalidInput` for a header, key or value longer than the format
/// can say.
pub(super) fn encode(header: &Header, snapshot: &Snapshot, out: impl Write) -> io::Result<()> {
    let mut out = Hashing { out, hash: Sha256::new() };
    let json = serde_json::to_vec(header)?;
    out.write_all(&MAGIC)?;
    out.write_all(&VERSION.to_le_bytes())?;
    out.write_all(&length(json.len(), HEADER_MAX)?)?;
    out.write_all(&json)?;
    for entry in snapshot.entries() {
        out.write_all(&length(entry.key.len(), u32::MAX.into())?)?;
        out.write_all(&length(entry.value.len(), u32::MAX.into())?)?;
        out.write_all(&entry.flags.to_le_bytes())?;
        out.write_all(&entry.create_index.to_le_bytes())?;
        out.write_all(&entry.modify_index.to_le_bytes())?;
        out.write_all(entry.key.as_bytes())?;
        out.write_all(&entry.value)?;
    }
    let Hashing { mut out, hash } = out;
    out.write_all(&hash.finalize())?;
    out.flush()
}

/// The bytes that [`encode`] makes of these, header aside.
pub(super) fn size_without_header(snapshot: &Snapshot) -> u64 {
    let keys: u64 = snapshot.entries().iter().map(|e| e.key.len() as u64).sum();
    START + snapshot.keys() as u64 * ENTRY + keys + snapshot.bytes() + CHECKSUM
}

/// The encoded size of a header.
pub(super) fn header_bytes(header: &Header) -> u64 {
    serde_json::to_vec(header).map_or(u64::MAX, |json| json.len() as u64)
}

/// Reads and checks a whole backup of `size` bytes.
pub(super) fn decode(
    input: impl Read,
    size: u64,
    limits: Limits,
) -> Result<(Header, Snapshot), Damage> {
    scan(input, size, limits, true)
}

/// Checks a whole backup as [`decode`] does, but holds one value at a time.
pub(super) fn check(input: impl Read, size: u64, limits: Limits) -> Result<Header, Damage> {
    scan(input, size, limits, false).map(|(header, _)| header)
}

/// Reads the header alone. It is not checked against the checksum: a claim, not a fact.
pub(super) fn claim(input: impl Read, size: u64, limits: Limits) -> Result<Header, Damage> {
    start(&mut Source::new(input, size, limits)?, limits)
}

fn scan(
    input: impl Read,
    size: u64,
    limits: Limits,
    keep_values: bool,
) -> Result<(Header, Snapshot), Damage> {
    let mut source = Source::new(input, size, limits)?;
    let header = start(&mut source, limits)?;
    let mut entries: Vec<Arc<Entry>> = Vec::new();
    let mut room = header.bytes;
    for _ in 0..header.keys {
        let entry = source.entry(&mut room, keep_values)?;
        if entries.last().is_some_and(|last| last.key >= entry.key) {
            return Err(Damage::Entry("is not in key order"));
        }
        if !entry.key.starts_with(&header.identity.prefix) {
            return Err(Damage::Entry("lies outside the prefix"));
        }
        entries.push(Arc::new(entry));
    }
    source.finish()?;
    if room != 0 {
        return Err(Damage::Counts);
    }
    // Equal to the digest with values, because it is made of the values' hashes.
    let snapshot = Snapshot::new(header.index, entries).map_err(|_| Damage::Counts)?;
    if snapshot.digest() != header.digest {
        return Err(Damage::Digest);
    }
    Ok((header, snapshot))
}

/// Everything before the entries.
fn start<R: Read>(source: &mut Source<R>, limits: Limits) -> Result<Header, Damage> {
    if source.array()? != MAGIC {
        return Err(Damage::Magic);
    }
    match u32::from_le_bytes(source.array()?) {
        VERSION => {}
        0 => return Err(Damage::Header("names format version 0")),
        newer => return Err(Damage::FutureVersion(newer)),
    }
    let length = u32::from_le_bytes(source.array()?);
    if u64::from(length) > HEADER_MAX {
        return Err(Damage::Header("is too long"));
    }
    let json = source.take(length)?;
    let header: Header =
        serde_json::from_slice(&json).map_err(|_| Damage::Header("cannot be understood"))?;
    // Against the file first: one that is not even that large is damaged, not too large.
    if header.keys > source.left / ENTRY || header.bytes > source.left {
        return Err(Damage::Truncated);
    }
    within("keys", header.keys, limits.max_keys)?;
    within("value bytes", header.bytes, limits.max_bytes)?;
    Ok(header)
}

fn within(what: &'static str, found: u64, max: u64) -> Result<(), Damage> {
    if found > max {
        return Err(Damage::Oversize { what, found, max });
    }
    Ok(())
}

fn length(length: usize, max: u64) -> io::Result<[u8; 4]> {
    u32::try_from(length)
        .ok()
        .filter(|l| u64::from(*l) <= max)
        .map(u32::to_le_bytes)
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
}

/// Hashes what it passes on.
struct Hashing<W> {
    out: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The bytes before the checksum. Never hands out, nor allocates for, more than are left of them.
struct Source<R> {
    input: R,
    hash: Sha256,
    left: u64,
}

impl<R: Read> Source<R> {
    fn new(input: R, size: u64, limits: Limits) -> Result<Self, Damage> {
        within("file bytes", size, limits.file_bytes())?;
        Ok(Self {
            input,
            hash: Sha256::new(),
            left: size.checked_sub(CHECKSUM).ok_or(Damage::Truncated)?,
        })
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Damage> {
        let length = buffer.len() as u64;
        self.left = self.left.checked_sub(length).ok_or(Damage::Truncated)?;
        self.input.read_exact(buffer)?;
        self.hash.update(buffer);
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn take(&mut self, length: u32) -> Result<Vec<u8>, Damage> {
        if u64::from(length) > self.left {
            return Err(Damage::Truncated);
        }
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// The next entry. `room` is what the header leaves for values.
    fn entry(&mut self, room: &mut u64, keep_value: bool) -> Result<Entry, Damage> {
        let key_length = u32::from_le_bytes(self.array()?);
        let value_length = u32::from_le_bytes(self.array()?);
        let [flags, create, modify] = [self.array()?, self.array()?, self.array()?];
        *room = room.checked_sub(value_length.into()).ok_or(Damage::Counts)?;
        let key = String::from_utf8(self.take(key_length)?)
            .map_err(|_| Damage::Entry("has a key that is not UTF-8"))?;
        let value = self.take(value_length)?;
        let [flags, create, modify] = [flags, create, modify].map(u64::from_le_bytes);
        let mut entry = Entry::new(&key, &value, flags, create, modify);
        if !keep_value {
            entry.value = Arc::default();
        }
        Ok(entry)
    }

    fn finish(mut self) -> Result<(), Damage> {
        if self.left > 0 {
            return Err(Damage::Trailing(self.left));
        }
        let mut checksum = [0; CHECKSUM as usize];
        self.input.read_exact(&mut checksum)?;
        if checksum[..] != self.hash.finalize()[..] {
            return Err(Damage::Checksum);
        }
        Ok(())
    }
}

mod rfc3339 {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(time)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
