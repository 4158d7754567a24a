//! The stories of the README, each told by the real binary: once with a real Consul, once with the
//! embedded one.

use std::time::Duration;

use crate::consul::{Consul, Kind};
use crate::rig::Pod;

/// Tells each story on both.
macro_rules! told_on_both {
    ($($story:ident),* $(,)?) => {
        mod real {
            $(#[test] fn $story() { super::$story($crate::consul::Kind::Real) })*
        }
        mod embedded {
            $(#[test] fn $story() { super::$story($crate::consul::Kind::Embedded) })*
        }
    };
}

mod cluster;
mod guards;
mod mechanisms;
mod outage;
mod scene;
mod signals;

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
