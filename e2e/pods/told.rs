//! An application that `seedcar exec` starts in its own container.

use serde_json::json;

use super::cluster::{Namespace, filled, slowly};
use super::release::Release;
use super::watcher::Log;

/// An application that reads once, and this file again when it is told.
pub fn is_told(file: &str) -> String {
    format!(
        r#"
trap 'read n <"$SEEDCAR_DIR/{file}"; echo "told $n"' HUP
trap 'exit 0' TERM
read first <"$SEEDCAR_DIR/greeting"; echo "first $first"
while :; do sleep 0.1; done
"#
    )
}

#[test]
fn an_application_of_another_user_is_told_by_the_program_that_init_has_left_it() {
    let consul = filled();
    let namespace = Namespace::new("told");
    let outputs =
        json!([{"tree": {}}, {"file": {"path": "etc/n.txt", "key": "n", "default": "0"}}]);
    let mut values = Release::values(&consul, json!({"command": ["/seedcar-exec/seedcar"]}));
    values["args"] = json!([
        "exec",
        "--on-change",
        "HUP",
        "--debounce",
        "100ms",
        "--",
        "/bin/sh",
        "-c",
        // A file that the values' `config` asks for.
        is_told("etc/n.txt"),
    ]);
    values["seedcar"]["exec"] = json!({"enabled": true});
    values["seedcar"]["config"] = json!({"outputs": outputs, "validate": {"required": ["n"]}});
    let release = Release::install(&namespace, "web", values);
    let pod = release.until_ready(1).remove(0);
    let app = Log::follow(&namespace, &pod.name, "app");
    assert_eq!(app.until("first "), "hello");
    consul.put("app/n", "7");
    app.until("told 7");
    let exec = slowly("the sidecar knows", || {
        let exec = namespace.status(&pod.name)?["exec"]["sh"].clone();
        (exec["pending"] == json!(false) && exec["counts"]["signalled"] != json!(0)).then_some(exec)
    });
    assert!(exec["pid"].as_u64().is_some(), "{exec}");

    // What does not pass is not told of, because it is not there.
    let generation = namespace.status(&pod.name).expect("it answers")["generation"].clone();
    consul.delete("app/n");
    slowly("it is refused", || {
        let status = namespace.status(&pod.name)?;
        status["invalid"]["text"].as_str()?.contains("no file is n").then_some(())
    });
    let now = namespace.status(&pod.name).expect("it answers")["generation"].clone();
    assert_eq!(now, generation);
}
