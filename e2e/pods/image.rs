//! The image: what is in it, and that it needs nothing else.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

use super::cluster::{Namespace, filled, given, is_ours, slowly};

/// What users pull, in bytes.
const LARGEST: u64 = 11_000_000;

/// Docker's client of the node's tools, for the daemon that built the images.
fn docker(args: &[&str]) -> Output {
    client("node/usr/bin/docker").args(args).output().expect("start docker")
}

/// A program among the tools that speaks to that daemon.
pub fn client(program: &str) -> Command {
    let state = given("CLUSTER_STATE");
    let mut client = Command::new(PathBuf::from(given("CLUSTER_TOOLS")).join(program));
    client
        .env("DOCKER_HOST", format!("unix://{state}/docker.sock"))
        .env("DOCKER_CONFIG", format!("{state}/docker-config"))
        .env("DOCKER_BUILDKIT", "1");
    client
}

/// Where its containers belong among the control groups, so that they go with the cluster.
pub fn control_group() -> String {
    let state = given("CLUSTER_STATE");
    format!("/{}/docker", state.rsplit('/').next().expect("a name"))
}

#[track_caller]
fn said(args: &[&str]) -> String {
    let output = docker(args);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {args:?}: {err}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn inspected(image: &str) -> Value {
    let text = said(&["image", "inspect", image]);
    let mut list: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    list.remove(0)
}

#[test]
fn it_is_one_program_of_a_numbered_user_with_labels() {
    if !is_ours() {
        return;
    }
    let image = inspected(&given("CLUSTER_IMAGE"));
    let size = image["Size"].as_u64().expect("a size");
    println!("measured: pods: the image has {size} bytes");
    assert!(size <= LARGEST, "{size}");
    assert_eq!(image["Config"]["User"], "65532:65532");
    assert_eq!(image["Config"]["Entrypoint"], serde_json::json!(["/bin/seedcar"]));
    let labels = &image["Config"]["Labels"];
    for name in ["title", "description", "version", "revision", "created", "licenses", "vendor"] {
        let label = &labels[format!("org.opencontainers.image.{name}")];
        assert!(label.as_str().is_some_and(|text| !text.is_empty()), "{name}: {labels}");
    }
    assert_eq!(labels["org.opencontainers.image.version"], env!("CARGO_PKG_VERSION"));

    let listed = Command::new("sh")
        .args(["-c", "tar -xOf \"$0\" --wildcards '*/layer.tar' | tar -t", &archive()])
        .output()
        .expect("start tar");
    let files = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert_eq!(files, "bin/\nbin/seedcar\n");
}

#[test]
fn where_it_was_built_is_not_in_it() {
    if !is_ours() {
        return;
    }
    let extract = "tar -xOf \"$0\" --wildcards '*/layer.tar' | tar -xO bin/seedcar";
    let program = Command::new("sh").args(["-c", extract, &archive()]).output();
    let program = program.expect("start tar").stdout;
    assert!(program.len() > 1_000_000, "{}", program.len());
    let home = given("HOME");
    for place in [env!("CARGO_MANIFEST_DIR"), &format!("{home}/.cargo/")] {
        let found = memchr::memmem::find(&program, place.as_bytes());
        assert_eq!(found, None, "{place}");
    }
}

fn archive() -> String {
    format!("{}/images/seedcar.tar", given("CLUSTER_STATE"))
}

#[test]
fn the_same_source_makes_the_same_layer() {
    if !is_ours() {
        return;
    }
    let root = env!("CARGO_MANIFEST_DIR");
    let again = "seedcar.test/again:1";
    said(&["build", "-q", "--no-cache", "-t", again, "--build-arg", "BINARY=prebuilt", root]);
    let layers = |image: &str| inspected(image)["RootFS"]["Layers"].clone();
    assert_eq!(layers(again), layers(&given("CLUSTER_IMAGE")));
}

#[test]
fn it_runs_as_any_user_read_only_and_without_capabilities() {
    if !is_ours() {
        return;
    }
    // For its turn on the node.
    let _namespace = Namespace::new("image");
    let consul = filled();
    let name = format!("seedcar-{:x}", fastrand::u32(..));
    let container = Container::run(&name, consul.addr().port());
    slowly("it is fresh", || {
        let status = docker(&["exec", &name, "seedcar", "status", "--check"]);
        status.status.success().then_some(())
    });
    said(&["stop", &name]);
    assert_eq!(said(&["inspect", "--format", "{{.State.ExitCode}}", &name]), "0");
    drop(container);
}

/// A container beside the cluster. Dropped, it goes.
struct Container(String);

impl Container {
    fn run(name: &str, consul: u16) -> Self {
        let group = control_group();
        let address = format!("SEEDCAR_CONSUL=127.0.0.1:{consul}");
        let image = given("CLUSTER_IMAGE");
        let limits = [
            "--read-only",
            "--cap-drop",
            "ALL",
            "--security-opt",
            "no-new-privileges",
            "--user",
            "1000650000",
            "--tmpfs",
            "/seedcar:mode=1777",
        ];
        let settings = ["SEEDCAR_PREFIX=app", &address, "SEEDCAR_NO_BACKUP=true"];
        let mut args = vec!["run", "--detach", "--name", name, "--network", "host"];
        args.extend(["--cgroup-parent", &group]);
        args.extend(limits);
        args.extend(settings.iter().flat_map(|setting| ["--env", setting]));
        args.extend([&image, "run", "--seed"]);
        said(&args);
        Self(name.to_owned())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let output = docker(&["logs", &self.0]);
            eprintln!("--- {}:\n{}", self.0, String::from_utf8_lossy(&output.stdout));
        }
        docker(&["rm", "--force", &self.0]);
    }
}
