//! The alerts as files: Prometheus' rules, Alertmanager's inhibit rules, the runbook.

use std::fmt::Write as _;

use super::alerts::{ALERTS, Alert, THRESHOLDS};

/// The alerts that say the same of each pod while Consul is down.
const SAID_BY_ALL: &[&str] = &[
    "SeedcarConfigStale",
    "SeedcarConfigVeryStale",
    "SeedcarServingBackup",
    "SeedcarMechanismDown",
    "SeedcarRedundancyLost",
    "SeedcarBackupStale",
];

/// An expression with its thresholds put in.
pub(super) fn filled(expr: &str, value_of: impl Fn(&str) -> String) -> String {
    THRESHOLDS.iter().fold(expr.to_owned(), |text, threshold| {
        text.replace(&format!("@{}@", threshold.name), &value_of(threshold.name))
    })
}

/// The default of a threshold.
pub(super) fn default_of(name: &str) -> String {
    let found = THRESHOLDS.iter().find(|threshold| threshold.name == name);
    found.map_or_else(String::new, |threshold| threshold.default.to_owned())
}

/// A file of rules for Prometheus, with default thresholds; or, for the chart to fill in, with
/// `@name@` in their places.
pub fn rules(for_chart: bool) -> String {
    let mut text = String::from("groups:\n  - name: seedcar\n    rules:\n");
    for alert in ALERTS {
        let place = |name: &str| if for_chart { format!("@{name}@") } else { default_of(name) };
        rule(&mut text, alert, &filled(alert.expr, place));
    }
    text
}

fn rule(text: &mut String, alert: &Alert, expr: &str) {
    let _ = write!(text, "      - alert: {}\n        expr: |-\n", alert.name);
    for line in expr.lines() {
        let _ = writeln!(text, "          {line}");
    }
    let (summary, description) = (quoted(alert.summary), quoted(alert.description));
    let _ = write!(
        text,
        "        for: {}\n        labels:\n          severity: {}\n        annotations:\n          summary: {summary}\n          description: {description}\n",
        alert.wait, alert.severity
    );
}

/// YAML takes JSON's strings.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Inhibit rules for Alertmanager: a pod's alerts are silent while its whole fleet has lost Consul, and
/// what is stale is not also critically so.
pub fn inhibit() -> String {
    format!(
        "inhibit_rules:\n  - source_matchers: [alertname = SeedcarFleetCannotReachConsul]\n    target_matchers: ['alertname =~ \"{}\"']\n    equal: [cluster, namespace]\n  - source_matchers: [alertname = SeedcarConfigVeryStale]\n    target_matchers: [alertname = SeedcarConfigStale]\n    equal: [cluster, namespace, pod, source]\n",
        SAID_BY_ALL.join("|")
    )
}

/// The runbook, in Markdown: a section for each alert.
pub fn runbook() -> String {
    let mut text = String::from(
        "# Runbook\n\nWritten from the table of alerts. In nearly every case the application notices nothing: it reads the last content \
         that Consul had confirmed.\n\nFor Alertmanager, so that a Consul that is down is one alert and not one for each pod:\n\n```yaml\n",
    );
    text += &inhibit();
    text += "```\n";
    for alert in ALERTS {
        let _ = write!(
            text,
            "\n## {}\n\n{} Severity {}, after {}.\n\n* **Means**: {}\n* **The application notices**: {}\n* **Do**: {}\n\n```promql\n{}\n```\n",
            alert.name,
            alert.summary,
            alert.severity,
            alert.wait,
            alert.means,
            alert.notices,
            alert.act,
            filled(alert.expr, default_of),
        );
    }
    text
}
