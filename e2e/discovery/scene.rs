//! Registering instances, and what is seen of them.

use serde_json::{Value, json};

use crate::consul::Consul;
use crate::rig::Pod;

/// An instance of `web` with a TTL check, at the server's own agent. It passes until it is told otherwise.
pub fn register(consul: &Consul, id: &str, port: u16, tags: &[&str]) {
    register_at(consul, id, "10.0.0.1", port, tags);
}

/// The same at this address.
pub fn register_at(consul: &Consul, id: &str, address: &str, port: u16, tags: &[&str]) {
    let body = json!({
        "ID": id, "Name": "web", "Port": port, "Address": address, "Tags": tags,
        "Check": {"CheckID": format!("check-{id}"), "TTL": "1h", "Status": "passing"},
    });
    put(consul, "/v1/agent/service/register", &body);
}

/// Takes an instance away.
pub fn deregister(consul: &Consul, id: &str) {
    put(consul, &format!("/v1/agent/service/deregister/{id}"), &json!({}));
}

/// Says `pass`, `warn` or `fail` to an instance's check, with a note.
pub fn tell(consul: &Consul, word: &str, id: &str, note: &str) {
    put(consul, &format!("/v1/agent/check/{word}/check-{id}?note={note}"), &json!({}));
}

/// An instance of `web` on a node of its own, which has no agent.
pub fn register_on(consul: &Consul, node: &str, service: &Value) {
    note_on(consul, node, service, "");
}

/// The same, with something that its check says.
pub fn note_on(consul: &Consul, node: &str, service: &Value, note: &str) {
    let check = json!({"Name": "alive", "Status": "passing", "Output": note});
    let body = json!({"Node": node, "Address": "10.0.0.9", "Service": service, "Check": check});
    put(consul, "/v1/catalog/register", &body);
}

/// The nodes `n0` and so on, each with an instance of `web`.
pub fn fill(consul: &Consul, count: u16) {
    for n in 0..count {
        let service = json!({"ID": "web", "Service": "web", "Port": 1000 + n});
        register_on(consul, &format!("n{n}"), &service);
    }
}

/// Takes a node away, with all that is on it.
pub fn remove_node(consul: &Consul, node: &str) {
    put(consul, "/v1/catalog/deregister", &json!({"Node": node}));
}

fn put(consul: &Consul, target: &str, body: &Value) {
    let answer = consul.ask("PUT", target, body.to_string().as_bytes());
    let answer = answer.expect("Consul does not answer");
    assert_eq!(answer.status, 200, "PUT {target}: {}", answer.text());
}

/// A pod whose only source is the service `web`, with more said of it.
pub fn pod(consul: &Consul, said: &Value) -> Pod {
    let mut service = json!({"name": "web", "file": "web.json"});
    service.as_object_mut().expect("an object").extend(said.as_object().cloned().expect("one"));
    let sources = json!([{"name": "default", "service": service}]);
    Pod::configured(consul.addr(), &json!({"sources": sources}))
}

/// The ids in `web.json`, in its order; `None` where there is no such file, or no JSON in it.
pub fn ids(pod: &Pod) -> Option<Vec<String>> {
    ids_in(pod, "web.json")
}

/// The same of another file.
pub fn ids_in(pod: &Pod, file: &str) -> Option<Vec<String>> {
    let all: Value = serde_json::from_slice(&pod.read(file)?).ok()?;
    let id = |instance: &Value| Some(instance["id"].as_str()?.to_owned());
    all.as_array()?.iter().map(id).collect()
}
