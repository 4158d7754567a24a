//! The charts, rendered by both majors of Helm for each Kubernetes that they claim, and checked: against
//! Kubernetes' own schemas, for what the profile `restricted` asks, and for what wrong values are told.

pub mod rendered;
mod restricted;
mod wrong;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use tempfile::TempDir;

/// A copy of the charts with their dependency in place, so that nothing is written into the project.
pub struct Charts {
    dir: TempDir,
}

/// The Helm that a variable of `e2e/run` names.
#[track_caller]
pub fn helm(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).map(PathBuf::from).unwrap_or_default();
    assert!(path.is_file(), "run ./e2e/run, or set {variable}");
    path
}

/// Both majors: they differ in how templates see a chart.
const HELMS: [&str; 2] = ["HELM3_BIN", "HELM_BIN"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

// === impl Charts ===

impl Charts {
    /// The copy of this test program.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Charts> = OnceLock::new();
        SHARED.get_or_init(|| {
            let dir = tempfile::tempdir().expect("a directory");
            copy(&root().join("charts"), &dir.path().join("charts"));
            copy(&root().join("e2e/chart"), &dir.path().join("e2e/chart"));
            let charts = Self { dir };
            for chart in ["charts/seedcar-app", "e2e/chart/after", "e2e/chart/several"] {
                let chart = charts.path(chart);
                let mut helm = Command::new(helm("HELM_BIN"));
                let output = helm.args(["dependency", "build"]).arg(&chart).output();
                let output = output.expect("start helm");
                assert!(output.status.success(), "{}", text(&output));
            }
            charts
        })
    }

    /// A chart, by its path in the project.
    pub fn path(&self, chart: &str) -> PathBuf {
        self.dir.path().join(chart)
    }

    /// The workload, and what belongs to it, that the application chart renders of these values.
    #[track_caller]
    pub fn rendered(&self, release: &str, values: &serde_json::Value) -> String {
        let file = tempfile::NamedTempFile::new().expect("a file of values");
        std::fs::write(file.path(), values.to_string()).expect("write the values");
        let mut helm = Command::new(helm("HELM_BIN"));
        helm.args(["template", release]).arg(self.path("charts/seedcar-app"));
        helm.args(["--skip-tests", "--kube-version", "1.36.0", "--values"]).arg(file.path());
        let output = helm.output().expect("start helm");
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Renders a chart.
    fn template(&self, helm_of: &str, chart: &str, args: &[&str]) -> Output {
        let mut helm = Command::new(helm(helm_of));
        helm.args(["template", "web"]).arg(self.path(chart)).args(args);
        helm.output().expect("start helm")
    }
}

/// All that a program has said.
pub fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory to copy").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copy a file");
        }
    }
}
