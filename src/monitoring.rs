//! What Prometheus, Alertmanager and Grafana are given, from tables beside that of the metrics: alerts
//! with their runbook, and the dashboard of a fleet. The chart's files are written from here.

mod alerts;
mod dashboard;
mod panels;
mod rules;

pub use alerts::{ALERTS, Alert, THRESHOLDS, Threshold};
pub use dashboard::json as dashboard;
pub use rules::{inhibit, rules, runbook};

/// Every expression of the alerts, with default thresholds, and of the dashboard, for tests.
pub fn expressions() -> Vec<String> {
    let alerts = ALERTS.iter().map(|alert| rules::filled(alert.expr, rules::default_of));
    alerts.chain(panels::expressions().map(str::to_owned)).collect()
}
