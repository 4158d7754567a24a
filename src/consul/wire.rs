//! Consul's JSON, decoded while it arrives.
//!
//! The body is never held: objects are cut out of the stream one by one, parsed where they lie, and
//! an entry that the previous snapshot holds unchanged is shared with it. The snapshot is the only
//! copy of the values.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::model::key::Prefix;
use crate::model::snapshot::{Entry, Snapshot};

/// How large an answer may be.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// Sum of keys and values in bytes.
    pub max_bytes: u64,
    /// Number of keys.
    pub max_keys: usize,
}

/// Why a body is not an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not JSON, or not the JSON of a KV list.
    #[error("the body is not a list of Consul KV entries")]
    Json,
    /// The body ended inside the list.
    #[error("the body ended before its end")]
    Truncated,
    /// A value is not base64.
    #[error("a value is not base64")]
    Base64,
    /// A key is not under the prefix that was asked for.
    #[error("the body holds a key outside the prefix")]
    Stranger,
    /// The same key twice.
    #[error("the body holds a key twice")]
    Twice,
    /// More keys or bytes than allowed; how many keys were read until then.
    #[error("the answer is larger than the limits allow (at {0} keys)")]
    TooLarge(usize),
}

/// What an element may take besides its value: a key of 10 KiB, every byte of it escaped.
const KEY_ROOM: usize = 64 * 1024;

/// What an element of the list takes around key and value: Consul writes about 150 bytes.
const AROUND: u64 = 1024;

/// Decodes one body.
pub struct Decoder<'a> {
    prefix: &'a Prefix,
    previous: Option<&'a Snapshot>,
    caps: Caps,
    splitter: Splitter,
    entries: Vec<Arc<Entry>>,
    bytes: u64,
    /// How much more of a body may come, whatever it is: white space is neither key nor value.
    wire_left: u64,
    scratch: Vec<u8>,
}

/// One entry as Consul writes it. Fields that we do not know are none of our business (Enterprise
/// adds some); lock state is not content.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(default)]
    flags: u64,
    #[serde(borrow, default)]
    value: Option<Cow<'a, str>>,
    #[serde(default)]
    create_index: u64,
    #[serde(default)]
    modify_index: u64,
}

/// Cuts the elements out of a JSON array, whatever the chunks it comes in.
struct Splitter {
    place: Place,
    depth: u32,
    in_string: bool,
    escaped: bool,
    partial: Vec<u8>,
    limit: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the `[`.
    Before,
    /// Right after it.
    Begun,
    /// After an element.
    Between,
    /// After a comma.
    Due,
    /// Inside an element.
    Inside,
    /// After the `]`.
    After,
}

// === impl Decoder ===

impl<'a> Decoder<'a> {
    /// A decoder for a list under `prefix`. Entries are shared with `previous` where they are equal.
    pub fn new(prefix: &'a Prefix, previous: Option<&'a Snapshot>, caps: Caps) -> Self {
        // An element is base64 of a value (4/3), a key (an escaped byte takes six), and names.
        let limit = (caps.max_bytes.saturating_mul(4) / 3) as usize;
        let limit = limit.saturating_add(KEY_ROOM);
        Self {
            prefix,
            previous,
            caps,
            splitter: Splitter::new(limit),
            entries: Vec::with_capacity(previous.map_or(0, Snapshot::keys)),
            bytes: 0,
            wire_left: limit as u64 * 4 + caps.max_keys as u64 * AROUND,
            scratch: Vec::new(),
        }
    }

    /// Takes the next chunk of the body.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), Malformed> {
        let left = self.wire_left.checked_sub(chunk.len() as u64);
        self.wire_left = left.ok_or(Malformed::TooLarge(self.entries.len()))?;
        let mut rest = chunk;
        while !rest.is_empty() {
            let (used, element) = self.splitter.cut(rest)?;
            if let Some(whole) = element {
                let (mut before, now) = (std::mem::take(&mut self.splitter.partial), &rest[whole]);
                if before.is_empty() {
                    self.element(now)?;
                } else {
                    before.extend_from_slice(now);
                    self.element(&before)?;
                }
            }
            rest = &rest[used..];
        }
        Ok(())
    }

    /// The body has ended: the snapshot it was, at `index`.
    pub fn finish(self, index: u64) -> Result<Snapshot, Malformed> {
        if self.splitter.place != Place::After {
            return Err(Malformed::Truncated);
        }
        let mut entries = self.entries;
        entries.shrink_to_fit();
        Snapshot::new(index, entries).map_err(|_| Malformed::Twice)
    }

    fn element(&mut self, text: &[u8]) -> Result<(), Malformed> {
        let wire: Wire<'_> = serde_json::from_slice(text).map_err(|_| Malformed::Json)?;
        if !self.prefix.covers(&wire.key) {
            return Err(Malformed::Stranger);
        }
        self.scratch.clear();
        let encoded = wire.value.as_deref().unwrap_or_default();
        STANDARD.decode_vec(encoded, &mut self.scratch).map_err(|_| Malformed::Base64)?;
        self.bytes += (wire.key.len() + self.scratch.len()) as u64;
        if self.bytes > self.caps.max_bytes || self.entries.len() >= self.caps.max_keys {
            return Err(Malformed::TooLarge(self.entries.len()));
        }
        let entry = self.entry(&wire);
        self.entries.push(entry);
        Ok(())
    }

    fn entry(&self, wire: &Wire<'_>) -> Arc<Entry> {
        let (create, modify) = (wire.create_index, wire.modify_index);
        let known = self.previous.and_then(|p| p.get(&wire.key));
        let Some(known) = known.filter(|k| *k.value == *self.scratch) else {
            return Arc::new(Entry::new(&wire.key, &self.scratch, wire.flags, create, modify));
        };
        let same = known.flags == wire.flags && known.create_index == create;
        if same && known.modify_index == modify {
            return known.clone();
        }
        let mut moved = (**known).clone();
        (moved.flags, moved.create_index, moved.modify_index) = (wire.flags, create, modify);
        Arc::new(moved)
    }
}

// === impl Splitter ===

impl Splitter {
    fn new(limit: usize) -> Self {
        Self {
            place: Place::Before,
            depth: 0,
            in_string: false,
            escaped: false,
            partial: Vec::new(),
            limit,
        }
    }

    /// Reads on in `bytes`, at most to the end of one element. Returns how many bytes were used and,
    /// if an element ended, where it lies in them (its beginning may be in `partial`).
    #[allow(clippy::type_complexity)]
    fn cut(&mut self, bytes: &[u8]) -> Result<(usize, Option<std::ops::Range<usize>>), Malformed> {
        if self.place == Place::Inside {
            return self.inside(bytes, 0);
        }
        for (at, byte) in bytes.iter().enumerate() {
            match (self.place, byte) {
                (_, b' ' | b'\n' | b'\r' | b'\t') => {}
                (Place::Before, b'[') => self.place = Place::Begun,
                (Place::Between, b',') => self.place = Place::Due,
                (Place::Begun | Place::Between, b']') => self.place = Place::After,
                (Place::Begun | Place::Due, b'{') => {
                    self.place = Place::Inside;
                    return self.inside(bytes, at);
                }
                _ => return Err(Malformed::Json),
            }
        }
        Ok((bytes.len(), None))
    }

    #[allow(clippy::type_complexity)]
    fn inside(
        &mut self,
        bytes: &[u8],
        start: usize,
    ) -> Result<(usize, Option<std::ops::Range<usize>>), Malformed> {
        let mut at = start;
        while at < bytes.len() {
            if self.in_string {
                at = self.skip_string(bytes, at);
                continue;
            }
            match bytes[at] {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        self.place = Place::Between;
                        return Ok((at + 1, Some(start..at + 1)));
                    }
                }
                _ => {}
            }
            at += 1;
        }
        self.partial.extend_from_slice(&bytes[start..]);
        if self.partial.len() > self.limit {
            return Err(Malformed::TooLarge(0));
        }
        Ok((bytes.len(), None))
    }

    /// Goes to the end of a string or of the bytes. Values are long runs without a quote: that is
    /// where almost all of a body is spent.
    fn skip_string(&mut self, bytes: &[u8], at: usize) -> usize {
        if self.escaped {
            self.escaped = false;
            return at + 1;
        }
        match memchr::memchr2(b'"', b'\\', &bytes[at..]) {
            None => bytes.len(),
            Some(n) if bytes[at + n] == b'"' => {
                self.in_string = false;
                at + n + 1
            }
            Some(n) => {
                self.escaped = true;
                at + n + 1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::key::PrefixRules;
    use proptest::prelude::*;

    const CAPS: Caps = Caps { max_bytes: 1 << 20, max_keys: 1000 };
    const BODY: &str = r#"[{"LockIndex":0,"Key":"p/a\"{[","Flags":18446744073709551615,"Value":"MQ==","CreateIndex":5,"ModifyIndex":6},
        {"LockIndex":1,"Session":"x","Key":"p/\u003cb\u003e","Flags":0,"Value":null,"CreateIndex":7,"ModifyIndex":7,"Namespace":{"x":["y"]}}]"#;

    fn prefix() -> Prefix {
        Prefix::parse("p", PrefixRules::default()).unwrap()
    }

    fn decode(
        chunks: &[&[u8]],
        caps: Caps,
        previous: Option<&Snapshot>,
    ) -> Result<Snapshot, Malformed> {
        let prefix = prefix();
        let mut decoder = Decoder::new(&prefix, previous, caps);
        chunks.iter().try_for_each(|chunk| decoder.feed(chunk))?;
        decoder.finish(9)
    }

    fn whole(body: &str) -> Result<Snapshot, Malformed> {
        decode(&[body.as_bytes()], CAPS, None)
    }

    #[test]
    fn a_body_is_decoded() {
        let s = whole(BODY).unwrap();
        assert_eq!((s.index(), s.keys()), (9, 2));
        let a = s.get("p/a\"{[").unwrap();
        assert_eq!((&*a.value, a.flags, a.modify_index), (&b"1"[..], u64::MAX, 6));
        assert!(s.get("p/<b>").unwrap().value.is_empty(), "null is empty");
        assert_eq!(whole(" [ ] \n").unwrap().keys(), 0);
    }

    #[test]
    fn every_way_to_cut_it_gives_the_same() {
        let expected = whole(BODY).unwrap();
        for at in 0..BODY.len() {
            let (a, b) = BODY.as_bytes().split_at(at);
            assert_eq!(decode(&[a, b], CAPS, None).unwrap(), expected, "cut at {at}");
        }
        let bytes: Vec<&[u8]> = BODY.as_bytes().chunks(1).collect();
        assert_eq!(decode(&bytes, CAPS, None).unwrap(), expected);
    }

    #[test]
    fn every_truncation_is_an_error() {
        for at in 0..BODY.len() {
            assert!(whole(&BODY[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let entry = |key: &str, value: &str| format!(r#"{{"Key":"{key}","Value":"{value}"}}"#);
        for (body, why) in [
            ("<html>".to_owned(), Malformed::Json),
            ("{}".to_owned(), Malformed::Json),
            ("[1]".to_owned(), Malformed::Json),
            (format!("[{}] x", entry("p/a", "")), Malformed::Json),
            (format!("[{}{}]", entry("p/a", ""), entry("p/b", "")), Malformed::Json),
            (format!("[,{}]", entry("p/a", "")), Malformed::Json),
            (format!("[{},]", entry("p/a", "")), Malformed::Json),
            ("[{\"Key\":1}]".to_owned(), Malformed::Json),
            (format!("[{}]", entry("p/a", "!!")), Malformed::Base64),
            (format!("[{}]", entry("q/a", "")), Malformed::Stranger),
            (format!("[{0},{0}]", entry("p/a", "")), Malformed::Twice),
            (String::new(), Malformed::Truncated),
        ] {
            assert_eq!(whole(&body).unwrap_err(), why, "{body}");
        }
    }

    #[test]
    fn the_limits_hold_while_it_streams() {
        let one = r#"{"Key":"p/aaaa","Value":"AAAAAAAA"}"#;
        let two = format!(r#"[{one},{}]"#, one.replace("aaaa", "bbbb"));
        for caps in [Caps { max_keys: 1, ..CAPS }, Caps { max_bytes: 20, ..CAPS }] {
            assert_eq!(decode(&[two.as_bytes()], caps, None), Err(Malformed::TooLarge(1)));
        }
        let blank = vec![b' '; 1 << 20];
        let got =
            decode(&[b"[", &blank, &blank, &blank], Caps { max_keys: 1, max_bytes: 20 }, None);
        assert_eq!(got, Err(Malformed::TooLarge(0)), "endless white space");
        let caps = Caps { max_bytes: 20, ..CAPS };
        let endless = vec![b'A'; 100_000];
        let got = decode(&[br#"[{"Key":"p/a","Value":""#, &endless], caps, None);
        assert_eq!(got, Err(Malformed::TooLarge(0)));
    }

    #[test]
    fn unchanged_entries_are_shared_with_the_previous_snapshot() {
        let first = whole(BODY).unwrap();
        let second = decode(&[BODY.as_bytes()], CAPS, Some(&first)).unwrap();
        for (a, b) in first.entries().iter().zip(second.entries()) {
            assert!(Arc::ptr_eq(a, b));
        }
        let locked = BODY.replace("\"ModifyIndex\":6", "\"ModifyIndex\":8");
        let third = decode(&[locked.as_bytes()], CAPS, Some(&first)).unwrap();
        let key = "p/a\"{[";
        let (a, b) = (first.get(key).unwrap(), third.get(key).unwrap());
        assert!(!Arc::ptr_eq(a, b) && Arc::ptr_eq(&a.value, &b.value));
        assert_eq!(first.digest(), third.digest());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..400) {
            let mut body = BODY.as_bytes().to_vec();
            let at = at.min(body.len());
            body.splice(at..at, bytes);
            let _ = decode(&[&body], CAPS, None);
        }
    }
}
