//! Values that are wrong: Helm stops, and says what to do.

use super::{Charts, HELMS, text};

/// `--set` arguments beside a complete minimum, and words that must be said.
const WRONG: &[(&str, &str)] = &[
    ("seedcar.prefix=", "seedcar.prefix is needed"),
    ("seedcar.consul.address=", "seedcar.consul.address is needed"),
    ("image.repository=", "image.repository is needed"),
    ("seedcar.sources[0].name=a,seedcar.sources[0].prefix=b", "not both"),
    ("seedcar.consul.address=https://c", "caSecret is needed for an https address"),
    ("seedcar.watch.enabled=false,seedcar.heartbeat.enabled=false", "both false"),
    ("seedcar.backup.type=existingClaim", "existingClaim is needed"),
    ("seedcar.backup.existingClaim=x", "but seedcar.backup.type is emptyDir"),
    ("seedcar.backup.type=claimTemplate", "needs kind StatefulSet"),
    (
        "seedcar.backup.type=existingClaim,seedcar.backup.existingClaim=x,replicas=2",
        "replicas share seedcar.backup.existingClaim",
    ),
    ("seedcar.volume.sizeLimit=8Mi", "would not fit"),
    ("seedcar.resources.limits.memory=64Mi", "but 124Mi are needed"),
    ("seedcar.volume.sizeLimit=1Gi,seedcar.resources.limits.memory=1Gi", "but 1324Mi are needed"),
    (
        "seedcar.metrics.podMonitor.enabled=true,seedcar.metrics.podMonitor.renderMode=failIfMissing",
        "has no monitoring.coreos.com/v1/PodMonitor",
    ),
    (
        "seedcar.metrics.rules.enabled=true,seedcar.metrics.rules.renderMode=alwaysRender,seedcar.metrics.rules.disabled[0]=Held",
        "there is no alert Held; there are SeedcarConfigStale",
    ),
    ("seedcar.backup.type=secrets,seedcar.resources.limits.memory=124Mi", "but 138Mi are needed"),
    ("seedcar.files={app.json},seedcar.resources.limits.memory=124Mi", "but 160Mi are needed"),
    ("seedcar.files={a.json,b.env}", "is less than 80Mi"),
    (
        "seedcar.consul.login.method=k8s,seedcar.consul.tokenSecret.name=t",
        "a login makes its own token",
    ),
    ("seedcar.consul.login.audience=consul", "seedcar.consul.login.method is needed"),
    ("seedcar.exec.enabled=true,seedcar.exec.mountPath=/seedcar/exec", "lies in seedcar.volume"),
    // The schema's.
    ("seedcar.exec.enabled=yes", "enabled"),
    ("seedcar.exec.dir=/x", "dir"),
    ("seedcar.consul.login.method=a/b", "method"),
    ("seedcar.consul.login.methode=a", "methode"),
    ("seedcar.backup.secrets.count=0", "count"),
    ("seedcar.events.enabled=yes", "enabled"),
    ("seedcar.files[0]=app.ini", "files"),
    ("seedcar.config.watch.wait=3s", "watch"),
    ("seedcar.config.outputs[0].json.path=a.json", "json"),
    ("seedcar.prefix=,seedcar.sources[0].name=a", "prefix"),
    ("seedcar.prefix=,seedcar.sources[0].name=a,seedcar.sources[0].service.tag=b", "service"),
    ("seedcar.prefiks=x", "prefiks"),
    ("seedcar.consul.adress=x", "adress"),
    ("replica=2", "replica"),
    ("kind=DaemonSet", "kind"),
    ("seedcar.backup.type=hostPath", "type"),
    ("seedcar.mode=sidecar", "mode"),
    ("seedcar.heartbeat.interval=soon", "interval"),
    ("seedcar.volume.sizeLimit=64M", "sizeLimit"),
    ("seedcar.image.digest=sha256:1", "digest"),
    ("seedcar.http.port=0", "port"),
    ("seedcar.guards.maxShrinkPercent=101", "maxShrinkPercent"),
];

#[test]
fn wrong_values_are_refused_with_words_that_help() {
    let least = "image.repository=web,seedcar.prefix=a,seedcar.consul.address=c:8500";
    for helm in HELMS {
        let render = |set: &str| {
            let args = ["--set", least, "--set", set];
            Charts::shared().template(helm, "charts/seedcar-app", &args)
        };
        assert!(render("replicas=1").status.success(), "the minimum is enough");
        for (set, words) in WRONG {
            let output = render(set);
            let said = text(&output);
            assert!(!output.status.success(), "{helm} accepts {set}");
            assert!(said.contains(words), "{helm} {set}: {said}");
        }
    }
}
