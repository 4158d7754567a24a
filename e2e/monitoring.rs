//! Alerts and dashboard: generated from one table, understood by Prometheus, and about metrics that
//! there are.

mod inhibited;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use seedcar::metrics::{Kind, TABLE};
use seedcar::monitoring::{self, ALERTS, THRESHOLDS};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs promtool on a file; what it says must be good.
fn promtool(args: &[&str], dir: &Path) {
    let program = std::env::var_os("PROMTOOL_BIN").expect("run ./e2e/run, or set PROMTOOL_BIN");
    let output =
        Command::new(program).args(args).current_dir(dir).output().expect("start promtool");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {args:?}: {said}");
}

/// Names of metrics in an expression; of a histogram, the name of its family.
fn named(expr: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = expr.split(|c| !word(c));
    let ours = words.filter(|word| word.starts_with("seedcar_") || word.starts_with("process_"));
    ours.map(str::to_owned).collect()
}

fn exists(name: &str) -> bool {
    TABLE.iter().any(|metric| {
        let histogram = matches!(metric.kind, Kind::Histogram(_));
        let parts = ["_bucket", "_sum", "_count"];
        metric.name == name && !histogram
            || histogram && parts.iter().any(|part| format!("{}{part}", metric.name) == name)
    })
}

#[test]
fn the_charts_files_have_not_drifted() {
    let files = [
        ("charts/seedcar/files/rules.yaml", monitoring::rules(true)),
        ("charts/seedcar/files/dashboard.json", monitoring::dashboard()),
        ("charts/seedcar/RUNBOOK.md", monitoring::runbook()),
    ];
    for (file, text) in files {
        if std::env::var_os("UPDATE").is_some() {
            fs::write(root().join(file), &text).expect("write it");
        }
        let found = fs::read_to_string(root().join(file)).unwrap_or_default();
        assert!(found == text, "{file}: run UPDATE=1 cargo test --test e2e monitoring");
    }
}

#[test]
fn the_charts_thresholds_are_those_of_the_table() {
    let values = fs::read_to_string(root().join("charts/seedcar/values.yaml")).expect("values");
    let values: serde_json::Value = serde_yaml::from_str(&values).expect("YAML");
    let found = values["metrics"]["rules"]["thresholds"].as_object().expect("thresholds");
    let found: BTreeMap<_, _> = found.iter().map(|(n, v)| (n.as_str(), v.to_string())).collect();
    let known = THRESHOLDS.iter().map(|t| (t.name, t.default.to_owned()));
    assert_eq!(found, known.collect());
}

#[test]
fn every_expression_parses_and_names_only_metrics_that_there_are() {
    let mut expressions = monitoring::expressions();
    let readme = fs::read_to_string(root().join("README.md")).expect("the README");
    let shown = readme.split("```promql\n").skip(1).filter_map(|text| text.split("```").next());
    expressions.extend(shown.map(str::to_owned));
    assert!(expressions.len() > 40, "{}", expressions.len());
    let mut rules = String::from("groups:\n  - name: all\n    rules:\n");
    for (at, expr) in expressions.iter().enumerate() {
        let names = named(expr);
        assert!(!names.is_empty(), "{expr} names no metric");
        for name in names {
            assert!(exists(&name), "{expr} names {name}, which does not exist");
        }
        // What Grafana puts in.
        let expr = expr.replace("$__rate_interval", "5m");
        let quoted = serde_json::Value::from(expr).to_string();
        rules += &format!("      - record: 'test:{at}'\n        expr: {quoted}\n");
    }
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("all.yaml"), rules).expect("write the rules");
    promtool(&["check", "rules", "all.yaml"], dir.path());
}

#[test]
fn each_alert_fires_when_it_should_and_not_when_it_should_not() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("whole.yaml"), monitoring::rules(false)).expect("write the rules");
    fs::write(dir.path().join("rules.yaml"), without_annotations()).expect("write the rules");
    let cases = fs::read_to_string(root().join("e2e/monitoring/alerts.yaml")).expect("the cases");
    for alert in ALERTS {
        let fires = format!("alertname: {}\n        exp_alerts:\n", alert.name);
        let silent = format!("alertname: {}\n        exp_alerts: []\n", alert.name);
        assert!(cases.contains(&fires), "no case where {} fires", alert.name);
        assert!(cases.contains(&silent), "no case where {} does not fire", alert.name);
    }
    fs::write(dir.path().join("alerts.yaml"), cases).expect("write the cases");
    promtool(&["check", "rules", "whole.yaml"], dir.path());
    promtool(&["test", "rules", "alerts.yaml"], dir.path());
}

/// A case would have to repeat each word of them.
fn without_annotations() -> String {
    let mut rules: serde_json::Value =
        serde_yaml::from_str(&monitoring::rules(false)).expect("YAML");
    for rule in rules["groups"][0]["rules"].as_array_mut().expect("rules") {
        rule.as_object_mut().expect("a rule").remove("annotations");
    }
    rules.to_string()
}

#[test]
fn each_alert_has_what_a_person_at_night_needs() {
    for alert in ALERTS {
        assert!(alert.name.starts_with("Seedcar"), "{}", alert.name);
        assert!(["critical", "warning"].contains(&alert.severity), "{}", alert.name);
        for text in [alert.summary, alert.means, alert.notices, alert.act] {
            assert!(text.ends_with('.') && !text.contains("{{"), "{}: {text}", alert.name);
        }
        assert!(alert.description.contains("{{ $"), "{} names no series", alert.name);
    }
}
