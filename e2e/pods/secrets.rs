//! Backups in Secrets: no shared storage, and an API server that may be dead too.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::cluster::{Namespace, filled, is_ours, local_volume, node_process, slowly};
use super::outage::{heals, rolled_out_from_its_backup, started_from_backup, until_backed_up};
use super::release::Release;
use super::watcher::{Log, now};

#[test]
fn a_rollout_while_consul_is_dead_replaces_all_pods_from_secrets() {
    let namespace = Namespace::new("secrets");
    // The upgrade renders the Secrets anew, without content: what is in them must stay.
    rolled_out_from_its_backup(&namespace, json!({"type": "secrets"}));
    // Three replicas have written: one file of what they all read, and one of the change after it.
    let names = files(&namespace);
    assert!((1..=2).contains(&names.len()), "{names:?}");
    let account = format!("system:serviceaccount:{}:web-seedcar", namespace.name());
    let may = |verb: &str, what: &str| {
        let asked = ["auth", "can-i", verb, what, "--as", &account];
        namespace.try_output(&asked).is_some()
    };
    assert!(
        may("get", "secret/web-seedcar-backup-0") && may("patch", "secret/web-seedcar-backup-1")
    );
    for (verb, what) in [
        ("list", "secrets"),
        ("get", "secret/another"),
        ("delete", "secret/web-seedcar-backup-0"),
        ("create", "secrets"),
        ("get", "pods"),
    ] {
        assert!(!may(verb, what), "{verb} {what}");
    }
}

#[test]
fn a_dead_api_server_is_just_another_failing_store() {
    if !is_ours() {
        return;
    }
    let consul = filled();
    let namespace = Namespace::alone("no-api");
    let seedcar = json!({
        "backup": {"type": "secrets"},
        "extraEnv": [{"name": "SEEDCAR_BACKUP_DELAY", "value": "1s"}],
    });
    let values = Release::values(&consul, json!({"seedcar": seedcar}));
    let release = Release::install(&namespace, "web", values);
    let pod = release.until_ready(1).remove(0);
    until_backed_up(&namespace, &pod);
    let app = Log::follow(&namespace, &pod.name, "app");
    app.until_saw("0");

    let api = Frozen::api_server();
    consul.put("app/n", "1");
    let url =
        format!("http://{}:4292", pod.object["status"]["podIP"].as_str().expect("an address"));
    slowly("the backup fails", || backup_is(&url, "0"));
    let (alive, _) = seedcar::local::get(&url, "/livez").expect("it answers");
    assert_eq!(alive, 200);
    let thawed = now();
    drop(api);

    let saw = app.until_saw("1");
    assert!(saw < thawed, "the application saw it at {saw}, the API server was back at {thawed}");
    slowly("the backup works again", || backup_is(&url, "1"));
    let pod = release.until_ready(1).remove(0);
    assert_eq!((pod.restarts("seedcar"), pod.restarts("app")), (0, 0));
    let log = namespace.log(&pod.name, "seedcar");
    assert!(log.contains("backup_failed") && log.contains("the Kubernetes API"), "{log}");
    // What was missed is written.
    consul.kill();
    release.replaced(&pod);
    let app = Log::follow(&namespace, &release.until_ready(1)[0].name, "app");
    app.until_saw("1");
    consul.restart();
    consul.put("app/n", "2");
    app.until_saw("2");
}

#[test]
fn a_pod_that_may_not_use_the_secrets_says_so_and_serves_all_the_same() {
    let consul = filled();
    let namespace = Namespace::new("no-right");
    let more = json!({"seedcar": {"backup": {"type": "secrets"}}});
    let release = Release::install(&namespace, "web", Release::values(&consul, more));
    // The Role is there, and bound to nobody.
    namespace.kubectl(&["delete", "rolebinding", "web-seedcar"]);
    let old = release.until_ready(1).remove(0);
    release.replaced(&old);
    let pod = release.until_ready(1).remove(0);
    let said = slowly("the backup's failure is said", || {
        let log = namespace.log(&pod.name, "seedcar");
        log.lines().find(|line| line.contains("backup_failed")).map(str::to_owned)
    });
    assert!(said.contains("is forbidden") && said.contains("let a Role allow"), "{said}");
    let app = Log::follow(&namespace, &pod.name, "app");
    assert_eq!(app.until("first "), "hello");
}

#[test]
fn a_secret_that_somebody_has_deleted_is_done_without() {
    let consul = filled();
    let namespace = Namespace::new("one-gone");
    let more = json!({"seedcar": {"backup": {"type": "secrets"}}});
    let release = Release::install(&namespace, "web", Release::values(&consul, more));
    let old = release.until_ready(1).remove(0);
    until_backed_up(&namespace, &old);
    let is_empty = |name: &&str| namespace.get(&["secret", name])["data"].is_null();
    let empty = ["web-seedcar-backup-0", "web-seedcar-backup-1"].into_iter().find(is_empty);
    namespace.kubectl(&["delete", "secret", empty.expect("one of them holds the backup")]);
    consul.kill();
    let pod = release.replaced(&old);
    let app = started_from_backup(&namespace, &pod);
    let said = namespace.log(&pod.name, "seedcar-init");
    assert!(said.contains("backup_unreadable") && said.contains("make the Secret"), "{said}");
    let verify = ["exec", &pod.name, "-c", "seedcar", "--", "/bin/seedcar", "backup", "verify"];
    let verified = namespace.command(&verify).output().expect("start kubectl");
    let (listed, said) = (verified.stdout, String::from_utf8_lossy(&verified.stderr));
    assert!(String::from_utf8_lossy(&listed).contains("valid, prefix app/"), "{said}");
    assert!(said.contains("make the Secret") && said.contains("exit code 65"), "{said}");
    let before = files(&namespace);
    heals(&consul, &[app]);
    slowly("the change is in the one that is left", || {
        files(&namespace).iter().any(|name| !before.contains(name)).then_some(())
    });
    slowly("what is missing is said", || {
        let log = namespace.log(&pod.name, "seedcar");
        let line = log.lines().find(|line| line.contains("backup_untidy"))?.to_owned();
        line.contains("not found").then_some(())
    });
}

#[test]
fn an_ephemeral_volume_is_claimed_for_the_pod_and_keeps_its_backup() {
    if !is_ours() {
        return;
    }
    let consul = filled();
    let namespace = Namespace::new("ephemeral");
    let class = local_volume(&namespace);
    let backup = json!({"type": "ephemeral", "storageClass": class});
    let more = json!({"seedcar": {"backup": backup}});
    let release = Release::install(&namespace, "web", Release::values(&consul, more));
    let pod = release.until_ready(1).remove(0);
    until_backed_up(&namespace, &pod);
    let claim = namespace.get(&["pvc", &format!("{}-seedcar-backup", pod.name)]);
    assert_eq!(claim["metadata"]["ownerReferences"][0]["name"], pod.name.as_str());
    heals(&consul, &[Log::follow(&namespace, &pod.name, "app")]);
}

/// The names of all that is in the Secrets.
fn files(namespace: &Namespace) -> Vec<String> {
    let secrets = namespace.get(&["secrets", "-l", "app.kubernetes.io/name=seedcar"]);
    let secrets = secrets["items"].as_array().expect("a list");
    let data = secrets.iter().filter_map(|secret| secret["data"].as_object());
    data.flat_map(|data| data.keys().cloned()).collect()
}

/// Whether a pod's backup works, as its metric says.
fn backup_is(url: &str, value: &str) -> Option<()> {
    let (_, metrics) = seedcar::local::get(url, "/metrics").ok()?;
    let line = metrics.lines().find(|line| {
        line.starts_with("seedcar_mechanism_up{") && line.contains("mechanism=\"backup\"")
    })?;
    line.ends_with(&format!(" {value}")).then_some(())
}

/// The API server, stopped until dropped: it takes connections and never answers.
struct Frozen(Pid);

impl Frozen {
    fn api_server() -> Self {
        let pid = node_process("apiserver");
        kill_process(pid, Signal::STOP).expect("stop the API server");
        Self(pid)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        kill_process(self.0, Signal::CONT).expect("let the API server go on");
    }
}
