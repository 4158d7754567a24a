//! Events about this pod: what `kubectl describe pod` shows at its end.

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Api, Call, Error, JSON, Kind};
use crate::config::Pod;
use crate::model::moment::rfc3339;
use crate::model::snapshot::Digest;

/// The longest beginning of an Event's name, in bytes: names end at 253.
const BEGINNING: usize = 200;

/// Something that a person wants to know of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Shown as `Warning` instead of `Normal`.
    pub warning: bool,
    /// Why: one word in UpperCamelCase, as Kubernetes' API conventions ask for.
    pub reason: &'static str,
    /// One sentence, at most 1,024 bytes. Never a value.
    pub message: String,
    /// When, seconds since 1970.
    pub at: i64,
    /// Told although the same was told of this pod before. Without it there is one such Event, however
    /// often a container starts.
    pub again: bool,
}

// === impl Event ===

impl Event {
    /// The same for the same, so that an Event whose answer was lost is not made twice.
    fn name(&self, pod: &Pod) -> String {
        let time = if self.again { self.at } else { 0 };
        let told = format!("{}\n{}\n{}\n{time}", pod.uid, self.reason, self.message);
        let hex = Digest::from_bytes(Sha256::digest(told).into()).hex();
        let beginning: String = pod.name.chars().take(BEGINNING).collect();
        format!("{}.seedcar-{}", beginning.trim_end_matches(['-', '.']), &hex[..16])
    }
}

// === impl Api ===

impl Api {
    /// Makes an Event about this pod. `kubectl describe` finds it by the pod's uid. Kubernetes forgets
    /// it after an hour.
    pub fn post_event(&self, pod: &Pod, event: &Event) -> Result<(), Error> {
        let at = rfc3339(event.at);
        let message: String = event.message.chars().take(1000).collect();
        let body = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": { "name": event.name(pod) },
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": self.namespace(),
                "name": pod.name,
                "uid": pod.uid,
            },
            "type": if event.warning { "Warning" } else { "Normal" },
            "reason": event.reason,
            "message": message,
            "source": { "component": "seedcar" },
            "reportingComponent": "seedcar",
            "reportingInstance": pod.name,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
        });
        let made = self.call(&Call {
            method: "POST",
            path: "events?fieldManager=seedcar".to_owned(),
            accept: JSON,
            content_type: JSON,
            body: body.to_string().into_bytes(),
        });
        match made {
            Err(error) if error.kind() != Kind::Conflict => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(again: bool, at: i64) -> Event {
        Event { warning: true, reason: "AnswerHeld", message: "m".into(), at, again }
    }

    fn pod(name: &str) -> Pod {
        Pod { name: name.into(), uid: "7".into() }
    }

    #[test]
    fn the_same_has_the_same_name() {
        let name = |again, at| event(again, at).name(&pod("web-0"));
        assert_eq!(name(false, 1), name(false, 2));
        assert_ne!(name(true, 1), name(true, 2));
        assert_eq!(name(true, 1), name(true, 1));
        assert!(name(false, 1).starts_with("web-0.seedcar-"));
        let other = Event { message: "n".into(), ..event(false, 1) };
        assert_ne!(other.name(&pod("web-0")), name(false, 1));
        assert_ne!(event(false, 1).name(&Pod { uid: "8".into(), ..pod("web-0") }), name(false, 1));
    }

    #[test]
    fn no_name_is_too_long() {
        let long = event(false, 1).name(&pod(&format!("{}-x{}", "a".repeat(198), "b".repeat(60))));
        assert!(long.len() < 253 && long.starts_with(&format!("{}-x.seedcar-", "a".repeat(198))));
        assert!(event(false, 1).name(&pod(&"a-".repeat(120))).contains("a.seedcar-"));
    }
}
