//! One element of a health answer (`/v1/health/service/<name>`), and what is taken of it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::wire::Malformed;
use crate::model::service::{Instance, Service, State, Weights};

/// Fields that we do not name are none of our business. Go writes an empty list or map as null.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Element {
    node: Node,
    service: Registered,
    #[serde(default)]
    checks: Option<Vec<Check>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    node: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    datacenter: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Registered {
    #[serde(rename = "ID")]
    id: String,
    service: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    port: i64,
    #[serde(default)]
    tags: Option<Vec<String>>,
    #[serde(default)]
    meta: Option<BTreeMap<String, String>>,
    #[serde(default)]
    weights: Option<Shares>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Shares {
    passing: i64,
    warning: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Check {
    status: String,
}

/// The instance, if it is one of those that are asked for. Consul leaves the others out itself where it is
/// asked for passing ones; what is critical is left out here.
pub(super) fn instance(service: &Service, text: &[u8]) -> Result<Option<Instance>, Malformed> {
    let element: Element = serde_json::from_slice(text).map_err(|_| Malformed::NoInstances)?;
    let Element { node, service: found, checks } = element;
    // Consul finds services whatever the case of their names.
    if found.service.to_lowercase() != service.name.to_lowercase() {
        return Err(Malformed::OtherService);
    }
    let status = state(checks.as_deref().unwrap_or_default());
    if !service.takes(status) {
        return Ok(None);
    }
    let mut tags = found.tags.unwrap_or_default();
    tags.sort();
    tags.dedup();
    let weights = found.weights.unwrap_or(Shares { passing: 1, warning: 1 });
    Ok(Some(Instance {
        id: found.id,
        name: found.service,
        address: if found.address.is_empty() { node.address } else { found.address },
        node: node.node,
        port: u16::try_from(found.port).unwrap_or_default(),
        tags,
        meta: found.meta.unwrap_or_default(),
        datacenter: node.datacenter,
        weights: Weights { passing: weights.passing, warning: weights.warning },
        status,
    }))
}

/// The worst of them counts. A word that we do not know is no good news.
fn state(checks: &[Check]) -> State {
    let of = |check: &Check| match check.status.as_str() {
        "passing" => State::Passing,
        "warning" => State::Warning,
        _ => State::Critical,
    };
    checks.iter().map(of).max().unwrap_or(State::Passing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consul::wire::{Caps, Decoder};
    use crate::model::reads::Reads;
    use crate::model::snapshot::Snapshot;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const CAPS: Caps = Caps { max_bytes: 1 << 20, max_keys: 100 };

    fn web(passing: bool) -> Reads {
        Reads::Service(Service::new("web", None, passing).unwrap())
    }

    /// As Consul writes it.
    fn element(id: &str, status: &str) -> Value {
        json!({
            "Node": {"ID": "x", "Node": "n1", "Address": "10.0.0.1", "Datacenter": "dc1",
                     "TaggedAddresses": null, "Meta": {}, "CreateIndex": 5, "ModifyIndex": 7},
            "Service": {"ID": id, "Service": "web", "Tags": ["b", "a"], "Address": "", "Meta": null,
                        "Port": 80, "Weights": {"Passing": 2, "Warning": 1}, "Proxy": {"Mode": ""},
                        "EnableTagOverride": false, "CreateIndex": 9, "ModifyIndex": 9},
            "Checks": [{"CheckID": "serfHealth", "Status": "passing", "Output": "Agent alive"},
                       {"CheckID": "c", "Status": status, "Notes": "", "Output": "a note"}],
        })
    }

    fn decode(reads: &Reads, body: &str, step: usize) -> Result<Snapshot, Malformed> {
        let mut decoder = Decoder::new(reads, None, CAPS);
        body.as_bytes().chunks(step).try_for_each(|chunk| decoder.feed(chunk))?;
        decoder.finish(9)
    }

    fn whole(passing: bool, body: &Value) -> Result<Snapshot, Malformed> {
        decode(&web(passing), &body.to_string(), usize::MAX)
    }

    #[test]
    fn an_application_is_told_what_it_needs() {
        let snapshot = whole(true, &json!([element("a/1", "passing")])).unwrap();
        let entry = &snapshot.entries()[0];
        assert_eq!(&*entry.key, "/service/web?passing/n1/a%2F1");
        let expected = r#"{"id":"a/1","name":"web","node":"n1","address":"10.0.0.1","port":80,"tags":["a","b"],"meta":{},"datacenter":"dc1","weights":{"passing":2,"warning":1},"status":"passing"}"#;
        assert_eq!(std::str::from_utf8(&entry.value), Ok(expected));
        let mut own = element("a", "passing");
        own["Service"]["Address"] = json!("fd00::1");
        own["Service"]["Port"] = json!(-1);
        let snapshot = whole(true, &json!([own])).unwrap();
        let instance = Instance::parse(&snapshot.entries()[0].value).unwrap();
        assert_eq!((&*instance.address, instance.port), ("fd00::1", 0));
    }

    #[test]
    fn what_means_nothing_to_an_application_changes_no_digest() {
        let digest = |element: &Value| whole(true, &json!([element])).unwrap().digest();
        let (before, mut after) = (element("a", "passing"), element("a", "passing"));
        after["Checks"][1]["Output"] = json!("another note");
        after["Checks"][1]["Notes"] = json!("for people");
        after["Checks"][1]["ModifyIndex"] = json!(99);
        after["Service"]["ModifyIndex"] = json!(98);
        after["Node"]["ModifyIndex"] = json!(97);
        after["Service"]["Tags"] = json!(["a", "b"]);
        assert_eq!(digest(&before), digest(&after));
        after["Service"]["Port"] = json!(81);
        assert_ne!(digest(&before), digest(&after));
    }

    #[test]
    fn only_healthy_ones_are_taken() {
        let all = json!([
            element("p", "passing"),
            element("w", "warning"),
            element("c", "critical"),
            element("m", "maintenance")
        ]);
        let ids = |passing| {
            let snapshot = whole(passing, &all).unwrap();
            let id = |value: &[u8]| Instance::parse(value).unwrap().id;
            snapshot.entries().iter().map(|e| id(&e.value)).collect::<Vec<_>>()
        };
        assert_eq!(ids(true), ["p"]);
        assert_eq!(ids(false), ["p", "w"]);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let mut other = element("a", "passing");
        other["Service"]["Service"] = json!("other");
        let twice = json!([element("a", "passing"), element("a", "passing")]);
        for (body, why) in [
            (json!([other]), Malformed::OtherService),
            (twice, Malformed::InstanceTwice),
            (json!([{}]), Malformed::NoInstances),
            (json!([{"Key": "web/a", "Value": null}]), Malformed::NoInstances),
            (json!({}), Malformed::NoInstances),
            (json!(null), Malformed::NoInstances),
        ] {
            assert_eq!(whole(true, &body), Err(why), "{body}");
        }
        let mut named = element("a", "passing");
        named["Service"]["Service"] = json!("WEB");
        assert_eq!(whole(true, &json!([named])).unwrap().keys(), 1, "names have no case");
    }

    #[test]
    fn however_it_is_cut_it_is_the_same() {
        let body = json!([element("a", "passing"), element("b", "warning")]).to_string();
        let expected = decode(&web(false), &body, usize::MAX).unwrap();
        for step in 1..body.len() {
            assert_eq!(decode(&web(false), &body, step).as_ref(), Ok(&expected), "{step}");
        }
        for at in 0..body.len() {
            assert!(decode(&web(false), &body[..at], usize::MAX).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn the_limits_hold_and_notes_do_not_count() {
        let caps = Caps { max_bytes: 2048, max_keys: 2 };
        let take = |body: &str| {
            let reads = web(true);
            let mut decoder = Decoder::new(&reads, None, caps);
            decoder.feed(body.as_bytes())?;
            decoder.finish(1)
        };
        let mut noisy = element("a", "passing");
        noisy["Checks"][1]["Output"] = json!("x".repeat(64 * 1024));
        assert_eq!(take(&json!([noisy]).to_string()).unwrap().keys(), 1);
        noisy["Checks"][1]["Output"] = json!("x".repeat(1024 * 1024));
        assert_eq!(take(&json!([noisy]).to_string()), Err(Malformed::TooLarge(0)));
        let three: Value = ["a", "b", "c"].map(|id| element(id, "passing")).into_iter().collect();
        assert_eq!(take(&three.to_string()), Err(Malformed::TooLarge(2)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60), at in 0usize..700, cut in 0usize..40) {
            let mut body = json!([element("a", "passing")]).to_string().into_bytes();
            let at = at.min(body.len());
            let end = (at + cut).min(body.len());
            body.splice(at..end, bytes);
            let reads = web(true);
            let mut decoder = Decoder::new(&reads, None, CAPS);
            let _ = decoder.feed(&body).and_then(|()| decoder.finish(1));
        }
    }
}
