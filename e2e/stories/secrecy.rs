//! No value and no token is ever shown: not in logs, status, metrics, errors or listings.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Consul, Kind, Pod, watching};

told_on_both!(no_value_and_no_token_is_ever_shown);

const VALUE: &str = "canary-value-98fd1b";
const HOST: &str = "another-canary-77c0";

/// Whatever seedcar says anywhere, with the place it says it in.
struct Said(Vec<(String, String)>);

impl Said {
    fn hear(&mut self, place: &str, text: impl Into<String>) {
        self.0.push((place.to_owned(), text.into()));
    }

    /// Both streams of a command.
    fn run(&mut self, pod: &Pod, args: &[&str]) -> i32 {
        let ended = pod.seedcar(args);
        let code = ended.code();
        self.hear(&args.join(" "), ended.log + &ended.err);
        code
    }

    /// Every file of a directory.
    fn read(&mut self, dir: &Path) {
        for entry in std::fs::read_dir(dir).expect("a directory").flatten() {
            let text = std::fs::read(entry.path()).unwrap_or_default();
            let text = String::from_utf8_lossy(&text).into_owned();
            self.hear(&entry.path().display().to_string(), text);
        }
    }
}

/// With a token that works: the real one enforces it, the embedded one takes any.
fn guarded(kind: Kind) -> (Consul, String) {
    if kind == Kind::Embedded {
        return (Consul::start(kind), "canary-token-5e0a".to_owned());
    }
    let consul = Consul::start_with_acl();
    consul.set_policy("reader", r#"key_prefix "app/" { policy = "read" }"#);
    let token = consul.create_token(&["reader"]);
    (consul, token)
}

fn no_value_and_no_token_is_ever_shown(kind: Kind) {
    let (consul, token) = guarded(kind);
    consul.put("app/password", VALUE);
    consul.put("app/db/host", HOST);
    consul.txn_set(&[("app/../unsafe", VALUE.as_bytes())]);
    let pod = Pod::new(consul.addr(), "app").env("CONSUL_HTTP_TOKEN", &token);
    let pod = pod.arg(&["--log-level", "debug", "--backup-delay", "0s"]);
    let mut said = Said(Vec::new());
    while said.run(&pod, &["init"]) == 77 {
        // A new token is not known everywhere in the same instant.
    }
    live(&consul, &pod, &mut said);
    at_rest(&consul, &pod, &mut said);
    let secrets = [VALUE, HOST, &token].map(|s| (s.to_owned(), STANDARD.encode(s)));
    assert!(said.0.len() > 20);
    for (place, text) in &said.0 {
        for (secret, encoded) in &secrets {
            assert!(!text.contains(secret.as_str()), "{secret} in {place}: {text}");
            assert!(!text.contains(encoded.trim_end_matches('=')), "{secret} in {place}: {text}");
        }
    }
}

/// While the sidecar runs, through a change, a hold and an outage.
fn live(consul: &Consul, pod: &Pod, said: &mut Said) {
    let sidecar = watching(pod, &["--heartbeat", "1s"]);
    consul.put("app/password", format!("{VALUE}, changed"));
    sidecar.shows("password", format!("{VALUE}, changed"));
    sidecar.until("it is backed up", |s| s.backup.as_ref().map(|b| &b.digest) == s.digest.as_ref());
    consul.delete_recurse("app/");
    sidecar.until("the empty answer is held", |s| s.held.is_some());
    consul.kill();
    sidecar.until("the watch is down", |s| !s.mechanisms["watch"].up);
    for path in ["/status", "/metrics", "/livez", "/readyz", "/startupz", "/no-such"] {
        said.hear(path, sidecar.get(path).1);
    }
    let url = format!("http://{}", sidecar.addr());
    for command in ["status", "healthcheck"] {
        said.run(pod, &[command, "--url", &url]);
    }
    said.run(pod, &["status", "--check", "-o", "json", "--url", &url]);
    let process = format!("/proc/{}/cmdline", sidecar.pid());
    said.hear("the command line", std::fs::read_to_string(process).expect("its command line"));
    said.read(&pod.volume().join(".seedcar"));
    said.hear("the log", sidecar.log());
    sidecar.stop();
}

/// What the other commands say, with Consul down.
fn at_rest(consul: &Consul, pod: &Pod, said: &mut Said) {
    let manifest = pod.read("..data/..manifest.json").expect("a manifest");
    said.hear("the manifest", String::from_utf8(manifest).expect("UTF-8"));
    let backups = pod.backups();
    let newest = backups.last().expect("a backup").file_name().expect("a name");
    let newest = newest.to_str().expect("UTF-8");
    for args in [
        &["init"][..],
        &["backup", "ls"],
        &["backup", "ls", "-o", "json"],
        &["backup", "show", newest],
        &["backup", "show", newest, "-o", "json"],
        &["backup", "verify"],
        &["backup", "restore", newest],
        &["config", "print"],
        &["config", "print", "-o", "json"],
        &["config", "check", "--wait", "5"],
        &["run", "--http", "nowhere"],
    ] {
        said.run(pod, args);
    }
    // Nothing to seed from, and a token that is not known.
    pod.wipe_volume();
    backups.iter().for_each(|file| std::fs::remove_file(file).expect("remove"));
    assert_eq!(said.run(pod, &["init", "--seed-timeout", "1s"]), 69);
    consul.restart();
}
