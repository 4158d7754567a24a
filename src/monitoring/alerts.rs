//! The alerts.

/// One alert, with what its runbook says.
pub struct Alert {
    /// CamelCase, with the program's name before it.
    pub name: &'static str,
    /// PromQL; `@name@` stands for a [`Threshold`].
    pub expr: &'static str,
    /// How long it must be so.
    pub wait: &'static str,
    /// `critical` or `warning`.
    pub severity: &'static str,
    /// One static line.
    pub summary: &'static str,
    /// One line for each series.
    pub description: &'static str,
    /// What has happened.
    pub means: &'static str,
    /// What the application notices.
    pub notices: &'static str,
    /// What to do.
    pub act: &'static str,
}

/// A number in the expressions that users may set.
pub struct Threshold {
    /// As the chart's values have it.
    pub name: &'static str,
    /// Where users say nothing.
    pub default: &'static str,
    /// What it is.
    pub help: &'static str,
}

/// The thresholds.
pub static THRESHOLDS: &[Threshold] = &[
    Threshold {
        name: "staleMargin",
        default: "300",
        help: "Seconds that a confirmation may be older than two heartbeats",
    },
    Threshold {
        name: "staleCritical",
        default: "14400",
        help: "Seconds from which on stale configuration is critical",
    },
    Threshold {
        name: "fleetReachable",
        default: "0.5",
        help: "Share of a namespace's pods below which Consul is called unreachable",
    },
    Threshold { name: "volumeFree", default: "0.1", help: "Share of the volume that must be free" },
    Threshold {
        name: "restarts",
        default: "3",
        help: "Restarts of a sidecar within an hour that are too many",
    },
];

/// The alerts. Where a heartbeat is switched off its interval is no metric, and half an hour stands for two.
pub static ALERTS: &[Alert] = &[
    Alert {
        name: "SeedcarConfigStale",
        expr: "time() - seedcar_confirmed_timestamp_seconds\n  > on (cluster, namespace, job, instance) group_left ()\n(2 * seedcar_heartbeat_interval_seconds or 0 * seedcar_ready + 1800) + @staleMargin@",
        wait: "5m",
        severity: "warning",
        summary: "Configuration has not been confirmed by Consul for two heartbeats.",
        description: "{{ $labels.namespace }}/{{ $labels.pod }} last heard from Consul that source {{ $labels.source }} is current {{ $value | humanizeDuration }} ago.",
        means: "Neither the watch nor the heartbeat has had an answer that says the published content is Consul's.",
        notices: "Nothing: it reads the last content. It would miss a change.",
        act: "See `seedcar status` in the pod: it names what fails and why. If many pods say so, look at Consul first.",
    },
    Alert {
        name: "SeedcarConfigVeryStale",
        expr: "time() - seedcar_confirmed_timestamp_seconds > @staleCritical@",
        wait: "5m",
        severity: "critical",
        summary: "Configuration has not been confirmed by Consul for hours.",
        description: "{{ $labels.namespace }}/{{ $labels.pod }} last heard from Consul that source {{ $labels.source }} is current {{ $value | humanizeDuration }} ago.",
        means: "As SeedcarConfigStale, for so long that somebody's change is likely to be missing.",
        notices: "Nothing: it reads the last content. It misses changes.",
        act: "As SeedcarConfigStale. Do not restart the pod: what it has may be all there is.",
    },
    Alert {
        name: "SeedcarNotReady",
        expr: "seedcar_ready == 0",
        wait: "10m",
        severity: "critical",
        summary: "A sidecar has nothing published.",
        description: "{{ $labels.namespace }}/{{ $labels.pod }} has published no complete configuration.",
        means: "The volume was never filled, or is gone.",
        notices: "It does not start, or finds no configuration.",
        act: "Read the log of the container seedcar: it says what is missing. Exit code 69 is no Consul and no backup, 73 the volume, 77 the token.",
    },
    Alert {
        name: "SeedcarServingBackup",
        expr: "seedcar_serving_origin{origin=\"backup\"} == 1",
        wait: "15m",
        severity: "warning",
        summary: "A pod runs on a backup.",
        description: "{{ $labels.namespace }}/{{ $labels.pod }} was started from a backup of source {{ $labels.source }} and has not reached Consul since.",
        means: "Consul did not answer when the pod started, nor since.",
        notices: "Nothing: it reads what the backup held. It would miss a change.",
        act: "Bring Consul back, or repair the pod's way to it; it heals by itself then.",
    },
    Alert {
        name: "SeedcarMechanismDown",
        expr: "seedcar_mechanism_up == 0",
        wait: "30m",
        severity: "warning",
        summary: "One of watch, heartbeat and backup does not work.",
        description: "The {{ $labels.mechanism }} of {{ $labels.namespace }}/{{ $labels.pod }} for source {{ $labels.source }} fails.",
        means: "One of three mechanisms fails; the others do its work.",
        notices: "Nothing. Without the watch changes come with the next heartbeat; without the backup a replaced pod needs Consul.",
        act: "See `seedcar status` in the pod for the last error of that mechanism.",
    },
    Alert {
        name: "SeedcarRedundancyLost",
        expr: "sum without (mechanism) (seedcar_mechanism_up) <= 1\n  and\ncount without (mechanism) (seedcar_mechanism_up) > 1",
        wait: "15m",
        severity: "critical",
        summary: "At most one of watch, heartbeat and backup works.",
        description: "{{ $labels.namespace }}/{{ $labels.pod }} has {{ $value }} working mechanisms left for source {{ $labels.source }}.",
        means: "One more fault and changes are missed, or a restart fails.",
        notices: "Nothing yet.",
        act: "See `seedcar status` in the pod. If Consul is down this says so for each pod: see SeedcarFleetCannotReachConsul.",
    },
    Alert {
        name: "SeedcarBackupStale",
        expr: "time() - seedcar_backup_last_success_timestamp_seconds\n  > on (cluster, namespace, job, instance) group_left ()\n3 * seedcar_heartbeat_interval_seconds",
        wait: "5m",
        severity: "warning",
        summary: "A backup was neither written nor read back for three heartbeats.",
        description: "The last good backup of source {{ $labels.source }} in {{ $labels.namespace }}/{{ $labels.pod }} is {{ $value | humanizeDuration }} old.",
        means: "The backup volume fails, or Consul has confirmed nothing that could be backed up.",
        notices: "Nothing. A pod that is replaced while Consul is down starts from older content.",
        act: "`seedcar backup ls` in the pod shows what is there; the log says what failed (full, read-only, hung; for Secrets: a right that is missing, no room, no API server).",
    },
    Alert {
        name: "SeedcarFleetCannotReachConsul",
        expr: "avg by (cluster, namespace) (seedcar_consul_reachable) < @fleetReachable@\n  and\ncount by (cluster, namespace) (seedcar_consul_reachable) >= 3",
        wait: "5m",
        severity: "critical",
        summary: "Most pods of a namespace cannot reach Consul.",
        description: "Only {{ $value | humanizePercentage }} of the pods in {{ $labels.namespace }} reach Consul.",
        means: "Consul is down, or the way to it is.",
        notices: "Nothing: files stay, pods restart from backups. Changes do not arrive.",
        act: "Repair Consul. Do not roll out: a pod whose backup goes with it does not start now.",
    },
    Alert {
        name: "SeedcarConfigDrift",
        expr: "count by (cluster, namespace, job, source) (\n  count_values by (cluster, namespace, job, source) (\"digest\", seedcar_published_digest)\n) > 1",
        wait: "20m",
        severity: "warning",
        summary: "Pods of one workload have different configuration.",
        description: "{{ $labels.namespace }}/{{ $labels.job }} shows {{ $value }} different contents of source {{ $labels.source }}.",
        means: "Some pods have missed a change or hold it, or pods of one job have different prefixes under one source name.",
        notices: "Replicas behave differently.",
        act: "Compare `seedcar status` of the pods: one is held, stale, or has another prefix.",
    },
    Alert {
        name: "SeedcarHeld",
        expr: "seedcar_held == 1",
        wait: "5m",
        severity: "warning",
        summary: "An answer of Consul is refused.",
        description: "{{ $labels.namespace }}/{{ $labels.pod }} refuses what Consul says of source {{ $labels.source }}: {{ $labels.reason }}.",
        means: "Consul's answer is empty, lost much, is too large, or goes back; the old content stays.",
        notices: "Nothing: it reads the content from before.",
        act: "If the loss is not meant, restore it in Consul. If it is, `seedcar accept DIGEST` with the digest that `seedcar status` shows.",
    },
    Alert {
        name: "SeedcarAccessDenied",
        expr: "sum by (cluster, namespace, job, pod, instance) (\n  rate(seedcar_consul_requests_total{outcome=\"denied\"}[10m])\n) > 0",
        wait: "10m",
        severity: "warning",
        summary: "Consul denies a pod its prefix.",
        description: "Consul answers 403 to {{ $labels.namespace }}/{{ $labels.pod }}.",
        means: "The token is missing, revoked, expired or has no right to read the prefix; or the login is denied.",
        notices: "Nothing: it reads the last content. It would miss a change.",
        act: "Give the token `key_prefix` read on the prefix, or put a new one into the Secret: it is read again by itself. Where seedcar logs in, its log and status say what the auth method has against it.",
    },
    Alert {
        name: "SeedcarPublishFails",
        expr: "sum by (cluster, namespace, job, pod, instance, kind) (\n  increase(seedcar_publish_errors_total[15m])\n) > 0",
        wait: "5m",
        severity: "warning",
        summary: "Changes cannot be written to the volume.",
        description: "{{ $labels.namespace }}/{{ $labels.pod }} cannot publish: {{ $labels.kind }}.",
        means: "The tmpfs is full or cannot be written.",
        notices: "Nothing: it reads the last content. The change does not arrive.",
        act: "Raise `volume.sizeLimit` (and with it the memory limit), or make the prefix smaller.",
    },
    Alert {
        name: "SeedcarVolumeAlmostFull",
        expr: "seedcar_volume_available_bytes / seedcar_volume_capacity_bytes < @volumeFree@",
        wait: "15m",
        severity: "warning",
        summary: "The volume is almost full.",
        description: "{{ $value | humanizePercentage }} of the volume of {{ $labels.namespace }}/{{ $labels.pod }} is free.",
        means: "The next changes may not fit: two or three generations of a change are on the volume for some seconds.",
        notices: "Nothing yet.",
        act: "Raise `volume.sizeLimit` (and with it the memory limit).",
    },
    Alert {
        name: "SeedcarApplicationBehind",
        expr: "seedcar_exec_pending == 1",
        wait: "15m",
        severity: "warning",
        summary: "An application has not been told of the newest configuration.",
        description: "{{ $labels.application }} in {{ $labels.namespace }}/{{ $labels.pod }} has not been told of the published configuration.",
        means: "`seedcar exec` cannot signal or restart it, waits until it handles the signal, or does not run.",
        notices: "It goes on with the configuration that it was started with or told of last.",
        act: "See `exec` in the sidecar's `/status` and the log of the application's container: `application_not_ready` says that it does not handle the signal (a shell must `exec` it), `signal_failed` that it has become another user.",
    },
    Alert {
        name: "SeedcarRestarting",
        expr: "changes(process_start_time_seconds[1h]) > @restarts@\n  and on (cluster, namespace, job, instance)\nseedcar_build_info",
        wait: "0m",
        severity: "warning",
        summary: "A sidecar restarts again and again.",
        description: "seedcar in {{ $labels.namespace }}/{{ $labels.pod }} was started {{ $value }} times in an hour.",
        means: "It is killed (memory limit, liveness) or exits.",
        notices: "Nothing: the files stay while it restarts.",
        act: "`kubectl describe pod` shows the last exit code and message; OOMKilled means that the memory limit is below the documented minimum.",
    },
    Alert {
        name: "SeedcarThreadPanicked",
        expr: "increase(seedcar_thread_restarts_total[1h]) > 0",
        wait: "0m",
        severity: "warning",
        summary: "A part of seedcar has panicked.",
        description: "The thread {{ $labels.thread }} of seedcar in {{ $labels.namespace }}/{{ $labels.pod }} has panicked and was started again.",
        means: "A bug in seedcar. The part was started again; the others went on.",
        notices: "Nothing.",
        act: "Please report it with the log lines `thread_panicked`.",
    },
];
