//! Consul dies under a pod, and what still works then.

use serde_json::{Value, json};

use super::cluster::{Namespace, filled, local_volume, slowly};
use super::release::{Pod, Release};
use super::watcher::Log;

#[test]
fn a_sidecar_that_is_killed_while_consul_is_dead_adopts_what_is_there() {
    let consul = filled();
    let namespace = Namespace::new("adopts");
    let release = Release::install(&namespace, "web", Release::values(&consul, json!({})));
    let pod = release.until_ready(1).remove(0);
    let app = Log::follow(&namespace, &pod.name, "app");
    app.until_saw("0");
    consul.kill();
    let before = generation(&namespace, &pod);
    kill_sidecar(&pod);
    let pod = slowly("the sidecar was started again", || {
        release.pods().into_iter().find(|pod| pod.restarts("seedcar") == 1 && pod.is_ready())
    });
    assert_eq!(generation(&namespace, &pod), before, "the generation is the same");
    assert_eq!(pod.restarts("app"), 0);
    consul.restart();
    consul.put("app/n", "1");
    app.until_saw("1");
}

#[test]
fn a_pod_that_is_replaced_while_consul_is_dead_starts_from_a_durable_backup() {
    let consul = filled();
    let namespace = Namespace::new("durable");
    let claim = local_volume(&namespace);
    let backup = json!({"type": "existingClaim", "existingClaim": claim});
    let values = Release::values(&consul, json!({"seedcar": {"backup": backup}}));
    let release = Release::install(&namespace, "web", values);
    let old = release.until_ready(1).remove(0);
    until_backed_up(&namespace, &old);
    consul.kill();
    namespace.kubectl(&["delete", "pod", &old.name, "--wait=false"]);
    let pod = slowly("another pod is ready", || {
        release.pods().into_iter().find(|pod| pod.name != old.name && pod.is_ready())
    });
    let app = Log::follow(&namespace, &pod.name, "app");
    assert_eq!(app.until("first "), "hello");
    let said = namespace.log(&pod.name, "seedcar-init");
    assert!(said.contains("\"origin\":\"backup\""), "{said}");
    consul.restart();
    consul.put("app/n", "1");
    app.until_saw("1");
}

/// Waits until the pod's backup can be started from.
#[track_caller]
fn until_backed_up(namespace: &Namespace, pod: &Pod) {
    slowly("there is a backup", || {
        let status = ["exec", &pod.name, "-c", "seedcar", "--", "seedcar", "status", "-o", "json"];
        let status: Value = serde_json::from_str(&namespace.kubectl(&status)).expect("a status");
        status["sources"]["default"]["backup"]["index"].as_u64()
    });
}

/// The directory that is published, as the application sees it.
fn generation(namespace: &Namespace, pod: &Pod) -> String {
    namespace.kubectl(&["exec", &pod.name, "-c", "app", "--", "readlink", "/seedcar/live/..data"])
}

/// SIGKILL to the sidecar's process, as the kernel sends it to one that takes too much memory.
fn kill_sidecar(pod: &Pod) {
    let id = pod.container_id("seedcar");
    let process = slowly("the container's process is found", || process_of(&id));
    rustix::process::kill_process(process, rustix::process::Signal::KILL).expect("kill it");
}

/// The process of a container: the one whose control group has its id.
fn process_of(id: &str) -> Option<rustix::process::Pid> {
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let pid = pids.find(|pid| {
        let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        groups.contains(id)
    })?;
    rustix::process::Pid::from_raw(pid)
}
