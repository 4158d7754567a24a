//! What a source reads of Consul.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use super::key::{Prefix, PrefixRules};
use super::service::Service;

/// What a source reads. Either is answered by a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reads {
    /// Every key under a prefix.
    Keys(Prefix),
    /// The healthy instances of a service.
    Service(Service),
}

/// Something that a token must be allowed to read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Right<'a> {
    /// Consul's word for its kind.
    pub resource: &'static str,
    /// Its name.
    pub segment: Cow<'a, str>,
}

// === impl Reads ===

impl Reads {
    /// What all keys of its snapshots begin with. Of a service, one that nobody can type.
    pub fn prefix(&self) -> &Prefix {
        match self {
            Self::Keys(prefix) => prefix,
            Self::Service(service) => service.prefix(),
        }
    }

    /// The service, if it is one.
    pub fn service(&self) -> Option<&Service> {
        match self {
            Self::Keys(_) => None,
            Self::Service(service) => Some(service),
        }
    }

    /// What is read where the keys begin like this; `None` where nothing can be.
    pub fn of_prefix(prefix: &str) -> Option<Self> {
        if let Some(service) = Service::of_prefix(prefix) {
            return Some(Self::Service(service));
        }
        let rules = PrefixRules { exact: true, allow_root: true };
        Prefix::parse(prefix, rules).ok().map(Self::Keys)
    }

    /// What a token must be allowed to read to see it at all. Consul leaves out, without a word, the
    /// instances on nodes that a token may not read: without any it is an empty answer.
    pub fn rights(&self) -> Vec<Right<'_>> {
        match self {
            Self::Keys(prefix) => vec![Right::to("key", prefix.as_str())],
            Self::Service(service) => {
                vec![Right::to("service", &service.name), Right::to("node", "")]
            }
        }
    }

    /// What a token must be allowed to read to see the entries of these keys.
    pub fn rights_to<'a>(&'a self, keys: &[&'a str]) -> Vec<Right<'a>> {
        let Self::Service(service) = self else {
            return keys.iter().map(|key| Right::to("key", *key)).collect();
        };
        let nodes: BTreeSet<_> = keys.iter().filter_map(|key| service.node_of(key)).collect();
        let nodes = nodes.into_iter().map(|node| Right::to("node", node));
        std::iter::once(Right::to("service", &service.name)).chain(nodes).collect()
    }

    /// The same in the words of whoever writes a policy.
    pub fn policy(&self) -> String {
        match self {
            Self::Keys(_) => "the prefix".to_owned(),
            Self::Service(service) => {
                format!(
                    "service {} or its nodes: it needs service read and node read",
                    service.name
                )
            }
        }
    }
}

impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keys(prefix) => write!(f, "prefix {prefix}"),
            Self::Service(service) => service.fmt(f),
        }
    }
}

// === impl Right ===

impl<'a> Right<'a> {
    fn to(resource: &'static str, segment: impl Into<Cow<'a, str>>) -> Self {
        Self { resource, segment: segment.into() }
    }
}
