//! The same after thousands of publishes and reconnects as after a few.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use super::memory::{self, Memory};
use super::publishing::publish;
use crate::consul::{Consul, Kind};
use crate::ledger::{Tally, share};
use crate::rig::{Pod, SOON, Sidecar};
use crate::wait::eventually;

/// What a heap may keep for itself, in KiB.
const HEAP: u64 = 3 << 10;
const PUBLISHING: &str = "SEEDCAR_E2E_PUBLISHES";

/// Descriptors and memory after a beginning, and at the end.
fn unchanged(tally: &mut Tally, what: &str, before: (usize, Memory), after: (usize, Memory)) {
    eprintln!("{what}: {before:?} -> {after:?}");
    tally.check(after.0 <= before.0 + 3, || format!("{what}: descriptors {before:?} {after:?}"));
    let grown = after.1.anonymous.saturating_sub(before.1.anonymous);
    tally.check(grown <= HEAP, || format!("{what}: {grown} KiB more: {before:?} {after:?}"));
}

fn now(sidecar: &Sidecar<'_>) -> (usize, Memory) {
    let pid = sidecar.pid() as u32;
    (memory::descriptors(pid), memory::of(pid))
}

/// At full speed, in a process of its own so that nobody else's descriptors are counted.
#[test]
fn many_publishes_at_full_speed() {
    let mut tally = Tally::of("bounded::growth");
    let rounds = share(600, 10_000);
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["bounded::growth::publishing", "--exact", "--nocapture"])
        .env(PUBLISHING, rounds.to_string())
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    tally.cases(rounds);
    tally.check(output.status.success() && said.contains("was the same"), || said.clone());
    tally.finish();
}

#[test]
fn publishing() {
    let Some(rounds) = std::env::var(PUBLISHING).ok().and_then(|text| text.parse().ok()) else {
        return;
    };
    let volume = TempDir::new_in("/dev/shm").expect("a volume");
    let me = std::process::id();
    let mut before = None;
    for round in 1..=rounds {
        assert!(publish(volume.path(), round), "round {round}");
        if round == 100 {
            before = Some((memory::descriptors(me), memory::of(me)));
        }
    }
    let (files, memory) = before.expect("more than a hundred");
    let after = memory::of(me);
    assert!(memory::descriptors(me) <= files, "{} descriptors", memory::descriptors(me));
    assert!(after.anonymous <= memory.anonymous + HEAP, "{memory:?} -> {after:?}");
    let generations = std::fs::read_dir(volume.path().join("live")).expect("live").count();
    assert!(generations < 12, "{generations} names in live");
    println!("was the same");
}

/// The sidecar itself, with the pauses that it makes.
#[test]
fn many_publishes_of_a_sidecar() {
    let mut tally = Tally::of("bounded::growth");
    let rounds = share(60, 10_000);
    let consul = Consul::start(Kind::Embedded);
    consul.put("app/k0", "0");
    let pod = Pod::new(consul.addr(), "app");
    let sidecar = pod.run(&["--seed"]);
    sidecar.until_fresh();
    let mut before = None;
    for round in 1..=rounds {
        consul.put(&format!("app/k{}", round % 50), round.to_string());
        sidecar.shows(&format!("k{}", round % 50), round.to_string());
        if round == rounds / 2 {
            before = Some(now(&sidecar));
        }
    }
    tally.cases(rounds);
    unchanged(&mut tally, "publishes", before.expect("half"), now(&sidecar));
    eventually("old generations go", SOON, || {
        (std::fs::read_dir(pod.live()).ok()?.count() <= 50 + 4).then_some(())
    });
    tally.finish();
}

/// Answers every question with a higher index and the same content, and closes.
fn closing_server() -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    let count = Arc::new(AtomicU64::new(0));
    let counted = count.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let index = 10 + counted.fetch_add(1, Ordering::Relaxed);
            let _ = answer_and_close(stream, index);
        }
    });
    (addr, count)
}

fn answer_and_close(stream: TcpStream, index: u64) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(&stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let prefix = line.split("/v1/kv/").nth(1).and_then(|l| l.split('/').next()).unwrap_or("p0");
    let body = format!(r#"[{{"Key":"{prefix}/k","Value":"MQ==","ModifyIndex":7}}]"#);
    while reader.read_line(&mut line)? > 2 {}
    let length = body.len();
    write!(
        &stream,
        "HTTP/1.1 200 OK\r\nX-Consul-Index: {index}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

#[test]
fn many_reconnects() {
    let mut tally = Tally::of("bounded::growth");
    let rounds = share(300, 2_000);
    let (addr, count) = closing_server();
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("seedcar.yaml");
    // Each source asks for itself, at its own pace.
    let sources: String = (0..12).map(|n| format!("- name: s{n}\n  prefix: p{n}\n")).collect();
    std::fs::write(&file, format!("sources:\n{sources}")).expect("a file");
    let pod = Pod::bare().arg(&["--config", &file.display().to_string()]);
    let pod = pod.arg(&["--consul", &addr.to_string()]);
    let sidecar = pod.run(&["--seed", "--heartbeat", "1s"]);
    let reach = |questions: u64| {
        let long = Duration::from_secs(600);
        eventually("it reconnects", long, || {
            (count.load(Ordering::Relaxed) >= questions).then_some(())
        });
    };
    reach(100);
    let before = now(&sidecar);
    reach(100 + rounds);
    tally.cases(rounds);
    unchanged(&mut tally, "reconnects", before, now(&sidecar));
    tally.finish();
}
