//! The inhibit rules in a real Alertmanager: a Consul that is down is one alert, not one for each pod.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use seedcar::monitoring;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::consul::http::request;
use crate::wait::{eventually, free_port};

/// A hang guard.
const SOON: Duration = Duration::from_secs(30);

/// A running Alertmanager. Dropped, it ends.
struct Alertmanager {
    child: Child,
    addr: SocketAddr,
    _dir: TempDir,
}

impl Alertmanager {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let config = format!(
            "route: {{receiver: nobody}}\nreceivers: [{{name: nobody}}]\n{}",
            monitoring::inhibit()
        );
        std::fs::write(dir.path().join("alertmanager.yaml"), config).expect("the configuration");
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let program = std::env::var_os("ALERTMANAGER_BIN").map(PathBuf::from);
        let program = program.expect("run ./e2e/run, or set ALERTMANAGER_BIN");
        let child = with_its_share(&program)
            .args(["--config.file=alertmanager.yaml", "--storage.path=data"])
            .args(["--cluster.listen-address=", &format!("--web.listen-address={addr}")])
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start Alertmanager");
        let started = Self { child, addr, _dir: dir };
        eventually("Alertmanager is ready", SOON, || {
            let answer = request(addr, "GET", "/-/ready", &[], b"").ok()?;
            (answer.status == 200).then_some(())
        });
        started
    }

    fn told(&self, alerts: &Value) {
        let json = [("Content-Type", "application/json")];
        let body = alerts.to_string();
        let answer = request(self.addr, "POST", "/api/v2/alerts", &json, body.as_bytes());
        let answer = answer.expect("Alertmanager answers");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Name, namespace and state of each alert.
    fn states(&self) -> Vec<(String, String, String)> {
        let answer = request(self.addr, "GET", "/api/v2/alerts", &[], b"").expect("an answer");
        let alerts = answer.json().expect("JSON");
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut found: Vec<_> = alerts
            .as_array()
            .expect("a list")
            .iter()
            .map(|a| {
                let labels = &a["labels"];
                (
                    word(&labels["alertname"]),
                    word(&labels["namespace"]),
                    word(&a["status"]["state"]),
                )
            })
            .collect();
        found.sort();
        found
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Debian's looks for its templates below /usr/share: those that were fetched beside the program are put
/// there for it alone, in a mount namespace.
fn with_its_share(program: &Path) -> Command {
    let share = program.ancestors().nth(2).expect("a directory above bin").join("share");
    if share == Path::new("/usr/share") {
        return Command::new(program);
    }
    let mut command = Command::new("unshare");
    let script = r#"mount --bind "$0" /usr/share && exec "$@""#;
    command.args(["--mount", "sh", "-c", script]).arg(share).arg(program);
    command
}

fn alert(name: &str, namespace: &str) -> Value {
    let mut labels = json!({"alertname": name, "cluster": "c", "namespace": namespace});
    if name != "SeedcarFleetCannotReachConsul" {
        labels["pod"] = "web-0".into();
        labels["source"] = "default".into();
    }
    json!({"labels": labels})
}

#[test]
fn a_consul_that_is_down_is_one_alert_for_its_namespace() {
    let alertmanager = Alertmanager::start();
    alertmanager.told(&json!([
        alert("SeedcarFleetCannotReachConsul", "shop"),
        alert("SeedcarConfigStale", "shop"),
        alert("SeedcarRedundancyLost", "shop"),
        alert("SeedcarNotReady", "shop"),
        alert("SeedcarConfigStale", "bank"),
        alert("SeedcarConfigVeryStale", "bank"),
    ]));
    let state = |name: &str, namespace: &str, state: &str| {
        (name.to_owned(), namespace.to_owned(), state.to_owned())
    };
    let expected = vec![
        state("SeedcarConfigStale", "bank", "suppressed"),
        state("SeedcarConfigStale", "shop", "suppressed"),
        state("SeedcarConfigVeryStale", "bank", "active"),
        state("SeedcarFleetCannotReachConsul", "shop", "active"),
        // Another matter: this pod serves nobody.
        state("SeedcarNotReady", "shop", "active"),
        state("SeedcarRedundancyLost", "shop", "suppressed"),
    ];
    let mut last = Vec::new();
    let mut shown = || {
        last = alertmanager.states();
        last == expected
    };
    assert!(crate::wait::within(SOON, &mut shown), "{last:#?}");
}
