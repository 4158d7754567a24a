//! Without Helm: what `seedcar manifest` prints, applied.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::cluster::{Namespace, filled, from_pods, given, restricted, slowly};
use super::release::WATCHES;
use super::told::is_told;
use super::watcher::Log;
use crate::chart::rendered::documents;
use crate::consul::Consul;

fn manifest(consul: &Consul, kind: &str, name: &str) -> String {
    manifest_with(consul, kind, name, &[])
}

fn manifest_with(consul: &Consul, kind: &str, name: &str, more: &[&str]) -> String {
    let address = from_pods(consul.addr().port()).to_string();
    let (app, image) = (given("CLUSTER_APP_IMAGE"), given("CLUSTER_IMAGE"));
    let output = Command::new(env!("CARGO_BIN_EXE_seedcar"))
        .args(["manifest", kind, "--name", name, "--app-image", &app, "--image", &image])
        .args(["--prefix", "app", "--consul", &address])
        .args(more)
        .output()
        .expect("start seedcar");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn write(dir: &Path, file: &str, text: &str) {
    let path = dir.join(file);
    std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    std::fs::write(path, text).expect("write it");
}

#[test]
fn each_workload_is_taken_and_a_job_ends() {
    let consul = filled();
    let namespace = Namespace::new("plain");
    let dir = tempfile::tempdir().expect("a directory");
    for kind in ["pod", "deployment", "statefulset", "job", "cronjob"] {
        write(dir.path(), &format!("{kind}.yaml"), &manifest(&consul, kind, &format!("a-{kind}")));
        let with_exec = manifest_with(&consul, kind, &format!("x-{kind}"), &["--exec"]);
        write(dir.path(), &format!("x-{kind}.yaml"), &with_exec);
    }
    let path = dir.path().to_str().expect("a plain path");
    // Strictly: a field that Kubernetes does not know is an error.
    namespace.kubectl(&["apply", "--validate=strict", "-f", path]);
    namespace.kubectl(&["wait", "--for=condition=complete", "--timeout=120s", "job/a-job"]);
    // The shell of the image has nothing to do and ends; the pod's seedcar was there before it.
    slowly("the pod's init has filled the volume", || {
        let pod = namespace.get(&["pod", "a-pod"]);
        let ended = &pod["status"]["initContainerStatuses"][0]["state"]["terminated"];
        (ended["exitCode"] == 0).then_some(())
    });
}

#[test]
fn an_application_of_a_printed_pod_is_told_by_the_program_that_is_put_there() {
    let consul = filled();
    let namespace = Namespace::new("printed");
    let printed = manifest_with(&consul, "pod", "web", &["--exec"]);
    let mut pod = documents(&printed).remove(0);
    // What a person adds: the application's own command, behind ours.
    let app = &mut pod["spec"]["containers"][0];
    app["command"] = json!(["/seedcar-exec/seedcar", "exec", "--on-change", "HUP"]);
    app["args"] = json!(["--debounce", "100ms", "--", "/bin/sh", "-c", is_told("n")]);
    namespace.apply(&pod);
    slowly("the application runs", || {
        let pod = namespace.get(&["pod", "web"]);
        (pod["status"]["phase"] == "Running").then_some(())
    });
    let app = Log::follow(&namespace, "web", "app");
    assert_eq!(app.until("first "), "hello");
    consul.put("app/n", "7");
    app.until("told 7");
}

#[test]
fn a_kustomize_component_puts_seedcar_into_a_deployment() {
    let consul = filled();
    let namespace = Namespace::new("component");
    let context = restricted();
    let labels = json!({"app.kubernetes.io/instance": "web"});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"seedcar": "yes"}},
        "spec": {"selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{
                "name": "web", "image": given("CLUSTER_APP_IMAGE"), "imagePullPolicy": "Never",
                "args": ["-c", WATCHES], "securityContext": context,
                "env": [{"name": "OWN", "value": "kept"}],
            }]},
        }},
    });
    let other = {
        let mut other = deployment.clone();
        other["metadata"] = json!({"name": "other"});
        other["spec"]["replicas"] = json!(0);
        other
    };
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), "web.yaml", &deployment.to_string());
    write(dir.path(), "other.yaml", &other.to_string());
    write(dir.path(), "seedcar/kustomization.yaml", &manifest(&consul, "component", "web"));
    let whole = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": ["web.yaml", "other.yaml"], "components": ["seedcar"],
    });
    write(dir.path(), "kustomization.yaml", &whole.to_string());
    let path = dir.path().to_str().expect("a plain path");
    namespace.kubectl(&["apply", "--validate=strict", "-k", path]);
    let untouched = namespace.get(&["deployment", "other"]);
    assert!(untouched["spec"]["template"]["spec"]["initContainers"].is_null());

    let pod = slowly("the pod is ready", || {
        let pods: Vec<Value> = namespace.pods("web");
        let ready = |pod: &Value| {
            let conditions = pod["status"]["conditions"].as_array();
            conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
        };
        pods.into_iter().find(ready)
    });
    let env = &pod["spec"]["containers"][0]["env"];
    assert!(env.as_array().is_some_and(|env| env.len() == 2), "{env}");
    let app = Log::follow(&namespace, pod["metadata"]["name"].as_str().expect("a name"), "web");
    assert_eq!(app.until("first "), "hello");
    consul.put("app/n", "1");
    app.until_saw("1");
}

#[test]
fn a_component_reaches_every_kind_of_workload_with_its_label() {
    let dir = tempfile::tempdir().expect("a directory");
    let kinds = [
        ("apps/v1", "Deployment"),
        ("apps/v1", "StatefulSet"),
        ("apps/v1", "DaemonSet"),
        ("batch/v1", "Job"),
    ];
    let mut resources = Vec::new();
    for (version, kind) in kinds {
        let workload = json!({
            "apiVersion": version, "kind": kind,
            "metadata": {"name": kind.to_lowercase(), "labels": {"seedcar": "yes"}},
            "spec": {"template": {"spec": {
                "initContainers": [{"name": "own", "image": "own"}],
                "containers": [{"name": "web", "image": "web"}, {"name": "helper", "image": "helper"}],
            }}},
        });
        let file = format!("{kind}.yaml");
        write(dir.path(), &file, &workload.to_string());
        resources.push(file);
    }
    let component = Command::new(env!("CARGO_BIN_EXE_seedcar"))
        .args(["manifest", "component", "--name", "web", "--prefix", "app", "--consul", "c:8500"])
        .output()
        .expect("start seedcar");
    let component = String::from_utf8(component.stdout).expect("text");
    write(dir.path(), "seedcar/kustomization.yaml", &component);
    let whole = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": resources, "components": ["seedcar"],
    });
    write(dir.path(), "kustomization.yaml", &whole.to_string());
    let made = Command::new("kubectl").arg("kustomize").arg(dir.path()).output();
    let made = made.expect("start kubectl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let made = documents(&String::from_utf8(made.stdout).expect("text"));
    assert_eq!(made.len(), kinds.len());
    for workload in made {
        let spec = &workload["spec"]["template"]["spec"];
        let names = |list: &str| -> Vec<String> {
            let containers = spec[list].as_array().expect("a list").iter();
            containers.map(|c| c["name"].as_str().unwrap_or_default().to_owned()).collect()
        };
        // Before the workload's own, which may read the configuration.
        assert_eq!(names("initContainers"), ["seedcar-init", "seedcar", "own"], "{workload}");
        assert_eq!(names("containers"), ["web", "helper"], "{workload}");
        assert_eq!(spec["containers"][0]["volumeMounts"][0]["mountPath"], "/seedcar");
        assert!(spec["containers"][1]["volumeMounts"].is_null(), "{workload}");
    }
}
