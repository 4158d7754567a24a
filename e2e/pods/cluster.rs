//! The cluster: kubectl, and a namespace for each story.

use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use serde_json::{Value, json};

use crate::chart::text;
use crate::consul::Consul;
use crate::wait::{eventually_every, throughout_every};

/// A hang guard: images are there and volumes are local, but the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Each question is a process of its own that costs a tenth of a second of a processor.
const POLL: Duration = Duration::from_millis(300);

/// What most stories leave alone and one stops: while it does, nothing else may run on the node.
static NODE: RwLock<()> = RwLock::new(());

/// A namespace whose pods must meet the profile `restricted`. Dropped, it goes with all in it.
pub struct Namespace {
    name: String,
    _node: Node,
}

/// How a story uses the node.
enum Node {
    Shared { _guard: RwLockReadGuard<'static, ()> },
    Alone { _guard: RwLockWriteGuard<'static, ()> },
}

/// What a variable says that `e2e/cluster/with` sets.
#[track_caller]
pub fn given(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run ./e2e/run cluster"))
}

/// Whether the cluster was started by `e2e/cluster/with`. Stories that do something to its node, or ask
/// its pods from here, leave a cluster of somebody's own alone, and say so.
#[track_caller]
pub fn is_ours() -> bool {
    let ours = std::env::var_os("CLUSTER_STATE").is_some();
    if !ours {
        let at = std::panic::Location::caller();
        println!("skipped: {}: only on a cluster that was started here", at.file());
    }
    ours
}

/// A program of the node, by the name that `e2e/cluster/up` gives it. Only of a cluster that was started
/// here.
pub fn node_process(name: &str) -> rustix::process::Pid {
    let file = format!("{}/pid/{name}", given("CLUSTER_STATE"));
    let pid = std::fs::read_to_string(file).expect("a file with the pid");
    rustix::process::Pid::from_raw(pid.trim().parse().expect("a pid")).expect("a pid")
}

/// A real Consul that pods reach.
fn consul() -> Consul {
    Consul::start_real(json!({"client_addr": "0.0.0.0"}))
}

/// One that denies whoever has no token.
pub fn guarded() -> Consul {
    Consul::start_with_acl_and(&json!({"client_addr": "0.0.0.0"}))
}

/// One with what the application of the stories reads.
pub fn filled() -> Consul {
    let consul = consul();
    consul.put("app/greeting", "hello");
    consul.put("app/n", "0");
    consul
}

/// Where pods find what this process has bound to this port of every address.
pub fn from_pods(port: u16) -> SocketAddr {
    let host: IpAddr = given("CLUSTER_HOST").parse().expect("CLUSTER_HOST is an address");
    (host, port).into()
}

/// As [`crate::wait::eventually`], for what `kubectl` is asked.
#[track_caller]
pub fn slowly<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    eventually_every(POLL, what, PATIENCE, ask)
}

/// As [`crate::wait::throughout`], for what `kubectl` is asked.
#[track_caller]
pub fn throughout(what: &str, window: Duration, is: impl FnMut() -> bool) {
    throughout_every(POLL, what, window, is);
}

/// What the profile `restricted` asks of a container.
pub fn restricted() -> Value {
    json!({
        "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": true,
        "seccompProfile": {"type": "RuntimeDefault"},
    })
}

// === impl Namespace ===

impl Namespace {
    /// A new one.
    pub fn new(story: &str) -> Self {
        let guard = NODE.read().unwrap_or_else(PoisonError::into_inner);
        Self::made(story, Node::Shared { _guard: guard })
    }

    /// A new one, once no other story runs.
    pub fn alone(story: &str) -> Self {
        let guard = NODE.write().unwrap_or_else(PoisonError::into_inner);
        Self::made(story, Node::Alone { _guard: guard })
    }

    fn made(story: &str, node: Node) -> Self {
        let name = format!("{story}-{:x}", fastrand::u32(..));
        let made = Self { name, _node: node };
        made.apply(&json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": made.name, "labels": {
                "pod-security.kubernetes.io/enforce": "restricted",
            }},
        }));
        slowly("the service account is there", || {
            made.try_output(&["get", "serviceaccount", "default"])
        });
        made
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `kubectl` in it: what it printed. It must work.
    #[track_caller]
    pub fn kubectl(&self, args: &[&str]) -> String {
        let output = self.command(args).output().expect("start kubectl");
        assert!(output.status.success(), "kubectl {args:?}: {}", text(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What `kubectl` printed, if it works in it.
    pub fn try_output(&self, args: &[&str]) -> Option<String> {
        let output = self.command(args).output().expect("start kubectl");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// `kubectl` to be started by the caller.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.args(["--namespace", &self.name]).args(args).stdin(Stdio::null());
        command
    }

    /// Creates or changes an object.
    #[track_caller]
    pub fn apply(&self, object: &Value) {
        use std::io::Write as _;
        let mut kubectl = self.command(&["apply", "-f", "-"]);
        kubectl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = kubectl.spawn().expect("start kubectl");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(object.to_string().as_bytes()).expect("kubectl reads");
        drop(input);
        let output = child.wait_with_output().expect("wait for kubectl");
        assert!(output.status.success(), "kubectl apply: {}", text(&output));
    }

    /// An object, or all of a kind.
    #[track_caller]
    pub fn get(&self, what: &[&str]) -> Value {
        let args = [&["get", "-o", "json"], what].concat();
        serde_json::from_str(&self.kubectl(&args)).expect("kubectl prints JSON")
    }

    /// Pods of a release, the ones that are going aside.
    #[track_caller]
    pub fn pods(&self, release: &str) -> Vec<Value> {
        let selector = format!("app.kubernetes.io/instance={release}");
        let mut list = self.get(&["pods", "-l", &selector]);
        let items = list["items"].as_array_mut().expect("a list");
        items.retain(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        std::mem::take(items)
    }

    /// What the seedcar of a pod says of itself, if it can be asked.
    pub fn status(&self, pod: &str) -> Option<Value> {
        let status = ["exec", pod, "-c", "seedcar", "--", "seedcar", "status", "-o", "json"];
        serde_json::from_str(&self.try_output(&status)?).ok()
    }

    /// The log of a container so far.
    #[track_caller]
    pub fn log(&self, pod: &str, container: &str) -> String {
        self.kubectl(&["logs", pod, "-c", container])
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let shown = [["describe", "pods"], ["get", "events"]];
            for args in shown {
                let output = self.command(&args).output().expect("start kubectl");
                eprintln!("--- kubectl {args:?}\n{}", text(&output));
            }
        }
        let _ = self.command(&["delete", "namespace", &self.name, "--wait=false"]).output();
    }
}

/// A volume on a directory of the node, for a story that needs one that outlives its pod: the storage
/// class that claims it.
pub fn local_volume(namespace: &Namespace) -> String {
    let dir = format!("{}/volumes/{}", given("CLUSTER_STATE"), namespace.name());
    std::fs::create_dir_all(&dir).expect("a directory of the node");
    let name = namespace.name();
    namespace.apply(&json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Delete", "storageClassName": name,
            // Unlike a hostPath it is given the pod's fsGroup.
            "local": {"path": dir},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                {"key": "kubernetes.io/hostname", "operator": "Exists"},
            ]}]}},
        },
    }));
    name.to_owned()
}

/// A claim of such a volume that several pods may use.
pub fn shared_claim(namespace: &Namespace) -> String {
    let class = local_volume(namespace);
    namespace.apply(&json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "backup"},
        "spec": {
            "accessModes": ["ReadWriteMany"], "storageClassName": class,
            "resources": {"requests": {"storage": "256Mi"}},
        },
    }));
    "backup".to_owned()
}
