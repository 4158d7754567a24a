//! A release of the application chart.

use std::process::Command;

use serde_json::{Value, json};

use super::cluster::{Namespace, from_pods, given, slowly};
use crate::chart::{Charts, helm};
use crate::consul::Consul;

/// The chart, installed. It goes with its namespace.
pub struct Release<'n> {
    namespace: &'n Namespace,
    name: String,
    values: Value,
}

/// A pod as its status has it.
pub struct Pod {
    /// Its name.
    pub name: String,
    /// All of it, as Kubernetes says.
    pub object: Value,
}

/// The application of the stories: its first instruction reads a value; then it tells of each change
/// that it sees, with the time; and when it ends.
pub const WATCHES: &str = r#"
# No newline ends a value, so that read says no although it has read.
read first <"$SEEDCAR_DIR/greeting"; echo "first $first"
trap 'echo "app ends at $EPOCHREALTIME"; exit 0' TERM
while :; do
    read now <"$SEEDCAR_DIR/n"
    [ "$now" != "$seen" ] && echo "saw $now at $EPOCHREALTIME" && seen=$now
    sleep 0.002
done 2>/dev/null
"#;

// === impl Release ===

impl<'n> Release<'n> {
    /// What is installed where a story says no more: an application that [`WATCHES`] `app/` of this
    /// Consul.
    pub fn values(consul: &Consul, more: Value) -> Value {
        let (image, tag) = split(given("CLUSTER_IMAGE"));
        let (app, app_tag) = split(given("CLUSTER_APP_IMAGE"));
        let mut values = json!({
            "image": {"repository": app, "tag": app_tag, "pullPolicy": "Never"},
            "args": ["-c", WATCHES],
            "seedcar": {
                "image": {"repository": image, "tag": tag, "pullPolicy": "Never"},
                "prefix": "app",
                "consul": {"address": from_pods(consul.addr().port()).to_string()},
            },
        });
        merge(&mut values, more);
        values
    }

    /// Installs it and returns at once.
    pub fn install(namespace: &'n Namespace, name: &str, values: Value) -> Self {
        let release = Self { namespace, name: name.to_owned(), values };
        release.helm("install");
        release
    }

    /// Changes values and upgrades.
    pub fn upgrade(&mut self, more: Value) {
        merge(&mut self.values, more);
        self.helm("upgrade");
    }

    /// Runs the release's tests, which must pass.
    #[track_caller]
    pub fn test(&self) {
        let output = Command::new(helm("HELM_BIN"))
            .args(["test", &self.name, "--logs", "--namespace", self.namespace.name()])
            .output()
            .expect("start helm");
        let said =
            [output.stdout, output.stderr].map(|out| String::from_utf8_lossy(&out).into_owned());
        assert!(output.status.success(), "helm test: {said:?}");
        assert!(said[0].contains("Phase:          Succeeded"), "{said:?}");
    }

    #[track_caller]
    fn helm(&self, verb: &str) {
        let file = tempfile::NamedTempFile::new().expect("a file of values");
        // JSON is YAML.
        std::fs::write(file.path(), self.values.to_string()).expect("write the values");
        let output = Command::new(helm("HELM_BIN"))
            .args([verb, &self.name, "--namespace", self.namespace.name(), "--values"])
            .arg(file.path())
            .arg(Charts::shared().path("charts/seedcar-app"))
            .output()
            .expect("start helm");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "helm {verb}: {said}");
    }

    /// Waits until so many pods are ready and no others are left.
    #[track_caller]
    pub fn until_ready(&self, count: usize) -> Vec<Pod> {
        slowly("the pods are ready", || {
            let pods = self.pods();
            (pods.len() == count && pods.iter().all(Pod::is_ready)).then_some(pods)
        })
    }

    /// Deletes a pod and waits until another is ready in its place.
    #[track_caller]
    pub fn replaced(&self, old: &Pod) -> Pod {
        self.namespace.kubectl(&["delete", "pod", &old.name, "--wait=false"]);
        slowly("another pod is ready", || {
            self.pods().into_iter().find(|pod| pod.uid() != old.uid() && pod.is_ready())
        })
    }

    /// Its pods now, the ones that are going aside.
    #[track_caller]
    pub fn pods(&self) -> Vec<Pod> {
        let found = self.namespace.pods(&self.name);
        found.into_iter().map(Pod::of).collect()
    }
}

// === impl Pod ===

impl Pod {
    fn of(object: Value) -> Self {
        let name = object["metadata"]["name"].as_str().expect("a name").to_owned();
        Self { name, object }
    }

    /// What tells it from another pod of its name.
    pub fn uid(&self) -> &str {
        self.object["metadata"]["uid"].as_str().expect("a uid")
    }

    /// Whether Kubernetes sends it traffic.
    pub fn is_ready(&self) -> bool {
        let conditions = self.object["status"]["conditions"].as_array();
        conditions
            .into_iter()
            .flatten()
            .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    }

    /// How often this container, of either kind, was restarted.
    pub fn restarts(&self, container: &str) -> u64 {
        self.status(container)["restartCount"].as_u64().unwrap_or_default()
    }

    /// The code that this container ended with last.
    pub fn last_exit(&self, container: &str) -> Option<i64> {
        let status = self.status(container);
        let ended = |state: &str| status[state]["terminated"]["exitCode"].as_i64();
        ended("state").or(ended("lastState"))
    }

    /// The id of this container, as control groups have it.
    pub fn container_id(&self, container: &str) -> String {
        let id = self.status(container)["containerID"].as_str().expect("a container that was made");
        id.rsplit('/').next().expect("an id").to_owned()
    }

    fn status(&self, container: &str) -> &Value {
        let lists = ["initContainerStatuses", "containerStatuses"];
        let mut statuses =
            lists.iter().filter_map(|list| self.object["status"][list].as_array()).flatten();
        let found = statuses.find(|status| status["name"] == container);
        // Where nothing has been started yet.
        found.unwrap_or(&Value::Null)
    }
}

/// `REPOSITORY:TAG`.
fn split(image: String) -> (String, String) {
    let (repository, tag) = image.rsplit_once(':').expect("an image with a tag");
    (repository.to_owned(), tag.to_owned())
}

/// Maps are merged, all else is replaced.
fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (name, value) in more {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}
