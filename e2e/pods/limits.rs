//! Small volumes and small memory.

use std::time::Duration;

use serde_json::json;

use super::cluster::{Namespace, filled, slowly, throughout};
use super::release::{Pod, Release};
use super::watcher::Log;

/// Twelve of these do not fit twice into the volume.
const VALUE: usize = 500 * 1024;
const VALUES: usize = 12;

/// Tries to publish follow each other more often than that.
const A_WHILE: Duration = Duration::from_secs(20);

fn is_untouched(pods: &[Pod]) -> bool {
    pods.len() == 1 && pods[0].is_ready() && pods[0].restarts("seedcar") == 0
}

#[test]
fn a_full_volume_keeps_the_old_files_and_the_least_memory_is_enough() {
    let consul = filled();
    let fill = |value: &[u8]| {
        for n in 0..VALUES {
            consul.put(&format!("app/big/{n}"), value);
        }
    };
    fill(&[b'a'; VALUE]);
    let namespace = Namespace::new("limits");
    // The memory limit is what the chart computes from these: the documented least.
    let more = json!({"seedcar": {"volume": {"sizeLimit": "8Mi"}, "guards": {"maxBytes": "8Mi"}}});
    let release = Release::install(&namespace, "web", Release::values(&consul, more));
    let pod = release.until_ready(1).remove(0);
    let limit = &pod.object["spec"]["initContainers"][1]["resources"]["limits"]["memory"];
    assert_eq!(limit, "36Mi");
    let app = Log::follow(&namespace, &pod.name, "app");
    app.until_saw("0");

    // Old and new together are larger than the volume.
    fill(&[b'b'; VALUE]);
    consul.put("app/n", "1");
    slowly("it says that the volume is full", || {
        let log = namespace.log(&pod.name, "seedcar");
        log.lines().any(|line| line.contains("publish_failed")).then_some(())
    });
    throughout("the old files stay", A_WHILE, || {
        !app.text().contains("saw 1") && is_untouched(&release.pods())
    });
    fill(b"small");
    app.until_saw("1");

    let pod = slowly("it is well again", || {
        let status = namespace.status(&pod.name)?;
        (status["state"] == "fresh").then(|| release.pods().remove(0))
    });
    assert_eq!((pod.restarts("seedcar"), pod.restarts("app")), (0, 0), "{}", pod.object);
}
