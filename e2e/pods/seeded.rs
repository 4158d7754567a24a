//! A pod starts, and sees changes.

use std::time::Duration;

use serde_json::json;

use super::cluster::{Namespace, filled};
use super::release::Release;
use super::watcher::{Log, now};
use crate::quantile::quantile;

/// Changes whose way to the application is timed.
const CHANGES: usize = 100;

/// After two quick changes the watch takes a breath of 100 ms.
const APART: Duration = Duration::from_millis(250);

#[test]
fn an_application_reads_its_first_value_at_its_first_instruction_and_then_each_change() {
    let consul = filled();
    let namespace = Namespace::new("seeded");
    let release = Release::install(&namespace, "web", Release::values(&consul, json!({})));
    let pod = release.until_ready(1).remove(0);
    let app = Log::follow(&namespace, &pod.name, "app");
    assert_eq!(app.until("first "), "hello");
    assert_eq!((pod.restarts("seedcar-init"), pod.restarts("seedcar")), (0, 0));

    let mut times = Vec::new();
    for change in 1..=CHANGES {
        // Not what is waited for: faster changes are paced, and the pace is not what is measured.
        std::thread::sleep(APART);
        let put = now();
        consul.put("app/n", change.to_string());
        times.push(app.until_saw(&change.to_string()) - put);
    }
    let [half, most] = [0.5, 0.99].map(|part| Duration::from_secs_f64(quantile(&times, part)));
    println!(
        "measured: pods: put to the application's eyes: p50 {half:?}, p99 {most:?} of {CHANGES}"
    );
    // A hang guard: it is the watch that brings a change, not the heartbeat.
    assert!(most.as_secs() < 15, "{most:?}");
}

#[test]
fn an_ordinary_sidecar_serves_as_well_as_a_native_one() {
    let consul = filled();
    let namespace = Namespace::new("ordinary");
    let values = Release::values(&consul, json!({"seedcar": {"mode": "regular"}}));
    let release = Release::install(&namespace, "web", values);
    let pod = release.until_ready(1).remove(0);
    let containers = pod.object["spec"]["containers"].as_array().map(Vec::len);
    assert_eq!(containers, Some(2), "{}", pod.object["spec"]);
    let app = Log::follow(&namespace, &pod.name, "app");
    assert_eq!(app.until("first "), "hello");
    consul.put("app/n", "1");
    app.until_saw("1");
}
