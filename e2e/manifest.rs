//! `seedcar manifest` says what the chart says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::chart::Charts;
use crate::chart::rendered::documents;

/// Workloads, as the command and as the chart call them.
const WORKLOADS: [(&str, &str); 4] = [
    ("deployment", "Deployment"),
    ("statefulset", "StatefulSet"),
    ("job", "Job"),
    ("cronjob", "CronJob"),
];

/// What stands where a user's own words belong.
const PLACES: [&str; 4] = ["zz-app:zz", "zz-image:zz", "zz-prefix", "zz-consul"];

fn texts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cmd/manifest")
}

/// What ends the lines that are there for `--exec` alone.
const EXEC: &str = " # zz-exec";

/// What the chart renders of a kind, without what is Helm's.
fn chart(kind: &str, name: &str, words: [&str; 4], exec: bool) -> String {
    let [app, image, prefix, consul] = words;
    let split = |image: &str| {
        let (repository, tag) = image.rsplit_once(':').expect("an image with a tag");
        json!({"repository": repository, "tag": tag})
    };
    let mut values = json!({
        "kind": kind, "image": split(app),
        "seedcar": {
            "image": split(image), "prefix": prefix, "consul": {"address": consul},
            "exec": {"enabled": exec},
        },
    });
    if kind == "StatefulSet" {
        values["seedcar"]["backup"] = json!({"type": "claimTemplate"});
    }
    let yaml = Charts::shared().rendered(name, &values);
    let helms = |line: &str| {
        let begins = ["# Source:", "helm.sh/chart:", "namespace: default"];
        let line = line.trim_start();
        begins.iter().any(|begin| line.starts_with(begin)) || line.ends_with("managed-by: Helm")
    };
    let kept = yaml.lines().filter(|line| !helms(line) && !line.trim().is_empty());
    kept.map(|line| format!("{line}\n"))
        .collect::<String>()
        .trim_start_matches("---\n")
        .to_owned()
        // What is put there brings its quotes along.
        .replace("\"zz-app:zz\"", "zz-app:zz")
        .replace("\"zz-image:zz\"", "zz-image:zz")
}

/// The second text, whose lines that the first has not are marked: all others stand in both, in this order.
fn marked(without: &str, with: &str) -> String {
    let mut rest = without.lines().peekable();
    let marked = |line: &str| match rest.next_if_eq(&line) {
        Some(line) => format!("{line}\n"),
        None => format!("{line}{EXEC}\n"),
    };
    let text = with.lines().map(marked).collect();
    assert_eq!(rest.next(), None, "only without --exec");
    text
}

/// The lines below the first that is this one, as far as they are deeper, without that depth.
fn below(text: &str, head: &str) -> String {
    let mut lines = text.lines().skip_while(|line| line.trim() != head);
    let depth = |line: &str| line.len() - line.trim_start().len();
    let outer = depth(lines.next().expect("the head"));
    let inner: Vec<&str> = lines.take_while(|line| depth(line) > outer).collect();
    let cut = inner.first().map_or(0, |line| depth(line));
    inner.iter().map(|line| format!("{}\n", &line[cut..])).collect()
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect()
}

/// A pod is a deployment's template with a name.
fn pod(deployment: &str) -> String {
    let template = below(deployment, "template:");
    let named = template.replacen("metadata:\n", "metadata:\n  name: zz-name\n", 1);
    format!("apiVersion: v1\nkind: Pod\n{named}")
}

/// A component patches what has a pod template: lists are merged by name.
fn component(deployment: &str) -> String {
    let template = below(deployment, "template:");
    let labels = "  labels:\n    seedcar/name: zz-name-seedcar\n";
    let init = indented(&below(&template, "initContainers:"), 4);
    let volumes = indented(&below(&template, "volumes:"), 4);
    let app = below(&template, "containers:");
    let env = indented(&below(&app, "env:"), 8);
    let mounts = indented(&below(&app, "volumeMounts:"), 8);
    let patch = format!(
        "metadata:\n{labels}spec:\n  initContainers:\n{init}  containers:\n    - name: zz-name\n      env:\n{env}      volumeMounts:\n{mounts}  volumes:\n{volumes}"
    );
    let mut text = String::from(
        "# Workloads with the label seedcar: \"yes\" and a container of the name below get seedcar.\napiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches:\n",
    );
    for kind in ["Deployment", "StatefulSet", "DaemonSet", "Job"] {
        text += &format!(
            "  - target: {{kind: {kind}, labelSelector: seedcar=yes}}\n    patch: |-\n      kind: {kind}\n      metadata:\n        name: any\n      spec:\n        template:\n{}",
            indented(&patch, 10)
        );
    }
    text
}

#[test]
fn the_texts_are_what_helm_renders_of_the_chart() {
    let mut made: Vec<(String, String)> = WORKLOADS
        .iter()
        .map(|(word, kind)| {
            let [without, with] = [false, true].map(|exec| chart(kind, "zz-name", PLACES, exec));
            ((*word).to_owned(), marked(&without, &with))
        })
        .collect();
    let deployment = made[0].1.clone();
    made.push(("pod".to_owned(), pod(&deployment)));
    made.push(("component".to_owned(), component(&deployment)));
    for (word, text) in made {
        let path = texts().join(format!("{word}.yaml"));
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &text).expect("write it");
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(found == text, "{word}: run UPDATE=1 cargo test --test e2e manifest, twice");
    }
}

fn manifest(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seedcar"));
    command.arg("manifest").args(args).env_clear().output().expect("start seedcar")
}

#[test]
fn manifest_and_chart_say_the_same() {
    // Words that YAML could take for something else.
    let words = ["registry.example/web:1.2", "seedcar:0.1.0", "on", "0x10:8500"];
    let [app, image, prefix, consul] = words;
    let all = WORKLOADS.iter().flat_map(|workload| [false, true].map(|exec| (workload, exec)));
    for ((word, kind), exec) in all {
        let exec_args: &[&str] = if exec { &["--exec"] } else { &[] };
        let args = [
            word,
            "--name",
            "shop",
            "--app-image",
            app,
            "--image",
            image,
            "--prefix",
            prefix,
            "--consul",
            consul,
        ];
        let output = manifest(&[&args[..], exec_args].concat());
        let printed = String::from_utf8(output.stdout).expect("text");
        assert!(!printed.contains("zz-"), "{word}: {printed}");
        let printed = documents(&printed);
        let rendered = documents(&chart(kind, "shop", words, exec));
        assert!(!printed.is_empty());
        assert_eq!(printed, rendered, "{word}, exec {exec}");
    }
}

#[test]
fn with_exec_every_form_has_the_program_where_the_application_can_start_it() {
    let args = ["--name", "web", "--app-image", "web:1", "--consul", "c:8500", "--prefix", "p"];
    for kind in ["pod", "deployment", "statefulset", "job", "cronjob", "component"] {
        let output = manifest(&[&[kind][..], &args, &["--exec"]].concat());
        let text = String::from_utf8(output.stdout).expect("text");
        // A StatefulSet has a service of its own.
        let object = documents(&text).into_iter().find(|object| object["kind"] != "Service");
        let object = object.expect("a workload");
        let (spec, container) = match kind {
            "pod" => (object["spec"].clone(), "app"),
            "cronjob" => {
                let job = &object["spec"]["jobTemplate"];
                (job["spec"]["template"]["spec"].clone(), "app")
            }
            "component" => {
                let patch = object["patches"][0]["patch"].as_str().expect("a text");
                (documents(patch)[0]["spec"]["template"]["spec"].clone(), "web")
            }
            _ => (object["spec"]["template"]["spec"].clone(), "app"),
        };
        let at = |list: &str, name: &str| {
            let named = spec[list].as_array().expect("a list").iter();
            named.clone().find(|entry| entry["name"] == name).cloned().unwrap_or_default()
        };
        let mount = |container: &Value| {
            let mounts = container["volumeMounts"].as_array().expect("mounts").iter();
            mounts
                .clone()
                .find(|mount| mount["name"] == "seedcar-exec")
                .cloned()
                .unwrap_or_default()
        };
        assert_eq!(at("volumes", "seedcar-exec")["emptyDir"]["sizeLimit"], "64Mi", "{kind}");
        let mounted = json!({"name": "seedcar-exec", "mountPath": "/seedcar-exec"});
        assert_eq!(mount(&at("initContainers", "seedcar-init")), mounted, "{kind}");
        // The application says there how it fares, and the sidecar only looks.
        assert_eq!(mount(&at("containers", container)), mounted, "{kind}");
        assert_eq!(mount(&at("initContainers", "seedcar"))["readOnly"], true, "{kind}");
        let without = manifest(&[&[kind][..], &args].concat());
        let without = String::from_utf8(without.stdout).expect("text");
        assert!(!without.contains("seedcar-exec") && !without.contains("zz-"), "{kind}");
    }
    let output = manifest(&[&["compose"][..], &args, &["--exec"]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty(), "half a file is worse than none");
}

#[test]
fn what_a_user_types_is_one_value_whatever_it_is() {
    for hostile in ["a: b", "\"", "'x", "- x", "{{ x }}", "zz-consul", "x\ny: z", "#", "é\u{7}"] {
        let args = ["pod", "--name", "web", "--app-image", "web:1", "--consul", "c:8500"];
        let prefix = format!("--prefix={hostile}");
        let output = manifest(&[&args[..], &[&prefix]].concat());
        let printed = documents(&String::from_utf8(output.stdout).expect("text"));
        assert_eq!(printed.len(), 1, "{hostile:?}");
        let env = printed[0]["spec"]["initContainers"][0]["env"].as_array().expect("a list");
        let set: Vec<&Value> = env.iter().filter(|v| v["name"] == "SEEDCAR_PREFIX").collect();
        assert_eq!(set, [&json!({"name": "SEEDCAR_PREFIX", "value": hostile})]);
        let consul = env.iter().find(|v| v["name"] == "SEEDCAR_CONSUL").expect("the address");
        assert_eq!(consul["value"], "c:8500", "{hostile:?}");
    }
    let args = ["compose", "--name", "web", "--app-image", "web:1", "--consul", "c:8500"];
    let output = manifest(&[&args[..], &["--prefix=a: $b ${c} \"d"]].concat());
    let printed = documents(&String::from_utf8(output.stdout).expect("text"));
    let environment = &printed[0]["services"]["seedcar"]["environment"];
    assert_eq!(environment["SEEDCAR_PREFIX"], "a: $$b $${c} \"d", "compose reads $$ as $");
    for name in ["", "Web", "-web", "web-", "a b", &"x".repeat(53)] {
        let args = ["--app-image", "web:1", "--consul", "c:8500", "--prefix", "p"];
        let output = manifest(&[&["pod", "--name", name][..], &args].concat());
        assert_eq!(output.status.code(), Some(2), "{name:?}");
    }
}
