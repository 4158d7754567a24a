//! Secrets of this namespace, by name: what backups need of them. The Role for it allows `get` and
//! `patch` of the named ones and nothing else.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::{Api, Call, Error, JSON};

/// Asks for an object without its content.
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/// RFC 7386: keys that are `null` go, others come or change, the rest stays.
const MERGE: &str = "application/merge-patch+json";

/// One Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secret {
    /// Changes whenever the Secret does (`metadata.resourceVersion`).
    pub version: String,
    /// Its content.
    pub data: BTreeMap<String, Vec<u8>>,
}

/// A change of one Secret, made as a whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Only if the Secret still has this version; a [`Kind::Conflict`](super::Kind) otherwise.
    pub version: Option<String>,
    /// Keys that come.
    pub set: Vec<(String, Vec<u8>)>,
    /// Keys that go. One that is not there is none to worry about.
    pub remove: Vec<String>,
}

impl Api {
    /// The version of a Secret.
    pub fn secret_version(&self, name: &str) -> Result<String, Error> {
        let found: Object = read(&self.call(&get(name, METADATA))?)?;
        Ok(found.metadata.version)
    }

    /// A Secret with its content. Read from where it is stored, not from a cache of the API server's:
    /// that is what leaving out a version means in the API.
    pub fn secret(&self, name: &str) -> Result<Secret, Error> {
        let found: Object = read(&self.call(&get(name, JSON))?)?;
        let data = found.data.unwrap_or_default();
        let data = data.into_iter().map(|(key, bytes)| (key, bytes.0)).collect();
        Ok(Secret { version: found.metadata.version, data })
    }

    /// Changes a Secret.
    pub fn change_secret(&self, name: &str, change: &Change) -> Result<(), Error> {
        let set = change.set.iter().map(|(key, bytes)| (key, json!(STANDARD.encode(bytes))));
        let remove = change.remove.iter().map(|key| (key, Value::Null));
        let data: BTreeMap<_, _> = set.chain(remove).collect();
        let mut body = json!({ "data": data });
        if let Some(version) = &change.version {
            body["metadata"] = json!({ "resourceVersion": version });
        }
        self.call(&Call {
            method: "PATCH",
            path: format!("secrets/{name}?fieldManager=seedcar"),
            // The answer would be the whole Secret.
            accept: METADATA,
            content_type: MERGE,
            body: body.to_string().into_bytes(),
        })?;
        Ok(())
    }
}

fn get(name: &str, accept: &'static str) -> Call {
    let path = format!("secrets/{name}");
    Call { method: "GET", path, accept, content_type: JSON, body: Vec::new() }
}

fn read(body: &[u8]) -> Result<Object, Error> {
    serde_json::from_slice(body).map_err(|_| Error::Malformed("Secret"))
}

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
    data: Option<BTreeMap<String, Bytes>>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "resourceVersion")]
    version: String,
}

struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(from)?;
        let bytes = STANDARD.decode(text.as_bytes());
        // Its own error would quote a byte of it.
        bytes.map(Self).map_err(|_| serde::de::Error::custom("no base64"))
    }
}
