//! The file for docker compose, on the daemon that built the images.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use super::cluster::{Namespace, filled, given, is_ours, slowly};
use super::image::{client, control_group};
use super::release::WATCHES;
use crate::chart::text;

/// A project of compose. Dropped, it goes with its volumes.
struct Project {
    files: Vec<PathBuf>,
    _dir: TempDir,
}

#[test]
fn an_application_on_a_laptop_starts_after_seedcar_and_without_consul_too() {
    if !is_ours() {
        return;
    }
    // For its turn on the node.
    let _namespace = Namespace::new("compose");
    let consul = filled();
    let project = Project::new(consul.addr().port());
    project.run(&["up", "--detach"]);
    let says = |what: &str| {
        slowly(&format!("the application says {what:?}"), || {
            project.run(&["logs", "--no-log-prefix", "web"]).contains(what).then_some(())
        })
    };
    says("first hello");
    consul.put("app/n", "1");
    says("saw 1 ");

    // Everything goes but the backup, Consul first.
    consul.kill();
    project.run(&["down"]);
    let up = project.run(&["up", "--detach"]);
    says("first hello");
    assert!(project.run(&["logs", "seedcar"]).contains("seeded_from_backup"), "{up}");
    consul.restart();
    consul.put("app/n", "2");
    says("saw 2 ");
    let values = ["exec", "web", "sh", "-c", "mount | grep ' /seedcar '"];
    let mounted = project.run(&values);
    assert!(mounted.contains("tmpfs") && mounted.contains("ro"), "{mounted}");
}

// === impl Project ===

impl Project {
    fn new(consul: u16) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let printed = Command::new(env!("CARGO_BIN_EXE_seedcar"))
            .args(["manifest", "compose", "--name", "web", "--prefix", "app"])
            .args(["--app-image", &given("CLUSTER_APP_IMAGE"), "--image", &given("CLUSTER_IMAGE")])
            .args(["--consul", &format!("127.0.0.1:{consul}")])
            .output()
            .expect("start seedcar");
        assert!(printed.status.success(), "{}", text(&printed));
        let port = crate::wait::free_port();
        // What is this machine's: the daemon has no bridge, and the application is a shell's script.
        let here = json!({"network_mode": "host", "cgroup_parent": control_group()});
        let with = |more: serde_json::Value| {
            let mut service = here.clone();
            service
                .as_object_mut()
                .expect("an object")
                .extend(more.as_object().expect("one").clone());
            service
        };
        let script = WATCHES.replace('$', "$$");
        let own = json!({"services": {
            "seedcar": with(json!({"environment": {"SEEDCAR_HTTP": format!("127.0.0.1:{port}")}})),
            "web": with(json!({"command": ["-c", script]})),
        }});
        let put = |name: &str, text: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).expect("write it");
            path
        };
        let files =
            vec![put("compose.yaml", &printed.stdout), put("own.json", own.to_string().as_bytes())];
        Self { files, _dir: dir }
    }

    /// Both streams, of a command that must work.
    #[track_caller]
    fn run(&self, args: &[&str]) -> String {
        let output = self.compose(args);
        assert!(output.status.success(), "compose {args:?}: {}", text(&output));
        text(&output)
    }

    fn compose(&self, args: &[&str]) -> std::process::Output {
        let mut compose = client("usr/bin/docker-compose");
        let files = self.files.iter().flat_map(|file: &PathBuf| [Path::new("--file"), file]);
        compose.args(files).args(args).output().expect("start docker-compose")
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- compose:\n{}", text(&self.compose(&["logs"])));
        }
        let _ = self.compose(&["down", "--volumes", "--timeout", "1"]);
    }
}
