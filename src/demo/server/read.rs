//! The queries that a GET under `/v1/kv/` makes: what they see, where they sleep, what they answer.

use std::sync::Arc;

use super::answer::Answer;
use super::json;
use crate::demo::kv::{Entry, Kv, Region};

/// What a GET wants to see.
pub(super) enum Query {
    One { key: Vec<u8>, raw: bool },
    List { prefix: Vec<u8> },
    Keys { prefix: Vec<u8>, separator: Vec<u8> },
}

/// What it saw, with values shared; a sleeping query keeps this, and no rendered body.
pub(super) struct Seen {
    index: u64,
    what: What,
}

enum What {
    Missing,
    Raw(Arc<[u8]>),
    Entries(Vec<(Vec<u8>, Entry)>),
    Names(Vec<Vec<u8>>),
}

// === impl Query ===

impl Query {
    /// `hidden`: as a token sees it that may read nothing.
    pub(super) fn look(&self, kv: &Kv, hidden: bool) -> Seen {
        let (index, what) = match self {
            Self::One { key, raw } => {
                let (index, entry) = kv.get(key);
                let what = match entry {
                    None => What::Missing,
                    Some(entry) if *raw => What::Raw(entry.value.clone()),
                    Some(entry) => What::Entries(vec![(key.clone(), entry.clone())]),
                };
                (index, what)
            }
            Self::List { prefix } => {
                let list = kv.list(prefix).take_while(|_| !hidden);
                let list: Vec<_> = list.map(|(key, entry)| (key.to_vec(), entry.clone())).collect();
                let what = if list.is_empty() { What::Missing } else { What::Entries(list) };
                (kv.prefix_index(prefix), what)
            }
            Self::Keys { prefix, separator } => {
                let names = if hidden { Vec::new() } else { kv.keys(prefix, separator) };
                // The root is never missing.
                let missing = names.is_empty() && !prefix.is_empty();
                let what = if missing { What::Missing } else { What::Names(names) };
                (kv.prefix_index(prefix), what)
            }
        };
        Seen { index, what }
    }

    /// Where to sleep until something else may be seen.
    pub(super) fn region(&self, kv: &Kv) -> Region {
        match self {
            Self::One { key, .. } => Region::of_key(kv, key),
            Self::List { prefix } | Self::Keys { prefix, .. } => Region::of_prefix(kv, prefix),
        }
    }
}

// === impl Seen ===

impl Seen {
    /// Whether a query that blocks at `index` has nothing new to say.
    pub(super) fn is_known_at(&self, index: u64) -> bool {
        index > 0 && self.index <= index
    }

    pub(super) fn answer(self) -> Answer {
        let answer = match self.what {
            What::Missing => Answer::empty(404),
            What::Raw(value) => Answer::empty(200)
                .header("Content-Type", "text/plain")
                .header("Content-Security-Policy", "sandbox")
                .header("X-Content-Type-Options", "nosniff")
                .body(&*value),
            What::Entries(list) => {
                let list = list.iter().map(|(key, entry)| (key.as_slice(), entry));
                Answer::json(200, json::entries(list))
            }
            What::Names(names) => Answer::json(200, json::keys(&names)),
        };
        answer.at_index(self.index)
    }
}
