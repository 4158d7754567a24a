//! JSON as Consul writes it: one line, its own order of fields, names escaped for HTML.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::demo::kv::Entry;
use crate::demo::kv::txn::{Failure, Line};

/// The answer of a list or single-key query.
pub(super) fn entries<'a>(entries: impl Iterator<Item = (&'a [u8], &'a Entry)>) -> Vec<u8> {
    let mut out = Vec::new();
    array(&mut out, entries, |out, (key, value)| entry(out, key, value));
    out
}

/// The answer of a `?keys` query.
pub(super) fn keys(names: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    array(&mut out, names.iter(), |out, name| string(out, name));
    out
}

/// The answer of a transaction; `read_only` ones say more about the reading.
pub(super) fn transaction(outcome: &Result<Vec<Line>, Vec<Failure>>, read_only: bool) -> Vec<u8> {
    let mut out = b"{\"Results\":".to_vec();
    match outcome {
        Ok(lines) => {
            array(&mut out, lines.iter(), |out, line| {
                out.extend_from_slice(b"{\"KV\":");
                entry(out, &line.key, &line.entry);
                out.push(b'}');
            });
            out.extend_from_slice(b",\"Errors\":null");
        }
        Err(failures) => {
            out.extend_from_slice(b"null,\"Errors\":");
            array(&mut out, failures.iter(), |out, failure| {
                out.extend_from_slice(format!("{{\"OpIndex\":{},\"What\":", failure.op).as_bytes());
                string(out, failure.what.as_bytes());
                out.push(b'}');
            });
        }
    }
    if read_only {
        out.extend_from_slice(
            br#","Index":0,"LastContact":0,"KnownLeader":true,"ConsistencyLevel":"""#,
        );
    }
    out.push(b'}');
    out
}

fn array<T>(
    out: &mut Vec<u8>,
    items: impl Iterator<Item = T>,
    mut one: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        one(out, item);
    }
    out.push(b']');
}

fn entry(out: &mut Vec<u8>, key: &[u8], entry: &Entry) {
    out.extend_from_slice(format!("{{\"LockIndex\":{},\"Key\":", entry.lock_index).as_bytes());
    string(out, key);
    out.extend_from_slice(format!(",\"Flags\":{},\"Value\":", entry.flags).as_bytes());
    if entry.value.is_empty() {
        out.extend_from_slice(b"null");
    } else {
        out.extend_from_slice(format!("\"{}\"", STANDARD.encode(&entry.value)).as_bytes());
    }
    if let Some(session) = &entry.session {
        out.extend_from_slice(b",\"Session\":");
        string(out, session.as_bytes());
    }
    let (created, modified) = (entry.create_index, entry.modify_index);
    out.extend_from_slice(
        format!(",\"CreateIndex\":{created},\"ModifyIndex\":{modified}}}").as_bytes(),
    );
}

/// Bytes that are not UTF-8 come out as escaped U+FFFD, one each: such a name is lost in a list.
fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            character(out, c);
        }
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
    out.push(b'"');
}

fn character(out: &mut Vec<u8>, c: char) {
    match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
            out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
        }
        _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_consul_escapes_them() {
        let mut out = Vec::new();
        string(&mut out, "a<b>&\u{2028}\"\\\n\u{1}\u{e9}".as_bytes());
        let expected = "\"a\\u003cb\\u003e\\u0026\\u2028\\\"\\\\\\n\\u0001\u{e9}\"";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_name_that_is_not_utf8_is_listed_as_replacement_characters() {
        assert_eq!(keys(&[b"a\xff\xfe".to_vec()]), b"[\"a\\ufffd\\ufffd\"]");
    }
}
