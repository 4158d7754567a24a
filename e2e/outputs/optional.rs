//! A source that a pod may start without.

use std::time::{Duration, Instant};

use crate::consul::{Consul, Kind};
use crate::rig::{Pod, SOON};
use crate::wait::eventually;

fn pod(consul: &Consul) -> Pod {
    let addr = consul.addr().to_string();
    let sources = ["--source", "base=base", "--source", "extra=extra", "--optional", "extra"];
    Pod::bare().arg(&["--consul", &addr]).arg(&sources)
}

#[test]
fn an_empty_one_delays_nothing_and_comes_when_it_is_there() {
    let consul = Consul::start(Kind::Real);
    consul.put("base/a", "1");
    let pod = pod(&consul);
    let began = Instant::now();
    let ended = pod.seedcar(&["init"]);
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(ended.events("started_without").len(), 1);
    assert_eq!(pod.read("a").as_deref(), Some(&b"1"[..]));
    let sidecar = pod.run(&["--wait", "1s"]);
    eventually("it is current, and nothing is held", SOON, || {
        let status = sidecar.status();
        let extra = &status.sources["extra"];
        (extra.held.is_none() && extra.origin.word() == "consul").then_some(())
    });
    consul.put("extra/a", "2");
    sidecar.shows("a", "2");
    // From then on it is as any other: what vanishes is held.
    consul.delete_recurse("extra/");
    eventually("it is held", SOON, || sidecar.status().sources["extra"].held.clone());
    assert_eq!(pod.read("a").as_deref(), Some(&b"2"[..]));
}

#[test]
fn without_consul_a_pod_starts_from_what_backups_there_are() {
    let consul = Consul::start(Kind::Real);
    consul.put("base/a", "1");
    let pod = Pod::bare().arg(&["--consul", &consul.addr().to_string()]);
    let both = ["--source", "base=base", "--source", "extra=extra", "--optional", "extra"];
    let init =
        |timeout: &str| pod.seedcar(&[&["init", "--seed-timeout", timeout], &both[..]].concat());
    assert_eq!(pod.seedcar(&["init", "--source", "base=base"]).code(), 0);
    let sidecar = pod.run(&["--source", "base=base", "--backup-delay", "0s"]);
    eventually("there is a backup", SOON, || (!pod.backups().is_empty()).then_some(()));
    drop(sidecar);
    pod.wipe_volume();
    consul.kill();
    let ended = init("6s");
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert_eq!(pod.read("a").as_deref(), Some(&b"1"[..]));
    let sidecar = pod.run(&both);
    assert_eq!(sidecar.status().sources["extra"].origin.word(), "none");
    consul.restart();
    consul.put("extra/b", "2");
    sidecar.shows("b", "2");
    drop(sidecar);

    // The other one is needed.
    pod.wipe_volume();
    pod.backups().iter().for_each(|backup| std::fs::remove_file(backup).expect("remove it"));
    consul.kill();
    assert_eq!(init("3s").code(), 69);
}
