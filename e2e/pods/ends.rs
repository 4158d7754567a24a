//! How pods end: in their order, and jobs by themselves.

use serde_json::{Value, json};

use super::cluster::{Namespace, filled, slowly};
use super::release::Release;
use super::watcher::Log;

/// Seconds since 1970 of the log line with this event.
fn time_of(log: &str, event: &str) -> f64 {
    let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let line = lines.rfind(|line| line["event"] == event);
    let line = line.unwrap_or_else(|| panic!("no {event} in {log}"));
    let time: jiff::Timestamp = line["ts"].as_str().expect("a time").parse().expect("a time");
    time.as_millisecond() as f64 / 1000.0
}

fn keep(namespace: &Namespace, pod: &str, finalizers: Value) {
    let patch = json!({"metadata": {"finalizers": finalizers}}).to_string();
    namespace.kubectl(&["patch", "pod", pod, "--type=merge", "-p", &patch]);
}

#[test]
fn the_application_ends_first_and_then_seedcar_at_once() {
    let consul = filled();
    let namespace = Namespace::new("ends");
    let release = Release::install(&namespace, "web", Release::values(&consul, json!({})));
    let pod = release.until_ready(1).remove(0);
    let mut app = Log::follow(&namespace, &pod.name, "app");
    let mut sidecar = Log::follow(&namespace, &pod.name, "seedcar");
    app.until_saw("0");
    // So that the object stays until its end has been looked at.
    keep(&namespace, &pod.name, json!(["seedcar.test/looks"]));
    namespace.kubectl(&["scale", "deployment/web", "--replicas=0"]);
    let app_ended: f64 = app.until("app ends at ").parse().expect("a time");
    app.until_over();
    let ended = slowly("Kubernetes says how the sidecar ended", || {
        let pod = namespace.get(&["pod", &pod.name]);
        let statuses = pod["status"]["initContainerStatuses"].as_array()?;
        let status = statuses.iter().find(|status| status["name"] == "seedcar")?;
        Some(status["state"]["terminated"].clone()).filter(|ended| !ended.is_null())
    });
    keep(&namespace, &pod.name, json!([]));
    assert_eq!(ended["exitCode"], 0, "{ended}");
    let log = sidecar.until_over();
    let told = time_of(&log, "stopping");
    assert!(app_ended <= told, "seedcar was told at {told}, the application ended at {app_ended}");
}

#[test]
fn a_job_and_a_cronjob_end_although_the_sidecar_would_not() {
    let consul = filled();
    let namespace = Namespace::new("jobs");
    let read = json!(["-c", "read value <\"$SEEDCAR_DIR/greeting\"; echo \"job $value\""]);
    let more = json!({"kind": "Job", "args": read});
    let _job = Release::install(&namespace, "once", Release::values(&consul, more));
    let more = json!({"kind": "CronJob", "schedule": "0 0 1 1 *", "args": read});
    let _cron = Release::install(&namespace, "often", Release::values(&consul, more));
    namespace.kubectl(&["create", "job", "--from=cronjob/often", "often-now"]);
    for job in ["once", "often-now"] {
        namespace.kubectl(&[
            "wait",
            "--for=condition=complete",
            "--timeout=120s",
            &format!("job/{job}"),
        ]);
        let said = namespace.kubectl(&["logs", &format!("job/{job}"), "-c", "app"]);
        assert_eq!(said, "job hello\n");
        let pods = namespace.get(&["pods", "-l", &format!("batch.kubernetes.io/job-name={job}")]);
        let pods = pods["items"].as_array().expect("a list");
        assert_eq!(pods.len(), 1, "the first try was enough: {pods:?}");
    }
}
