//! The switches of the embedded Consul and of the proxy do what their names say.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use super::http::{Answer, request};
use super::{Consul, Kind};
use crate::wait::eventually;
use seedcar::demo::kv::Put;
use seedcar::demo::proxy::{Mode, Proxy};
use seedcar::demo::server::{Fault, Requests, Server};

/// Long enough to say that nothing came.
const SILENCE: Duration = Duration::from_millis(200);
/// Long enough for anything that is to come.
const SOON: Duration = Duration::from_secs(10);

fn consul() -> Consul {
    let consul = Consul::start(Kind::Embedded);
    consul.put("p/a", "1");
    consul
}

fn get(addr: SocketAddr, agent: &str, target: &str) -> io::Result<Answer> {
    request(addr, "GET", target, &[("User-Agent", agent)], b"")
}

/// Asks from another thread.
fn asked(
    addr: SocketAddr,
    agent: &'static str,
    target: &'static str,
) -> Receiver<io::Result<Answer>> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || tell.send(get(addr, agent, target)));
    told
}

fn silent(told: &Receiver<io::Result<Answer>>) -> bool {
    matches!(told.recv_timeout(SILENCE), Err(RecvTimeoutError::Timeout))
}

/// Writes until the index is above the one that [`BLOCKED`] asks with.
fn write_past_the_block(consul: &Consul) {
    consul.kv().change(|kv| {
        for value in 0..1_000 {
            kv.put("p/a", Put::value(value.to_string()));
        }
    });
}

const LIST: &str = "/v1/kv/p/?recurse";
const BLOCKED: &str = "/v1/kv/p/?recurse&index=1000&wait=1m";

#[test]
fn a_fixed_answer_takes_the_place_of_the_true_one() {
    let consul = consul();
    consul.faults().add(Requests::all(), Fault::too_many_requests(7));
    let answer = get(consul.addr(), "", LIST).unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("7")));
    consul.faults().clear();
    consul.faults().add(Requests::all(), Fault::no_leader());
    let answer = get(consul.addr(), "", LIST).unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (500, "No cluster leader"));
    assert_eq!(answer.index(), None);
    consul.faults().clear();
    consul.faults().add(Requests::all(), Fault::denied());
    assert_eq!(get(consul.addr(), "", LIST).unwrap().status, 403);
}

#[test]
fn a_fault_is_only_for_the_requests_it_names() {
    let consul = consul();
    let status = |agent, target| get(consul.addr(), agent, target).unwrap().status;
    consul.faults().add(Requests::from_agent("watch").to("recurse"), Fault::denied());
    assert_eq!(status("seedcar-watch/1", LIST), 403);
    assert_eq!(status("seedcar-watch/1", "/v1/kv/p/?keys"), 200);
    assert_eq!(status("seedcar-heartbeat/1", LIST), 200);
    consul.faults().clear();
    consul.faults().add(Requests::all().method("GET").times(2), Fault::no_leader());
    consul.put("p/b", "1");
    assert_eq!([status("", LIST), status("", LIST), status("", LIST)], [500, 500, 200]);
}

#[test]
fn the_index_can_be_missing_or_wrong() {
    let consul = consul();
    let index =
        || get(consul.addr(), "", LIST).unwrap().header("x-consul-index").map(str::to_owned);
    consul.faults().add(Requests::all(), Fault::NoIndex);
    assert_eq!(index(), None);
    consul.faults().clear();
    consul.faults().add(Requests::all(), Fault::Index(0));
    assert_eq!(index().as_deref(), Some("0"));
}

#[test]
fn a_header_can_say_something_else() {
    let consul = consul();
    let header = Fault::Header("X-Consul-KnownLeader".to_owned(), "false".to_owned());
    consul.faults().add(Requests::all(), header);
    let answer = get(consul.addr(), "", LIST).unwrap();
    let known: Vec<_> =
        answer.headers.iter().filter(|(n, _)| n == "x-consul-knownleader").collect();
    assert_eq!(known, [&("x-consul-knownleader".to_owned(), "false".to_owned())]);
}

#[test]
fn a_body_can_be_cut_spoiled_or_called_filtered() {
    let consul = consul();
    consul.faults().add(Requests::all(), Fault::CutBody(10));
    let error = get(consul.addr(), "", LIST).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    consul.faults().clear();
    consul.faults().add(Requests::all(), Fault::Body(b"<html>".to_vec()));
    let answer = get(consul.addr(), "", LIST).unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "<html>"));
    assert!(answer.index().is_some());
    consul.faults().clear();
    consul.faults().add(Requests::all(), Fault::FilteredByAcls);
    let answer = get(consul.addr(), "", LIST).unwrap();
    assert_eq!(answer.header("x-consul-results-filtered-by-acls"), Some("true"));
}

#[test]
fn a_frozen_server_answers_nobody_until_it_is_thawed() {
    let consul = consul();
    let blocked = asked(consul.addr(), "", BLOCKED);
    assert!(silent(&blocked));
    consul.freeze();
    let plain = asked(consul.addr(), "", LIST);
    // A write beside the API wakes the blocked query, whose answer is then held back.
    write_past_the_block(&consul);
    assert!(silent(&plain) && silent(&blocked));
    consul.thaw();
    assert_eq!(plain.recv_timeout(SOON).unwrap().unwrap().status, 200);
    assert_eq!(blocked.recv_timeout(SOON).unwrap().unwrap().status, 200);
}

#[test]
fn a_killed_server_closes_every_connection_and_its_data_can_be_served_again() {
    let server = Server::bind((std::net::Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let (addr, kv) = (server.addr(), server.kv());
    kv.put("p/a", "1");
    let running = server.spawn().unwrap();
    let log = running.log();
    let blocked = asked(addr, "watcher", BLOCKED);
    eventually("it is asked", SOON, || log.all().pop().filter(|seen| seen.agent == "watcher"));
    running.kill();
    assert!(blocked.recv_timeout(SOON).unwrap().is_err());
    assert!(TcpStream::connect(addr).is_err());
    let _running = Server::bind(addr).unwrap().with_kv(kv).with_log(log.clone()).spawn().unwrap();
    assert_eq!(get(addr, "", LIST).unwrap().status, 200);
    let seen = log.take();
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[0].method.as_str(), seen[0].target.as_str()), ("GET", BLOCKED));
    assert!(seen[0].at < seen[1].at);
}

#[test]
fn a_port_that_is_taken_is_an_error_before_anything_starts() {
    let server = Server::bind((std::net::Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let error = Server::bind(server.addr()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn the_proxy_hangs_one_program_and_forwards_the_others() {
    let consul = consul();
    let proxy = Proxy::start(consul.addr().to_string()).unwrap();
    let live = asked(proxy.addr(), "seedcar-watch", BLOCKED);
    assert!(silent(&live));
    proxy.set_for("watch", Mode::Hang);
    write_past_the_block(&consul);
    let new = asked(proxy.addr(), "seedcar-watch", LIST);
    assert!(silent(&live), "a live connection hangs too");
    assert!(silent(&new));
    assert_eq!(get(proxy.addr(), "seedcar-heartbeat", LIST).unwrap().status, 200);
    proxy.set_for("watch", Mode::Forward);
    assert_eq!(new.recv_timeout(SOON).unwrap().unwrap().status, 200);
    assert_eq!(live.recv_timeout(SOON).unwrap().unwrap().status, 200);
}

#[test]
fn the_proxy_refuses_everybody_as_a_killed_server_does() {
    let consul = consul();
    let proxy = Proxy::start(consul.addr().to_string()).unwrap();
    let live = asked(proxy.addr(), "seedcar-watch", BLOCKED);
    assert!(silent(&live));
    proxy.set(Mode::Refuse);
    assert!(live.recv_timeout(SOON).unwrap().is_err(), "a live connection is closed");
    let refused = || TcpStream::connect(proxy.addr()).err();
    let error = eventually("connections are refused", SOON, refused);
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    proxy.clear();
    let back = eventually("it is back", SOON, || get(proxy.addr(), "x", LIST).ok());
    assert_eq!(back.status, 200);
}

#[test]
fn the_proxy_closes_the_connections_of_one_program() {
    let consul = consul();
    let proxy = Proxy::start(consul.addr().to_string()).unwrap();
    let live = asked(proxy.addr(), "seedcar-watch", BLOCKED);
    assert!(silent(&live));
    proxy.set_for("watch", Mode::Refuse);
    assert!(live.recv_timeout(SOON).unwrap().is_err());
    assert!(get(proxy.addr(), "seedcar-watch", LIST).is_err());
    assert_eq!(get(proxy.addr(), "seedcar-heartbeat", LIST).unwrap().status, 200);
}

#[test]
fn a_dead_upstream_looks_dead_through_the_proxy() {
    let consul = consul();
    let proxy = Proxy::start(consul.addr().to_string()).unwrap();
    let live = asked(proxy.addr(), "x", BLOCKED);
    assert!(silent(&live));
    consul.kill();
    assert!(live.recv_timeout(SOON).unwrap().is_err());
    assert!(get(proxy.addr(), "x", LIST).is_err());
    consul.restart();
    assert_eq!(get(proxy.addr(), "x", LIST).unwrap().status, 200);
}
