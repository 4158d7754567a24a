//! Consul dies: the alert names the pods, nothing restarts, and when it is back all is well again.

use std::time::Duration;

use serde_json::json;

use super::cluster::{Namespace, filled, is_ours, slowly, throughout};
use super::prometheus::Prometheus;
use super::release::{Pod, Release};
use super::watcher::Log;

/// How long pods are looked at while Consul is dead: well past what a probe tolerates.
const OUTAGE: Duration = Duration::from_secs(120);

const PODS: usize = 3;

fn is_untouched(pod: &Pod) -> bool {
    pod.is_ready() && pod.restarts("seedcar") == 0 && pod.restarts("app") == 0
}

fn names(pods: &[Pod]) -> Vec<String> {
    let mut names: Vec<_> = pods.iter().map(|pod| pod.name.clone()).collect();
    names.sort();
    names
}

#[test]
fn a_dead_consul_is_an_alert_with_the_pods_names_and_no_restart() {
    if !is_ours() {
        return;
    }
    let consul = filled();
    let namespace = Namespace::new("alerted");
    let values = Release::values(
        &consul,
        json!({
            "replicas": PODS,
            "seedcar": {
                "watch": {"wait": "5s"},
                "heartbeat": {"interval": "5s"},
                "metrics": {
                    "podMonitor": {"enabled": true, "renderMode": "failIfMissing", "interval": "2s"},
                    "rules": {
                        "enabled": true, "renderMode": "failIfMissing",
                        "thresholds": {"staleMargin": 5},
                        "for": {"SeedcarConfigStale": "2s", "SeedcarFleetCannotReachConsul": "2s"},
                    },
                },
            },
        }),
    );
    let release = Release::install(&namespace, "web", values);
    let pods = release.until_ready(PODS);
    let apps: Vec<_> = pods.iter().map(|pod| Log::follow(&namespace, &pod.name, "app")).collect();
    for app in &apps {
        app.until_saw("0");
    }
    let prometheus = Prometheus::start(&namespace);
    slowly("Prometheus has found all pods", || {
        let mut found = prometheus.scraped();
        found.sort();
        (found == names(&pods)).then_some(())
    });
    assert!(prometheus.firing("SeedcarConfigStale").is_empty());

    consul.kill();
    let mut fired = false;
    throughout("the pods are ready and as they were", OUTAGE, || {
        fired |= prometheus.firing("SeedcarConfigStale") == names(&pods);
        let now = release.pods();
        names(&now) == names(&pods) && now.iter().all(is_untouched)
    });
    assert!(fired, "no alert named the pods");

    consul.restart();
    consul.put("app/n", "1");
    for app in &apps {
        app.until_saw("1");
    }
    slowly("the alert is gone", || {
        prometheus.firing("SeedcarConfigStale").is_empty().then_some(())
    });
    assert_eq!(names(&release.pods()), names(&pods));
}
