//! `..manifest.json`: what a generation is made of, written inside it before it becomes visible.

use serde::{Deserialize, Serialize};

use crate::model::confirmation::Origin;
use crate::model::moment::Moment;
use crate::model::snapshot::Digest;

/// The whole file. Its fields are part of the volume contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format; 1.
    pub schema: u32,
    /// The generation's directory name.
    pub generation: String,
    /// When it was made, RFC 3339, by our clock.
    pub published: String,
    /// Digest over all file names and contents of the tree, as it must be found on disk.
    pub tree: Digest,
    /// Digest of which outputs were made, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Digest>,
    /// One entry per source, in layer order.
    pub sources: Vec<Part>,
}

/// One source's part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The source's name.
    pub name: String,
    /// Its Consul prefix.
    pub prefix: String,
    /// Consul's index of the content.
    pub index: u64,
    /// The content digest.
    pub digest: Digest,
    /// How many keys.
    pub keys: usize,
    /// Sum of the value sizes.
    pub bytes: u64,
    /// `consul` or `backup`, at the time the generation was made.
    pub origin: Origin,
    /// It came from a stale read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
    /// When Consul confirmed it, RFC 3339, by Consul's clock.
    pub confirmed: String,
    /// The same on the boot-time clock of the machine in nanoseconds, and which boot: how a
    /// restarted sidecar knows the age without trusting a wall clock.
    pub confirmed_boottime: Moment,
    /// The boot's id.
    pub boot: String,
}

// === impl Manifest ===

impl Manifest {
    /// Reads a manifest; `None` for anything that is not one of this format.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().filter(|m: &Self| m.schema == 1)
    }

    /// The file's content.
    pub fn to_json(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).expect("plain data");
        text.push(b'\n');
        text
    }

    /// Whether it was made of exactly these sources, in this order.
    pub fn is_of<'a>(&self, sources: impl ExactSizeIterator<Item = (&'a str, &'a str)>) -> bool {
        sources.len() == self.sources.len()
            && sources.zip(&self.sources).all(|((n, p), part)| n == part.name && p == part.prefix)
    }
}
