//! The JWT and the token that it is changed for are shown nowhere.

use seedcar::demo::server::{Fault, Requests};
use serde_json::json;
use tempfile::TempDir;

use super::jwt::Claims;
use super::scene::Scene;
use crate::consul::{Consul, Kind};
use crate::ledger::Tally;
use crate::rig::Pod;
use crate::wait::eventually;

const GROUP: &str = "access::unseen";

/// No secret, nor twelve characters of one in a row.
fn clean(tally: &mut Tally, place: &str, said: &str, secrets: &[String]) {
    let said = said.to_ascii_lowercase();
    for secret in secrets.iter().map(|secret| secret.to_ascii_lowercase()) {
        let parts = secret.as_bytes().chunks(12).filter(|part| part.len() == 12);
        for part in parts.filter_map(|part| std::str::from_utf8(part).ok()) {
            tally.check(!said.contains(part), || format!("{part} in {place}: {said}"));
        }
    }
}

#[test]
fn what_a_server_sends_back_is_not_passed_on() {
    let mut tally = Tally::of(GROUP);
    let files = TempDir::new().expect("a directory");
    let file = files.path().join("jwt");
    let jwt = Claims::of("web").sign(&rcgen::KeyPair::generate().expect("a key"));
    std::fs::write(&file, &jwt).expect("written");
    let consul = Consul::start(Kind::Embedded);
    let payload = jwt.split('.').nth(1).expect("a payload").to_owned();
    let bodies = [
        format!("cannot parse token {jwt}"),
        format!("cut off: {}", &jwt[..60]),
        format!("bad claims {payload}"),
        format!("in capitals {}", payload.to_uppercase()),
    ];
    let pod = Pod::new(consul.addr(), "app")
        .arg(&["--login-method", "m", "--login-token-file", file.to_str().expect("UTF-8")])
        .arg(&["--log-level", "debug"]);
    for status in [302, 400, 403, 429, 500] {
        for body in &bodies {
            consul.faults().clear();
            consul.faults().add(Requests::all(), Fault::status(status, body));
            let ended = pod.seedcar(&["init", "--seed-timeout", "1s"]);
            let told = ended.log.contains(&format!("HTTP {status}"));
            tally.check(told, || format!("{status} is not told: {}", ended.log));
            let said = ended.log + &ended.err;
            clean(&mut tally, &format!("{status} {body}"), &said, std::slice::from_ref(&jwt));
        }
    }
    tally.finish();
}

#[test]
fn nothing_that_a_sidecar_shows_holds_them() {
    let mut tally = Tally::of(GROUP);
    let scene = Scene::shared();
    scene.method("u1", &json!({}));
    let pod = scene.pod("u1").arg(&["--backup-delay", "0s"]);
    let jwt = scene.write_jwt("u1", &Claims::of("web"));
    let sidecar = pod.run(&["--seed", "--heartbeat", "1s", "--wait", "1s"]);
    sidecar.until("there is a backup", |s| s.backup.is_some());
    let mut secrets = scene.secrets("u1");
    tally.check(secrets.len() == 1, || format!("{secrets:?}"));
    secrets.push(jwt);
    // Refused and made anew, which has the most to say.
    scene.revoke("u1");
    eventually("another token", crate::rig::SOON, || {
        let new = scene.secrets("u1");
        secrets.extend(new.iter().cloned());
        (!new.is_empty()).then_some(())
    });
    sidecar.until("all works", |s| s.mechanisms["watch"].up && s.mechanisms["heartbeat"].up);
    for path in ["/status", "/metrics", "/livez", "/readyz", "/startupz"] {
        clean(&mut tally, path, &sidecar.get(path).1, &secrets);
    }
    let cmdline = std::fs::read(format!("/proc/{}/cmdline", sidecar.pid())).expect("procfs");
    clean(&mut tally, "argv", &String::from_utf8_lossy(&cmdline), &secrets);
    let own = std::fs::read_dir(pod.volume().join(".seedcar")).expect("ours").flatten();
    for file in own.map(|entry| entry.path()).chain(pod.backups()) {
        let text = std::fs::read(file).unwrap_or_default();
        clean(&mut tally, "a file", &String::from_utf8_lossy(&text), &secrets);
    }
    let log = sidecar.log();
    crate::stories::scene::stopped(sidecar);
    clean(&mut tally, "the log", &log, &secrets);
    tally.finish();
}
