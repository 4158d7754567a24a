//! A token that not every server knows yet. One Consul alone knows it at once; here a stand-in has its
//! followers lag.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::TempDir;

use crate::ledger::Tally;
use crate::question;
use crate::rig::Pod;

const GROUP: &str = "access::spread";

const TOKEN: &str = "{\"SecretID\":\"5e0ac0de-98fd-4b1e-8d77-3f1f6a2c9e10\",\"Local\":true}";
const KEYS: &str =
    "[{\"Key\":\"app/a\",\"Flags\":0,\"Value\":\"MQ==\",\"CreateIndex\":1,\"ModifyIndex\":1}]";

/// A Consul whose followers know a new token only after they were asked for it so many times. What it
/// was asked, in order.
fn lagging(times: usize) -> (SocketAddr, Arc<Mutex<Vec<&'static str>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    let asked = Arc::<Mutex<Vec<&'static str>>>::default();
    let log = asked.clone();
    // It lives as long as the test program, and waits for connections.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream, &log, times);
        }
    });
    (addr, asked)
}

fn answer(mut stream: TcpStream, log: &Mutex<Vec<&'static str>>, times: usize) -> Option<()> {
    let (first, _) = question::read(&mut BufReader::new(&stream))?;
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    let (what, status, body) = match first.split(['?', ' ']).nth(1)? {
        "/v1/acl/login" => ("login", "200 OK", TOKEN),
        "/v1/acl/logout" => ("logout", "200 OK", "true"),
        "/v1/acl/token/self" if log.iter().filter(|w| **w == "unknown").count() < times => {
            ("unknown", "403 Forbidden", "ACL not found")
        }
        "/v1/acl/token/self" => ("known", "200 OK", "{}"),
        _ => ("read", "200 OK", KEYS),
    };
    log.push(what);
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nX-Consul-Index: 5\r\n");
    write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}").ok()
}

#[test]
fn nobody_asks_with_a_token_before_every_server_knows_it() {
    let mut tally = Tally::of(GROUP);
    let files = TempDir::new().expect("a directory");
    let file = files.path().join("jwt");
    std::fs::write(&file, "a.b.c").expect("written");
    // The second is one that never learns of it: two seconds are enough.
    for (times, known) in [(3, true), (usize::MAX, false)] {
        let (addr, asked) = lagging(times);
        let jwt = file.display().to_string();
        let pod = Pod::new(addr, "app").arg(&["--login-method", "m", "--login-token-file", &jwt]);
        let ended = pod.seedcar(&["init"]);
        tally.check(ended.code() == 0, || ended.err.clone());
        let asked = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let first_read = asked.iter().position(|what| *what == "read").expect("it was read");
        let before = &asked[..first_read];
        let learned = before.iter().filter(|what| **what == "unknown").count();
        let waited = if known { before.contains(&"known") } else { (5..30).contains(&learned) };
        tally.check(waited, || format!("{asked:?}"));
        tally.check(asked.last() == Some(&"logout"), || format!("{asked:?}"));
    }
    tally.finish();
}
