//! Answers that are none: the files stay, Consul is asked seldom, and the first good answer heals.
//! Only the embedded Consul can be made to give them.

use std::time::Duration;

use seedcar::demo::server::{Fault, Requests};

use super::super::scene::{content, seeded, stopped, watching};
use crate::consul::Kind;
use crate::wait::throughout;

/// How long the requests are counted.
const COUNTED: Duration = Duration::from_secs(5);

/// Five seconds of watch and heartbeat with random pauses whose bound doubles from a quarter of a
/// second to five: some twelve requests. Without pauses there would be thousands.
const PATIENT: usize = 24;

/// Ten seconds of answers that are good but for their index: a heartbeat each second, and a watch that
/// asks twice a time, ever more seldom.
const WARY: (Duration, usize) = (Duration::from_secs(10), 30);

#[test]
fn five_hundreds_are_endured() {
    endured(Fault::no_leader(), PATIENT);
}

#[test]
fn a_retry_after_is_obeyed() {
    // Each mechanism once, perhaps twice where one was under way.
    endured(Fault::too_many_requests(4), 6);
}

#[test]
fn a_429_without_retry_after_is_endured() {
    endured(Fault::status(429, ""), PATIENT);
}

#[test]
fn names_that_consul_calls_invalid_are_endured() {
    endured(Fault::status(400, "Invalid key name"), PATIENT);
}

#[test]
fn garbage_is_endured() {
    endured(Fault::Body(b"<html>not Consul</html>".to_vec()), PATIENT);
}

#[test]
fn answers_without_an_index_are_endured() {
    endured(Fault::NoIndex, PATIENT);
}

#[test]
fn an_index_of_zero_is_endured() {
    endured_for(WARY.0, Fault::Index(0), WARY.1);
}

#[test]
fn an_index_that_is_always_too_low_is_endured() {
    endured_for(WARY.0, Fault::Index(2), WARY.1);
}

#[test]
fn bodies_cut_short_are_endured() {
    endured(Fault::CutBody(20), PATIENT);
}

#[test]
fn redirects_are_endured_and_not_followed() {
    let fault = Fault::Answer {
        status: 301,
        headers: vec![("Location".to_owned(), "/v1/kv/other?recurse".to_owned())],
        body: Vec::new(),
    };
    endured(fault, PATIENT);
}

fn endured(fault: Fault, at_most: usize) {
    endured_for(COUNTED, fault, at_most);
}

/// The sidecar lives through `fault` with its files whole and at most so many requests in the time.
fn endured_for(window: Duration, fault: Fault, at_most: usize) {
    let (consul, pod) = seeded(Kind::Embedded, 5, 1);
    let files = content(&consul);
    let sidecar = watching(&pod, &["--wait", "1s", "--heartbeat", "1s"]);
    let seedcar = Requests::from_agent("seedcar");
    consul.faults().add(seedcar, fault);
    consul.requests().take();
    throughout("it serves and lives", window, || {
        pod.tree() == files && sidecar.get("/livez").0 == 200 && sidecar.get("/readyz").0 == 200
    });
    let asked = consul.requests().take();
    assert!(!asked.is_empty(), "it goes on asking");
    assert!(asked.iter().all(|r| !r.target.contains("other")), "{asked:?}");
    assert!(asked.len() <= at_most, "{} requests: {asked:#?}", asked.len());

    consul.faults().clear();
    consul.put("app/new", "1");
    sidecar.shows("new", "1");
    sidecar.until_fresh();
    stopped(sidecar);
}
