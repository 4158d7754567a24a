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

#[test]
fn large_backups_in_secrets_fit_into_the_least_memory() {
    /// Values of one half MB that do not pack: a backup takes two Secrets, and four hold two of them.
    const VALUES: usize = 3;
    let consul = filled();
    let mut random = fastrand::Rng::with_seed(1);
    let mut fill = || {
        for n in 0..VALUES {
            let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(VALUE).collect();
            consul.put(&format!("app/big/{n}"), bytes);
        }
    };
    fill();
    let namespace = Namespace::new("packed");
    let seedcar = json!({
        "volume": {"sizeLimit": "8Mi"}, "guards": {"maxBytes": "8Mi"},
        "backup": {"type": "secrets", "secrets": {"count": 4}},
        "extraEnv": [{"name": "SEEDCAR_BACKUP_DELAY", "value": "1s"}],
    });
    let values = Release::values(&consul, json!({"seedcar": seedcar}));
    let release = Release::install(&namespace, "web", values);
    let pod = release.until_ready(1).remove(0);
    let limit = &pod.object["spec"]["initContainers"][1]["resources"]["limits"]["memory"];
    assert_eq!(limit, "56Mi");
    let written = || {
        slowly("what is published is in a backup", || {
            let status = namespace.status(&pod.name)?;
            let source = &status["sources"]["default"];
            let index = source["backup"]["index"].as_u64()?;
            (index == consul.index("app/")).then_some(index)
        })
    };
    let first = written();
    fill();
    assert!(written() > first);
    let pods = release.pods();
    assert!(is_untouched(&pods), "{}", pods[0].object);
}
