//! What the charts render.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize as _;
use serde_json::{Value, json};

use super::restricted::restricted;
use super::{Charts, HELMS, helm, root, text};

/// The oldest that the charts claim, the last before native sidecars and the first with them as the
/// chart has it, and the newest.
const KUBERNETES: &[&str] = &["1.25", "1.28", "1.31", "1.32", "1.33", "1.37"];

/// One file of values for each feature.
fn features() -> Vec<PathBuf> {
    let dir =
        std::fs::read_dir(root().join("charts/seedcar-app/ci")).expect("charts/seedcar-app/ci");
    let mut files: Vec<_> = dir.flatten().map(|entry| entry.path()).collect();
    files.sort();
    assert!(files.len() > 10, "{files:?}");
    files
}

fn name(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

/// The documents of a stream of YAML.
pub fn documents(yaml: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(yaml);
    let values = documents.map(|document| Value::deserialize(document).expect("YAML"));
    values.filter(|value| !value.is_null()).collect()
}

#[test]
fn both_helms_render_the_same_for_each_feature_and_kubernetes() {
    for values in features() {
        for kubernetes in KUBERNETES {
            let rendered = HELMS.map(|helm| {
                let args = ["--values", values.to_str().unwrap(), "--kube-version", kubernetes];
                let output = Charts::shared().template(helm, "charts/seedcar-app", &args);
                assert!(output.status.success(), "{}: {}", name(&values), text(&output));
                String::from_utf8(output.stdout).expect("text")
            });
            assert_eq!(rendered[0], rendered[1], "{} for {kubernetes}", name(&values));
        }
    }
}

#[test]
fn every_object_is_valid_and_every_pod_meets_the_restricted_profile() {
    let validate = helm("KUBERNETES_VALIDATE_BIN");
    let scratch = tempfile::tempdir().expect("a directory");
    for kubernetes in KUBERNETES {
        let mut files = Vec::new();
        for values in features() {
            let args = ["--values", values.to_str().unwrap(), "--kube-version", kubernetes];
            let output = Charts::shared().template("HELM_BIN", "charts/seedcar-app", &args);
            let yaml = String::from_utf8(output.stdout).expect("text");
            let objects = documents(&yaml);
            assert!(!objects.is_empty(), "{} renders nothing", name(&values));
            // On OpenShift the cluster sets what the profile asks of the user's number.
            for object in &objects {
                restricted(object).unwrap_or_else(|why| panic!("{}: {why}", name(&values)));
            }
            // Custom resources have schemas of their own.
            let known = objects.iter().filter(|object| !is_custom(object));
            let texts = known.map(|object| serde_yaml::to_string(object).expect("YAML"));
            let file = scratch.path().join(format!("{kubernetes}-{}", name(&values)));
            std::fs::write(&file, texts.collect::<Vec<_>>().join("---\n")).expect("write it");
            files.push(file);
        }
        let mut check = Command::new(&validate);
        check.args(["--strict", "--quiet", "-k", kubernetes]).args(&files);
        let output = check.output().expect("start kubernetes-validate");
        assert!(output.status.success(), "{kubernetes}: {}", text(&output));
    }
}

fn is_custom(object: &Value) -> bool {
    object["apiVersion"].as_str().is_some_and(|version| version.starts_with("monitoring."))
}

#[test]
fn a_sidecar_is_native_from_the_first_kubernetes_where_all_kubelets_know_it() {
    let values = root().join("charts/seedcar-app/ci/minimal-values.yaml");
    let placed = |kubernetes: &str, kind: &str| {
        let set = format!("kind={kind}");
        let args = ["-f", values.to_str().unwrap(), "--kube-version", kubernetes, "--set", &set];
        let output = Charts::shared().template("HELM_BIN", "charts/seedcar-app", &args);
        let objects = documents(&String::from_utf8(output.stdout).expect("text"));
        let workload = objects.iter().find(|object| object["kind"] == kind).expect("a workload");
        let spec = &workload["spec"]["template"]["spec"];
        let in_list = |list: &str| {
            let containers = spec[list].as_array().expect("a list");
            containers.iter().find(|container| container["name"] == "seedcar").cloned()
        };
        (in_list("initContainers"), in_list("containers"))
    };
    let (native, ordinary) = placed("1.32.0", "Deployment");
    assert_eq!(native.expect("a native sidecar")["restartPolicy"], "Always");
    assert!(ordinary.is_none());
    let (native, ordinary) = placed("1.31.9", "Deployment");
    assert!(native.is_none() && ordinary.expect("a sidecar")["restartPolicy"].is_null());
    let (native, ordinary) = placed("1.31.9", "Job");
    assert!(native.is_none() && ordinary.is_none(), "a sidecar that never lets the job end");
    assert!(placed("1.32.0", "Job").0.is_some());
}

/// What the application chart renders of one of its features.
fn feature(name: &str) -> Vec<Value> {
    let values = root().join(format!("charts/seedcar-app/ci/{name}-values.yaml"));
    let args = ["-f", values.to_str().unwrap(), "--kube-version", "1.36.0"];
    let output = Charts::shared().template("HELM_BIN", "charts/seedcar-app", &args);
    assert!(output.status.success(), "{}", text(&output));
    documents(&String::from_utf8(output.stdout).expect("text"))
}

#[test]
fn the_program_is_put_by_init_found_by_the_application_and_read_by_the_sidecar() {
    let objects = feature("exec");
    let workload = objects.iter().find(|object| object["kind"] == "Deployment").expect("one");
    let spec = &workload["spec"]["template"]["spec"];
    let of = |list: &str, name: &str| {
        let containers = spec[list].as_array().expect("a list");
        containers.iter().find(|container| container["name"] == name).cloned().expect(name)
    };
    let mount = |container: &Value| {
        let mounts = container["volumeMounts"].as_array().expect("mounts");
        mounts.iter().find(|mount| mount["name"] == "seedcar-exec").cloned().expect("the mount")
    };
    let env = |container: &Value, name: &str| {
        let env = container["env"].as_array().expect("env");
        env.iter().find(|variable| variable["name"] == name).map(|v| v["value"].clone())
    };
    let (init, sidecar) = (of("initContainers", "seedcar-init"), of("initContainers", "seedcar"));
    let app = of("containers", "app");
    let path = "/seedcar-exec";
    assert_eq!(mount(&init), json!({"name": "seedcar-exec", "mountPath": path}));
    assert_eq!(
        mount(&sidecar),
        json!({"name": "seedcar-exec", "mountPath": path, "readOnly": true})
    );
    assert_eq!(mount(&app), json!({"name": "seedcar-exec", "mountPath": path}));
    for container in [&init, &sidecar, &app] {
        assert_eq!(env(container, "SEEDCAR_EXEC_DIR"), Some(json!(path)));
    }
    assert_eq!(env(&app, "SEEDCAR_VOLUME"), Some(json!("/seedcar")));
    let others = feature("minimal");
    assert!(!serde_json::to_string(&others).expect("JSON").contains("seedcar-exec"));
}

#[test]
fn no_right_and_no_token_is_there_that_was_not_asked_for() {
    let about_rights = ["Role", "RoleBinding", "ServiceAccount", "ClusterRole"];
    for values in features() {
        let name = name(&values).replace("-values.yaml", "");
        let objects = feature(&name);
        let asked = ["secrets", "events"].contains(&name.as_str());
        let kinds = objects.iter().filter_map(|object| object["kind"].as_str());
        let rights = kinds.filter(|kind| about_rights.contains(kind)).count();
        let yaml = serde_json::to_string(&objects).expect("JSON");
        // To log in to Consul takes a token and no right.
        let token = asked || name == "login";
        assert_eq!((rights > 0, yaml.contains("serviceAccountToken")), (asked, token), "{name}");
        assert!(!yaml.contains("\"automountServiceAccountToken\":true"), "{name}");
    }
}

#[test]
fn a_login_is_the_pods_own_with_an_audience_where_one_is_asked_for() {
    let source = |audience: &str| {
        let login = json!({"method": "pods", "audience": audience});
        let consul = json!({"address": "c:8500", "login": login});
        let seedcar = json!({"prefix": "a", "consul": consul});
        let values = json!({"image": {"repository": "web"}, "seedcar": seedcar});
        let objects = documents(&Charts::shared().rendered("web", &values));
        let workload = objects.iter().find(|o| o["kind"] == "Deployment").expect("a workload");
        let spec = &workload["spec"]["template"]["spec"];
        let volumes = spec["volumes"].as_array().expect("volumes");
        let volume = volumes.iter().find(|v| v["name"] == "seedcar-login").expect("a volume");
        volume["projected"]["sources"][0]["serviceAccountToken"].clone()
    };
    // TokenReview without audiences, as Consul asks for it, knows no other than the API server's.
    assert!(source("")["audience"].is_null());
    assert_eq!(source("consul")["audience"], "consul");
    let workload = &feature("login");
    let workload = workload.iter().find(|o| o["kind"] == "Deployment").expect("a workload");
    let spec = &workload["spec"]["template"]["spec"];
    assert_eq!(spec["serviceAccountName"], "web");
    assert_eq!(spec["automountServiceAccountToken"], false);
    for container in spec["initContainers"].as_array().expect("a list") {
        let env = container["env"].as_array().expect("variables");
        let value = |name: &str| env.iter().find(|v| v["name"] == name).expect(name).clone();
        assert_eq!(value("SEEDCAR_LOGIN_METHOD")["value"], "kubernetes");
        assert_eq!(value("SEEDCAR_LOGIN_META")["value"], "namespace=default");
        let field = &value("SEEDCAR_POD_NAME")["valueFrom"]["fieldRef"]["fieldPath"];
        assert_eq!(field, "metadata.name");
        let file = value("SEEDCAR_LOGIN_TOKEN_FILE")["value"].as_str().expect("a path").to_owned();
        let mounts = container["volumeMounts"].as_array().expect("mounts");
        let mount = mounts.iter().find(|m| m["name"] == "seedcar-login").expect("a mount");
        assert_eq!(file, format!("{}/token", mount["mountPath"].as_str().expect("a path")));
    }
    let app = &spec["containers"][0];
    assert!(
        !app["volumeMounts"].to_string().contains("seedcar-login"),
        "the application's is its own"
    );
}

#[test]
fn the_role_for_secrets_names_them_and_allows_no_more_than_is_done() {
    let objects = feature("secrets");
    let of = |kind: &str| objects.iter().filter(|o| o["kind"] == kind).collect::<Vec<_>>();
    let names = ["web-seedcar-backup-0", "web-seedcar-backup-1", "web-seedcar-backup-2"];
    assert_eq!(of("Secret").len(), names.len());
    for (secret, name) in of("Secret").into_iter().zip(names) {
        assert_eq!(secret["metadata"]["name"], name);
        // An upgrade would take what it names back to what it says.
        assert!(secret["data"].is_null() && secret["stringData"].is_null(), "{secret}");
    }
    let rule = json!({
        "apiGroups": [""], "resources": ["secrets"], "resourceNames": names,
        "verbs": ["get", "patch"],
    });
    assert_eq!(of("Role")[0]["rules"], json!([rule]));
    let spec = &of("Deployment")[0]["spec"]["template"]["spec"];
    assert_eq!(spec["serviceAccountName"], "web-seedcar");
    assert_eq!(of("RoleBinding")[0]["subjects"][0]["name"], "web-seedcar");
    let mounts = |container: &Value| {
        let mounts = container["volumeMounts"].as_array().cloned().unwrap_or_default();
        mounts.iter().filter(|mount| mount["name"] == "seedcar-kubernetes").count()
    };
    assert_eq!(
        spec["initContainers"].as_array().expect("a list").iter().map(mounts).sum::<usize>(),
        2
    );
    assert_eq!(mounts(&spec["containers"][0]), 0, "the application gets no token");
    let environment = spec["initContainers"][0]["env"].as_array().expect("a list");
    let told = environment.iter().find(|env| env["name"] == "SEEDCAR_BACKUP_SECRETS");
    assert_eq!(told.expect("named")["value"], names.join(","));
}

#[test]
fn each_of_several_workloads_has_what_its_values_ask_for() {
    for helm in HELMS {
        let render = |args: &[&str]| {
            let args = [&["--kube-version", "1.36.0"], args].concat();
            Charts::shared().template(helm, "e2e/chart/several", &args)
        };
        let output = render(&[]);
        assert!(output.status.success(), "{}", text(&output));
        let objects = documents(&String::from_utf8(output.stdout).expect("text"));
        let names = |kind: &str| {
            let of_kind = objects.iter().filter(|object| object["kind"] == kind);
            of_kind.map(|o| o["metadata"]["name"].as_str().expect("a name")).collect::<Vec<_>>()
        };
        let secrets = ["web-worker-seedcar-backup-0", "web-worker-seedcar-backup-1"];
        assert_eq!(names("Secret"), secrets);
        assert_eq!(names("Role"), ["web-worker-seedcar"]);
        assert_eq!(names("ServiceAccount"), ["web-worker-seedcar"]);
        let pod = |at: usize| {
            &objects.iter().filter(|o| o["kind"] == "Deployment").nth(at).expect("one")["spec"]["template"]
        };
        assert_eq!(pod(0)["spec"]["serviceAccountName"], "default");
        assert_eq!(pod(1)["spec"]["serviceAccountName"], "web-worker-seedcar");
        assert_eq!(pod(0)["metadata"]["labels"]["seedcar/name"], "web-seedcar");
        assert_eq!(pod(1)["metadata"]["labels"]["seedcar/name"], "web-worker-seedcar");
        let told = serde_json::to_string(&pod(1)["spec"]["initContainers"]).expect("JSON");
        assert!(told.contains(&secrets.join(",")), "{told}");
        // Without a name it has the chart's objects, which are not enough, or are.
        let output = render(&["--set", "worker.name=null"]);
        let said = text(&output);
        assert!(!output.status.success() && said.contains("give the workload a name"), "{said}");
        assert!(said.contains("backup.type secrets and events.enabled"), "{said}");
        let shared = "worker.name=null,seedcar.backup.type=secrets,seedcar.events.enabled=true";
        let output = render(&["--set", shared]);
        assert!(output.status.success(), "{}", text(&output));
        for (more, words) in [
            ("worker.seedcar.backup.secrets.count=5", "backup.secrets.count 5"),
            ("seedcar.backup.mode=read,worker.seedcar.backup.mode=write", "backup.mode write"),
            ("worker.seedcar.serviceAccount.name=mine", "serviceAccount.name mine"),
            ("seedcar.enabled=false,worker.seedcar.enabled=true", "backup.type secrets"),
        ] {
            let output = render(&["--set", shared, "--set", more]);
            let said = text(&output);
            assert!(!output.status.success() && said.contains(words), "{more}: {said}");
        }
        let long = format!("worker.name={}", "w".repeat(60));
        let said = text(&render(&["--set", &long]));
        assert!(said.contains("is longer than 63 characters"), "{said}");
    }
}

#[test]
fn the_role_for_events_lets_a_given_account_make_some_and_read_nothing() {
    let objects = feature("events");
    let of = |kind: &str| objects.iter().find(|o| o["kind"] == kind);
    let rule = json!({"apiGroups": [""], "resources": ["events"], "verbs": ["create"]});
    assert_eq!(of("Role").expect("a role")["rules"], json!([rule]));
    assert!(of("ServiceAccount").is_none(), "there is one already");
    assert_eq!(of("RoleBinding").expect("a binding")["subjects"][0]["name"], "web");
    let spec = &of("Deployment").expect("a workload")["spec"]["template"]["spec"];
    assert_eq!(spec["serviceAccountName"], "web");
    let environment = serde_json::to_string(&spec["initContainers"]).expect("JSON");
    assert!(environment.contains("metadata.uid") && environment.contains("SEEDCAR_EVENTS"));
}

#[test]
fn what_is_switched_off_leaves_nothing_behind() {
    let values = root().join("charts/seedcar-app/ci/disabled-values.yaml");
    let args = ["--values", values.to_str().unwrap(), "--show-only", "templates/workload.yaml"];
    let output = Charts::shared().template("HELM_BIN", "charts/seedcar-app", &args);
    let yaml = String::from_utf8(output.stdout).expect("text");
    let left = yaml.replace("seedcar-app", "");
    assert!(yaml.contains("kind: Deployment") && !left.contains("seedcar/"), "{yaml}");
    assert!(!left.contains("SEEDCAR") && !left.contains("initContainers"), "{yaml}");
}

#[test]
fn helm_lints_both_charts() {
    let values = root().join("charts/seedcar-app/ci/minimal-values.yaml");
    for variable in HELMS {
        for (chart, args) in [
            ("charts/seedcar", vec![]),
            ("charts/seedcar-app", vec!["-f", values.to_str().unwrap()]),
        ] {
            let mut lint = Command::new(helm(variable));
            lint.args(["lint", "--strict"]).arg(Charts::shared().path(chart)).args(args);
            let output = lint.output().expect("start helm");
            assert!(output.status.success(), "{variable} {chart}: {}", text(&output));
        }
    }
}

#[test]
fn a_chart_of_ones_own_takes_at_most_twelve_lines() {
    let lines = added().lines().filter(|line| line.starts_with('+')).count();
    assert!((5..=12).contains(&lines), "{}", added());
    for helm in HELMS {
        let output =
            Charts::shared().template(helm, "e2e/chart/after", &["--kube-version", "1.36"]);
        assert!(output.status.success(), "{}", text(&output));
        let objects = documents(&String::from_utf8(output.stdout).expect("text"));
        let spec = &objects[0]["spec"]["template"]["spec"];
        assert_eq!(spec["initContainers"][1]["name"], "seedcar");
        assert_eq!(spec["containers"][0]["volumeMounts"][0]["mountPath"], "/seedcar");
        assert_eq!(spec["containers"].as_array().map(Vec::len), Some(1));
    }
}

#[test]
fn the_rules_are_those_of_the_program_with_the_values_put_in() {
    let values = root().join("charts/seedcar-app/ci/monitored-values.yaml");
    let args = ["--values", values.to_str().unwrap(), "--show-only", "templates/seedcar.yaml"];
    let output = Charts::shared().template("HELM_BIN", "charts/seedcar-app", &args);
    assert!(output.status.success(), "{}", text(&output));
    let objects = documents(&String::from_utf8(output.stdout).expect("text"));
    let of = |kind: &str| objects.iter().find(|object| object["kind"] == kind).expect("an object");
    let rules = of("PrometheusRule")["spec"]["groups"][0]["rules"].as_array().expect("rules");
    let known = documents(&seedcar::monitoring::rules(false)).remove(0);
    let mut known = known["groups"][0]["rules"].as_array().expect("rules").clone();
    known.retain(|rule| rule["alert"] != "SeedcarRestarting");
    for rule in &mut known {
        let name = rule["alert"].as_str().expect("a name").to_owned();
        let url = format!("https://wiki.example/seedcar#{}", name.to_lowercase());
        rule["annotations"]["runbook_url"] = url.into();
        let expr = rule["expr"].as_str().expect("an expression").replace("+ 300", "+ 60");
        rule["expr"] = expr.into();
        if name == "SeedcarHeld" {
            rule["for"] = "1m".into();
        }
    }
    assert_eq!(rules, &known);
    let dashboard = of("ConfigMap")["data"]["seedcar-fleet.json"].as_str().expect("a dashboard");
    assert_eq!(dashboard.trim(), seedcar::monitoring::dashboard().trim());
    let monitor = &of("PodMonitor")["spec"];
    assert_eq!(monitor["podMetricsEndpoints"][0]["port"], "seedcar");
    assert_eq!(monitor["selector"]["matchLabels"]["seedcar/name"], "web-seedcar");
}

/// What a chart of one's own gets, file by file.
pub fn added() -> String {
    let compared = Command::new("diff")
        .args(["-r", "-N", "-U0", "before", "after"])
        .current_dir(root().join("e2e/chart"))
        .output()
        .expect("start diff");
    let shown = String::from_utf8(compared.stdout).expect("text");
    let mut text = String::new();
    for line in shown.lines() {
        if let Some(file) = line.strip_prefix("+++ after/") {
            text += &format!("  # {}\n", file.split('\t').next().unwrap_or(file));
        } else if line.starts_with('+') {
            text += &format!("{line}\n");
        }
    }
    text
}

#[test]
fn what_the_chart_says_of_outputs_is_what_the_program_understands() {
    understood(
        "config",
        &[
            ("exclude", "**/*.md"),
            ("path", "app.json"),
            ("default", "$(5)"),
            ("required", "db/*"),
            ("success", "204"),
            ("control", "ops/web"),
        ],
    );
}

#[test]
fn what_the_chart_says_of_sources_is_what_the_program_understands() {
    understood("sources", &[("atomic", "base"), ("atomic", "web")]);
    understood(
        "services",
        &[
            ("source", "app=apps/web"),
            ("source", "db=service postgres"),
            ("source", "up=service web (not required)"),
            ("tag", "primary"),
            ("passing", "false"),
            ("line", "server {};"),
            ("hook", "yes"),
        ],
    );
}

/// The values of this feature come to these settings.
fn understood(name: &str, settings: &[(&str, &str)]) {
    let workload = &feature(name);
    let workload = workload.iter().find(|object| object["kind"] == "Deployment").expect("one");
    let containers = workload["spec"]["template"]["spec"]["initContainers"].as_array();
    for container in containers.expect("a list") {
        let env = container["env"].as_array().expect("env").iter();
        // As the kubelet hands it over: `$$` stands for `$`.
        let text = |value: &Value| value["value"].as_str().map(|text| text.replace("$$", "$"));
        let env = env.filter_map(|v| Some((v["name"].as_str()?.to_owned(), text(v)?)));
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_seedcar"))
            .args(["config", "print", "-o", "json"])
            .env_clear()
            .envs(env)
            .output()
            .expect("run it");
        assert!(output.status.success(), "{}", self::text(&output));
        let lines: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let has = |setting: &str, value: &str| {
            let mut lines = lines.as_array().expect("a list").iter();
            lines.any(|line| line["setting"] == setting && line["value"] == value)
        };
        for (setting, value) in settings {
            assert!(has(setting, value), "{setting} {value}: {lines}");
        }
    }
}
