//! Events about this pod: what `kubectl describe pod` shows at its end.

use serde_json::json;

use super::{Api, Call, Error, JSON};
use crate::config::Pod;

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
}

impl Api {
    /// Makes an Event about this pod. `kubectl describe` finds it by the pod's uid. Kubernetes forgets
    /// it after an hour.
    pub fn post_event(&self, pod: &Pod, event: &Event) -> Result<(), Error> {
        let at = jiff::Timestamp::from_second(event.at).unwrap_or_default().to_string();
        let message: String = event.message.chars().take(1000).collect();
        let body = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": { "generateName": format!("{}.seedcar-", pod.name) },
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
        self.call(&Call {
            method: "POST",
            path: "events?fieldManager=seedcar".to_owned(),
            accept: JSON,
            content_type: JSON,
            body: body.to_string().into_bytes(),
        })?;
        Ok(())
    }
}
