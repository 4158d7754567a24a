//! Rights that change under a token, and tokens that come and go.

use std::time::Duration;

use seedcar::model::guard::Reason;
use seedcar::model::health::Health;

use super::scene::{Scene, replace, requests};
use crate::ledger::Tally;
use crate::rig::{Pod, SOON};
use crate::stories::scene::{A_WHILE, held_metric, stopped, until_free, until_held};
use crate::wait::{eventually, throughout, within};

const GROUP: &str = "access::rights";

const ALL: &str = "key_prefix \"NAME/\" { policy = \"read\" }";
const SOME: &str = "key_prefix \"NAME/\" { policy = \"read\" }
    key \"NAME/secret/b\" { policy = \"deny\" }";

/// A policy, a token of it in a file, and a pod that reads the prefix with that.
fn pod(scene: &Scene, name: &str) -> (Pod, String) {
    for key in ["a", "b", "secret/a", "secret/b"] {
        scene.consul.put(&format!("{name}/{key}"), "1");
    }
    scene.consul.set_policy(name, &ALL.replace("NAME", name));
    let token = scene.consul.create_token(&[name]);
    let file = scene.file(&format!("{name}.token"));
    replace(&file, &token);
    let pod = scene.known(name).arg(&["--token-file", &file.display().to_string()]);
    (pod, token)
}

/// A few keys less are believed, and a token that no longer sees them looks the same: 200, the same
/// index, keys missing. From Consul 1.11 on a header says so; before, only asking does.
#[test]
fn keys_that_the_token_no_longer_sees_are_not_gone() {
    let mut tally = Tally::of(GROUP);
    let scene = Scene::shared();
    let (pod, _) = pod(&scene, "n1");
    let sidecar = pod.run(&["--seed", "--wait", "1s", "--heartbeat", "1s"]);
    sidecar.shows("secret/b", "1");
    scene.consul.set_policy("n1", &SOME.replace("NAME", "n1"));
    let held = until_held(&sidecar, &pod, Reason::Filtered);
    tally.check((held.keys, held.published_keys) == (3, 4), || format!("{held:?}"));
    throughout("the file stays", A_WHILE, || pod.read("secret/b").is_some());
    let metric = held_metric(&sidecar, Reason::Filtered);
    tally.check(metric == Some(1.0), || format!("{metric:?}"));
    // Rights that come back end it.
    scene.consul.set_policy("n1", &ALL.replace("NAME", "n1"));
    until_free(&sidecar, &pod);
    // What is deleted goes, as ever, and at once.
    scene.consul.delete("n1/secret/b");
    let gone = within(Duration::from_secs(5), || pod.read("secret/b").is_none());
    tally.check(gone, || format!("a deleted key stays\n{}", sidecar.log()));
    // More rights show as more files.
    scene.consul.put("n1/c", "1");
    sidecar.shows("c", "1");
    stopped(sidecar);
    tally.finish();
}

/// What `init` has left is known by its files alone, until it is read again.
#[test]
fn nor_are_they_where_a_sidecar_has_adopted_what_init_left() {
    let mut tally = Tally::of(GROUP);
    let scene = Scene::shared();
    let (pod, _) = pod(&scene, "n3");
    let pod = pod.arg(&["--file", "all.json"]);
    pod.init();
    scene.consul.set_policy("n3", &SOME.replace("NAME", "n3"));
    let sidecar = pod.run(&["--wait", "1s", "--no-heartbeat"]);
    let held = until_held(&sidecar, &pod, Reason::Filtered);
    tally.check((held.keys, held.published_keys) == (3, 4), || format!("{held:?}"));
    throughout("the file stays", A_WHILE, || pod.read("secret/b").is_some());
    scene.consul.set_policy("n3", &ALL.replace("NAME", "n3"));
    until_free(&sidecar, &pod);
    stopped(sidecar);
    // A key that is gone is gone, and a file of all keys is none that could be hidden.
    scene.consul.delete("n3/b");
    let exact = ["a", "secret/a", "secret/b"]
        .map(|key| format!("key \"n3/{key}\" {{ policy = \"read\" }}"));
    scene.consul.set_policy("n3", &(exact.join("\n") + "\nkey \"n3/b\" { policy = \"read\" }"));
    let sidecar = pod.run(&["--wait", "1s", "--no-heartbeat"]);
    let gone = within(Duration::from_secs(5), || pod.read("b").is_none());
    tally.check(gone, || format!("a deleted key stays\n{}", sidecar.log()));
    tally.check(pod.read("all.json").is_some(), || "the file of all keys is gone".to_owned());
    stopped(sidecar);
    tally.finish();
}

#[test]
fn a_deleted_token_is_denied_and_a_new_file_counts_at_once() {
    let mut tally = Tally::of(GROUP);
    let scene = Scene::shared();
    let (pod, token) = pod(&scene, "n2");
    let sidecar = pod.run(&["--seed", "--wait", "1s", "--heartbeat", "1s"]);
    sidecar.until_fresh();
    scene.consul.delete_token(&token);
    let source = sidecar.until("denied", |s| {
        let denied = |m: &str| {
            let error = s.mechanisms[m].last_error.as_ref();
            !s.mechanisms[m].up && error.is_some_and(|e| e.kind == "denied")
        };
        denied("watch") && denied("heartbeat")
    });
    tally.check(source.keys == 4, || format!("{source:?}"));
    let status = sidecar.status();
    let told = status.state != Health::Fresh && status.reason.contains("ACL not found");
    tally.check(told, || format!("{:?} {}", status.state, status.reason));
    // Until the pauses are long ones.
    eventually("it is asked slowly", SOON, || {
        (requests(&sidecar, "watch", "denied") >= 3.0).then_some(())
    });
    tally.check(pod.read("secret/a").is_some(), || "the files went".to_owned());
    scene.consul.put("n2/a", "2");
    let new = scene.consul.create_token(&["n2"]);
    replace(&scene.file("n2.token"), &new);
    let soon = within(Duration::from_secs(2), || pod.read("a").as_deref() == Some(b"2"));
    tally.check(soon, || format!("not at once\n{}", sidecar.log()));
    sidecar.until_fresh();
    stopped(sidecar);
    tally.finish();
}
