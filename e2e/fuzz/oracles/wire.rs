//! The body of Consul's answer. The first byte says into which chunks it falls.

use std::collections::{BTreeMap, HashMap};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use seedcar::consul::wire::{Caps, Decoder, Malformed};
use seedcar::model::reads::Reads;
use seedcar::model::service::{Instance, Service};
use seedcar::model::snapshot::Snapshot;
use serde::Deserialize;
use serde::de::IgnoredAny;

const CAPS: Caps = Caps { max_bytes: 4096, max_keys: 50 };
/// The decoder's own limit for one element is far above this.
const LONGEST: usize = 16 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Element {
    key: String,
    #[serde(default)]
    flags: u64,
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    create_index: u64,
    #[serde(default)]
    modify_index: u64,
}

/// Flags, indexes and value by key.
type Content = BTreeMap<String, (u64, u64, u64, Vec<u8>)>;

/// However it is chunked the outcome is the same, and it is what a JSON parser makes of the whole:
/// nothing that is no list of entries is taken for one.
pub fn check(data: &[u8]) {
    let Some((seed, body)) = data.split_first() else { return };
    let body = &body[..body.len().min(LONGEST)];
    let whole = cut(&Reads::of_prefix("p/").expect("a prefix"), *seed, body);
    assert_eq!(whole.as_ref().ok().map(content), model(body), "{whole:?}");
    let service = Service::new("web", None, false).expect("a service");
    let whole = cut(&Reads::Service(service.clone()), *seed, body);
    for entry in whole.iter().flat_map(|snapshot| snapshot.entries()) {
        let instance = Instance::parse(&entry.value).expect("an instance");
        assert_eq!(*entry.key, *service.key(&instance.node, &instance.id));
        assert!(service.takes(instance.status), "{instance:?}");
    }
}

/// What comes of the body, the same however it is cut.
fn cut(reads: &Reads, seed: u8, body: &[u8]) -> Result<Snapshot, Malformed> {
    let whole = decode(reads, [body].into_iter(), None);
    assert_eq!(whole, decode(reads, body.chunks(1), None), "byte by byte");
    assert_eq!(whole, decode(reads, chunks(seed, body).into_iter(), None), "in chunks");
    if let Ok(snapshot) = &whole {
        let again = decode(reads, body.chunks(7), Some(snapshot));
        assert_eq!(again.as_ref(), Ok(snapshot), "shared with the one before");
    }
    whole
}

fn decode<'b>(
    reads: &Reads,
    chunks: impl Iterator<Item = &'b [u8]>,
    previous: Option<&Snapshot>,
) -> Result<Snapshot, Malformed> {
    let mut decoder = Decoder::new(reads, previous, CAPS);
    for chunk in chunks {
        decoder.feed(chunk)?;
    }
    decoder.finish(9)
}

/// Chunks of one to sixteen bytes, as the seed has it.
fn chunks(seed: u8, mut body: &[u8]) -> Vec<&[u8]> {
    let (mut chunks, mut dice) = (Vec::new(), u32::from(seed) + 1);
    while !body.is_empty() {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (chunk, rest) = body.split_at((1 + (dice >> 28) as usize).min(body.len()));
        chunks.push(chunk);
        body = rest;
    }
    chunks
}

fn content(snapshot: &Snapshot) -> Content {
    let entries = snapshot.entries().iter();
    let parts = entries.map(|e| {
        let value = (e.flags, e.create_index, e.modify_index, e.value.to_vec());
        (e.key.to_string(), value)
    });
    parts.collect()
}

/// The same answer read by somebody else's parser.
fn model(body: &[u8]) -> Option<Content> {
    let elements: Vec<Element> = serde_json::from_slice(body).ok()?;
    // An array would do for a struct; Consul sends objects.
    serde_json::from_slice::<Vec<HashMap<String, IgnoredAny>>>(body).ok()?;
    let (count, mut bytes, mut content) = (elements.len(), 0, Content::new());
    for element in elements {
        let value = STANDARD.decode(element.value.unwrap_or_default()).ok()?;
        bytes += element.key.len() + value.len();
        element.key.starts_with("p/").then_some(())?;
        let value = (element.flags, element.create_index, element.modify_index, value);
        content.insert(element.key, value);
    }
    let fits = bytes as u64 <= CAPS.max_bytes && count <= CAPS.max_keys;
    (fits && content.len() == count).then_some(content)
}
