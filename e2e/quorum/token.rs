//! The sidecars' token is taken away, narrowed and replaced while their questions are blocked.

use seedcar::model::guard::Reason;

use super::scene::{Actor, HEALED, Play, READER, SECRET, Scene};
use crate::stories::scene::{A_WHILE, held_metric};
use crate::wait::{eventually, throughout};

const ANOTHER: &str = "72656164-6572-0000-0000-000000000002";
const THIRD: &str = "72656164-6572-0000-0000-000000000003";
const NOTHING: &str = r#"key_prefix "elsewhere/" { policy = "read" }"#;
/// Fewer than half of the keys.
const LITTLE: &str = r#"key_prefix "small/passing/" { policy = "read" }
    key_prefix "large/passing/" { policy = "read" }"#;

#[test]
fn revoked_narrowed_and_rotated() {
    let scene = Scene::start();
    scene.play("quorum::token::revoked_narrowed_and_rotated", &["--wait", "5s"], |play| {
        rotated(play);
        revoked(play);
        narrowed(play, NOTHING, Reason::Empty);
        narrowed(play, LITTLE, Reason::Filtered);
    });
}

/// As it should be done: the new token first, then the old one's end.
fn rotated(play: &Play<'_>) {
    let before = denied(play);
    let writer = play.halt();
    play.cluster.create_token(ANOTHER, &["reader"]);
    play.scene.write_token(ANOTHER);
    for Actor { sidecar, .. } in play.cast {
        eventually("the new token is noticed", HEALED, || {
            sidecar.events("credentials_changed").first().map(drop)
        });
    }
    play.cluster.delete_token(SECRET);
    play.fault();
    drop(writer);
    play.wait_written(20);
    play.heals();
    let after = denied(play);
    play.check(before == after, || format!("denied {before:?}, after the rotation {after:?}"));
}

/// How often each sidecar's watch was denied.
fn denied(play: &Play<'_>) -> Vec<f64> {
    let denied = "seedcar_consul_requests_total{mechanism=\"watch\",outcome=\"denied\"}";
    play.cast.iter().map(|actor| actor.sidecar.metric(denied).unwrap_or(0.0)).collect()
}

/// And as it happens: the old one goes first.
fn revoked(play: &Play<'_>) {
    play.cluster.delete_token(ANOTHER);
    play.fault();
    play.until("", "the token is denied", |source| {
        let watch = &source.mechanisms["watch"];
        !watch.up && watch.last_error.as_ref().is_some_and(|error| error.kind == "denied")
    });
    play.wait_written(20);
    play.cluster.create_token(THIRD, &["reader"]);
    play.scene.write_token(THIRD);
    play.fault();
    play.heals();
}

/// While nobody writes, so that the answer comes with the index that was blocked on.
fn narrowed(play: &Play<'_>, rules: &str, reason: Reason) {
    let writer = play.halt();
    play.cluster.set_policy("reader", rules);
    play.fault();
    play.until("", "the answer is held", |source| {
        source.held.as_ref().is_some_and(|held| held.reason == reason)
    });
    for actor in play.cast {
        let metric = held_metric(&actor.sidecar, reason);
        play.check(metric == Some(1.0), || format!("{}: the metric is {metric:?}", actor.name));
    }
    drop(writer);
    // Hidden keys move the index, too.
    play.wait_written(20);
    throughout("every answer is held", A_WHILE, || {
        play.cast.iter().all(|actor| actor.sidecar.source().held.is_some())
    });
    play.cluster.set_policy("reader", READER);
    play.fault();
    play.heals();
}
