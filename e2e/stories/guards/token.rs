//! What a token may not see is not gone.

use seedcar::demo::server::{Fault, Requests};
use seedcar::model::guard::Reason;

use super::super::scene::{
    A_WHILE, content, fill, seeded, stopped, until_files, until_free, until_held, watching,
};
use crate::consul::{Consul, Kind};
use crate::rig::{Pod, SOON, Sidecar};
use crate::wait::{eventually, throughout};

const READER: &str = r#"key_prefix "app/" { policy = "read" }"#;
const ELSEWHERE: &str = r#"key_prefix "elsewhere/" { policy = "read" }"#;

#[test]
fn a_token_narrowed_to_nothing_during_a_block_takes_no_file_away() {
    let consul = Consul::start_with_acl();
    fill(&consul, "few", 3);
    consul.set_policy("reader", READER);
    let token = consul.create_token(&["reader"]);
    let pod = Pod::new(consul.addr(), "app").env("CONSUL_HTTP_TOKEN", &token);
    eventually("the new token is known everywhere", SOON, || {
        (pod.seedcar(&["init", "--seed-timeout", "2s"]).code() == 0).then_some(())
    });
    let sidecar = watching(&pod, &["--wait", "1s"]);
    narrowed(
        &consul,
        &pod,
        &sidecar,
        || consul.set_policy("reader", ELSEWHERE),
        || consul.set_policy("reader", READER),
    );
    stopped(sidecar);
}

#[test]
fn keys_hidden_during_a_block_take_no_file_away() {
    let (consul, pod) = seeded(Kind::Embedded, 0, 3);
    let sidecar = watching(&pod, &["--wait", "1s"]);
    let faults = consul.faults();
    narrowed(
        &consul,
        &pod,
        &sidecar,
        || {
            faults.add(Requests::from_agent("seedcar"), Fault::HideKeys);
            faults.add(Requests::from_agent("seedcar"), Fault::DenyAuthorize);
        },
        || faults.clear(),
    );
    stopped(sidecar);
}

fn narrowed(
    consul: &Consul,
    pod: &Pod,
    sidecar: &Sidecar<'_>,
    narrow: impl Fn(),
    widen: impl Fn(),
) {
    let before = content(consul);
    consul.put("app/in-a-block", "1");
    sidecar.shows("in-a-block", "1");
    consul.delete("app/in-a-block");
    until_files(pod, &before);
    narrow();
    until_held(sidecar, pod, Reason::Empty);
    throughout("the files stay", A_WHILE, || pod.tree() == before);
    widen();
    until_free(sidecar, pod);
    consul.put("app/new", "1");
    sidecar.shows("new", "1");
    sidecar.until_fresh();
}

#[test]
fn an_answer_that_says_it_is_filtered_deletes_nothing() {
    let (consul, pod) = seeded(Kind::Embedded, 2, 3);
    let sidecar = watching(&pod, &["--wait", "1s"]);
    let before = pod.tree();
    let faults = consul.faults();
    faults.add(Requests::from_agent("seedcar"), Fault::FilteredByAcls);
    // The header goes with the question that is asked from now on.
    consul.requests().take();
    eventually("another question is asked", SOON, || consul.requests().all().first().map(drop));
    consul.delete("app/few/k0");
    until_held(&sidecar, &pod, Reason::Filtered);
    throughout("the files stay", A_WHILE, || pod.tree() == before);
    // What is complete again, and more, is no loss.
    consul.put("app/few/k0", "back");
    sidecar.shows("few/k0", "back");
    until_free(&sidecar, &pod);
    consul.delete("app/few/k1");
    until_held(&sidecar, &pod, Reason::Filtered);
    faults.clear();
    until_files(&pod, &content(&consul));
    until_free(&sidecar, &pod);
    stopped(sidecar);
}
