//! Certificates that are replaced while seedcar runs, and Consul with them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use rcgen::date_time_ymd;

use super::scene::{Scene, client, client_with, put, replace, requests, server};
use crate::ledger::Tally;
use crate::rig::{Pod, SOON, Sidecar};
use crate::security::tls_server::{Authority, Identity};
use crate::stories::scene::stopped;
use crate::wait::{eventually, throughout};

const GROUP: &str = "access::rotated";

/// A Consul that gives everybody who is known by a certificate the key `name/a`.
fn scene(name: &str) -> (Scene, String) {
    let scene = Scene::start();
    scene.consul.put(&format!("{name}/a"), "1");
    scene.allow(name, name);
    let token = scene.consul.create_token(&[name]);
    (scene, token)
}

/// A pod with its certificates in this directory: `ca.pem`, `client.pem`, `client.key`.
fn pod(scene: &Scene, name: &str, token: &str, at: &Path) -> Pod {
    let file = |name: &str| at.join(name).display().to_string();
    scene
        .stranger(name)
        .arg(&["--ca-file", &file("ca.pem"), "--client-cert", &file("client.pem")])
        .arg(&["--client-key", &file("client.key"), "--wait", "1s", "--heartbeat", "1s"])
        .env("CONSUL_HTTP_TOKEN", token)
}

/// Consul comes back as somebody else, who trusts this authority alone.
fn becomes(scene: &Scene, authority: &Authority) {
    scene.consul.kill();
    put(scene.file("ca.pem").parent().expect("a directory"), "server", &server(authority));
    authority.replace(&scene.file("ca.pem"));
    scene.consul.restart();
}

fn changes(scene: &Scene, sidecar: &Sidecar<'_>, name: &str, value: &str) {
    scene.consul.put(&format!("{name}/a"), value);
    sidecar.shows("a", value);
}

fn text(file: &Path) -> String {
    fs::read_to_string(file).expect("a file")
}

/// One volume of Kubernetes: files that are links into `..data`, which is a link itself.
fn swap(volume: &Path, name: &str, ca: &str, identity: &Identity) {
    let version = volume.join(name);
    fs::create_dir(&version).expect("a directory");
    fs::write(version.join("ca.pem"), ca).expect("written");
    fs::write(version.join("client.pem"), &identity.certificate).expect("written");
    fs::write(version.join("client.key"), &identity.key).expect("written");
    symlink(name, volume.join("..data_tmp")).expect("a link");
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).expect("renamed");
    for file in ["ca.pem", "client.pem", "client.key"] {
        let _ = symlink(format!("..data/{file}"), volume.join(file));
    }
}

#[test]
fn everything_is_replaced_by_a_link_as_kubernetes_does_it() {
    let mut tally = Tally::of(GROUP);
    let (scene, token) = scene("c1");
    let volume = tempfile::TempDir::new().expect("a directory");
    let new = Authority::new(volume.path(), "next");
    let (old_ca, new_ca) = (text(&scene.file("ca.pem")), text(new.file()));
    swap(volume.path(), "..1", &old_ca, &client(&scene.authority));
    let pod = pod(&scene, "c1", &token, volume.path());
    let sidecar = pod.run(&["--seed"]);
    sidecar.shows("a", "1");
    // Both authorities, and a certificate that the old one has signed anew.
    swap(volume.path(), "..2", &format!("{old_ca}{new_ca}"), &client(&scene.authority));
    changes(&scene, &sidecar, "c1", "2");
    // Consul knows the new authority alone, and so does what is shown to it.
    becomes(&scene, &new);
    sidecar.until("the old certificate is refused", |s| {
        let error = s.mechanisms["watch"].last_error.as_ref();
        error.is_some_and(|e| e.kind == "tls_error" && e.text.contains("client.pem"))
    });
    swap(volume.path(), "..3", &new_ca, &client(&new));
    changes(&scene, &sidecar, "c1", "3");
    tally.case();
    // Whoever was trusted before is no longer.
    let before = requests(&sidecar, "watch", "tls_error");
    becomes(&scene, &Authority::new(volume.path(), "stranger"));
    eventually("a stranger is refused", SOON, || {
        (requests(&sidecar, "watch", "tls_error") > before).then_some(())
    });
    tally.check(pod.read("a").as_deref() == Some(b"3"), || "the file went".to_owned());
    stopped(sidecar);
    tally.finish();
}

#[test]
fn half_a_pair_is_not_used_and_it_is_said() {
    let mut tally = Tally::of(GROUP);
    let (scene, token) = scene("c2");
    let files = tempfile::TempDir::new().expect("a directory");
    scene.authority.replace(&files.path().join("ca.pem"));
    put(files.path(), "client", &client(&scene.authority));
    let pod = pod(&scene, "c2", &token, files.path());
    let sidecar = pod.run(&["--seed"]);
    sidecar.until_fresh();
    let next = client(&scene.authority);
    replace(&files.path().join("client.pem"), &next.certificate);
    eventually("it is said", SOON, || sidecar.events("certificates_refused").pop());
    let said = sidecar.events("certificates_refused");
    let named = |e: &serde_json::Value| e["error"].as_str().is_some_and(|e| e.contains("client."));
    tally.check(said.iter().all(named), || format!("{said:?}"));
    changes(&scene, &sidecar, "c2", "2");
    throughout("nothing fails", Duration::from_secs(3), || {
        let mechanisms = sidecar.source().mechanisms;
        mechanisms["watch"].up && mechanisms["heartbeat"].up
    });
    let errors =
        requests(&sidecar, "watch", "tls_error") + requests(&sidecar, "heartbeat", "tls_error");
    tally.check(errors == 0.0, || format!("{errors} requests failed"));
    // Once for each client, not at each request.
    let lines = sidecar.events("certificates_refused").len();
    tally.check(lines <= 2, || format!("{lines} lines"));
    let ours = next.key.lines().filter(|line| !line.starts_with('-'));
    let log = sidecar.log();
    tally.check(!ours.into_iter().any(|line| log.contains(line)), || "a key is shown".to_owned());
    replace(&files.path().join("client.key"), &next.key);
    changes(&scene, &sidecar, "c2", "3");
    // No authority at all is no reason to trust nobody, or everybody.
    replace(&files.path().join("ca.pem"), "");
    changes(&scene, &sidecar, "c2", "4");
    // At the start there is nothing to fall back on.
    let fresh = self::pod(&scene, "c2", &token, files.path());
    let ended = fresh.seedcar(&["init", "--seed-timeout", "1s"]);
    let told = ended.code() == 69 && ended.err.contains("ca.pem: no certificate in it");
    tally.check(told, || format!("{} {}", ended.code(), ended.err));
    stopped(sidecar);
    tally.finish();
}

#[test]
fn what_is_wrong_is_told_by_its_file() {
    let mut tally = Tally::of(GROUP);
    let (scene, token) = scene("c3");
    let files = tempfile::TempDir::new().expect("a directory");
    let unknown = Authority::new(files.path(), "unknown");
    let expired = client_with(&scene.authority, |params| {
        (params.not_before, params.not_after) =
            (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
    });
    let ours = client(&scene.authority);
    let cases: [(&str, &Authority, &Identity, &str); 3] = [
        ("expired", &scene.authority, &expired, "is it expired"),
        ("of an unknown authority", &scene.authority, &client(&unknown), "client.pem"),
        ("another authority is trusted", &unknown, &ours, "no authority in"),
    ];
    for (case, authority, identity, why) in cases {
        authority.replace(&files.path().join("ca.pem"));
        put(files.path(), "client", identity);
        let pod = pod(&scene, "c3", &token, files.path());
        let ended = pod.seedcar(&["init", "--seed-timeout", "1s"]);
        let last = ended.err.lines().last().unwrap_or_default().to_owned();
        let told = ended.code() == 69 && last.contains(why) && last.contains(".pem");
        tally.check(told, || format!("{case}: {} {last}", ended.code()));
    }
    let nobody = scene
        .stranger("c3")
        .arg(&["--ca-file", &scene.file("ca.pem").display().to_string()])
        .seedcar(&["init", "--seed-timeout", "1s"]);
    tally.check(nobody.err.contains("give --client-cert"), || nobody.err.clone());
    tally.finish();
}
