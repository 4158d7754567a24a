//! The answer to a transaction that reads several prefixes at one moment.
//!
//! `{"Results":[{"KV":{...}},...],"Errors":null,...}`: what all operations found, one after another. It
//! is decoded while it comes, as a list is.

use serde::Deserialize;

use super::{Caps, Entries, Malformed, Place, Splitter, Wire};
use crate::model::key::Prefix;
use crate::model::snapshot::Snapshot;

/// What comes before the results, and what may be blanks in it.
const HEAD: usize = 64;
/// What comes after them: errors, and a word on the leader.
const TAIL: usize = 4096;

/// Decodes one body.
pub struct Transaction<'a> {
    head: Vec<u8>,
    splitter: Splitter,
    parts: Vec<(&'a Prefix, Entries<'a>)>,
    /// No further than the newest entry.
    newest: u64,
    tail: Vec<u8>,
}

/// What a body held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What is under each prefix, in the order they were asked for, each at the index of its newest
    /// entry: Consul tells no index with a transaction.
    pub snapshots: Vec<Snapshot>,
    /// The index of the newest of all.
    pub newest: u64,
    /// Consul left something out that the token may not see (since 1.11).
    pub filtered: bool,
}

#[derive(Deserialize)]
struct Element<'a> {
    #[serde(rename = "KV", borrow)]
    kv: Wire<'a>,
}

/// What follows the results.
#[derive(Deserialize)]
struct Rest {
    #[serde(rename = "ResultsFilteredByACLs", default)]
    filtered: bool,
    #[serde(rename = "Errors", default)]
    errors: Option<Vec<serde::de::IgnoredAny>>,
}

// === impl Transaction ===

impl<'a> Transaction<'a> {
    /// A decoder for what is under these prefixes. None is inside another. `caps` are those of each.
    pub fn new(parts: &[(&'a Prefix, Option<&'a Snapshot>)], caps: Caps) -> Self {
        let all = Caps {
            max_bytes: caps.max_bytes.saturating_mul(parts.len() as u64),
            max_keys: caps.max_keys.saturating_mul(parts.len()),
        };
        let parts = parts.iter().map(|(prefix, before)| (*prefix, Entries::new(*before, caps)));
        Self {
            head: Vec::new(),
            splitter: Splitter::new(all, b'{'),
            parts: parts.collect(),
            newest: 0,
            tail: Vec::new(),
        }
    }

    /// Takes the next chunk of the body.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), Malformed> {
        let count = self.parts.iter().map(|(_, part)| part.count()).sum();
        self.splitter.count(chunk.len(), count)?;
        let list = self.after_head(chunk)?;
        let (parts, newest) = (&mut self.parts, &mut self.newest);
        let used = self.splitter.feed(list, |text| {
            let found: Element<'_> = serde_json::from_slice(text).map_err(|_| Malformed::Json)?;
            *newest = found.kv.modify_index.max(*newest);
            let mut all = parts.iter_mut();
            let part = all.find(|(prefix, _)| prefix.covers(&found.kv.key));
            let (prefix, part) = part.ok_or(Malformed::Stranger)?;
            part.pair(prefix, &found.kv)
        })?;
        self.tail.extend_from_slice(&list[used..]);
        if self.tail.len() > TAIL { Err(Malformed::Json) } else { Ok(()) }
    }

    /// The body has ended.
    pub fn finish(self) -> Result<Found, Malformed> {
        if self.splitter.place != Place::After {
            return Err(Malformed::Truncated);
        }
        let rest = [b"{\"Results\":[]", self.tail.as_slice()].concat();
        let rest: Rest = serde_json::from_slice(&rest)
            .map_err(|error| if error.is_eof() { Malformed::Truncated } else { Malformed::Json })?;
        if rest.errors.is_some_and(|errors| !errors.is_empty()) {
            return Err(Malformed::Json);
        }
        let newest_of = |part: &Entries<'_>| part.entries.iter().map(|e| e.modify_index).max();
        let parts = self.parts.into_iter().map(|(_, part)| {
            let index = newest_of(&part).unwrap_or_default();
            part.finish(index).map_err(|_| Malformed::Twice)
        });
        let snapshots = parts.collect::<Result<_, _>>()?;
        Ok(Found { snapshots, newest: self.newest, filtered: rest.filtered })
    }

    /// The part of a chunk that belongs to the list of results, from its bracket on.
    fn after_head<'c>(&mut self, chunk: &'c [u8]) -> Result<&'c [u8], Malformed> {
        if self.head.ends_with(b"[") || self.splitter.place != Place::Before {
            return Ok(chunk);
        }
        let end = chunk.iter().position(|byte| *byte == b'[').unwrap_or(chunk.len());
        self.head.extend_from_slice(&chunk[..end]);
        if self.head.len() > HEAD {
            return Err(Malformed::Json);
        }
        if end < chunk.len() {
            self.head.push(b'[');
            let solid: Vec<u8> =
                self.head.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            if solid != b"{\"Results\":[" {
                return Err(Malformed::Json);
            }
        }
        Ok(&chunk[end..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::key::PrefixRules;
    use proptest::prelude::*;

    const CAPS: Caps = Caps { max_bytes: 1 << 20, max_keys: 1000 };
    /// As Consul 1.8.7 answers.
    const BODY: &str = r#"{"Results":[{"KV":{"LockIndex":0,"Key":"p/a","Flags":7,"Value":"MQ==","CreateIndex":5,"ModifyIndex":6}},{"KV":{"LockIndex":0,"Key":"q/}]","Flags":0,"Value":"Mg==","CreateIndex":9,"ModifyIndex":9}}],"Errors":null,"Index":0,"LastContact":0,"KnownLeader":true,"ConsistencyLevel":""}"#;

    fn decode(chunks: &[&[u8]], caps: Caps) -> Result<Found, Malformed> {
        let prefix = |text| Prefix::parse(text, PrefixRules::default()).unwrap();
        let (p, q, r) = (prefix("p"), prefix("q"), prefix("r"));
        let mut decoder = Transaction::new(&[(&p, None), (&q, None), (&r, None)], caps);
        chunks.iter().try_for_each(|chunk| decoder.feed(chunk))?;
        decoder.finish()
    }

    fn whole(body: &str) -> Result<Found, Malformed> {
        decode(&[body.as_bytes()], CAPS)
    }

    #[test]
    fn each_prefix_gets_its_entries() {
        let found = whole(BODY).unwrap();
        let parts: Vec<_> = found.snapshots.iter().map(|p| (p.keys(), p.index())).collect();
        assert_eq!((parts, found.newest), (vec![(1, 6), (1, 9), (0, 0)], 9));
        assert_eq!(&*found.snapshots[1].get("q/}]").unwrap().value, b"2");
        assert!(!found.filtered);
        let none = whole(r#" { "Results" : [ ], "ResultsFilteredByACLs": true, "Errors": [] } "#);
        let none = none.unwrap();
        assert_eq!(none.snapshots.iter().map(Snapshot::keys).sum::<usize>(), 0);
        assert!(none.newest == 0 && none.filtered);
    }

    #[test]
    fn every_way_to_cut_it_gives_the_same_and_every_truncation_is_an_error() {
        let expected = whole(BODY).unwrap();
        for at in 0..BODY.len() {
            let (a, b) = BODY.as_bytes().split_at(at);
            assert_eq!(decode(&[a, b], CAPS).unwrap(), expected, "cut at {at}");
            assert!(decode(&[a], CAPS).is_err(), "ended at {at}");
        }
        let bytes: Vec<&[u8]> = BODY.as_bytes().chunks(1).collect();
        assert_eq!(decode(&bytes, CAPS).unwrap(), expected);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let with = |results: &str, rest: &str| format!("{{\"Results\":[{results}]{rest}");
        let entry = |key: &str| format!(r#"{{"KV":{{"Key":"{key}","Value":""}}}}"#);
        for (body, why) in [
            ("[]".to_owned(), Malformed::Json),
            ("<html>[".to_owned(), Malformed::Json),
            (format!("{{\"Errors\":[{}", " ".repeat(HEAD)), Malformed::Json),
            (" ".repeat(HEAD + 1), Malformed::Json),
            (with(&entry("s/a"), "}"), Malformed::Stranger),
            (with(&[entry("p/a"), entry("p/a")].join(","), "}"), Malformed::Twice),
            (with("{\"Key\":\"p/a\"}", "}"), Malformed::Json),
            (with("", ",\"Errors\":[{\"What\":\"x\"}]}"), Malformed::Json),
            (with("", "} x"), Malformed::Json),
            (with("", &format!(",\"a\":\"{}\"}}", "x".repeat(TAIL))), Malformed::Json),
        ] {
            assert_eq!(whole(&body).unwrap_err(), why, "{body}");
        }
    }

    #[test]
    fn the_limits_are_those_of_each_prefix() {
        let two = BODY.replace("q/}]", "p/b");
        let caps = Caps { max_keys: 1, ..CAPS };
        assert!(decode(&[BODY.as_bytes()], caps).is_ok());
        assert_eq!(decode(&[two.as_bytes()], caps), Err(Malformed::TooLarge(1)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..400) {
            let mut body = BODY.as_bytes().to_vec();
            let at = at.min(body.len());
            body.splice(at..at, bytes);
            let _ = decode(&[&body], CAPS);
        }
    }
}
