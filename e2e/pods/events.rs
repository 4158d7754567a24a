//! What `kubectl describe pod` says.

use serde_json::json;

use super::cluster::{Namespace, filled, slowly};
use super::outage::{started_from_backup, until_backed_up};
use super::release::Release;

#[test]
fn a_person_sees_a_backup_used_an_answer_held_and_recovery_in_the_description_of_the_pod() {
    let consul = filled();
    let namespace = Namespace::new("events");
    let seedcar = json!({"backup": {"type": "secrets"}, "events": {"enabled": true}});
    let values = Release::values(&consul, json!({"seedcar": seedcar}));
    let release = Release::install(&namespace, "web", values);
    let old = release.until_ready(1).remove(0);
    until_backed_up(&namespace, &old);
    let quiet = namespace.kubectl(&["describe", "pod", &old.name]);
    assert!(!quiet.contains("SeededFromBackup") && !quiet.contains("Recovered"), "{quiet}");
    consul.kill();
    let pod = release.replaced(&old);
    started_from_backup(&namespace, &pod);
    let says = |reason: &str, words: &str| {
        slowly(&format!("the description says {reason}"), || {
            let described = namespace.kubectl(&["describe", "pod", &pod.name]);
            let found = described.lines().find(|line| line.contains(reason))?.to_owned();
            assert!(found.contains(words) && found.contains("source default: "), "{found}");
            Some(found)
        })
    };
    let seeded = says("SeededFromBackup", "backup of 2 keys, confirmed at 2");
    assert!(seeded.trim_start().starts_with("Warning"), "{seeded}");
    consul.restart();
    says("Recovered", "Consul confirms");
    consul.delete_recurse("app/");
    says("AnswerHeld", "empty: 0 keys instead of 2");
    let described = namespace.kubectl(&["describe", "pod", &pod.name]);
    assert!(!described.contains("hello"), "no value is in it: {described}");
}

#[test]
fn an_init_container_that_fails_again_and_again_is_told_of_once() {
    let consul = filled();
    let namespace = Namespace::new("told-once");
    let seedcar = json!({
        "prefix": "nothing",
        "events": {"enabled": true},
        "extraEnv": [{"name": "SEEDCAR_SEED_TIMEOUT", "value": "2s"}],
    });
    let values = Release::values(&consul, json!({"seedcar": seedcar}));
    let release = Release::install(&namespace, "web", values);
    slowly("init has been started twice more", || {
        release.pods().iter().find(|pod| pod.restarts("seedcar-init") >= 2).map(|_| ())
    });
    let events = namespace.get(&["events", "--field-selector", "reason=AnswerHeld"]);
    let events = events["items"].as_array().expect("a list").clone();
    assert_eq!(events.len(), 1, "{events:?}");
    let message = events[0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("the application waits for its first configuration"), "{message}");
}
