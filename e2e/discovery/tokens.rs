//! Consul leaves out what a token may not read, and says 200.

use std::os::unix::fs::MetadataExt;

use seedcar::model::guard::Reason;
use serde_json::json;

use super::scene::{ids, pod, register_on, remove_node};
use crate::consul::Consul;
use crate::rig::{Pod, SOON};
use crate::stories::scene::{A_WHILE, stopped, until_free, until_held, watching};
use crate::wait::{eventually, throughout};

const ALL: &str = "service \"web\" { policy = \"read\" } node_prefix \"\" { policy = \"read\" }";

const ONE: &str = "service \"web\" { policy = \"read\" } node \"n1\" { policy = \"read\" }";

/// A Consul that denies by default, with two instances, and a pod with a token of the policy `web`.
fn scene(rules: &str) -> (Consul, Pod) {
    let consul = Consul::start_with_acl();
    for node in ["n1", "n2"] {
        register_on(&consul, node, &json!({"ID": node, "Service": "web", "Port": 80}));
    }
    consul.set_policy("web", rules);
    let token = consul.create_token(&["web"]);
    let pod = pod(&consul, &json!({})).env("CONSUL_HTTP_TOKEN", &token);
    (consul, pod)
}

#[test]
fn init_says_which_right_is_missing() {
    let service = "service \"web\" { policy = \"read\" }";
    let nodes = "node_prefix \"\" { policy = \"read\" }";
    let keys = "key_prefix \"\" { policy = \"read\" }";
    let (consul, pod) = scene(keys);
    for rules in [keys, service, nodes] {
        consul.set_policy("web", rules);
        let ended = pod.seedcar(&["init", "--seed-timeout", "2s"]);
        assert_eq!(ended.code(), 77, "{rules}: {}{}", ended.err, ended.log);
        let said = "source default (service web): Consul denies it (the token may not read service \
                    web or its nodes: it needs service read and node read)";
        assert!(ended.err.contains(said) || ended.log.contains(said), "{rules}: {}", ended.err);
    }
    consul.set_policy("web", ALL);
    pod.init();
    assert_eq!(ids(&pod).expect("a file"), ["n1", "n2"]);
    // With all rights none is none.
    ["n1", "n2"].iter().for_each(|node| remove_node(&consul, node));
    pod.wipe_volume();
    let ended = pod.seedcar(&["init", "--seed-timeout", "2s", "--no-backup"]);
    assert_eq!(ended.code(), 69, "{}", ended.err);
}

/// What `init` has left is known by its file alone, until it is read again; also beside keys.
#[test]
fn nor_where_a_sidecar_has_adopted_what_init_left() {
    let (consul, pod) = scene(ALL);
    pod.init();
    consul.set_policy("web", ONE);
    let sidecar = watching(&pod, &["--wait", "1s", "--no-heartbeat"]);
    let held = until_held(&sidecar, &pod, Reason::Filtered);
    assert_eq!((held.keys, held.published_keys), (1, 2));
    throughout("the file stays", A_WHILE, || ids(&pod).is_some_and(|ids| ids.len() == 2));
    consul.set_policy("web", ALL);
    until_free(&sidecar, &pod);
    stopped(sidecar);
}

#[test]
fn a_token_that_is_narrowed_takes_nothing_away() {
    let (consul, pod) = scene(ALL);
    pod.init();
    let sidecar = watching(&pod, &["--wait", "1s", "--heartbeat", "1s"]);
    let inode = || std::fs::metadata(pod.live().join("web.json")).map(|meta| meta.ino()).ok();
    let before = inode();
    // Of one node: one instance less, which would be believed.
    consul.set_policy("web", ONE);
    let held = until_held(&sidecar, &pod, Reason::Filtered);
    assert_eq!((held.keys, held.published_keys), (1, 2));
    throughout("the file stays", A_WHILE, || inode() == before);
    // Of all nodes.
    consul.set_policy("web", "service \"web\" { policy = \"read\" }");
    until_held(&sidecar, &pod, Reason::Empty);
    throughout("the file stays", A_WHILE, || inode() == before);
    consul.set_policy("web", ALL);
    until_free(&sidecar, &pod);
    // One that leaves leaves.
    remove_node(&consul, "n2");
    eventually("it is gone", SOON, || (ids(&pod)? == ["n1"]).then_some(()));
    stopped(sidecar);
}
