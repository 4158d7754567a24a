//! Three real servers, of which some die.

use std::net::SocketAddr;
use std::time::Duration;

use seedcar::model::confirmation::Origin;
use seedcar::model::health::Health;

use super::scene::{A_WHILE, manifest, status_file, stopped, watching};
use crate::consul::http::request;
use crate::consul::{Cluster, Consul, Kind};
use crate::fleet::gate::Gate;
use crate::rig::{Pod, Sidecar};
use crate::wait::{eventually, free_port, throughout};

/// An election, or a server that catches up, on a busy machine.
const ELECTED: Duration = Duration::from_secs(40);

#[test]
fn the_leader_is_killed_and_no_file_is_lost() {
    let cluster = Cluster::start(3);
    put(&cluster, "app/a", "1");
    let leader = cluster.leader();
    let pod = pod_of(&cluster, leader);
    pod.init();
    let sidecar = watching(&pod, &[]);
    cluster.kill(leader);
    throughout("the files stay", A_WHILE, || pod.read("a").is_some_and(|a| a == b"1"));
    put(&cluster, "app/a", "2");
    sidecar.shows("a", "2");
    cluster.restart(leader);
    cluster.wait_writable();
    put(&cluster, "app/a", "3");
    sidecar.shows("a", "3");
    sidecar.until_fresh();
    stopped(sidecar);
}

#[test]
fn without_a_quorum_the_files_stay_and_a_stale_answer_seeds() {
    let cluster = Cluster::start(3);
    put(&cluster, "app/a", "1");
    let stays = (cluster.leader() + 1) % 3;
    let pod = pod_of(&cluster, stays);
    pod.init();
    // What was just written may not have reached each server.
    let fresh = pod_of(&cluster, stays).arg(&["--no-backup"]);
    eventually("the server that stays has it", ELECTED, || {
        let stale = "/v1/kv/app/a?raw&stale";
        let answer = request(cluster.addrs()[stays], "GET", stale, &[], b"").ok()?;
        (answer.text() == "1").then_some(())
    });
    let sidecar = watching(&pod, &["--wait", "1s"]);
    for position in (0..3).filter(|position| *position != stays) {
        cluster.kill(position);
    }
    eventually("the outage is shown", ELECTED, || {
        (sidecar.status().state == Health::Degraded).then_some(())
    });
    assert_eq!(pod.read("a").unwrap(), b"1");

    fresh.init();
    assert_eq!(fresh.read("a").unwrap(), b"1");
    let part = &manifest(&fresh).sources[0];
    assert_eq!((part.origin, part.stale), (Origin::Consul, true));
    assert_eq!(status_file(&fresh).expect("a status").confirmed, None);

    for position in (0..3).filter(|position| *position != stays) {
        cluster.restart(position);
    }
    put(&cluster, "app/a", "2");
    sidecar.shows("a", "2");
    sidecar.until_fresh();
    stopped(sidecar);
}

#[test]
fn of_a_dead_and_a_living_address_the_living_one_is_used() {
    for kind in [Kind::Real, Kind::Embedded] {
        let consul = Consul::start(kind);
        consul.put("app/a", "1");
        let dead = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let pod = Pod::new(dead, "app").arg(&["--consul", &consul.addr().to_string()]);
        pod.init();
        assert_eq!(manifest(&pod).sources[0].origin, Origin::Consul);
        let sidecar = watching(&pod, &[]);
        consul.put("app/a", "2");
        sidecar.shows("a", "2");
        sidecar.until_fresh();
        stopped(sidecar);
    }
}

/// One that its leader cannot reach answers stale reads for ever, with what it had.
#[test]
fn a_server_that_stays_behind_is_asked_once() {
    for kind in [Kind::Real, Kind::Embedded] {
        let (consul, behind) = (Consul::start(kind), Consul::start(kind));
        let keys: Vec<String> = (0..200).map(|n| format!("app/{:02}/{n:03}", n % 20)).collect();
        for some in keys.chunks(50) {
            let pairs: Vec<_> = some.iter().map(|key| (key.as_str(), &[b'v'; 1024][..])).collect();
            consul.txn_set(&pairs);
        }
        let gate = Gate::before(behind.addr());
        let change = |sidecar: &Sidecar<'_>, value: &str| {
            consul.put("app/07/007", value);
            sidecar.shows("07/007", value);
            gate.traffic().requests
        };
        // Each sidecar draws whom it asks: one of the two.
        let has_asked_it = (0..24).any(|n| {
            let pod = Pod::new(consul.addr(), "app").arg(&["--consul", &gate.addr().to_string()]);
            let sidecar = pod.run(&["--seed", "--no-backup"]);
            sidecar.until("the doorbell is known", |s| s.mechanisms["watch"].up);
            let before = gate.traffic().requests;
            let asked = change(&sidecar, &format!("first {n}"));
            if asked > before {
                assert_eq!(change(&sidecar, &format!("second {n}")), asked);
            }
            asked > before
        });
        assert!(has_asked_it, "none of so many has drawn the second address");
    }
}

/// A pod that knows all addresses, this one first.
fn pod_of(cluster: &Cluster, first: usize) -> Pod {
    let mut addrs = cluster.addrs();
    addrs.rotate_left(first);
    let named = addrs.iter().map(SocketAddr::to_string);
    named.fold(Pod::bare().arg(&["--prefix", "app"]), |pod, addr| pod.arg(&["--consul", &addr]))
}

/// Writes through whichever server takes it.
#[track_caller]
fn put(cluster: &Cluster, key: &str, value: &str) {
    let target = format!("/v1/kv/{key}");
    eventually("a server takes the write", ELECTED, || {
        let put = |addr| request(addr, "PUT", &target, &[], value.as_bytes()).ok();
        let mut tried = cluster.addrs().into_iter().filter_map(put);
        tried.any(|answer| answer.status == 200).then_some(())
    });
}
