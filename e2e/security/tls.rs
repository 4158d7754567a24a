//! TLS: who is not known is told nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};
use tempfile::TempDir;

use super::tls_server::{Authority, Identity, Server, self_signed};
use crate::consul::{Consul, Kind};
use crate::ledger::Tally;
use crate::rig::{Ended, Pod};

const TOKEN: &str = "5e0ac0de-98fd-4b1e-8d77-3f1f6a2c9e10";
const HERE: &[&str] = &["127.0.0.1", "localhost"];

fn pod(addr: SocketAddr, authority: &Path) -> Pod {
    Pod::bare()
        .arg(&["--consul", &format!("https://{addr}"), "--prefix", "app"])
        .arg(&["--ca-file", &authority.display().to_string(), "--log-level", "debug"])
        .env("CONSUL_HTTP_TOKEN", TOKEN)
}

/// Refused as TLS, in one line that holds the reason, without a word of the token.
fn refused(tally: &mut Tally, case: &str, ended: &Ended, why: &str) {
    tally.check(ended.code() == 69, || format!("{case}: exit {}: {}", ended.code(), ended.err));
    let last = ended.err.lines().last().unwrap_or_default();
    tally.check(last.contains(why), || format!("{case}: {last}"));
    let failed = ended.events("consul_failed");
    let tls = !failed.is_empty() && failed.iter().all(|e| e["error_kind"] == "tls_error");
    tally.check(tls, || format!("{case}: {failed:?}"));
    let said = format!("{}{}", ended.log, ended.err);
    tally.check(!said.contains(TOKEN), || format!("{case}: {said}"));
}

#[test]
fn a_server_that_is_not_who_it_should_be_is_refused() {
    let mut tally = Tally::of("security::tls");
    let files = TempDir::new().expect("a directory");
    let known = Authority::new(files.path(), "known");
    let unknown = Authority::new(files.path(), "unknown");
    let at = |from, to| {
        known.sign_with(HERE, move |params| {
            (params.not_before, params.not_after) =
                (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        })
    };
    let client = known.sign_with(HERE, |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let impostors: [(&str, Identity, &str); 7] = [
        ("another name", known.sign(&["server.dc1.consul"]), "not valid for"),
        ("another address", known.sign(&["127.0.0.2"]), "not valid for"),
        ("expired", at(2019, 2020), "expired"),
        ("not valid yet", at(2400, 2401), "not valid yet"),
        ("an unknown authority", unknown.sign(HERE), "UnknownIssuer"),
        ("itself its authority", self_signed(HERE), "UnknownIssuer"),
        ("a client's certificate", client, "extended key usage"),
    ];
    for (case, identity, why) in &impostors {
        let server = Server::start(identity);
        let ended = pod(server.addr(), known.file()).seedcar(&["init", "--seed-timeout", "1s"]);
        refused(&mut tally, case, &ended, why);
        tally.check(server.questions() == 0, || format!("{case} was asked"));
        let key: Vec<&str> = identity.key.lines().filter(|l| !l.starts_with('-')).collect();
        let said = format!("{}{}", ended.log, ended.err);
        tally.check(!key.iter().any(|line| said.contains(line)), || format!("{case}: a key"));
    }
    let server = Server::start(&known.sign(HERE));
    let ended = pod(server.addr(), known.file()).seedcar(&["init"]);
    tally.check(ended.code() == 0 && server.questions() > 0, || format!("known: {}", ended.err));
    tally.finish();
}

#[test]
fn what_is_no_tls_of_today_is_refused() {
    let mut tally = Tally::of("security::tls");
    let files = TempDir::new().expect("a directory");
    let known = Authority::new(files.path(), "known");
    let consul = Consul::start(Kind::Embedded);
    let ended = pod(consul.addr(), known.file()).seedcar(&["init", "--seed-timeout", "1s"]);
    refused(&mut tally, "a plain port", &ended, "");
    tally.check(consul.requests().all().iter().all(|r| !r.agent.contains("seedcar")), || {
        "a plain port was asked".to_owned()
    });
    for (case, answer) in [
        ("an alert: no version in common", vec![0x15, 3, 1, 0, 2, 2, 70]),
        ("TLS 1.0", server_hello(1)),
        ("TLS 1.1", server_hello(2)),
    ] {
        let heard = Arc::new(AtomicBool::new(false));
        let addr = canned(answer, heard.clone());
        let ended = pod(addr, known.file()).seedcar(&["init", "--seed-timeout", "1s"]);
        refused(&mut tally, case, &ended, "");
        tally.check(!heard.load(Ordering::SeqCst), || format!("{case} heard the token"));
    }
    tally.finish();
}

/// The beginning of an old handshake: the server picks `3.minor` and an old cipher.
fn server_hello(minor: u8) -> Vec<u8> {
    let mut hello = vec![3, minor];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    let mut record = vec![0x16, 3, minor, 0, hello.len() as u8 + 4, 2, 0, 0, hello.len() as u8];
    record.extend(hello);
    record
}

/// Answers each connection with these bytes, and notices the token.
fn canned(answer: Vec<u8>, heard: Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut chunk, mut all) = ([0; 4096], Vec::new());
            while let Ok(read @ 1..) = stream.read(&mut chunk) {
                all.extend_from_slice(&chunk[..read]);
                let _ = stream.write_all(&answer);
            }
            if String::from_utf8_lossy(&all).contains(TOKEN) {
                heard.store(true, Ordering::SeqCst);
            }
        }
    });
    addr
}

#[test]
fn a_replaced_authority_counts_and_the_old_one_no_longer() {
    let mut tally = Tally::of("security::tls");
    let files = TempDir::new().expect("a directory");
    let (old, new) = (Authority::new(files.path(), "old"), Authority::new(files.path(), "new"));
    let trusted = files.path().join("trusted.pem");
    old.replace(&trusted);
    let server = Server::start(&old.sign(HERE));
    let pod = pod(server.addr(), &trusted);
    let sidecar = pod.run(&["--seed", "--heartbeat", "1s"]);
    let works = |what: &str| sidecar.until(what, |s| s.mechanisms["watch"].up);
    let fails = |what: &str| {
        sidecar.until(what, |s| {
            let watch = &s.mechanisms["watch"];
            !watch.up && watch.last_error.as_ref().is_some_and(|error| error.kind == "tls_error")
        })
    };
    works("the first authority is trusted");

    server.become_known_as(&new.sign(HERE));
    fails("the second is not");
    let before = server.questions();
    new.replace(&trusted);
    works("the second is, once its file is there");
    tally.check(server.questions() > before, || "not asked".to_owned());

    server.become_known_as(&old.sign(HERE));
    fails("the first no longer is");
    tally.check(pod.read("key").as_deref() == Some(b"value"), || "the file went".to_owned());
    tally.check(!sidecar.log().contains(TOKEN), || "the token is in the log".to_owned());
    tally.finish();
}
