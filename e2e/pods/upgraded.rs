//! `helm upgrade` and `helm test`.

use serde_json::json;

use super::cluster::{Namespace, filled, slowly};
use super::release::{Pod, Release};
use super::watcher::Log;

#[test]
fn an_upgrade_rolls_the_pods_and_each_has_its_values_from_its_first_instruction() {
    const PODS: usize = 2;
    let consul = filled();
    let namespace = Namespace::new("upgraded");
    let values = Release::values(&consul, json!({"replicas": PODS}));
    let mut release = Release::install(&namespace, "web", values);
    let old = release.until_ready(PODS);
    release.test();

    consul.put("app/greeting", "hello again");
    release
        .upgrade(json!({"seedcar": {"heartbeat": {"interval": "5m"}, "log": {"level": "debug"}}}));
    let new = slowly("all pods are new and ready", || {
        let pods = release.pods();
        let is_old = |pod: &Pod| old.iter().any(|old| old.uid() == pod.uid());
        let done = pods.len() == PODS && pods.iter().all(|pod| pod.is_ready() && !is_old(pod));
        done.then_some(pods)
    });
    consul.put("app/n", "1");
    for pod in &new {
        let app = Log::follow(&namespace, &pod.name, "app");
        assert_eq!(app.until("first "), "hello again");
        app.until_saw("1");
    }
    release.test();
}
