//! Answers without an end.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::memory;
use crate::consul::{Consul, Kind};
use crate::ledger::Tally;
use crate::rig::{Pod, SOON};
use crate::wait::{eventually, throughout};

/// The program and its threads, a debug build's at that.
const BASE: u64 = 24 << 10;
/// Heap and stacks at rest, in KiB. The program's own pages are the kernel's to drop, and a debug build has
/// many.
const REST: u64 = 6 << 10;
/// What `--max-bytes` is set to, in KiB.
const CAP: u64 = 4 << 10;
const LIMITS: [&str; 4] = ["--max-bytes", "4Mi", "--max-keys", "4000"];
/// No answer is read further than this.
const WIRE: u64 = 64 << 20;

/// What is sent after the head, again and again.
type Piece = fn(u64) -> Vec<u8>;

/// A kind of answer.
#[derive(Clone, Copy)]
struct Endless {
    name: &'static str,
    /// Further headers.
    head: &'static str,
    begin: &'static str,
    piece: Piece,
    /// The kinds of error that it may be.
    kinds: &'static [&'static str],
}

fn letters(_: u64) -> Vec<u8> {
    vec![b'A'; 64 << 10]
}

fn blanks(_: u64) -> Vec<u8> {
    vec![b' '; 64 << 10]
}

fn keys(at: u64) -> Vec<u8> {
    let one = |n: u64| format!(r#"{{"Key":"app/k{n}","Flags":0,"Value":"MQ=="}},"#);
    (at * 500..(at + 1) * 500).map(one).collect::<String>().into_bytes()
}

fn large(at: u64) -> Vec<u8> {
    let value = "QUJD".repeat((512 << 10) / 3);
    format!(r#"{{"Key":"app/k{at}","Flags":0,"Value":"{value}"}},"#).into_bytes()
}

fn names(at: u64) -> Vec<u8> {
    let one = |n: u64| format!(r#"{{"Key":"app/{n}{}","Value":null}},"#, "n".repeat(8_000));
    (at * 8..(at + 1) * 8).map(one).collect::<String>().into_bytes()
}

fn nested(_: u64) -> Vec<u8> {
    br#"{"x":["#.repeat(8_000)
}

fn header(at: u64) -> Vec<u8> {
    format!("X-{at}: {}\r\n", "x".repeat(8_000)).into_bytes()
}

/// Deflated blanks: a bomb is a short thing that becomes long; nobody must unpack it.
fn bomb(_: u64) -> Vec<u8> {
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    gzip.iter().copied().chain(std::iter::repeat_n(0, 64 << 10)).collect()
}

const TOO_LARGE: &[&str] = &["too_large"];
const MALFORMED: &[&str] = &["malformed"];
const EITHER: &[&str] = &["too_large", "malformed", "connect_error", "server_error"];

const ENDLESS: &[Endless] = &[
    Endless {
        name: "a value",
        head: "",
        begin: r#"[{"Key":"app/a","Value":""#,
        piece: letters,
        kinds: TOO_LARGE,
    },
    Endless {
        name: "a key",
        head: "",
        begin: r#"[{"Key":"app/"#,
        piece: letters,
        kinds: TOO_LARGE,
    },
    Endless { name: "a million keys", head: "", begin: "[", piece: keys, kinds: TOO_LARGE },
    Endless { name: "large values", head: "", begin: "[", piece: large, kinds: TOO_LARGE },
    Endless { name: "long names", head: "", begin: "[", piece: names, kinds: TOO_LARGE },
    Endless { name: "white space", head: "", begin: "[", piece: blanks, kinds: TOO_LARGE },
    Endless {
        name: "deep JSON",
        head: "",
        begin: r#"[{"Key":"app/a","Value":"#,
        piece: nested,
        kinds: TOO_LARGE,
    },
    Endless { name: "deep lists", head: "", begin: "[[[[", piece: nested, kinds: MALFORMED },
    Endless { name: "no JSON", head: "", begin: "<html>", piece: letters, kinds: MALFORMED },
    Endless {
        name: "a bomb",
        head: "Content-Encoding: gzip\r\n",
        begin: "",
        piece: bomb,
        kinds: MALFORMED,
    },
    Endless { name: "headers", head: "X-No-End: 1\r\n", begin: "", piece: header, kinds: EITHER },
];

/// A server that never stops. Dropped, it does.
struct Talker {
    over: Arc<AtomicBool>,
    /// The most that was sent on one connection.
    most: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Talker {
    fn start(addr: SocketAddr, what: Endless) -> Self {
        let listener = eventually("the port is free", SOON, || TcpListener::bind(addr).ok());
        listener.set_nonblocking(true).expect("nonblocking");
        let (over, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (until, counted) = (over.clone(), most.clone());
        let thread = std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                let Ok((stream, _)) = listener.accept() else {
                    std::thread::sleep(Duration::from_millis(2));
                    continue;
                };
                let (until, counted) = (until.clone(), counted.clone());
                std::thread::spawn(move || {
                    let sent = talk(stream, what, &until);
                    counted.fetch_max(sent, Ordering::Relaxed);
                });
            }
        });
        Self { over, most, thread: Some(thread) }
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join);
    }
}

/// Talks until nobody listens; how much that was.
fn talk(stream: TcpStream, what: Endless, over: &AtomicBool) -> u64 {
    let _ = stream.set_nonblocking(false);
    let _ = stream.set_read_timeout(Some(SOON));
    let _ = stream.set_write_timeout(Some(SOON));
    let mut reader = BufReader::new(&stream);
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        line.clear();
    }
    let end = if what.name == "headers" { "" } else { "\r\n" };
    let head = format!(
        "HTTP/1.1 200 OK\r\nX-Consul-Index: 99\r\nContent-Length: 10000000000\r\n{}{end}{}",
        what.head, what.begin
    );
    let mut sent = 0;
    let mut say = |bytes: &[u8]| {
        sent += bytes.len() as u64;
        (&stream).write_all(bytes).is_ok() && !over.load(Ordering::Relaxed) && sent < 2 * WIRE
    };
    let mut at = 0;
    if say(head.as_bytes()) {
        while say(&(what.piece)(at)) {
            at += 1;
        }
    }
    sent
}

/// Runs to the end; what it said and the most anonymous memory that was seen, in KiB.
fn watched(mut command: Command) -> (i32, String, u64) {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let (most, output) = memory::most_of(child.id(), || child.wait_with_output().expect("it ends"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), said, most)
}

#[test]
fn an_endless_answer_is_refused_while_it_streams() {
    let mut tally = Tally::of("bounded::answers");
    let consul = Consul::start(Kind::Embedded);
    consul.put("app/a", "1");
    // With files from before, init makes do with them after the first try.
    let pod = Pod::new(consul.addr(), "app").arg(&LIMITS);
    pod.init();
    consul.kill();
    for what in ENDLESS {
        let talker = Talker::start(consul.addr(), *what);
        let (code, said, peak) = watched(pod.command(&["init", "--seed-timeout", "60s"]));
        let name = what.name;
        tally.check(code == 0, || format!("{name}: exit {code}: {said}"));
        let kept = pod.read("a").as_deref() == Some(b"1") && pod.tree().len() == 1;
        tally.check(kept, || format!("{name}: the files are not those from before"));
        let kind = |kind: &&str| said.contains(&format!("\"error_kind\":\"{kind}\""));
        tally.check(what.kinds.iter().any(kind), || format!("{name}: {said}"));
        tally.check(peak < REST + 2 * CAP, || format!("{name}: {peak} KiB"));
        tally.check(peak > 0, || format!("{name}: not seen"));
        let most = talker.most.load(Ordering::Relaxed);
        tally.check(most < WIRE, || format!("{name}: {most} bytes were read"));
        eprintln!("{name}: peak {peak} KiB");
    }
    tally.finish();
}

#[test]
fn a_running_sidecar_keeps_its_files_and_its_size() {
    let mut tally = Tally::of("bounded::answers");
    let consul = Consul::start(Kind::Embedded);
    consul.put("app/a", "1");
    let pod = Pod::new(consul.addr(), "app").arg(&LIMITS);
    let sidecar = pod.run(&["--seed", "--heartbeat", "1s"]);
    sidecar.until_fresh();
    for what in [ENDLESS[0], ENDLESS[2], ENDLESS[5]] {
        let name = what.name;
        consul.kill();
        let talker = Talker::start(consul.addr(), what);
        sidecar.until("it has seen that", |s| {
            let heartbeat = &s.mechanisms["heartbeat"].last_error;
            heartbeat.as_ref().is_some_and(|error| error.kind == "too_large")
        });
        throughout("the file stays", Duration::from_secs(1), || {
            pod.read("a").as_deref() == Some(b"1") && sidecar.get("/livez").0 == 200
        });
        let memory = memory::of(sidecar.pid() as u32);
        // Watch and heartbeat may read at once.
        tally.check(memory.peak < BASE + 6 * CAP, || format!("{name}: {memory:?}"));
        drop(talker);
        consul.restart();
        sidecar.until_fresh();
        let after = memory::of(sidecar.pid() as u32);
        tally.check(after.anonymous < REST, || format!("after {name}: {after:?}"));
    }
    tally.finish();
}
