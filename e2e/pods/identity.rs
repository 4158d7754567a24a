//! Users, groups, read-only roots: seedcar's and the application's differ, and both work.

use serde_json::{Value, json};

use super::cluster::{Namespace, filled};
use super::release::Release;
use super::watcher::Log;

/// What the application is allowed to see and not to do.
const LOOKS: &str = r#"
read first <"$SEEDCAR_DIR/greeting"; echo "first $first"
echo "user $(id -u):$(id -g)"
echo "file $(stat -L -c '%a %u' "$SEEDCAR_DIR/greeting")"
echo x 2>/dev/null >"$SEEDCAR_DIR/greeting" && echo wrote a value
touch /seedcar/x 2>/dev/null && echo made a file
touch /x 2>/dev/null && echo wrote the root
echo done
trap 'exit 0' TERM
while :; do sleep 1; done
"#;

/// In a pod with these values: what the application said.
fn looks(story: &str, more: Value) -> String {
    let consul = filled();
    let namespace = Namespace::new(story);
    let mut values = Release::values(&consul, more);
    values["args"] = json!(["-c", LOOKS]);
    values["securityContext"]["readOnlyRootFilesystem"] = json!(true);
    values["securityContext"]["allowPrivilegeEscalation"] = json!(false);
    values["securityContext"]["capabilities"] = json!({"drop": ["ALL"]});
    let release = Release::install(&namespace, "web", values);
    let pod = release.until_ready(1).remove(0);
    let app = Log::follow(&namespace, &pod.name, "app");
    app.until("done");
    let text = app.text();
    assert!(text.starts_with("first hello\nuser "), "{text}");
    assert!(!text.contains("wrote") && !text.contains("made"), "{text}");
    text
}

#[test]
fn with_a_group_of_the_volumes() {
    let text = looks("grouped", json!({}));
    assert!(text.contains("user 1000:"), "{text}");
    assert!(text.contains("file 444 65532\n"), "{text}");
}

#[test]
fn without_one() {
    let text = looks("ungrouped", json!({"podSecurityContext": {"fsGroup": null}}));
    assert!(text.contains("file 444 65532\n"), "{text}");
}

#[test]
fn with_users_that_the_cluster_chose() {
    // As OpenShift does: one high number for all containers of the pod, and no name for it anywhere.
    let more = json!({
        "podSecurityContext": {"runAsUser": 1_000_650_000, "fsGroup": 1_000_650_000},
        "seedcar": {"openshift": true},
    });
    let text = looks("chosen", more);
    assert!(text.contains("user 1000650000:"), "{text}");
    assert!(text.contains("file 444 1000650000\n"), "{text}");
}
