//! Consul dies under a pod, and what still works then.

use std::process::Command;

use serde_json::{Value, json};

use super::cluster::{
    Namespace, filled, given, is_ours, local_volume, node_process, shared_claim, slowly,
};
use super::release::{Pod, Release};
use super::watcher::Log;
use crate::consul::Consul;

#[test]
fn a_sidecar_that_is_killed_while_consul_is_dead_adopts_what_is_there() {
    if !is_ours() {
        return;
    }
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
    heals(&consul, &[app]);
}

#[test]
fn a_pod_that_is_replaced_while_consul_is_dead_starts_from_a_shared_claim() {
    if !is_ours() {
        return;
    }
    let namespace = Namespace::new("claim");
    let claim = shared_claim(&namespace);
    let backup = json!({"type": "existingClaim", "existingClaim": claim});
    replaced_from_its_backup(&namespace, json!({"seedcar": {"backup": backup}}));
}

#[test]
fn a_pod_of_a_statefulset_that_is_replaced_while_consul_is_dead_starts_from_its_own_claim() {
    if !is_ours() {
        return;
    }
    let namespace = Namespace::new("stateful");
    let class = local_volume(&namespace);
    let backup = json!({"type": "claimTemplate", "storageClass": class});
    let more = json!({"kind": "StatefulSet", "seedcar": {"backup": backup}});
    replaced_from_its_backup(&namespace, more);
}

fn replaced_from_its_backup(namespace: &Namespace, more: Value) {
    let consul = filled();
    let release = Release::install(namespace, "web", Release::values(&consul, more));
    let old = release.until_ready(1).remove(0);
    until_backed_up(namespace, &old);
    consul.kill();
    let pod = release.replaced(&old);
    let app = started_from_backup(namespace, &pod);
    heals(&consul, &[app]);
}

#[test]
fn a_pod_that_is_replaced_with_its_emptydir_while_consul_is_dead_says_so_and_starts_when_it_is_back()
 {
    let consul = filled();
    let namespace = Namespace::new("emptydir");
    let release = Release::install(&namespace, "web", Release::values(&consul, json!({})));
    let old = release.until_ready(1).remove(0);
    until_backed_up(&namespace, &old);
    consul.kill();
    namespace.kubectl(&["delete", "pod", &old.name, "--wait=false"]);
    let message = slowly("init has given up once", || {
        let pods = release.pods();
        let pod = pods.iter().find(|pod| pod.uid() != old.uid())?;
        let status = &pod.object["status"]["initContainerStatuses"][0];
        let ended = [&status["state"]["terminated"], &status["lastState"]["terminated"]];
        let ended = ended.into_iter().find(|ended| !ended.is_null())?;
        assert_eq!(ended["exitCode"], 69, "{ended}");
        Some(ended["message"].as_str().unwrap_or_default().to_owned())
    });
    assert!(message.contains("unreachable") && message.contains("no backup"), "{message}");
    consul.restart();
    let pod = release.until_ready(1).remove(0);
    let app = Log::follow(&namespace, &pod.name, "app");
    assert_eq!(app.until("first "), "hello");
}

#[test]
fn a_rollout_while_consul_is_dead_replaces_all_pods_from_a_shared_claim() {
    if !is_ours() {
        return;
    }
    let namespace = Namespace::new("rollout");
    let claim = shared_claim(&namespace);
    let backup = json!({
        "type": "existingClaim", "existingClaim": claim, "accessMode": "ReadWriteMany",
    });
    rolled_out_from_its_backup(&namespace, backup);
}

/// Three pods are replaced by an upgrade, while Consul is dead.
pub fn rolled_out_from_its_backup(namespace: &Namespace, backup: Value) {
    const PODS: usize = 3;
    let consul = filled();
    let more = json!({"replicas": PODS, "seedcar": {"backup": backup}});
    let mut release = Release::install(namespace, "web", Release::values(&consul, more));
    let old = release.until_ready(PODS);
    until_backed_up(namespace, &old[0]);
    consul.kill();
    release.upgrade(json!({"podAnnotations": {"rolled": "yes"}}));
    let new = slowly("all pods are new and ready", || {
        let pods = release.pods();
        let is_old = |pod: &Pod| old.iter().any(|old| old.uid() == pod.uid());
        let done = pods.len() == PODS && pods.iter().all(|pod| pod.is_ready() && !is_old(pod));
        done.then_some(pods)
    });
    let apps: Vec<_> = new.iter().map(|pod| started_from_backup(namespace, pod)).collect();
    heals(&consul, &apps);
}

#[test]
fn pods_and_seedcar_stay_as_they_are_while_the_nodes_kubelet_is_restarted() {
    if !is_ours() {
        return;
    }
    let consul = filled();
    let namespace = Namespace::alone("kubelet");
    let release = Release::install(&namespace, "web", Release::values(&consul, json!({})));
    let before = release.until_ready(1).remove(0);
    consul.kill();
    restart_kubelet();
    // The log goes by way of the kubelet: one that is followed now shows that it is back.
    let app = slowly("the kubelet is back", || {
        namespace.try_output(&["logs", &before.name, "-c", "app"])?;
        Some(Log::follow(&namespace, &before.name, "app"))
    });
    let after = release.until_ready(1).remove(0);
    assert_eq!(after.uid(), before.uid());
    for container in ["seedcar-init", "seedcar", "app"] {
        assert_eq!(after.restarts(container), before.restarts(container), "{container}");
    }
    heals(&consul, &[app]);
}

/// SIGKILL, and a new one. Only of a cluster that was started here.
fn restart_kubelet() {
    let state = given("CLUSTER_STATE");
    let kubelet = node_process("kubelet");
    rustix::process::kill_process(kubelet, rustix::process::Signal::KILL)
        .expect("kill the kubelet");
    // A shell that goes at once leaves it to the namespace's first process.
    let script =
        r#"setsid "$0/start-kubelet" </dev/null >/dev/null 2>&1 & echo $! >"$0/pid/kubelet""#;
    let started = Command::new("sh").args(["-c", script, &state]).status();
    assert!(started.expect("start a shell").success());
}

/// The application's first value came from a backup.
#[track_caller]
pub fn started_from_backup(namespace: &Namespace, pod: &Pod) -> Log {
    let app = Log::follow(namespace, &pod.name, "app");
    assert_eq!(app.until("first "), "hello");
    let said = namespace.log(&pod.name, "seedcar-init");
    assert!(said.contains("\"origin\":\"backup\""), "{said}");
    app
}

/// Consul comes back, and a change arrives without a restart.
#[track_caller]
pub fn heals(consul: &Consul, apps: &[Log]) {
    consul.restart();
    consul.put("app/n", "1");
    for app in apps {
        app.until_saw("1");
    }
}

/// Waits until the pod's backup can be started from.
#[track_caller]
pub fn until_backed_up(namespace: &Namespace, pod: &Pod) {
    slowly("there is a backup", || {
        let status = namespace.status(&pod.name)?;
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
