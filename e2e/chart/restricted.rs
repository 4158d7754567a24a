//! The Pod Security profile `restricted`, as Kubernetes documents it, for what the charts render. The
//! cluster's stories have a real API server enforce it; this says what is missing where no cluster is.

use serde_json::Value;

/// Volumes that the profile allows.
const VOLUMES: &[&str] = &[
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// What an object's pods lack, if they lack anything.
pub fn restricted(object: &Value) -> Result<(), String> {
    let Some(pod) = pod_spec(object) else { return Ok(()) };
    for volume in list(pod, "volumes") {
        let kinds = volume.as_object().into_iter().flatten().map(|(kind, _)| kind.as_str());
        if let Some(kind) =
            kinds.filter(|kind| *kind != "name").find(|kind| !VOLUMES.contains(kind))
        {
            return Err(format!("a volume of kind {kind}"));
        }
    }
    for name in ["hostNetwork", "hostPID", "hostIPC"] {
        if pod[name] == true {
            return Err(name.to_owned());
        }
    }
    let containers = list(pod, "initContainers").chain(list(pod, "containers"));
    for container in containers {
        contained(pod, container).map_err(|why| format!("{}: {why}", container["name"]))?;
    }
    Ok(())
}

fn contained(pod: &Value, container: &Value) -> Result<(), String> {
    let own = &container["securityContext"];
    // The container's word wins over the pod's.
    let either = |pointer: &str| match own.pointer(pointer) {
        Some(value) => value.clone(),
        None => pod["securityContext"].pointer(pointer).cloned().unwrap_or_default(),
    };
    if own["allowPrivilegeEscalation"] != false {
        return Err("allowPrivilegeEscalation".to_owned());
    }
    if own["capabilities"]["drop"] != serde_json::json!(["ALL"])
        || !own["capabilities"]["add"].is_null()
    {
        return Err("capabilities".to_owned());
    }
    if either("/runAsNonRoot") != true || either("/runAsUser") == 0 {
        return Err("runAsNonRoot".to_owned());
    }
    if either("/seccompProfile/type") != "RuntimeDefault" {
        return Err("seccompProfile".to_owned());
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if !container[probe]["httpGet"]["host"].is_null() {
            return Err(format!("a host in {probe}"));
        }
    }
    Ok(())
}

fn list<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value[name].as_array().into_iter().flatten()
}

fn pod_spec(object: &Value) -> Option<&Value> {
    let at = match object["kind"].as_str()? {
        "Pod" => "/spec",
        "Deployment" | "StatefulSet" | "Job" => "/spec/template/spec",
        "CronJob" => "/spec/jobTemplate/spec/template/spec",
        _ => return None,
    };
    object.pointer(at)
}

#[test]
fn what_the_profile_refuses_is_seen() {
    let good = || {
        serde_json::json!({"kind": "Pod", "spec": {
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": [{"name": "a", "emptyDir": {}}],
            "containers": [{"name": "c", "securityContext": {
                "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}],
        }})
    };
    assert_eq!(restricted(&good()), Ok(()));
    let worse = [
        ("/spec/securityContext/runAsNonRoot", serde_json::json!(false)),
        ("/spec/securityContext/seccompProfile/type", serde_json::json!("Unconfined")),
        ("/spec/volumes/0", serde_json::json!({"name": "a", "hostPath": {"path": "/"}})),
        ("/spec/containers/0/securityContext/allowPrivilegeEscalation", serde_json::json!(true)),
        ("/spec/containers/0/securityContext/capabilities/drop", serde_json::json!([])),
    ];
    for (at, value) in worse {
        let mut pod = good();
        *pod.pointer_mut(at).expect("a place") = value;
        assert!(restricted(&pod).is_err(), "{at}");
    }
}
