//! The rig's own tests: what the other tests take for granted about the Consuls they are given.

use std::time::Duration;

use super::http::{Answer, request};
use super::{Cluster, Consul, Kind};
use crate::wait::eventually;
use seedcar::demo::server::{Fault, Requests};

fn get_as(consul: &Consul, token: &str, target: &str) -> Answer {
    let headers = [("X-Consul-Token", token)];
    request(consul.addr(), "GET", target, &headers, b"").expect("Consul does not answer")
}

#[test]
fn each_kind_comes_back_with_its_data_and_can_be_replaced_by_an_empty_one() {
    for kind in [Kind::Real, Kind::Embedded] {
        let consul = Consul::start(kind);
        assert_eq!(consul.index("a/"), 1, "{kind:?} is untouched");
        consul.put("a/b", "1");
        consul.put_flags("a/c", "2", 7);
        consul.delete("a/c");
        consul.kill();
        assert!(consul.ask("GET", "/v1/status/leader", b"").is_err(), "{kind:?} is gone");
        consul.restart();
        assert_eq!(consul.get("a/b").as_deref(), Some(b"1".as_slice()), "{kind:?}");
        assert_eq!(consul.get("a/c"), None, "{kind:?}");
        consul.restart_empty();
        assert_eq!(consul.get("a/b"), None, "{kind:?}");
    }
}

#[test]
fn a_narrowed_policy_hides_keys_just_as_the_embedded_switch_does() {
    let real = Consul::start_with_acl();
    let embedded = Consul::start(Kind::Embedded);
    for consul in [&real, &embedded] {
        consul.put("p/a", "1");
    }
    real.set_policy("reader", r#"key_prefix "p/" { policy = "read" }"#);
    let token = real.create_token(&["reader"]);
    // A new token is not known everywhere in the same instant.
    let before = eventually("the token reads", Duration::from_secs(10), || {
        Some(get_as(&real, &token, "/v1/kv/p/?recurse")).filter(|answer| answer.status == 200)
    });
    real.set_policy("reader", r#"key_prefix "elsewhere/" { policy = "read" }"#);
    eventually("the policy is narrowed", Duration::from_secs(10), || {
        (get_as(&real, &token, "/v1/kv/p/?recurse").status == 404).then_some(())
    });
    embedded.faults().add(Requests::all(), Fault::HideKeys);
    embedded.faults().add(Requests::all(), Fault::DenyAuthorize);

    for target in ["p/?recurse", "p/?keys", "p/?keys&separator=/", "p/a", "p/none", "?keys"] {
        let target = format!("/v1/kv/{target}");
        let real = get_as(&real, &token, &target);
        let embedded = embedded.ask("GET", &target, b"").expect("no answer");
        assert_eq!((real.status, real.text()), (embedded.status, embedded.text()), "{target}");
        assert_eq!(real.index().is_some(), embedded.index().is_some(), "{target}");
    }
    assert_eq!(get_as(&real, &token, "/v1/kv/p/?recurse").index(), before.index());

    let question = br#"[{"Resource":"key","Access":"read","Segment":"p/"}]"#;
    let target = "/v1/internal/acl/authorize";
    let headers = [("X-Consul-Token", token.as_str())];
    let asked = request(real.addr(), "POST", target, &headers, question).expect("no answer");
    let denied = embedded.ask("POST", target, question).expect("no answer");
    assert_eq!((asked.status, asked.json()), (denied.status, denied.json()));
    embedded.faults().clear();
    let allowed = embedded.ask("POST", target, question).expect("no answer");
    let managed = real.ask("POST", target, question).expect("no answer");
    assert_eq!((managed.status, managed.json()), (allowed.status, allowed.json()));

    real.delete_token(&token);
    eventually("the token is gone", Duration::from_secs(10), || {
        let answer = get_as(&real, &token, "/v1/kv/p/?recurse");
        (answer.status == 403 && answer.text() == "ACL not found").then_some(())
    });
    assert!(!real.token().is_empty());
}

#[test]
fn a_cluster_elects_another_leader_when_its_leader_is_killed() {
    let cluster = Cluster::start(3);
    let first = cluster.leader();
    let put = |position: usize, value: &[u8]| {
        let addr = cluster.addrs()[position];
        request(addr, "PUT", "/v1/kv/a", &[], value).ok().filter(|answer| answer.status == 200)
    };
    assert!(put(first, b"1").is_some());
    cluster.kill(first);
    let second = eventually("there is another leader", Duration::from_secs(30), || {
        Some(cluster.leader()).filter(|leader| *leader != first)
    });
    eventually("it takes writes", Duration::from_secs(30), || put(second, b"2"));
    cluster.restart(first);
    cluster.wait_writable();
    cluster.freeze(first);
    cluster.thaw(first);
    let read = request(cluster.addrs()[first], "GET", "/v1/kv/a?raw", &[], b"");
    assert_eq!(read.expect("no answer").text(), "2");
}
