//! Whose backup a file is.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::model::snapshot::Digest;

/// The longest readable part of a stem, in bytes: two of them and all numbers stay far below the
/// 255 bytes of a file name.
const READABLE_MAX: usize = 40;

/// What a backup is a backup of. Made of configuration only, because it must be known while Consul
/// is down. Backups of another identity are never used nor moved; and only removed in full Secrets, of
/// which the newest stays.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The user's own name for the cluster or the source, to keep apart what is otherwise equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The prefix as Consul is asked for it. Every key of the backup starts with it.
    pub prefix: String,
    /// The Consul datacenter, if one is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<String>,
    /// The Consul Enterprise namespace, if one is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The Consul Enterprise admin partition, if one is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
}

impl Identity {
    /// The identity of a prefix when nothing else is configured.
    pub fn of_prefix(prefix: &str) -> Self {
        Self {
            id: None,
            prefix: prefix.to_owned(),
            datacenter: None,
            namespace: None,
            partition: None,
        }
    }

    /// The part of a file name that stands for this identity: the prefix made readable, `-`, and the
    /// first 16 hexadecimal digits of the SHA-256 of its canonical JSON (the fields in the order
    /// above, those not set left out, no spaces).
    ///
    /// The readable part never holds a `-`, so that no stem can be the beginning of another one.
    pub fn stem(&self) -> String {
        let json = serde_json::to_vec(self).expect("strings always become JSON");
        let hex = Digest::from_bytes(Sha256::digest(json).into()).hex();
        format!("{}-{}", readable(&self.prefix), &hex[..16])
    }
}

fn readable(prefix: &str) -> String {
    let text: String = prefix
        .trim_matches('/')
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .take(READABLE_MAX)
        .collect();
    if text.is_empty() { "root".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stem_never_changes_between_releases() {
        let plain = Identity::of_prefix("app/db/");
        assert_eq!(plain.stem(), "app_db-fd0e14a8a591a7f8");
        let full = Identity {
            id: Some("blue".into()),
            datacenter: Some("dc1".into()),
            namespace: Some("ns".into()),
            partition: Some("part".into()),
            ..plain
        };
        assert_eq!(full.stem(), "app_db-18d8b8cedb63187d");
    }

    #[test]
    fn every_field_makes_another_stem() {
        let base = Identity::of_prefix("a/");
        let one = |set: fn(&mut Identity, String)| {
            let mut other = base.clone();
            set(&mut other, "x".into());
            other.stem()
        };
        let mut stems = vec![
            base.stem(),
            Identity::of_prefix("a").stem(),
            one(|i, x| i.id = Some(x)),
            one(|i, x| i.datacenter = Some(x)),
            one(|i, x| i.namespace = Some(x)),
            one(|i, x| i.partition = Some(x)),
        ];
        stems.sort();
        stems.dedup();
        assert_eq!(stems.len(), 6);
    }

    #[test]
    fn hostile_prefixes_make_plain_stems() {
        let long = "x".repeat(5000);
        for prefix in ["", "/", "../../etc", "a b-c\0\n/é", &long] {
            let stem = Identity::of_prefix(prefix).stem();
            let (name, hash) = stem.split_once('-').unwrap();
            assert!(!name.is_empty() && name.len() <= READABLE_MAX, "{stem}");
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
            assert_eq!(hash.len(), 16);
        }
    }
}
