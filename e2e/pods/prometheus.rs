//! A real Prometheus beside the cluster, that finds pods as the operator has it do for a PodMonitor.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::cluster::{Namespace, given, slowly};
use crate::consul::http::request;
use crate::wait::free_port;

/// A running Prometheus. Dropped, it ends.
pub struct Prometheus {
    child: Child,
    addr: SocketAddr,
    dir: TempDir,
}

// === impl Prometheus ===

impl Prometheus {
    /// One with the rules and the pods of the only PrometheusRule and PodMonitor of a namespace.
    pub fn start(namespace: &Namespace) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let rules = only(namespace, "prometheusrules")["spec"].clone();
        std::fs::write(dir.path().join("rules.yaml"), rules.to_string()).expect("the rules");
        let monitor = only(namespace, "podmonitors")["spec"].clone();
        let config = configuration(namespace.name(), &monitor).to_string();
        std::fs::write(dir.path().join("prometheus.yaml"), config).expect("the configuration");
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let log = std::fs::File::create(dir.path().join("log")).expect("a log");
        let child = Command::new(given("PROMETHEUS_BIN"))
            .arg("--config.file=prometheus.yaml")
            .arg("--storage.tsdb.path=data")
            .arg(format!("--web.listen-address={addr}"))
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("start Prometheus");
        let prometheus = Self { child, addr, dir };
        slowly("Prometheus is ready", || {
            let answer = request(addr, "GET", "/-/ready", &[], b"").ok()?;
            (answer.status == 200).then_some(())
        });
        prometheus
    }

    /// The names of the pods that it scrapes without an error.
    pub fn scraped(&self) -> Vec<String> {
        let targets = self.get("/api/v1/targets");
        let targets = targets["data"]["activeTargets"].as_array().cloned().unwrap_or_default();
        let well = targets.iter().filter(|target| target["health"] == "up");
        well.filter_map(|target| Some(target["labels"]["pod"].as_str()?.to_owned())).collect()
    }

    /// The names of the pods for which an alert fires.
    pub fn firing(&self, alert: &str) -> Vec<String> {
        let alerts = self.get("/api/v1/alerts");
        let alerts = alerts["data"]["alerts"].as_array().cloned().unwrap_or_default();
        let ours = alerts.iter().filter(|a| a["labels"]["alertname"] == alert);
        let firing = ours.filter(|a| a["state"] == "firing");
        let mut pods: Vec<_> =
            firing.filter_map(|a| Some(a["labels"]["pod"].as_str()?.to_owned())).collect();
        pods.sort();
        pods
    }

    fn get(&self, target: &str) -> Value {
        let answer = request(self.addr, "GET", target, &[], b"").expect("Prometheus answers");
        answer.json().expect("JSON")
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            eprintln!("--- Prometheus said:\n{log}");
        }
    }
}

fn only(namespace: &Namespace, kind: &str) -> Value {
    let list = namespace.get(&[&format!("{kind}.monitoring.coreos.com")]);
    let items = list["items"].as_array().expect("a list");
    assert_eq!(items.len(), 1, "{kind}");
    items[0].clone()
}

/// What the operator makes of a PodMonitor: pods by their labels, the port by its name.
fn configuration(namespace: &str, monitor: &Value) -> Value {
    let endpoint = &monitor["podMetricsEndpoints"][0];
    let mut relabel = Vec::new();
    for (name, value) in monitor["selector"]["matchLabels"].as_object().expect("labels") {
        let label = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        relabel.push(serde_json::json!({
            "source_labels": [format!("__meta_kubernetes_pod_label_{label}")],
            "regex": value, "action": "keep",
        }));
    }
    relabel.push(serde_json::json!({
        "source_labels": ["__meta_kubernetes_pod_container_port_name"],
        "regex": endpoint["port"], "action": "keep",
    }));
    for name in ["namespace", "pod_name", "pod_container_name"] {
        let target = name.trim_start_matches("pod_").trim_end_matches("_name");
        let target = if name == "pod_name" { "pod" } else { target };
        relabel.push(serde_json::json!({
            "source_labels": [format!("__meta_kubernetes_{name}")], "target_label": target,
        }));
    }
    serde_json::json!({
        "global": {"scrape_interval": endpoint["interval"], "evaluation_interval": "2s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{
            "job_name": "seedcar",
            "metrics_path": endpoint["path"],
            "kubernetes_sd_configs": [{
                "role": "pod", "kubeconfig_file": given("KUBECONFIG"),
                "namespaces": {"names": [namespace]},
            }],
            "relabel_configs": relabel,
        }],
    })
}
