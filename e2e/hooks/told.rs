//! Who is told after a generation is published, on a real Consul.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::service::{SILENT, Service};
use crate::consul::{Consul, Kind};
use crate::rig::{Pod, SOON};
use crate::wait::{eventually, throughout};

fn pod(consul: &Consul, hook: &Value) -> Pod {
    let config = json!({"sources": [{"name": "app", "prefix": "app"}], "hook": hook});
    Pod::configured(consul.addr(), &config)
}

/// Waits for a body that is so.
fn until_told(service: &Service, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    eventually(what, SOON, || service.heard().into_iter().map(|(_, b)| b).rfind(|body| is(body)))
}

#[test]
fn a_service_is_told_what_has_changed_and_of_nothing_else() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/db/host", "1");
    consul.put("app/web", "S3CRET");
    let service = Service::start(|_| {});
    let pod = pod(&consul, &json!({"url": service.url, "method": "PUT", "only": ["db/*"]}));
    pod.init();
    let sidecar = pod.run(&[]);
    // What init published nobody has been told of.
    until_told(&service, "it is told", |body| body["changed"].is_null());
    consul.put("app/db/host", "2");
    let body = until_told(&service, "of the change", |body| body["changed"] == json!(["db/host"]));
    assert_eq!(body["sources"]["app"]["keys"], json!(2));
    assert_eq!(body["generation"].as_str(), sidecar.status().generation.as_deref());
    let told = service.heard().len();
    consul.put("app/web", "S3CRET2");
    sidecar.shows("web", "S3CRET2");
    throughout("nobody cares for that", Duration::from_secs(1), || service.heard().len() == told);
    consul.txn_set(&[("app/db/a", b"1"), ("app/db/b", b"1")]);
    until_told(&service, "of two", |body| body["changed"] == json!(["db/a", "db/b"]));
    consul.delete("app/db/a");
    until_told(&service, "of one that is gone", |body| body["changed"] == json!(["db/a"]));
    assert!(service.heard().iter().all(|(m, b)| m == "PUT" && !b.to_string().contains("S3CRET")));
    let hook = eventually("all is told", SOON, || sidecar.status().hook.filter(|h| !h.pending));
    assert!(hook.error.is_none() && hook.told.is_some());
    assert!(sidecar.metric("seedcar_hook_requests_total{result=\"success\"}") >= Some(4.0));
    assert_eq!(sidecar.metric("seedcar_hook_pending"), Some(0.0));
}

#[test]
fn a_hook_that_fails_or_hangs_delays_nothing_and_hears_of_all_in_the_end() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "0");
    let service = Service::start(|_| {});
    let pod = pod(&consul, &json!({"url": service.url, "timeout": "20s"}));
    pod.init();
    let sidecar = pod.run(&[]);
    until_told(&service, "it is told", |body| body["changed"].is_null());
    service.answers(503);
    consul.put("app/a", "1");
    let failing =
        eventually("it is said", SOON, || sidecar.status().hook.filter(|h| h.error.is_some()));
    assert!(failing.pending && failing.error.expect("so").text.contains("503"));
    assert_eq!(sidecar.metric("seedcar_hook_pending"), Some(1.0));
    service.answers(SILENT);
    let heard = service.heard().len();
    eventually("it hangs", SOON, || (service.heard().len() > heard).then_some(()));
    let began = Instant::now();
    consul.put("app/b", "1");
    sidecar.shows("b", "1");
    consul.put("app/a", "2");
    sidecar.shows("a", "2");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?} of 20 s", began.elapsed());
    service.answers(200);
    // Nothing between is lost: both are named, and the newest generation.
    let body = eventually("of both", Duration::from_secs(60), || {
        let (_, body) = service.heard().pop()?;
        (body["changed"] == json!(["a", "b"])).then_some(body)
    });
    assert_eq!(body["generation"].as_str(), sidecar.status().generation.as_deref());
    eventually("all is told", SOON, || sidecar.status().hook.filter(|h| !h.pending));

    service.answers(SILENT);
    let heard = service.heard().len();
    consul.put("app/a", "3");
    eventually("it hangs again", SOON, || (service.heard().len() > heard).then_some(()));
    let (status, took) = sidecar.stop();
    assert!(status.success() && took < Duration::from_secs(2), "{status} after {took:?}");
}

#[test]
fn what_a_killed_sidecar_did_not_tell_the_next_one_does() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "0");
    let service = Service::start(|_| {});
    let pod = pod(&consul, &json!({"url": service.url}));
    pod.init();
    let sidecar = pod.run(&[]);
    until_told(&service, "it is told", |body| body["changed"].is_null());
    service.answers(503);
    consul.put("app/a", "1");
    sidecar.shows("a", "1");
    sidecar.crash();
    service.answers(200);
    let told = service.heard().len();
    let sidecar = pod.run(&[]);
    let generation = eventually("it has one", SOON, || sidecar.status().generation);
    eventually("it is told", SOON, || {
        let heard = service.heard();
        heard[told..].iter().any(|(_, body)| body["generation"] == json!(generation)).then_some(())
    });
}
