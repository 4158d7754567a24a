//! Policies and tokens over Consul's HTTP interface, asked of one server or of a cluster.

use std::io;

use serde_json::{Value, json};

use super::http::Answer;

/// Asks with the management token.
type Ask<'a> = &'a dyn Fn(&str, &str, &[u8]) -> io::Result<Answer>;

#[track_caller]
fn must(ask: Ask<'_>, method: &str, target: &str, body: &[u8]) -> Answer {
    let answer = ask(method, target, body).expect("Consul does not answer");
    assert_eq!(answer.status, 200, "{method} {target}: {}", answer.text());
    answer
}

/// Creates or replaces a policy, by its name.
pub fn set_policy(ask: Ask<'_>, name: &str, rules: &str) {
    let body = json!({"Name": name, "Rules": rules});
    let known = ask("GET", &format!("/v1/acl/policy/name/{name}"), b"");
    let id = known.ok().and_then(|answer| Some(answer.json()?["ID"].as_str()?.to_owned()));
    let target = id.map_or("/v1/acl/policy".to_owned(), |id| format!("/v1/acl/policy/{id}"));
    must(ask, "PUT", &target, body.to_string().as_bytes());
}

/// Creates a token with these policies, with this secret or one that Consul makes, and returns it.
pub fn create_token(ask: Ask<'_>, secret: Option<&str>, policies: &[&str]) -> String {
    let policies: Vec<Value> = policies.iter().map(|name| json!({"Name": name})).collect();
    let mut body = json!({"Policies": policies});
    if let Some(secret) = secret {
        body["SecretID"] = json!(secret);
    }
    let answer = must(ask, "PUT", "/v1/acl/token", body.to_string().as_bytes());
    let answer = answer.json().expect("no JSON");
    answer["SecretID"].as_str().expect("no secret").to_owned()
}

/// Deletes a token by its secret.
pub fn delete_token(ask: Ask<'_>, secret: &str) {
    let listed = must(ask, "GET", "/v1/acl/tokens", b"").json().expect("no JSON");
    let accessors = listed.as_array().into_iter().flatten();
    let accessor = accessors.filter_map(|token| token["AccessorID"].as_str()).find(|accessor| {
        let token = must(ask, "GET", &format!("/v1/acl/token/{accessor}"), b"").json();
        token.is_some_and(|token| token["SecretID"] == secret)
    });
    let accessor = accessor.expect("no such token");
    must(ask, "DELETE", &format!("/v1/acl/token/{accessor}"), b"");
}
