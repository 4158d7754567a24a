//! `init`: in, seeded, out.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::jwt::Claims;
use super::scene::Scene;
use crate::consul::{Consul, Kind};
use crate::ledger::Tally;
use crate::rig::{Pod, SOON};
use crate::wait::eventually;

const GROUP: &str = "access::init";

#[test]
fn it_logs_in_as_the_pod_and_leaves_no_token() {
    let mut tally = Tally::of(GROUP);
    let scene = Scene::shared();
    scene.method("i1", &json!({}));
    let pod = scene.pod("i1").arg(&["--login-meta", "team=e2e"]).env("SEEDCAR_POD_NAME", "web-0");
    let ended = pod.seedcar(&["init"]);
    tally.check(ended.code() == 0, || ended.err.clone());
    tally.check(pod.read("a").as_deref() == Some(b"1"), || "not seeded".to_owned());
    tally.check(ended.events("logged_out").len() == 1, || ended.log.clone());
    tally.check(scene.tokens("i1").is_empty(), || format!("{:?}", scene.tokens("i1")));
    // The name of the pod is what operators look for in Consul's list of tokens.
    let sidecar = pod.run(&[]);
    let described = eventually("a token", SOON, || {
        Some(scene.tokens("i1").first()?["Description"].as_str()?.to_owned())
    });
    for words in ["\"pod\":\"web-0\"", "\"team\":\"e2e\""] {
        tally.check(described.contains(words), || described.clone());
    }
    drop(sidecar);
    scene.revoke("i1");
    tally.finish();
}

#[test]
fn a_denied_login_is_told_and_nothing_of_the_jwt() {
    let mut tally = Tally::of(GROUP);
    let scene = Scene::shared();
    scene.method("i2", &json!({}));
    let cases: [(&str, Claims, &str); 4] = [
        ("expired", Claims::of("web").good_for(-600), "token is expired"),
        ("another audience", Claims::of("web").audience("vault"), "aud claim"),
        ("nobody's", Claims::of("nobody"), "none of its binding rules"),
        ("cut", Claims::of("web"), "error parsing token"),
    ];
    for (case, claims, why) in cases {
        let pod = scene.pod("i2");
        let mut jwt = scene.write_jwt("i2", &claims);
        if case == "cut" {
            jwt.truncate(jwt.find('.').expect("parts"));
            std::fs::write(scene.jwt("i2"), &jwt).expect("written");
        }
        denied(&mut tally, case, &pod, why);
        let ended = pod.seedcar(&["init", "--seed-timeout", "1s"]);
        let said = ended.log + &ended.err;
        let parts = jwt.split('.').filter(|part| said.contains(&part[..12]));
        tally.check(parts.count() == 0, || format!("{case}: {said}"));
    }
    let other = scene.pod_by("i2", "no-such-method");
    denied(&mut tally, "no such method", &other, "is there an auth method of this name?");
    let pod = scene.pod("i2");
    std::fs::remove_file(scene.jwt("i2")).expect("removed");
    denied(&mut tally, "no file", &pod, "login token file");
    tally.finish();
}

/// Exit 77 with one line that says why and names the method; with a backup, that.
fn denied(tally: &mut Tally, case: &str, pod: &Pod, why: &str) {
    let ended = pod.seedcar(&["init", "--seed-timeout", "1s"]);
    let last = ended.err.lines().last().unwrap_or_default().to_owned();
    tally.check(ended.code() == 77, || format!("{case}: {} {last}", ended.code()));
    let told = last.contains(why) && last.contains("login by auth method");
    tally.check(told, || format!("{case}: {last}"));
    let failed = ended.events("login_failed");
    tally.check(!failed.is_empty(), || format!("{case}: {}", ended.log));
}

#[test]
fn with_a_backup_a_denied_login_and_an_outage_are_alike() {
    let mut tally = Tally::of(GROUP);
    let scene = Scene::start();
    let rule = scene.method("i3", &json!({}));
    let pod = scene.pod("i3");
    let sidecar = pod.run(&["--seed"]);
    sidecar.until("there is a backup", |s| s.backup.is_some());
    drop(sidecar);
    let from_backup = |tally: &mut Tally, case: &str, least: Duration, most: Duration| {
        pod.wipe_volume();
        let begun = Instant::now();
        let ended = pod.seedcar(&["init", "--seed-timeout", "6s"]);
        let took = begun.elapsed();
        let seeded = ended.code() == 0 && !ended.events("seeded_from_backup").is_empty();
        tally.check(seeded, || format!("{case}: {} {}", ended.code(), ended.err));
        let in_time = took >= least && took < most;
        tally.check(in_time, || format!("{case}: after {took:?}"));
        tally.check(pod.read("a").as_deref() == Some(b"1"), || format!("{case}: no file"));
    };
    scene.unbind(&rule);
    let (none, soon, share) = (Duration::ZERO, Duration::from_secs(2), Duration::from_secs(2));
    from_backup(&mut tally, "denied", none, soon);
    // A login that hangs has Consul's share of the deadline, as a read that hangs.
    scene.consul.freeze();
    from_backup(&mut tally, "hung", share, Duration::from_secs(5));
    scene.consul.thaw();
    scene.consul.kill();
    from_backup(&mut tally, "down", none, soon);
    let bare = scene.pod("i3").arg(&["--backup-mode", "off"]);
    let ended = bare.seedcar(&["init", "--seed-timeout", "1s"]);
    let outage = ended.code() == 69 && ended.err.contains("Consul is unreachable");
    tally.check(outage, || format!("{} {}", ended.code(), ended.err));
    tally.finish();
}

#[test]
fn however_it_ends_it_logs_out() {
    let mut tally = Tally::of(GROUP);
    let scene = Scene::shared();
    scene.method("i4", &json!({}));
    // Nothing to seed from: it waits, and gives up.
    scene.consul.delete("i4/a");
    let pod = scene.pod("i4");
    let ended = pod.seedcar(&["init", "--seed-timeout", "1s"]);
    tally.check(ended.code() == 69, || format!("{} {}", ended.code(), ended.err));
    tally.check(scene.tokens("i4").is_empty(), || "logged in after giving up".to_owned());
    // Told to stop meanwhile: Consul knows of the token, and seedcar perhaps not yet.
    for _ in 0..8 {
        let mut init = pod.command(&["init", "--seed-timeout", "1m"]);
        let mut child =
            init.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        scene.until_tokens("i4", 1);
        kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
        let begun = Instant::now();
        let status = child.wait().expect("it ends");
        let took = begun.elapsed();
        tally.check(took < Duration::from_secs(1), || format!("stopped after {took:?}"));
        tally.check(status.code() == Some(75), || format!("{status}"));
        let left = scene.tokens("i4");
        tally.check(left.is_empty(), || format!("logged in after SIGTERM: {left:?}"));
        scene.revoke("i4");
    }
    tally.finish();
}

#[test]
fn the_login_is_asked_for_where_the_reads_are() {
    let mut tally = Tally::of(GROUP);
    let consul = Consul::start(Kind::Embedded);
    let files = tempfile::TempDir::new().expect("a directory");
    let file = files.path().join("jwt");
    std::fs::write(&file, "a.b.c\n").expect("written");
    let pod = Pod::new(consul.addr(), "app")
        .arg(&["--login-method", "m", "--login-token-file", file.to_str().expect("UTF-8")])
        .arg(&["--datacenter", "dc1", "--namespace", "shop", "--partition", "west"]);
    let ended = pod.seedcar(&["init", "--seed-timeout", "1s"]);
    // The embedded one knows no logins.
    tally.check(ended.err.contains("Consul 1.5 or later"), || ended.err.clone());
    let asked = consul.requests().all();
    let to_login = |target: &str| {
        let scope = ["dc=dc1", "ns=shop", "partition=west"];
        target.starts_with("/v1/acl/login?") && scope.iter().all(|part| target.contains(part))
    };
    let all = asked.iter().filter(|r| r.agent.contains("(login)")).collect::<Vec<_>>();
    let right = all.iter().all(|r| r.method == "POST" && to_login(&r.target));
    tally.check(!all.is_empty() && right, || format!("{asked:?}"));
    // Without a token nothing else is asked.
    tally.check(all.len() == asked.len(), || format!("{asked:?}"));
    tally.finish();
}

#[test]
fn diff_logs_in_and_out() {
    let mut tally = Tally::of(GROUP);
    let scene = Scene::shared();
    scene.method("i9", &json!({}));
    let ended = scene.pod("i9").seedcar(&["diff"]);
    tally.check(ended.code() == 0, || ended.err.clone());
    tally.check(ended.log.contains("+ a  from default"), || ended.log.clone());
    tally.check(scene.tokens("i9").is_empty(), || format!("{:?}", scene.tokens("i9")));
    tally.finish();
}
