//! What is secret stays so, also when the other side sends it back.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use seedcar::config::{Log, LogFormat, LogLevel};
use seedcar::demo::server::{Fault, Requests};
use seedcar::{log, supervise};

use crate::consul::{Consul, Kind};
use crate::ledger::Tally;
use crate::rig::{Pod, SOON};
use crate::wait::eventually;

const TOKEN: &str = "5e0ac0de-98fd-4b1e-8d77-3f1f6a2c9e10";
const PASSWORD: &str = "correct-horse-canary";
const VALUE: &str = "canary-value-98fd1b";

/// All that must not be seen, in the forms in which it travels.
fn secrets() -> Vec<String> {
    let pair = STANDARD.encode(format!("operator:{PASSWORD}"));
    let value = STANDARD.encode(VALUE).trim_end_matches('=').to_owned();
    [TOKEN, PASSWORD, VALUE].map(str::to_owned).into_iter().chain([pair, value]).collect()
}

/// What a helpful proxy may send back: the head of the request, whole, cut off, or in another case.
fn bodies() -> Vec<String> {
    let pair = STANDARD.encode(format!("operator:{PASSWORD}"));
    vec![
        format!("bad token {TOKEN}"),
        format!("bad token {}", TOKEN.to_uppercase()),
        format!("{}{}", "x".repeat(180), TOKEN),
        format!("cut {}", &TOKEN[..20]),
        format!("{{\"headers\":{{\"X-Consul-Token\":\"{TOKEN}\"}}}}"),
        format!("GET /v1/kv HTTP/1.1 Authorization: Basic {pair}"),
        format!("user operator, password {PASSWORD}"),
    ]
}

/// A pod with every kind of secret.
fn pod(consul: &Consul) -> Pod {
    Pod::new(consul.addr(), "app")
        .env("CONSUL_HTTP_TOKEN", TOKEN)
        .env("CONSUL_HTTP_AUTH", &format!("operator:{PASSWORD}"))
        .arg(&["--backup-delay", "0s"])
}

/// No secret, nor a telling part of the token, in what was said.
fn clean(tally: &mut Tally, place: &str, said: &str) {
    let lower = said.to_ascii_lowercase();
    for secret in secrets() {
        tally.check(!said.contains(&secret), || format!("{secret} in {place}: {said}"));
    }
    tally.check(!lower.contains(&TOKEN[..8]), || format!("part of the token in {place}: {said}"));
}

#[test]
fn whatever_the_status_and_the_text() {
    let mut tally = Tally::of("security::echo");
    let consul = Consul::start(Kind::Embedded);
    let bodies = bodies();
    consul.put("app/password", VALUE);
    // With files from before, init makes do with them at once.
    let seeded = pod(&consul).arg(&["--log-level", "debug"]);
    seeded.init();
    for status in [302, 400, 401, 403, 429, 500, 503] {
        for body in &bodies {
            consul.faults().clear();
            consul.faults().add(Requests::all(), Fault::status(status, body));
            let ended = seeded.seedcar(&["init"]);
            let told = ended.log.contains(&format!("HTTP {status}"));
            tally.check(told, || format!("{status} is not told: {}", ended.log));
            clean(&mut tally, &format!("{status} {body}"), &(ended.log + &ended.err));
        }
    }
    tally.finish();
}

#[test]
fn at_every_level_and_in_both_formats() {
    let mut tally = Tally::of("security::echo");
    let consul = Consul::start(Kind::Embedded);
    let bodies = bodies();
    let mut next = bodies.iter().cycle();
    for format in ["json", "text"] {
        for level in ["error", "warn", "info", "debug"] {
            let body = next.next().expect("endless");
            consul.faults().clear();
            consul.faults().add(Requests::all(), Fault::status(403, body));
            let pod = pod(&consul).arg(&["--log-level", level, "--log-format", format]);
            let ended = pod.seedcar(&["init", "--seed-timeout", "1s"]);
            tally.check(ended.code() == 77, || format!("{}: {}", ended.code(), ended.err));
            clean(&mut tally, &format!("{level} {format}"), &(ended.log + &ended.err));
        }
    }
    tally.finish();
}

#[test]
fn in_everything_that_a_sidecar_shows() {
    let mut tally = Tally::of("security::echo");
    let consul = Consul::start(Kind::Embedded);
    consul.put("app/password", VALUE);
    let pod = pod(&consul);
    let sidecar = pod.run(&["--seed", "--heartbeat", "1s", "--log-level", "debug"]);
    sidecar.until("there is a backup", |s| s.backup.is_some());
    for body in bodies() {
        consul.faults().clear();
        sidecar.until("it works", |s| s.mechanisms["heartbeat"].up);
        consul.faults().add(Requests::all(), Fault::status(500, &body));
        sidecar.until("it fails", |s| !s.mechanisms["heartbeat"].up);
        for path in ["/status", "/metrics", "/livez", "/readyz", "/startupz", "/no-such"] {
            clean(&mut tally, path, &sidecar.get(path).1);
        }
    }
    clean(&mut tally, "the log", &sidecar.log());
    let own = std::fs::read_dir(pod.volume().join(".seedcar")).expect("ours").flatten();
    for entry in own {
        let text = std::fs::read(entry.path()).unwrap_or_default();
        clean(&mut tally, ".seedcar", &String::from_utf8_lossy(&text));
    }
    tally.finish();
}

#[test]
fn in_backups_and_the_command_line() {
    let mut tally = Tally::of("security::echo::process");
    let consul = Consul::start(Kind::Embedded);
    consul.put("app/password", VALUE);
    let pod = pod(&consul);
    let sidecar = pod.run(&["--seed"]);
    sidecar.until("there is a backup", |s| s.backup.is_some());
    let proc = format!("/proc/{}", sidecar.pid());
    for file in ["cmdline", "comm", "status"] {
        let text = std::fs::read(format!("{proc}/{file}")).expect("procfs");
        clean(&mut tally, file, &String::from_utf8_lossy(&text));
    }
    for file in pod.backups() {
        let text = String::from_utf8_lossy(&std::fs::read(file).expect("a backup")).into_owned();
        tally.check(text.contains(VALUE), || "a backup without its value".to_owned());
        for secret in [TOKEN, PASSWORD] {
            tally.check(!text.contains(secret), || format!("{secret} in a backup"));
        }
    }
    tally.finish();
}

/// Where core dumps go to a program, the limit of their size is not looked at: the process must not
/// be dumpable. Then procfs belongs to root, whoever it runs as.
#[test]
fn there_is_no_core_dump_and_nothing_for_others_to_read() {
    let mut tally = Tally::of("security::echo::process");
    let consul = Consul::start(Kind::Embedded);
    consul.put("app/password", VALUE);
    let pod = pod(&consul);
    let nobody = 65_534;
    for dir in [pod.volume().to_owned(), pod.backup()] {
        chown(&dir, Some(nobody), Some(nobody)).expect("chown");
    }
    let home = tempfile::TempDir::new().expect("a directory");
    let program = home.path().join("seedcar");
    std::fs::copy(env!("CARGO_BIN_EXE_seedcar"), &program).expect("a copy");
    for path in [home.path(), &program, pod.backup().parent().expect("scratch")] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("chmod");
    }
    let known = pod.command(&["run", "--seed", "--http", "127.0.0.1:0"]);
    let mut command = Command::new(&program);
    command.env_clear().args(known.get_args()).uid(nobody).gid(nobody);
    command.envs(known.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = command.stdout(std::process::Stdio::null()).spawn().expect("it starts");
    let proc = format!("/proc/{}", child.id());
    eventually("it runs", SOON, || pod.read("password").map(drop));
    let limits = std::fs::read_to_string(format!("{proc}/limits")).expect("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a line");
    let figures: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
    tally.check(figures == ["0", "0"], || core.to_owned());
    let owner = |file: &str| Path::new(&proc).join(file).metadata().expect("procfs").uid();
    tally.check(owner("environ") == 0, || "its environment is open to its user".to_owned());
    tally.check(owner("mem") == 0, || "its memory is open to its user".to_owned());
    let _ = child.kill();
    let _ = child.wait();
    tally.finish();
}

const PANIC: &str = "SEEDCAR_E2E_PANIC";

/// Runs the next test in a process of its own, whose log can be read.
#[test]
fn a_panic_says_where_and_not_what() {
    let mut tally = Tally::of("security::echo::process");
    let itself = std::env::current_exe().expect("this program");
    let output: Output = Command::new(itself)
        .args(["security::echo::panicking", "--exact", "--nocapture"])
        .env(PANIC, "1")
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    tally.check(said.contains("\"event\":\"panic\"") && said.contains("echo.rs"), || said.clone());
    clean(&mut tally, "a panic", &said);
    tally.finish();
}

#[test]
fn panicking() {
    if std::env::var_os(PANIC).is_none() {
        return;
    }
    log::install(&Log { level: LogLevel::Debug, format: LogFormat::Json });
    supervise::install_panic_hook();
    let caught = std::panic::catch_unwind(|| panic!("{VALUE} and {TOKEN}"));
    assert!(caught.is_err());
}
