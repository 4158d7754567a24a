//! What users do wrong, and what they are told.

use serde_json::json;

use super::cluster::{Namespace, filled, from_pods, given, restricted, slowly};

#[test]
fn a_subpath_that_was_mounted_before_init_made_it_is_told_so() {
    let consul = filled();
    let namespace = Namespace::new("subpath");
    let context = restricted();
    namespace.apply(&json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web"},
        "spec": {
            "restartPolicy": "Never",
            "initContainers": [
                {
                    // Created first: the kubelet makes the directory, and it is root's.
                    "name": "early", "image": given("CLUSTER_APP_IMAGE"), "imagePullPolicy": "Never",
                    "args": ["-c", "exit 0"], "securityContext": context,
                    "volumeMounts": [{"name": "seedcar", "mountPath": "/config", "subPath": "live"}],
                },
                {
                    "name": "seedcar-init", "image": given("CLUSTER_IMAGE"),
                    "imagePullPolicy": "Never", "args": ["init"], "securityContext": context,
                    "env": [
                        {"name": "SEEDCAR_PREFIX", "value": "app"},
                        {"name": "SEEDCAR_CONSUL", "value": from_pods(consul.addr().port()).to_string()},
                        {"name": "SEEDCAR_NO_BACKUP", "value": "true"},
                    ],
                    "volumeMounts": [{"name": "seedcar", "mountPath": "/seedcar"}],
                },
            ],
            "containers": [{
                "name": "app", "image": given("CLUSTER_APP_IMAGE"), "imagePullPolicy": "Never",
                "args": ["-c", "exit 0"], "securityContext": context,
            }],
            "volumes": [{"name": "seedcar", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}],
        },
    }));
    let ended = slowly("init has ended", || {
        let pod = namespace.get(&["pod", "web"]);
        let ended = pod["status"]["initContainerStatuses"][1]["state"]["terminated"].clone();
        (!ended.is_null()).then_some(ended)
    });
    assert_eq!(ended["exitCode"], 73, "{ended}");
    let message = ended["message"].as_str().unwrap_or_default();
    assert!(message.contains("subPath") && message.contains("live"), "{ended}");
}
