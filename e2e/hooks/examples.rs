//! The examples, as a user would run them, each with a real Consul.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::exec::application::Application;
use crate::consul::http::request;
use crate::consul::{Consul, Kind};
use crate::rig::{Pod, SOON, Sidecar};
use crate::wait::{eventually, free_port};

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/examples").join(path)
}

/// A pod whose application greets.
fn pod(consul: &Consul) -> Pod {
    consul.put("app/greeting", "hello");
    consul.put("app/nested/other", "0");
    let mut pod = Pod::new(consul.addr(), "app");
    for file in ["app.json", "app.properties", "app.sh"] {
        pod = pod.arg(&["--file", file]);
    }
    pod.init();
    pod
}

fn exec(pod: &Pod, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seedcar"));
    command.arg("exec").arg("--volume").arg(pod.volume()).args(args).arg("--");
    command
}

/// The example greets as Consul says, and as it says then.
fn greets(mut command: Command, consul: &Consul, pod: &Pod) {
    let sidecar = pod.run(&[]);
    command.env("SEEDCAR_DIR", pod.live());
    let app = Application::spawn(command, pod.volume());
    app.says("greeting: hello");
    said_anew(&app, consul, &sidecar);
}

fn said_anew(app: &Application, consul: &Consul, sidecar: &Sidecar) {
    // What a shell, JSON and properties would take apart.
    let odd = "it's \"new\": $HOME \\ #1";
    consul.put("app/greeting", odd);
    sidecar.shows("greeting", odd);
    app.says(&format!("greeting: {odd}"));
}

#[test]
fn python() {
    let consul = Consul::start(Kind::Real);
    let pod = pod(&consul);
    let mut command = Command::new("python3");
    command.arg(example("python/app.py"));
    greets(command, &consul, &pod);
}

#[test]
fn node() {
    let consul = Consul::start(Kind::Real);
    let pod = pod(&consul);
    let mut command = Command::new("node");
    command.arg(example("node/app.js"));
    greets(command, &consul, &pod);
}

#[test]
fn go() {
    let consul = Consul::start(Kind::Real);
    let pod = pod(&consul);
    let dir = tempfile::tempdir().expect("a directory");
    let program = dir.path().join("app");
    let mut build = Command::new("go");
    build.arg("build").arg("-o").arg(&program).arg(example("go/main.go"));
    let output = build.output().expect("start go");
    assert!(output.status.success(), "{output:?}");
    greets(Command::new(program), &consul, &pod);
}

#[test]
fn java() {
    let consul = Consul::start(Kind::Real);
    let pod = pod(&consul);
    let mut command = Command::new("java");
    command.arg(example("java/App.java"));
    greets(command, &consul, &pod);
}

#[test]
fn shell() {
    let consul = Consul::start(Kind::Real);
    let pod = pod(&consul);
    let mut command = exec(&pod, &["--on-change", "HUP"]);
    command.arg(example("shell/app.sh"));
    greets(command, &consul, &pod);
}

#[test]
fn nginx() {
    let nginx = std::env::var_os("NGINX_BIN").expect("run ./e2e/run, or set NGINX_BIN");
    let consul = Consul::start(Kind::Real);
    let port = free_port();
    let site = |answer: &str| {
        format!("server {{ listen 127.0.0.1:{port}; location / {{ return 200 {answer}; }} }}")
    };
    consul.put("app/nginx/site.conf", site("first"));
    let pod = pod(&consul);
    let sidecar = pod.run(&[]);
    let dir = tempfile::tempdir().expect("a directory");
    let config = std::fs::read_to_string(example("nginx/nginx.conf")).expect("the example");
    let (volume, own) =
        (pod.volume().to_str().expect("UTF-8"), dir.path().to_str().expect("UTF-8"));
    let config = config.replace("/seedcar/live", &format!("{volume}/live"));
    let config = config.replace("/tmp/nginx", &format!("{own}/nginx"));
    std::fs::write(dir.path().join("nginx.conf"), config).expect("write it");
    let mut command = exec(&pod, &["--on-change", "HUP", "--only", "nginx/*"]);
    command.arg(nginx).arg("-c").arg(dir.path().join("nginx.conf")).args(["-p", own]);
    // As root it would take another user for its workers, which could not read a test's directories.
    command.args(["-g", "daemon off; user root;"]);
    let mut app = Application::spawn(command, pod.volume());
    let answers = |expected: &str| {
        eventually(expected, SOON, || {
            let address = format!("127.0.0.1:{port}").parse().ok()?;
            let answer = request(address, "GET", "/", &[], b"").ok()?;
            (answer.text() == expected).then_some(())
        });
    };
    answers("first");
    consul.put("app/nginx/site.conf", site("second"));
    answers("second");
    // Another key's change is none of nginx's.
    consul.put("app/greeting", "other");
    sidecar.shows("greeting", "other");
    consul.put("app/nginx/site.conf", "a mistake");
    eventually("it was told of the mistake", SOON, || {
        (app.events("application_signalled").len() == 2).then_some(())
    });
    answers("second");
    consul.put("app/nginx/site.conf", site("third"));
    answers("third");
    assert!(app.is_running());
}
