//! A service, and what an application is told of its instances.
//!
//! An instance becomes an entry of a snapshot as a key does, so that whatever guards, publishes and keeps
//! keys guards, publishes and keeps instances. Its key says which it is, its value what an application
//! needs of it. Whatever else Consul tells (indexes, the output and notes of checks) is left out: it moves
//! while nothing has changed for an application.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use super::key::{Prefix, PrefixRules};
use super::percent;

/// What the keys of all instances begin with. No typed prefix does: none begins with a slash.
const ABOVE: &str = "/service/";

/// The longest host name (RFC 1035, section 2.3.4), in bytes.
const HOST_MAX: usize = 255;

/// A question for the instances of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Only instances with this tag.
    pub tag: Option<String>,
    /// Only instances all of whose checks pass. Otherwise those with a warning, too; a critical one is
    /// never among them, as in Consul's DNS.
    pub passing: bool,
    prefix: Prefix,
}

/// One instance: what an application is told of it, in this order. The fields are part of the volume
/// contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// The id under which it is registered at its agent.
    pub id: String,
    /// The service's name.
    pub name: String,
    /// The node that it is registered on.
    pub node: String,
    /// Where it answers: its own address, else its node's.
    pub address: String,
    /// Its port; 0 where it has none.
    pub port: u16,
    /// Its tags, in order.
    pub tags: Vec<String>,
    /// What else is registered with it.
    pub meta: BTreeMap<String, String>,
    /// Where its node is.
    pub datacenter: String,
    /// Its share of the work, by its state.
    pub weights: Weights,
    /// The worst of its checks and of its node's.
    pub status: State,
}

/// The share of the work that an instance is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weights {
    /// While all checks pass.
    pub passing: i64,
    /// While one warns.
    pub warning: i64,
}

/// A name that no service can be asked for by: Consul would answer for another one, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no name that Consul can be asked for")]
pub struct BadName;

/// The state of an instance, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// All checks pass.
    Passing,
    /// One warns.
    Warning,
    /// One is critical, or it is in maintenance.
    Critical,
}

// === impl Service ===

impl Service {
    /// A question for a service.
    pub fn new(name: &str, tag: Option<&str>, passing: bool) -> Result<Self, BadName> {
        // A name stands in a URL's path as a key does.
        let as_key = Prefix::parse(name, PrefixRules { exact: true, allow_root: false });
        if as_key.is_err() || name.ends_with('/') {
            return Err(BadName);
        }
        let tag = tag.map(str::to_owned);
        let said = [
            passing.then(|| "passing".to_owned()),
            tag.as_deref().map(|tag| format!("tag={}", percent::segment(tag))),
        ];
        let said: Vec<String> = said.into_iter().flatten().collect();
        let asked = if said.is_empty() { "" } else { "?" };
        let prefix = format!("{ABOVE}{}{asked}{}/", percent::segment(name), said.join("&"));
        Ok(Self { name: name.to_owned(), tag, passing, prefix: Prefix::untyped(prefix) })
    }

    /// The service whose instances' keys begin like this.
    pub fn of_prefix(prefix: &str) -> Option<Self> {
        let inner = prefix.strip_prefix(ABOVE)?.strip_suffix('/')?;
        let (name, said) = inner.split_once('?').unwrap_or((inner, ""));
        let (mut tag, mut passing) = (None, false);
        for word in said.split('&').filter(|word| !word.is_empty()) {
            match word.strip_prefix("tag=") {
                Some(encoded) => tag = Some(percent::decode(encoded)?),
                None => passing = word == "passing",
            }
        }
        let service = Self::new(&percent::decode(name)?, tag.as_deref(), passing).ok()?;
        (service.prefix.as_str() == prefix).then_some(service)
    }

    /// What the keys of its instances begin with, and who it is in a backup.
    pub fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// The key of an instance: no two have the same.
    pub fn key(&self, node: &str, id: &str) -> String {
        format!("{}{}/{}", self.prefix, percent::segment(node), percent::segment(id))
    }

    /// The node of the instance with this key.
    pub fn node_of(&self, key: &str) -> Option<String> {
        let (node, _) = key.strip_prefix(self.prefix.as_str())?.split_once('/')?;
        percent::decode(node)
    }

    /// Whether an instance in this state is one of those that are asked for.
    pub fn takes(&self, state: State) -> bool {
        state == State::Passing || (state == State::Warning && !self.passing)
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "service {}", self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ", tag {tag}")?;
        }
        if self.passing { Ok(()) } else { f.write_str(", with warnings") }
    }
}

// === impl Instance ===

impl Instance {
    /// The instance in an entry's value.
    pub fn parse(value: &[u8]) -> Option<Self> {
        serde_json::from_slice(value).ok()
    }

    /// The value of its entry: the same instance always makes the same bytes.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers can be written")
    }

    /// `host:port`, an IPv6 address in brackets; the host alone where it has no port. `None` where its
    /// address is none: it is put into files of other programs, and a line break or a semicolon there
    /// would be a line of configuration.
    pub fn endpoint(&self) -> Option<String> {
        let is_ipv6 = self.address.parse::<Ipv6Addr>().is_ok();
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        let is_name = !self.address.is_empty()
            && self.address.len() <= HOST_MAX
            && self.address.bytes().all(plain);
        let host = match (is_ipv6, is_name) {
            (true, _) => format!("[{}]", self.address),
            (false, true) => self.address.clone(),
            (false, false) => return None,
        };
        Some(if self.port == 0 { host } else { format!("{host}:{}", self.port) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn instance(address: &str, port: u16) -> Instance {
        Instance {
            id: "web-1".to_owned(),
            name: "web".to_owned(),
            node: "n1".to_owned(),
            address: address.to_owned(),
            port,
            tags: vec![],
            meta: BTreeMap::new(),
            datacenter: "dc1".to_owned(),
            weights: Weights { passing: 1, warning: 1 },
            status: State::Passing,
        }
    }

    #[test]
    fn a_prefix_says_which_service() {
        for (name, tag, passing, expected) in [
            ("web", None, true, "/service/web?passing/"),
            ("web", Some("a/b&c"), true, "/service/web?passing&tag=a%2Fb%26c/"),
            ("a/b", Some("t"), false, "/service/a%2Fb?tag=t/"),
            ("web", None, false, "/service/web/"),
        ] {
            let service = Service::new(name, tag, passing).unwrap();
            assert_eq!(service.prefix().as_str(), expected);
            assert_eq!(Service::of_prefix(expected), Some(service));
        }
        for no in ["service/web/", "/service/web", "/service//", "/service/web?x/", "/service/%zz/"]
        {
            assert_eq!(Service::of_prefix(no), None, "{no}");
        }
        // No prefix of keys can be that of a service.
        let exact = PrefixRules { exact: true, allow_root: true };
        assert!(Prefix::parse("/service/web?passing/", exact).is_err());
    }

    #[test]
    fn names_that_consul_would_answer_for_another_service_are_refused() {
        for name in ["", "/web", "web/", "a//b", "../web", "a\n"] {
            assert!(Service::new(name, None, true).is_err(), "{name:?}");
        }
    }

    #[test]
    fn an_endpoint_is_a_host_and_a_port() {
        for (address, port, expected) in [
            ("10.0.0.1", 80, Some("10.0.0.1:80")),
            ("db-1.example_x", 5432, Some("db-1.example_x:5432")),
            ("fd00::1", 80, Some("[fd00::1]:80")),
            ("10.0.0.1", 0, Some("10.0.0.1")),
            ("", 80, None),
            ("a;b", 80, None),
            ("a\nb", 80, None),
            ("fe80::1%eth0", 80, None),
        ] {
            let endpoint = instance(address, port).endpoint();
            assert_eq!(endpoint.as_deref(), expected, "{address:?}");
        }
    }

    proptest! {
        #[test]
        fn every_instance_has_a_key_of_its_own(a in ".{0,6}", b in ".{0,6}", c in ".{0,6}", d in ".{0,6}") {
            let service = Service::new("web", None, true).unwrap();
            let (one, other) = (service.key(&a, &b), service.key(&c, &d));
            prop_assert_eq!(one == other, (&a, &b) == (&c, &d));
            prop_assert!(service.prefix().covers(&one));
            prop_assert_eq!(service.node_of(&one), Some(a));
        }
    }
}
