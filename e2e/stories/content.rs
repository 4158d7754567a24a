//! What is in Consul is in the files, whatever it looks like.

use std::time::Duration;

use crate::consul::{Consul, Kind};
use crate::rig::Pod;

told_on_both!(a_change_arrives_within_milliseconds);

fn a_change_arrives_within_milliseconds(kind: Kind) {
    let consul = Consul::start(kind);
    consul.put("app/greeting", "hello");
    let pod = Pod::new(consul.addr(), "app");
    pod.init();
    assert_eq!(pod.read("greeting").unwrap(), b"hello");
    let sidecar = pod.run(&[]);
    sidecar.until("the watch works", |s| s.mechanisms["watch"].up);
    consul.put("app/greeting", "hello again");
    sidecar.shows("greeting", "hello again");
    let (status, took) = sidecar.stop();
    assert!(
        status.success() && took < Duration::from_secs(1),
        "{status} after {took:?}"
    );
}
