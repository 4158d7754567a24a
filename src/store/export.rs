//! A snapshot in the form of Consul's own tool, to refill a lost cluster.

use std::io::{self, Write};

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;

use crate::model::snapshot::Snapshot;

/// Prints what `consul kv import -` takes, laid out as `consul kv export` does it: a JSON array of
/// objects with `key`, `flags` and the value in base64. Streams, so that nothing is held twice.
///
/// Namespace and partition are left to the import's own flags. Newer releases of Consul's tool clean
/// each key as a path: they import `a//b` as `a/b`.
///
/// Errors are those of `out`.
pub fn export(snapshot: &Snapshot, mut out: impl Write) -> io::Result<()> {
    out.write_all(b"[")?;
    for (n, entry) in snapshot.entries().iter().enumerate() {
        out.write_all(if n == 0 { b"\n\t{\n" } else { b",\n\t{\n" })?;
        out.write_all(b"\t\t\"key\": ")?;
        serde_json::to_writer(&mut out, &entry.key)?;
        let value = Base64Display::new(&entry.value, &STANDARD);
        write!(out, ",\n\t\t\"flags\": {},\n\t\t\"value\": \"{value}\"\n\t}}", entry.flags)?;
    }
    out.write_all(if snapshot.keys() == 0 { b"]\n" } else { b"\n]\n" })?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::Entry;
    use std::sync::Arc;

    fn printed(entries: Vec<Entry>) -> String {
        let entries = entries.into_iter().map(Arc::new).collect();
        let mut out = Vec::new();
        export(&Snapshot::new(1, entries).unwrap(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn it_looks_like_consuls_own_export() {
        let text = printed(vec![
            Entry::new("app/a", b"hello", 42, 1, 2),
            Entry::new("app/b", b"", 0, 1, 2),
        ]);
        assert_eq!(
            text,
            "[\n\t{\n\t\t\"key\": \"app/a\",\n\t\t\"flags\": 42,\n\t\t\"value\": \"aGVsbG8=\"\n\t},\n\
             \t{\n\t\t\"key\": \"app/b\",\n\t\t\"flags\": 0,\n\t\t\"value\": \"\"\n\t}\n]\n"
        );
        assert_eq!(printed(Vec::new()), "[]\n");
    }

    #[test]
    fn any_key_and_value_survive() {
        use base64::Engine as _;
        let key = "x/\"\\\u{1}\u{FFFD}é\n</..";
        let value: Vec<u8> = (0..=255).collect();
        let text = printed(vec![Entry::new(key, &value, u64::MAX, 1, 2)]);
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read[0]["key"], key);
        assert_eq!(read[0]["flags"], u64::MAX);
        let decoded = STANDARD.decode(read[0]["value"].as_str().unwrap()).unwrap();
        assert_eq!(decoded, value);
    }
}
