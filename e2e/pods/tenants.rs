//! Two namespaces with a prefix and a token each, and the tokens are rotated.

use serde_json::json;

use super::cluster::{Namespace, guarded};
use super::release::Release;
use super::watcher::Log;
use crate::consul::Consul;

fn token_for(consul: &Consul, prefix: &str) -> String {
    let policy = format!("reads-{prefix}");
    consul.set_policy(&policy, &format!("key_prefix \"{prefix}/\" {{ policy = \"read\" }}"));
    consul.create_token(&[&policy])
}

fn secret(namespace: &Namespace, token: &str) {
    namespace.apply(&json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "consul"},
        "stringData": {"token": token},
    }));
}

#[test]
fn two_tenants_see_each_their_own_and_new_tokens_are_taken_without_a_restart() {
    let consul = guarded();
    for prefix in ["one", "two"] {
        consul.put(&format!("{prefix}/greeting"), format!("hello {prefix}"));
        consul.put(&format!("{prefix}/n"), "0");
    }
    let tenants = ["one", "two"].map(|prefix| (prefix, Namespace::new(prefix)));
    let running = tenants.each_ref().map(|(prefix, namespace)| {
        let token = token_for(&consul, prefix);
        secret(namespace, &token);
        let access = json!({"tokenSecret": {"name": "consul"}});
        let more = json!({"seedcar": {"prefix": prefix, "consul": access}});
        let release = Release::install(namespace, "web", Release::values(&consul, more));
        let pod = release.until_ready(1).remove(0);
        let app = Log::follow(namespace, &pod.name, "app");
        assert_eq!(app.until("first "), format!("hello {prefix}"));
        (*prefix, namespace, release, app, token)
    });
    for (prefix, namespace, release, app, token) in &running {
        let fresh = token_for(&consul, prefix);
        secret(namespace, &fresh);
        consul.delete_token(token);
        // It arrives once the kubelet has the new Secret in the volume.
        consul.put(&format!("{prefix}/n"), "1");
        app.until_saw("1");
        let pod = release.until_ready(1).remove(0);
        assert_eq!((pod.restarts("seedcar"), pod.restarts("app")), (0, 0));
        for said in [&token, &&fresh] {
            assert!(!namespace.log(&pod.name, "seedcar").contains(said.as_str()));
        }
    }
}
