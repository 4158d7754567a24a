//! Bytes on the admin port.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use seedcar::admin::{Admin, Port};
use seedcar::board::Board;
use seedcar::config::{Env, Flags, Scope, load};
use seedcar::metrics::Metrics;
use seedcar::shutdown::Drain;
use seedcar::status::Reporter;
use seedcar::supervise::Pulse;
use seedcar::sys;

/// A token that must not be seen.
const CANARY: &str = "c4n4ry-s3cr3t";
/// Only a guard against a hang.
const HANG: Duration = Duration::from_secs(20);

/// Whatever is sent, the answer is HTTP or the end of the connection, holds no secret, and the next
/// probe is answered.
pub fn check(data: &[u8]) {
    let at = server();
    let answer = ask(at, data, true);
    let text = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || text.starts_with("HTTP/1."), "{text:?}");
    assert!(!text.contains(CANARY), "{text}");
    let probe = ask(at, b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", false);
    assert!(probe.starts_with(b"HTTP/1.1 200"), "{:?}", String::from_utf8_lossy(&probe));
}

/// Sends it and reads to the end. The other side may close before it has read everything. Who `ends`
/// will send no more; to a request in work that means that nobody waits for the answer.
fn ask(at: SocketAddr, data: &[u8], ends: bool) -> Vec<u8> {
    let mut stream = TcpStream::connect(at).expect("it listens");
    stream.set_read_timeout(Some(HANG)).expect("a time-out");
    stream.set_write_timeout(Some(HANG)).expect("a time-out");
    let _ = stream.write_all(data);
    if ends {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let hangs = |kind| matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut);
    assert!(!read.is_err_and(|e| hangs(e.kind())), "no answer and no end");
    answer
}

/// One server for all inputs, as it is in a pod.
fn server() -> SocketAddr {
    static SERVER: OnceLock<SocketAddr> = OnceLock::new();
    *SERVER.get_or_init(|| {
        let port = Port::bind((Ipv4Addr::LOCALHOST, 0).into(), false).expect("a port");
        let at = port.address().expect("an address");
        std::thread::spawn(move || port.serve(&admin(), &Drain::default()));
        at
    })
}

fn admin() -> Admin {
    let variables = [("SEEDCAR_PREFIX", "app"), ("CONSUL_HTTP_TOKEN", CANARY)];
    let env: Env = variables.into_iter().collect();
    let config = load(&Flags::new(), &env, Scope::Full).config.expect("a configuration");
    let reporter = Reporter {
        config: Arc::new(config),
        board: Arc::new(Board::new(1)),
        metrics: Arc::new(Metrics::default()),
        started: sys::now(),
    };
    let pulse = Arc::new(Pulse::default());
    pulse.tick(Duration::MAX);
    Admin { reporter: Arc::new(reporter), pulses: Arc::new(vec![("watch", pulse)]) }
}
