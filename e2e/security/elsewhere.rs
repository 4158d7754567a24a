//! Nobody but Consul is spoken to.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use seedcar::demo::server::{Fault, Requests};

use super::tls_server::{Authority, Server};
use crate::consul::{Consul, Kind};
use crate::ledger::Tally;
use crate::rig::Pod;

const TOKEN: &str = "5e0ac0de-98fd-4b1e-8d77-3f1f6a2c9e10";

/// Somebody who must not be spoken to, and who hangs up.
struct Stranger {
    addr: SocketAddr,
    heard: Arc<AtomicBool>,
}

impl Stranger {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let (addr, heard) = (listener.local_addr().expect("an address"), Arc::default());
        let hears: Arc<AtomicBool> = Arc::clone(&heard);
        // It lives as long as the test program, and waits for connections.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                hears.store(true, Ordering::SeqCst);
                drop(stream);
            }
        });
        Self { addr, heard }
    }

    fn addr(&self) -> SocketAddr {
        self.addr
    }

    fn was_spoken_to(&self) -> bool {
        self.heard.load(Ordering::SeqCst)
    }
}

#[test]
fn redirects_are_not_followed() {
    let mut tally = Tally::of("security::elsewhere");
    let (consul, stranger) = (Consul::start(Kind::Embedded), Stranger::new());
    consul.put("other/key", "another application's");
    let port = stranger.addr().port();
    let places = [
        format!("http://127.0.0.1:{port}/v1/kv/app/?recurse"),
        format!("http://localhost:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("//127.0.0.1:{port}/"),
        "/v1/kv/other/?recurse".to_owned(),
    ];
    // With files from before, init makes do with them at once.
    consul.put("app/key", "value");
    let pod = Pod::new(consul.addr(), "app").env("CONSUL_HTTP_TOKEN", TOKEN);
    pod.init();
    for status in [301, 302, 303, 307, 308] {
        for place in &places {
            let headers = vec![("Location".to_owned(), place.clone())];
            consul.faults().clear();
            let answer = Fault::Answer { status, headers, body: Vec::new() };
            consul.faults().add(Requests::all().to("/app/"), answer);
            let ended = pod.init();
            let case = format!("{status} to {place}");
            let failed = ended.events("consul_failed");
            let named = failed.iter().all(|e| e["error_kind"] == "redirected");
            tally.check(named && !failed.is_empty(), || format!("{case}: {}", ended.log));
            tally.check(!stranger.was_spoken_to(), || format!("{case}: followed"));
            tally.check(pod.tree().len() == 1, || format!("{case}: published"));
        }
    }
    let asked = consul.requests().all();
    let astray = asked.iter().find(|r| r.target.starts_with("/v1/kv/other") && r.method == "GET");
    tally.check(astray.is_none(), || format!("{astray:?}"));
    tally.finish();
}

#[test]
fn proxies_of_the_environment_are_not_used() {
    let mut tally = Tally::of("security::elsewhere");
    let (consul, stranger) = (Consul::start(Kind::Embedded), Stranger::new());
    consul.put("app/key", "value");
    let files = tempfile::TempDir::new().expect("a directory");
    let authority = Authority::new(files.path(), "ca");
    let server = Server::start(&authority.sign(&["127.0.0.1"]));
    let plain = format!("http://{}", consul.addr());
    let secure = format!("https://{}", server.addr());
    for to in [plain, secure] {
        let mut pod = Pod::bare().arg(&["--consul", &to, "--prefix", "app"]);
        if to.starts_with("https") {
            pod = pod.arg(&["--ca-file", &authority.file().display().to_string()]);
        }
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            let proxy = format!("http://{}", stranger.addr());
            pod = pod.env(name, &proxy).env(&name.to_lowercase(), &proxy);
        }
        let ended = pod.seedcar(&["init", "--seed-timeout", "5s"]);
        tally.check(ended.code() == 0, || format!("{to}: {}", ended.err));
        tally.check(pod.read("key").is_some(), || format!("{to}: no key"));
        tally.check(!stranger.was_spoken_to(), || format!("{to} by a proxy"));
    }
    tally.finish();
}
