//! Consul's JSON, decoded while it arrives.
//!
//! The body is never held: objects are cut out of the stream one by one, parsed where they lie, and
//! an entry that the previous snapshot holds unchanged is shared with it. The snapshot is the only
//! copy of the values.

mod names;
pub mod transaction;

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::health;
use crate::model::key::Prefix;
use crate::model::reads::Reads;
use crate::model::service::Service;
use crate::model::snapshot::{DuplicateKey, Entry, Snapshot};

pub use names::Names;

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
    /// Not the JSON of a list of a service's instances.
    #[error("the body is not a list of a service's instances")]
    NoInstances,
    /// An instance of another service than was asked for.
    #[error("the body holds an instance of another service")]
    OtherService,
    /// The same instance twice.
    #[error("the body holds an instance twice")]
    InstanceTwice,
    /// A value is not base64.
    #[error("a value is not base64")]
    Base64,
    /// A key is not under the prefix that was asked for.
    #[error("the body holds a key outside the prefix")]
    Stranger,
    /// The same key twice.
    #[error("the body holds a key twice")]
    Twice,
    /// More keys (or instances) or bytes than allowed; how many were read until then.
    #[error("the answer is larger than the limits allow (at {0} keys)")]
    TooLarge(usize),
}

/// Decodes one body.
pub struct Decoder<'a> {
    reads: &'a Reads,
    splitter: Splitter,
    entries: Entries<'a>,
}

/// The entries of one snapshot, while they come.
struct Entries<'a> {
    previous: Option<&'a Snapshot>,
    /// Where in the previous snapshot the next key is, if nothing but values has changed.
    next: usize,
    caps: Caps,
    entries: Vec<Arc<Entry>>,
    bytes: u64,
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
    /// What an element begins with: a brace or a quote.
    opens: u8,
    place: Place,
    depth: u32,
    in_string: bool,
    escaped: bool,
    partial: Vec<u8>,
    /// The longest element, and the longest body.
    limits: (u64, u64),
    read: u64,
}

/// Names and numbers of an entry, Enterprise's and whatever a later Consul may add.
const FRAME: u64 = 1024;
/// What comes with an instance and is not taken: a check's output is 4 KiB at most, and some have twenty.
const AROUND_INSTANCE: u64 = 128 * 1024;
/// Twice the longest key that Consul was seen to take: some of its bytes are escaped.
const LONGEST_KEY: u64 = 2 << 20;
/// What a byte of a key may become in JSON: `\u003c`.
const ESCAPED: u64 = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the `[`.
    Before,
    /// After the `[`: an element, or the end.
    First,
    /// Inside an element.
    Inside,
    /// After an element: a comma, or the end.
    Between,
    /// After a comma: an element.
    Next,
    /// After the `]`.
    After,
}

// === impl Decoder ===

impl<'a> Decoder<'a> {
    /// A decoder for what is read. Entries are shared with `previous` where they are equal.
    pub fn new(reads: &'a Reads, previous: Option<&'a Snapshot>, caps: Caps) -> Self {
        let splitter = match reads {
            Reads::Keys(_) => Splitter::new(caps, b'{'),
            Reads::Service(_) => Splitter::of_instances(caps),
        };
        Self { reads, splitter, entries: Entries::new(previous, caps) }
    }

    /// Takes the next chunk of the body.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), Malformed> {
        self.splitter.count(chunk.len(), self.entries.count())?;
        let used = self.splitter.feed(chunk, |text| match self.reads {
            Reads::Keys(prefix) => self.entries.pair(prefix, &read(text)?),
            Reads::Service(service) => self.entries.instance(service, text),
        });
        used.and_then(|used| only_blanks(&chunk[used..])).map_err(|why| self.named(why))
    }

    /// What is no list at all is none of what was asked for.
    fn named(&self, why: Malformed) -> Malformed {
        match (why, self.reads) {
            (Malformed::Json, Reads::Service(_)) => Malformed::NoInstances,
            (why, _) => why,
        }
    }

    /// The body has ended: the snapshot it was, at `index`.
    pub fn finish(self, index: u64) -> Result<Snapshot, Malformed> {
        if self.splitter.place != Place::After {
            return Err(Malformed::Truncated);
        }
        let twice = match self.reads {
            Reads::Keys(_) => Malformed::Twice,
            Reads::Service(_) => Malformed::InstanceTwice,
        };
        self.entries.finish(index).map_err(|_| twice)
    }
}

// === impl Entries ===

impl<'a> Entries<'a> {
    fn new(previous: Option<&'a Snapshot>, caps: Caps) -> Self {
        let entries = Vec::with_capacity(previous.map_or(0, Snapshot::keys));
        Self { previous, next: 0, caps, entries, bytes: 0, scratch: Vec::new() }
    }

    fn count(&self) -> usize {
        self.entries.len()
    }

    fn finish(mut self, index: u64) -> Result<Snapshot, DuplicateKey> {
        self.entries.shrink_to_fit();
        Snapshot::new(index, self.entries)
    }

    /// An instance becomes an entry. It has no index of its own: those that it comes with move at every
    /// word of a check.
    fn instance(&mut self, service: &Service, text: &[u8]) -> Result<(), Malformed> {
        let Some(instance) = health::instance(service, text)? else {
            return Ok(());
        };
        let key = service.key(&instance.node, &instance.id);
        self.scratch = instance.to_json();
        self.add(&Wire { key: key.into(), flags: 0, value: None, create_index: 0, modify_index: 0 })
    }

    fn pair(&mut self, prefix: &Prefix, wire: &Wire<'_>) -> Result<(), Malformed> {
        if !prefix.covers(&wire.key) {
            return Err(Malformed::Stranger);
        }
        self.scratch.clear();
        let encoded = wire.value.as_deref().unwrap_or_default();
        STANDARD.decode_vec(encoded, &mut self.scratch).map_err(|_| Malformed::Base64)?;
        self.add(wire)
    }

    /// One more entry, its value in `scratch`.
    fn add(&mut self, wire: &Wire<'_>) -> Result<(), Malformed> {
        self.bytes += (wire.key.len() + self.scratch.len()) as u64;
        if self.bytes > self.caps.max_bytes || self.entries.len() >= self.caps.max_keys {
            return Err(Malformed::TooLarge(self.entries.len()));
        }
        let entry = self.entry(wire);
        self.entries.push(entry);
        Ok(())
    }

    /// The entry that the previous snapshot has of a key. Both lists are in the order of keys: a search
    /// for each would cost as much as all else that is done about it.
    fn known(&mut self, key: &str) -> Option<&'a Arc<Entry>> {
        let previous = self.previous?;
        let is_next = previous.entries().get(self.next).is_some_and(|next| *next.key == *key);
        let at = if is_next { self.next } else { previous.position(key)? };
        self.next = at + 1;
        Some(&previous.entries()[at])
    }

    fn entry(&mut self, wire: &Wire<'_>) -> Arc<Entry> {
        let (create, modify) = (wire.create_index, wire.modify_index);
        let known = self.known(&wire.key);
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
    /// The limits are what content within `caps` can become in JSON at the very most. Without the
    /// first, one endless value would be held; without the second, endless blanks would be read.
    fn new(caps: Caps, opens: u8) -> Self {
        let key = caps.max_bytes.saturating_mul(ESCAPED).min(LONGEST_KEY);
        // Base64 makes four bytes of three.
        let element = (caps.max_bytes / 3).saturating_mul(4).saturating_add(key + FRAME);
        let frames = FRAME.saturating_mul(caps.max_keys as u64 + 1);
        let body = caps.max_bytes.saturating_mul(ESCAPED).saturating_add(frames);
        Self::within((element, body), opens)
    }

    /// The same of instances, each of which comes with its node and with what its checks say.
    fn of_instances(caps: Caps) -> Self {
        let content = caps.max_bytes.saturating_mul(ESCAPED);
        let body = AROUND_INSTANCE.saturating_mul(caps.max_keys as u64 + 1);
        let limits = (content.saturating_add(AROUND_INSTANCE), content.saturating_add(body));
        Self::within(limits, b'{')
    }

    fn within(limits: (u64, u64), opens: u8) -> Self {
        Self {
            opens,
            place: Place::Before,
            depth: 0,
            in_string: false,
            escaped: false,
            partial: Vec::new(),
            limits,
            read: 0,
        }
    }

    /// So many more bytes of the body came, after so many entries.
    fn count(&mut self, bytes: usize, keys: usize) -> Result<(), Malformed> {
        self.read += bytes as u64;
        if self.read > self.limits.1 { Err(Malformed::TooLarge(keys)) } else { Ok(()) }
    }

    /// Cuts the next chunk: `take` gets each element that ends in it. Returns how much of the chunk was
    /// used: all of it, or all up to the end of the array.
    fn feed(
        &mut self,
        chunk: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), Malformed>,
    ) -> Result<usize, Malformed> {
        let mut at = 0;
        while at < chunk.len() && self.place != Place::After {
            let rest = &chunk[at..];
            let (used, element) = self.cut(rest)?;
            if let Some(whole) = element {
                let (before, now) = (std::mem::take(&mut self.partial), &rest[whole]);
                if before.is_empty() { take(now)? } else { take(&[&before, now].concat())? }
            }
            at += used;
        }
        Ok(at)
    }

    /// Reads on in `bytes`, at most to the end of one element, or of the array. Returns how many bytes were used and,
    /// if an element ended, where it lies in them (its beginning may be in `partial`).
    #[allow(clippy::type_complexity)]
    fn cut(&mut self, bytes: &[u8]) -> Result<(usize, Option<std::ops::Range<usize>>), Malformed> {
        if self.place == Place::Inside {
            return self.inside(bytes, 0);
        }
        for (at, byte) in bytes.iter().enumerate() {
            match (self.place, byte) {
                (_, b' ' | b'\n' | b'\r' | b'\t') => {}
                (Place::Before, b'[') => self.place = Place::First,
                (Place::Between, b',') => self.place = Place::Next,
                (Place::First | Place::Between, b']') => {
                    self.place = Place::After;
                    return Ok((at + 1, None));
                }
                (Place::First | Place::Next, byte) if *byte == self.opens => {
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
                if !self.in_string && self.depth == 0 {
                    self.place = Place::Between;
                    return Ok((at, Some(start..at)));
                }
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
        if self.partial.len() as u64 > self.limits.0 {
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

fn read(text: &[u8]) -> Result<Wire<'_>, Malformed> {
    serde_json::from_slice(text).map_err(|_| Malformed::Json)
}

/// After the array nothing else may come.
fn only_blanks(rest: &[u8]) -> Result<(), Malformed> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
    if rest.iter().all(blank) { Ok(()) } else { Err(Malformed::Json) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::key::PrefixRules;
    use proptest::prelude::*;

    const CAPS: Caps = Caps { max_bytes: 1 << 20, max_keys: 1000 };
    const BODY: &str = r#"[{"LockIndex":0,"Key":"p/a\"{[","Flags":18446744073709551615,"Value":"MQ==","CreateIndex":5,"ModifyIndex":6},
        {"LockIndex":1,"Session":"x","Key":"p/\u003cb\u003e","Flags":0,"Value":null,"CreateIndex":7,"ModifyIndex":7,"Namespace":{"x":["y"]}}]"#;

    fn keys() -> Reads {
        Reads::Keys(Prefix::parse("p", PrefixRules::default()).unwrap())
    }

    fn decode(
        chunks: &[&[u8]],
        caps: Caps,
        previous: Option<&Snapshot>,
    ) -> Result<Snapshot, Malformed> {
        let reads = keys();
        let mut decoder = Decoder::new(&reads, previous, caps);
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
            (format!("[{},]", entry("p/a", "")), Malformed::Json),
            (format!("[,{}]", entry("p/a", "")), Malformed::Json),
            (format!("[{}{}]", entry("p/a", ""), entry("p/b", "")), Malformed::Json),
            ("[,]".to_owned(), Malformed::Json),
            ("[{\"Key\":1}]".to_owned(), Malformed::Json),
            (format!("[{}]", entry("p/a", "!!")), Malformed::Base64),
            (format!("[{}]", entry("q/a", "")), Malformed::Stranger),
            (format!("[{0},{0}]", entry("p/a", "")), Malformed::Twice),
            (String::new(), Malformed::Truncated),
        ] {
            assert_eq!(whole(&body).unwrap_err(), why, "{body}");
        }
    }

    fn names(body: &[u8], step: usize) -> Result<(usize, u64), Malformed> {
        let mut names = Names::new(Caps { max_bytes: 1 << 10, max_keys: 3 });
        body.chunks(step).try_for_each(|chunk| names.feed(chunk))?;
        names.finish()
    }

    #[test]
    fn a_doorbell_lists_names() {
        let count = |body: &str| names(body.as_bytes(), 1 << 20).map(|(count, _)| count);
        assert_eq!(count(r#" ["p/a","p/b/"] "#), Ok(2));
        assert_eq!(count("[]"), Ok(0));
        for body in ["<html>", "{}", "[1]", r#"[["a"]]"#, r#"["a",]"#, r#"["a"] x"#, "null"] {
            assert_eq!(count(body), Err(Malformed::Json), "{body}");
        }
        for body in ["", "[", r#"["p/a","#, r#"["p/a""#, r#"["p/a"#] {
            assert_eq!(count(body), Err(Malformed::Truncated), "{body}");
        }
        let four = r#"["p/1","p/2","p/3","p/4"]"#;
        assert_eq!(count(four), Err(Malformed::TooLarge(3)));
    }

    #[test]
    fn the_doorbells_names_are_the_same_however_they_are_cut() {
        let body = r#"["p/a\\","p/\"b\u00e9","p/c/"]"#;
        let whole = names(body.as_bytes(), 1 << 20);
        assert_eq!(whole.map(|(count, _)| count), Ok(3));
        for step in 1..body.len() {
            assert_eq!(names(body.as_bytes(), step), whole, "{step}");
        }
        let spaced = body.replace(',', " ,\n ");
        assert_eq!(names(spaced.as_bytes(), 1 << 20), whole, "blanks are no names");
        assert_ne!(names(body.replace("p/c/", "p/d/").as_bytes(), 1 << 20), whole);
    }

    #[test]
    fn the_limits_hold_while_it_streams() {
        let one = r#"{"Key":"p/aaaa","Value":"AAAAAAAA"}"#;
        let two = format!(r#"[{one},{}]"#, one.replace("aaaa", "bbbb"));
        for caps in [Caps { max_keys: 1, ..CAPS }, Caps { max_bytes: 20, ..CAPS }] {
            assert_eq!(decode(&[two.as_bytes()], caps, None), Err(Malformed::TooLarge(1)));
        }
        let caps = Caps { max_bytes: 20, ..CAPS };
        let endless = vec![b'A'; 100_000];
        let got = decode(&[br#"[{"Key":"p/a","Value":""#, &endless], caps, None);
        assert_eq!(got, Err(Malformed::TooLarge(0)));
        let blanks = vec![b' '; 10_000_000];
        assert_eq!(decode(&[b"[", &blanks], caps, None), Err(Malformed::TooLarge(0)));
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
