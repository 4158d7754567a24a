//! A login with nothing but the pod's service account: Consul asks the cluster's own API server.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::cluster::{Namespace, guarded, slowly};
use super::release::Release;
use super::watcher::Log;
use crate::access::scene::{add_method, tokens};
use crate::consul::Consul;
use crate::wait::eventually;

/// The method, its role and the prefix that it lets read.
const METHOD: &str = "app";
/// What is longer than two thirds of the shortest life that Consul gives a token, a minute.
const RENEWED: Duration = Duration::from_secs(60);

/// A service account whose token may have others reviewed, and read which accounts there are; it goes
/// with the namespace.
fn reviewer(namespace: &Namespace) -> String {
    let account = |name: &str| {
        namespace.apply(&json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name},
        }));
    };
    ["web", "other", "reviewer"].into_iter().for_each(account);
    let rbac = "rbac.authorization.k8s.io";
    let api = format!("{rbac}/v1");
    let subjects = json!([
        {"kind": "ServiceAccount", "name": "reviewer", "namespace": namespace.name()},
    ]);
    let owner = namespace.get(&["namespace", namespace.name()]);
    namespace.apply(&json!({
        "apiVersion": api, "kind": "ClusterRoleBinding", "subjects": subjects,
        "metadata": {"name": namespace.name(), "ownerReferences": [{
            "apiVersion": "v1", "kind": "Namespace", "name": namespace.name(),
            "uid": owner["metadata"]["uid"],
        }]},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "system:auth-delegator"},
    }));
    namespace.apply(&json!({
        "apiVersion": api, "kind": "Role", "metadata": {"name": "accounts"},
        "rules": [{"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["get"]}],
    }));
    namespace.apply(&json!({
        "apiVersion": api, "kind": "RoleBinding", "metadata": {"name": "accounts"},
        "subjects": subjects,
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "accounts"},
    }));
    namespace.kubectl(&["create", "token", "reviewer", "--duration=1h"]).trim().to_owned()
}

/// The auth method that asks the API server that `kubectl` asks.
fn method(namespace: &Namespace) -> Value {
    let view = ["config", "view", "--minify", "--flatten", "--raw", "-o", "json"];
    let view: Value = serde_json::from_str(&namespace.kubectl(&view)).expect("JSON");
    let cluster = &view["clusters"][0]["cluster"];
    let authority = cluster["certificate-authority-data"].as_str().expect("an authority");
    let authority = STANDARD.decode(authority).expect("base64");
    json!({
        "Name": METHOD, "Type": "kubernetes", "MaxTokenTTL": "60s",
        "Config": {
            "Host": cluster["server"],
            "CACert": String::from_utf8(authority).expect("PEM"),
            "ServiceAccountJWT": reviewer(namespace),
        },
    })
}

/// Who is logged in now, by the tokens' public names.
fn accessors(consul: &Consul) -> Vec<String> {
    let accessor = |token: &Value| token["AccessorID"].as_str().unwrap_or_default().to_owned();
    tokens(consul, METHOD).iter().map(accessor).collect()
}

#[test]
fn a_service_account_of_the_pod_is_enough_from_the_first_read_to_the_logout() {
    let consul = guarded();
    let namespace = Namespace::new("login");
    add_method(&consul, &method(&namespace));
    consul.put("app/greeting", "hello");
    consul.put("app/n", "0");
    let values = |account: &str, login: Value| {
        let more = json!({
            "serviceAccountName": account, "seedcar": {"consul": {"login": login}},
        });
        Release::values(&consul, more)
    };
    // Not the account that the method is bound to; and a JWT for an audience of Consul's, which the API
    // server does not take for one of its own.
    let strangers = [
        ("other", values("other", json!({"method": METHOD}))),
        ("audience", values("web", json!({"method": METHOD, "audience": "consul"}))),
    ];
    let strangers = strangers.map(|(name, values)| Release::install(&namespace, name, values));
    let release = Release::install(&namespace, "web", values("web", json!({"method": METHOD})));
    let pod = release.until_ready(1).remove(0);
    let app = Log::follow(&namespace, &pod.name, "app");
    assert_eq!(app.until("first "), "hello");
    // init has logged out; the sidecar has a login of its own.
    let first =
        slowly("one is logged in", || Some(accessors(&consul)).filter(|all| all.len() == 1));
    let description = tokens(&consul, METHOD)[0]["Description"].to_string();
    assert!(description.contains(&pod.name), "{description} does not name {}", pod.name);
    consul.put("app/n", "1");
    app.until_saw("1");

    eventually("another token in its place", RENEWED, || {
        let now = accessors(&consul);
        (now.len() == 1 && now != first).then_some(())
    });
    consul.put("app/n", "2");
    app.until_saw("2");
    let status = namespace.status(&pod.name).expect("it answers");
    assert_eq!(status["login"]["open"], json!(true), "{status}");
    assert_eq!(release.until_ready(1)[0].restarts("seedcar"), 0);

    for stranger in &strangers {
        slowly("a stranger is told no", || {
            let pods = stranger.pods();
            let pod = pods.first().filter(|pod| pod.last_exit("seedcar-init") == Some(77))?;
            (!pod.is_ready()).then_some(())
        });
    }
    namespace.kubectl(&["scale", "deployment", "web", "--replicas=0"]);
    slowly("nobody is logged in", || accessors(&consul).is_empty().then_some(()));
}
