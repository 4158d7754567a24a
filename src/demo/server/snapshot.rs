//! The file that `/v1/snapshot` gives and takes. It is ours, not Consul's: only for giving back.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::demo::kv::{Entry, Kv};

#[derive(Serialize, Deserialize)]
struct File {
    format: String,
    commit: u64,
    table_index: u64,
    entries: Vec<Row>,
    tombstones: Vec<(String, u64)>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    key: String,
    value: String,
    create_index: u64,
    modify_index: u64,
    lock_index: u64,
    flags: u64,
    session: Option<String>,
}

const FORMAT: &str = "seedcar demo snapshot 1";

pub(super) fn encode(kv: &Kv) -> Vec<u8> {
    let (table_index, tombstones) = kv.parts();
    let file = File {
        format: FORMAT.to_owned(),
        commit: kv.commit(),
        table_index,
        entries: kv.entries().map(|(key, entry)| Row::new(key, entry)).collect(),
        tombstones: tombstones.iter().map(|(key, index)| (STANDARD.encode(key), *index)).collect(),
    };
    // Numbers, strings and lists of them always serialize.
    serde_json::to_vec(&file).unwrap_or_default()
}

pub(super) fn decode(bytes: &[u8]) -> Result<Kv, String> {
    let file: File = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if file.format != FORMAT {
        return Err(format!("unknown format {:?}", file.format));
    }
    let entries = file.entries.into_iter().map(Row::parts).collect::<Result<_, _>>()?;
    let tombstone = |(key, index): (String, u64)| Ok((bytes_of(&key)?, index));
    let tombstones =
        file.tombstones.into_iter().map(tombstone).collect::<Result<BTreeMap<_, _>, String>>()?;
    Ok(Kv::from_parts(file.commit, file.table_index, entries, tombstones))
}

// === impl Row ===

impl Row {
    fn new(key: &[u8], entry: &Entry) -> Self {
        Self {
            key: STANDARD.encode(key),
            value: STANDARD.encode(&entry.value),
            create_index: entry.create_index,
            modify_index: entry.modify_index,
            lock_index: entry.lock_index,
            flags: entry.flags,
            session: entry.session.clone(),
        }
    }

    fn parts(self) -> Result<(Vec<u8>, Entry), String> {
        let entry = Entry {
            create_index: self.create_index,
            modify_index: self.modify_index,
            lock_index: self.lock_index,
            flags: self.flags,
            value: bytes_of(&self.value)?.into(),
            session: self.session,
        };
        Ok((bytes_of(&self.key)?, entry))
    }
}

fn bytes_of(text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|error| error.to_string())
}
