//! The stories of the README, each told by the real binary: once with a real Consul, once with the
//! embedded one.

use std::io::Write;

use crate::consul::{Consul, Kind};
use crate::rig::{Pod, Sidecar};

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
mod commands;
mod content;
mod guards;
mod mechanisms;
mod metrics;
mod outage;
mod reading;
mod room;
pub mod scene;
mod secrecy;
mod signals;
mod transport;

/// A Consul that holds these keys, and a pod of its prefix `app` that was seeded from it.
fn seeded(kind: Kind, keys: &[(&str, &str)]) -> (Consul, Pod) {
    let consul = Consul::start(kind);
    for (key, value) in keys {
        consul.put(key, value);
    }
    let pod = Pod::new(consul.addr(), "app");
    pod.init();
    (consul, pod)
}

/// The sidecar of a seeded pod, once its watch has an answer.
fn watching<'p>(pod: &'p Pod, args: &[&str]) -> Sidecar<'p> {
    let sidecar = pod.run(args);
    sidecar.until("the watch works", |s| s.mechanisms["watch"].up);
    sidecar
}

/// Prints a figure also where the test passes: the test runner keeps back only what goes through
/// the macros.
fn measured(text: &str) {
    let _ = writeln!(std::io::stderr(), "measured: {text}");
}
