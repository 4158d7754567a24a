//! What a token may not see is not gone.

use std::path::Path;
use std::time::Duration;

use seedcar::demo::server::{Fault, Requests};
use seedcar::model::guard::Reason;
use tempfile::TempDir;

use crate::consul::http::request;
use crate::consul::{Consul, Kind};
use crate::ledger::Tally;
use crate::rig::{Pod, SOON};
use crate::rules::{outcome, published, shared_acl, text};
use crate::stories::scene::{A_WHILE, requests_counted, stopped, until_free, until_held, watching};
use crate::wait::{eventually, throughout};

const GROUP: &str = "rules::tokens";

/// Lets tokens with the policy named so read this prefix, and nothing else.
fn allow(consul: &Consul, policy: &str, prefix: &str) {
    consul.set_policy(policy, &format!("key_prefix \"{prefix}/\" {{ policy = \"read\" }}"));
}

/// A token that may read a prefix, once it is known.
fn reader(consul: &Consul, prefix: &str) -> String {
    consul.put(&format!("{prefix}/a"), "1");
    allow(consul, prefix, prefix);
    let token = consul.create_token(&[prefix]);
    eventually("the token reads", SOON, || {
        let target = format!("/v1/kv/{prefix}/?recurse");
        let headers = [("X-Consul-Token", token.as_str())];
        let answer = request(consul.addr(), "GET", &target, &headers, b"").ok()?;
        (answer.status == 200).then_some(())
    });
    token
}

/// A pod of this prefix whose token lies in a file.
fn pod_with_file(consul: &Consul, prefix: &str, file: &Path) -> Pod {
    let pod = Pod::new(consul.addr(), prefix);
    let pod = pod.arg(&["--token-file", file.to_str().expect("UTF-8")]);
    pod.init();
    pod
}

fn replace(file: &Path, token: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, token).expect("write a token");
    std::fs::rename(new, file).expect("replace a token");
}

#[test]
fn rule_01_a_prefix_hidden_from_its_token_is_held() {
    let mut tally = Tally::of(GROUP);
    let consul = shared_acl();
    let token = reader(&consul, "t01");
    let pod = Pod::new(consul.addr(), "t01").env("CONSUL_HTTP_TOKEN", &token);
    pod.init();
    let sidecar = watching(&pod, &["--wait", "1s", "--heartbeat", "1s"]);
    allow(&consul, "t01", "elsewhere");
    until_held(&sidecar, &pod, Reason::Empty);
    throughout("the file stays", A_WHILE, || text(&pod, "a").as_deref() == Some("1"));
    tally.check(published(&sidecar) == 0, || "it published".to_owned());
    allow(&consul, "t01", "t01");
    until_free(&sidecar, &pod);
    consul.put("t01/a", "2");
    sidecar.shows("a", "2");
    tally.case();
    stopped(sidecar);
    tally.finish();
}

#[test]
fn rule_04_without_a_right_to_read_nothing_is_seeded_and_it_is_said() {
    let mut tally = Tally::of(GROUP);
    let consul = shared_acl();
    let token = reader(&consul, "t04");
    let nobody = Pod::new(consul.addr(), "t04");
    let ended = nobody.seedcar(&["init", "--seed-timeout", "1s"]);
    let said = ended.code() == 77 && ended.err.contains("may not read");
    tally.check(said, || format!("{} {}", ended.code(), ended.err));
    tally.check(!nobody.live().join("..data").exists(), || "seeded an empty set".to_owned());
    // A prefix that is empty is another thing.
    let pod = Pod::new(consul.addr(), "t04/none").env("CONSUL_HTTP_TOKEN", &token);
    let ended = pod.seedcar(&["init", "--seed-timeout", "1s"]);
    let said = ended.code() == 69 && ended.err.contains("the prefix is empty");
    tally.check(said, || format!("{} {}", ended.code(), ended.err));
    tally.finish();
}

#[test]
fn rule_05_a_denied_token_is_no_outage_and_asked_with_slowly() {
    let mut tally = Tally::of(GROUP);
    let consul = shared_acl();
    let token = reader(&consul, "t05");
    let pod = Pod::new(consul.addr(), "t05").env("CONSUL_HTTP_TOKEN", &token);
    pod.init();
    let sidecar = watching(&pod, &["--wait", "1s", "--no-heartbeat"]);
    consul.delete_token(&token);
    eventually("it is denied", SOON, || (outcome(&sidecar, "denied") >= 1.0).then_some(()));
    let before = requests_counted(&sidecar);
    throughout("the file stays", Duration::from_secs(3), || {
        text(&pod, "a").as_deref() == Some("1") && sidecar.get("/readyz").0 == 200
    });
    let asked = requests_counted(&sidecar) - before;
    tally.check(asked <= 5.0, || format!("{asked} requests in 3 s"));
    let reachable = sidecar.metric("seedcar_consul_reachable");
    tally.check(reachable == Some(1.0), || format!("{reachable:?}: Consul did answer"));
    stopped(sidecar);
    tally.finish();
}

#[test]
fn rule_06_a_rotated_token_counts_without_a_restart() {
    let mut tally = Tally::of(GROUP);
    let consul = shared_acl();
    let secrets = TempDir::new().expect("a directory");
    let file = secrets.path().join("token");
    let mut old = reader(&consul, "t06");
    replace(&file, &old);
    let pod = pod_with_file(&consul, "t06", &file);
    let sidecar = watching(&pod, &["--wait", "1s", "--no-heartbeat"]);
    for n in 2..4 {
        let new = reader(&consul, "t06");
        replace(&file, &new);
        consul.delete_token(&old);
        old = new;
        consul.put("t06/a", n.to_string());
        sidecar.shows("a", n.to_string());
        tally.case();
    }
    stopped(sidecar);
    tally.finish();
}

#[test]
fn rule_63_a_token_revoked_during_a_block_is_noticed_when_that_ends() {
    let mut tally = Tally::of(GROUP);
    let consul = shared_acl();
    let token = reader(&consul, "t63");
    let pod = Pod::new(consul.addr(), "t63").env("CONSUL_HTTP_TOKEN", &token);
    pod.init();
    let sidecar = watching(&pod, &["--wait", "2s", "--no-heartbeat"]);
    consul.delete_token(&token);
    eventually("the block ends", SOON, || (outcome(&sidecar, "denied") >= 1.0).then_some(()));
    tally.check(text(&pod, "a").as_deref() == Some("1"), || "the file is gone".to_owned());
    let warned = pod.seedcar(&["config", "check", "--wait", "61s"]).err;
    tally.check(warned.contains("revoked token"), || warned.clone());
    let quiet = pod.seedcar(&["config", "check", "--wait", "1m"]).err;
    tally.check(!quiet.contains("revoked token"), || quiet.clone());
    stopped(sidecar);
    tally.finish();
}

#[test]
fn rule_64_a_token_that_counts_for_nothing_in_another_datacenter_is_told_of() {
    let mut tally = Tally::of(GROUP);
    let consul = Consul::start(Kind::Embedded);
    consul.put("app/a", "1");
    // A local token is not sent on, and the other side sees nobody: 404, and no right to read.
    consul.faults().add(Requests::from_agent("seedcar"), Fault::HideKeys);
    consul.faults().add(Requests::from_agent("seedcar"), Fault::DenyAuthorize);
    let pod = Pod::new(consul.addr(), "app").arg(&["--datacenter", "dc1"]);
    let ended = pod.seedcar(&["init", "--seed-timeout", "1s"]);
    let said = ended.code() == 77 && ended.err.contains("may not read");
    tally.check(said, || format!("{} {}", ended.code(), ended.err));
    let asked = consul.requests().all();
    let there = asked.iter().filter(|r| r.target.contains("authorize"));
    let all_there = there.clone().count() > 0 && there.clone().all(|r| r.target.contains("dc=dc1"));
    tally.check(all_there, || format!("{asked:?}"));
    tally.finish();
}
