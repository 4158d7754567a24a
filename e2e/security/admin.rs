//! The admin port under people who are slow, many, large, or mad.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::consul::{Consul, Kind};
use crate::ledger::{Tally, share};
use crate::rig::{Pod, SOON, Sidecar};
use crate::wait::eventually;

/// A probe is given up by the kubelet after one second.
const PROBE: Duration = Duration::from_secs(1);
/// What a machine that is busy with other tests may add to it.
const SLACK: Duration = Duration::from_secs(30);
/// The connections that seedcar keeps at most, and those on their way in and out.
const DESCRIPTORS: usize = 4 * 64;

/// Someone who talks to the port until told to stop.
type Nuisance = fn(SocketAddr, &AtomicBool);

/// A connection from an address that is not that of the probes, as the kubelet's is not a pod's.
fn connect(addr: SocketAddr) -> Option<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).ok()?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).ok()?;
    socket.connect_timeout(&addr.into(), PROBE).ok()?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_millis(200))).ok()?;
    stream.set_write_timeout(Some(Duration::from_millis(200))).ok()?;
    Some(stream)
}

/// Three hundred connections that each say a byte now and then, and are made anew when closed.
fn slow_heads(addr: SocketAddr, over: &AtomicBool) {
    let mut open: Vec<TcpStream> = Vec::new();
    while !over.load(Ordering::Relaxed) {
        open.retain(|mut stream| stream.write_all(b"G").is_ok());
        while open.len() < 300 {
            let Some(stream) = connect(addr) else { break };
            open.push(stream);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Three hundred connections that say nothing.
fn silent(addr: SocketAddr, over: &AtomicBool) {
    let open: Vec<_> = (0..300).filter_map(|_| connect(addr)).collect();
    while !over.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(open);
}

/// Connections by the hundred, closed at once.
fn flood(addr: SocketAddr, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let many: Vec<_> = (0..100).filter_map(|_| connect(addr)).collect();
        drop(many);
    }
}

/// Says this over and over on new connections, and reads what comes.
fn repeat(addr: SocketAddr, over: &AtomicBool, text: &[u8]) {
    while !over.load(Ordering::Relaxed) {
        let Some(mut stream) = connect(addr) else { continue };
        let _ = stream.write_all(text);
        let mut answer = [0; 4096];
        let _ = stream.read(&mut answer);
    }
}

fn large_heads(addr: SocketAddr, over: &AtomicBool) {
    let header = format!("GET /livez HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    repeat(addr, over, header.as_bytes());
}

fn many_headers(addr: SocketAddr, over: &AtomicBool) {
    let headers: String = (0..5_000).map(|n| format!("X-{n}: {n}\r\n")).collect();
    repeat(addr, over, format!("GET /livez HTTP/1.1\r\nHost: x\r\n{headers}\r\n").as_bytes());
}

fn pipelines(addr: SocketAddr, over: &AtomicBool) {
    repeat(addr, over, &b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(500));
}

fn bodies(addr: SocketAddr, over: &AtomicBool) {
    let head = b"POST /status HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n";
    repeat(addr, over, &[&head[..], &vec![b'x'; 1 << 20]].concat());
}

fn garbage(addr: SocketAddr, over: &AtomicBool) {
    let mut random = fastrand::Rng::with_seed(4);
    while !over.load(Ordering::Relaxed) {
        let length = random.usize(1..3_000);
        let bytes: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
        let Some(mut stream) = connect(addr) else { continue };
        let _ = stream.write_all(&bytes);
    }
}

/// Sixty connections at a time that ask for the largest answer and never read it.
fn deaf(addr: SocketAddr, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let open: Vec<_> = (0..60).filter_map(|_| connect(addr)).collect();
        for mut stream in &open {
            let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

const NUISANCES: &[(&str, Nuisance)] = &[
    ("slow heads", slow_heads),
    ("silent connections", silent),
    ("a flood", flood),
    ("large heads", large_heads),
    ("many headers", many_headers),
    ("pipelines", pipelines),
    ("bodies", bodies),
    ("garbage", garbage),
    ("answers never read", deaf),
];

fn descriptors(sidecar: &Sidecar<'_>) -> usize {
    let dir = std::fs::read_dir(format!("/proc/{}/fd", sidecar.pid()));
    dir.expect("procfs").count()
}

/// `GET path` on a connection of its own: the status line, and how long it took.
fn probe(addr: SocketAddr, path: &str) -> (String, Duration) {
    let begun = Instant::now();
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&addr, PROBE + SLACK)?;
        stream.set_read_timeout(Some(PROBE + SLACK))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.lines().next().unwrap_or_default().to_owned())
    };
    (ask().unwrap_or_else(|error| error.to_string()), begun.elapsed())
}

#[test]
fn probes_are_answered_whatever_the_others_do() {
    let mut tally = Tally::of("security::admin");
    let consul = Consul::start(Kind::Embedded);
    consul.put("app/a", "1");
    let pod = Pod::new(consul.addr(), "app");
    let sidecar = pod.run(&["--seed"]);
    sidecar.until_fresh();
    let (before, memory) = (descriptors(&sidecar), resident(&sidecar));
    let (mut late, mut all) = (0, 0);
    for (name, nuisance) in NUISANCES {
        let over = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (over, addr) = (over.clone(), sidecar.addr());
                std::thread::spawn(move || nuisance(addr, &over))
            })
            .collect();
        for round in 0..share(12, 1_000) {
            std::thread::sleep(Duration::from_millis(25));
            let path = ["/livez", "/readyz"][round as usize % 2];
            let (said, took) = probe(sidecar.addr(), path);
            tally.check(said == "HTTP/1.1 200 OK", || format!("{name}: {path}: {said}, {took:?}"));
            (late, all) = (late + u32::from(took > PROBE), all + 1);
            let open = descriptors(&sidecar);
            tally.check(open <= before + DESCRIPTORS, || format!("{name}: {open} descriptors"));
        }
        over.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| thread.join().expect("a nuisance"));
        eventually("what they opened is closed", SOON, || {
            (descriptors(&sidecar) <= before + 2).then_some(())
        });
    }
    eprintln!("{late} of {all} probes took more than a second");
    // On a quiet machine none is; one that is busy with other tests may hold up some.
    tally.check(late * 2 <= all, || format!("{late} of {all} probes took more than a second"));
    let grown = resident(&sidecar).saturating_sub(memory);
    tally.check(grown < 8 << 10, || format!("{grown} KiB more than before"));
    tally.finish();
}

/// A connection that stays open without a question is closed from our side, though nobody needs its
/// place.
#[test]
fn a_slow_connection_is_closed_in_time() {
    let mut tally = Tally::of("security::admin");
    let consul = Consul::start(Kind::Embedded);
    consul.put("app/a", "1");
    let pod = Pod::new(consul.addr(), "app");
    let sidecar = pod.run(&["--seed"]);
    for words in ["", "GET /livez HT", "GET /livez HTTP/1.1\r\nHost: x\r\n"] {
        let mut stream = TcpStream::connect(sidecar.addr()).expect("connected");
        stream.write_all(words.as_bytes()).expect("said");
        stream.set_read_timeout(Some(SOON)).expect("a deadline");
        let ended = stream.read_to_end(&mut Vec::new());
        let closed =
            ended.map_or_else(|e| e.kind() == std::io::ErrorKind::ConnectionReset, |_| true);
        tally.check(closed, || format!("{words:?} keeps a connection"));
    }
    tally.finish();
}

/// Resident memory in KiB.
fn resident(sidecar: &Sidecar<'_>) -> u64 {
    crate::bounded::memory::of(sidecar.pid() as u32).resident
}
