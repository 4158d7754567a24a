//! Instances are guarded as keys are.

use seedcar::model::guard::Reason;
use serde_json::json;

use super::scene::{fill, ids, pod, register, remove_node, tell};
use crate::consul::{Consul, Kind};
use crate::rig::SOON;
use crate::stories::scene::{A_WHILE, accept, stopped, until_free, until_held, watching};
use crate::wait::{eventually, throughout};

#[test]
fn a_service_without_a_healthy_instance_is_held() {
    let consul = Consul::start(Kind::Real);
    register(&consul, "a", 1, &[]);
    register(&consul, "b", 2, &[]);
    let pod = pod(&consul, &json!({"format": "lines", "file": "web.txt"}));
    pod.init();
    let sidecar = watching(&pod, &["--wait", "1s", "--heartbeat", "1s"]);
    tell(&consul, "fail", "a", "dead");
    sidecar.shows("web.txt", "10.0.0.1:2\n");
    tell(&consul, "fail", "b", "dead");
    let held = until_held(&sidecar, &pod, Reason::Empty);
    assert_eq!((held.keys, held.published_keys), (0, 1));
    let stays = || pod.read("web.txt").as_deref() == Some(b"10.0.0.1:2\n");
    throughout("the file stays", A_WHILE, stays);
    // It survives a restart.
    stopped(sidecar);
    let sidecar = watching(&pod, &["--wait", "1s"]);
    let again = until_held(&sidecar, &pod, Reason::Empty);
    assert_eq!(again.digest, held.digest);
    assert!(stays());
    // One that passes ends it.
    tell(&consul, "pass", "a", "well");
    sidecar.shows("web.txt", "10.0.0.1:1\n");
    until_free(&sidecar, &pod);
    // And so does somebody who says that it is right.
    tell(&consul, "fail", "a", "dead");
    let held = until_held(&sidecar, &pod, Reason::Empty);
    accept(&pod, held.digest.as_ref().expect("a digest"));
    sidecar.shows("web.txt", "");
    until_free(&sidecar, &pod);
    stopped(sidecar);
}

#[test]
fn many_that_go_at_once_are_held() {
    let consul = Consul::start(Kind::Real);
    fill(&consul, 14);
    let pod = pod(&consul, &json!({}));
    pod.init();
    let sidecar = watching(&pod, &[]);
    stopped(sidecar);
    // Seen together by whoever looks afterwards.
    for n in 2..14 {
        remove_node(&consul, &format!("n{n}"));
    }
    let sidecar = watching(&pod, &[]);
    let held = until_held(&sidecar, &pod, Reason::Shrunken);
    assert_eq!((held.keys, held.published_keys), (2, 14));
    throughout("the file stays", A_WHILE, || ids(&pod).is_some_and(|ids| ids.len() == 14));
    accept(&pod, held.digest.as_ref().expect("a digest"));
    eventually("it is let through", SOON, || (ids(&pod)?.len() == 2).then_some(()));
    until_free(&sidecar, &pod);
    stopped(sidecar);
}

#[test]
fn a_service_that_is_not_there_is_waited_for_and_may_be_done_without() {
    let consul = Consul::start(Kind::Real);
    let pod = pod(&consul, &json!({}));
    let ended = pod.seedcar(&["init", "--seed-timeout", "1s"]);
    assert_eq!(ended.code(), 69, "{}", ended.err);
    let said = "source default (service web): the service has no healthy instance";
    assert!(ended.err.contains(said) || ended.log.contains(said), "{}{}", ended.err, ended.log);
    let pod = pod.arg(&["--optional", "default"]);
    pod.init();
    let sidecar = pod.run(&["--heartbeat", "1h"]);
    register(&consul, "a", 1, &[]);
    eventually("it comes when it is there", SOON, || (ids(&pod)? == ["a"]).then_some(()));
    stopped(sidecar);
}

#[test]
fn too_many_are_held() {
    let consul = Consul::start(Kind::Real);
    fill(&consul, 3);
    let pod = pod(&consul, &json!({})).arg(&["--max-keys", "5"]);
    pod.init();
    let sidecar = watching(&pod, &[]);
    fill(&consul, 9);
    until_held(&sidecar, &pod, Reason::TooLarge);
    // Up to five were let through as they came.
    assert!(ids(&pod).is_some_and(|ids| ids.len() <= 5));
    (4..9).for_each(|n| remove_node(&consul, &format!("n{n}")));
    eventually("they fit again", SOON, || (ids(&pod)?.len() == 4).then_some(()));
    until_free(&sidecar, &pod);
    stopped(sidecar);
}
