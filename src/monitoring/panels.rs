//! The panels of the dashboard.

/// A row of panels.
pub struct Row {
    /// Its title.
    pub title: &'static str,
    /// From left to right.
    pub panels: &'static [Panel],
}

/// One panel.
pub struct Panel {
    /// Its title.
    pub title: &'static str,
    /// How it is drawn.
    pub form: Form,
    /// Grafana's name of the unit.
    pub unit: &'static str,
    /// PromQL and the legend of its series. `$on` stands for the selection of the variables.
    pub queries: &'static [(&'static str, &'static str)],
}

/// Grafana's kind of panel.
#[derive(Clone, Copy)]
pub enum Form {
    /// One number.
    Stat,
    /// Lines over time.
    Lines,
    /// States over time.
    States,
}

use Form::{Lines, Stat, States};

macro_rules! selected {
    ($metric:literal) => {
        concat!(
            $metric,
            "{",
            "cluster=~\"$cluster\", namespace=~\"$namespace\", job=~\"$job\", pod=~\"$pod\"",
            "}"
        )
    };
    ($metric:literal, $more:literal) => {
        concat!(
            $metric,
            "{",
            "cluster=~\"$cluster\", namespace=~\"$namespace\", job=~\"$job\", pod=~\"$pod\", ",
            $more,
            "}"
        )
    };
}

/// The rows.
pub static ROWS: &[Row] = &[
    Row {
        title: "Overview",
        panels: &[
            Panel {
                title: "Pods ready",
                form: Stat,
                unit: "short",
                queries: &[
                    (concat!("sum(", selected!("seedcar_ready"), ")"), "ready"),
                    (concat!("count(", selected!("seedcar_ready"), ")"), "all"),
                ],
            },
            Panel {
                title: "Oldest confirmation",
                form: Stat,
                unit: "s",
                queries: &[(
                    concat!("max(time() - ", selected!("seedcar_confirmed_timestamp_seconds"), ")"),
                    "age",
                )],
            },
            Panel {
                title: "Pods on a backup",
                form: Stat,
                unit: "short",
                queries: &[(
                    concat!(
                        "sum(",
                        selected!("seedcar_serving_origin", "origin=\"backup\""),
                        ") or vector(0)"
                    ),
                    "pods",
                )],
            },
            Panel {
                title: "Different contents",
                form: Stat,
                unit: "short",
                queries: &[(
                    concat!(
                        "max(count by (namespace, job, source) (count_values by (namespace, job, source) (\"digest\", ",
                        selected!("seedcar_published_digest"),
                        ")))"
                    ),
                    "contents",
                )],
            },
            Panel {
                title: "Pods that reach Consul",
                form: Stat,
                unit: "percentunit",
                queries: &[(concat!("avg(", selected!("seedcar_consul_reachable"), ")"), "share")],
            },
            Panel {
                title: "Answers held",
                form: Stat,
                unit: "short",
                queries: &[(concat!("sum(", selected!("seedcar_held"), ") or vector(0)"), "held")],
            },
        ],
    },
    Row {
        title: "Freshness",
        panels: &[
            Panel {
                title: "Age of the confirmation, oldest ten",
                form: Lines,
                unit: "s",
                queries: &[(
                    concat!(
                        "topk(10, time() - ",
                        selected!("seedcar_confirmed_timestamp_seconds"),
                        ")"
                    ),
                    "{{namespace}}/{{pod}} {{source}}",
                )],
            },
            Panel {
                title: "Spread of Consul's index",
                form: Lines,
                unit: "short",
                queries: &[(
                    concat!(
                        "max by (namespace, job, source) (",
                        selected!("seedcar_published_index"),
                        ") - min by (namespace, job, source) (",
                        selected!("seedcar_published_index"),
                        ")"
                    ),
                    "{{namespace}}/{{job}} {{source}}",
                )],
            },
            Panel {
                title: "Since the last change",
                form: Lines,
                unit: "s",
                queries: &[(
                    concat!(
                        "time() - max by (namespace, job, source) (",
                        selected!("seedcar_published_timestamp_seconds"),
                        ")"
                    ),
                    "{{namespace}}/{{job}} {{source}}",
                )],
            },
        ],
    },
    Row {
        title: "Mechanisms",
        panels: &[
            Panel {
                title: "Watch, heartbeat, backup",
                form: States,
                unit: "short",
                queries: &[(selected!("seedcar_mechanism_up"), "{{pod}} {{source}} {{mechanism}}")],
            },
            Panel {
                title: "Origin",
                form: States,
                unit: "short",
                queries: &[(
                    concat!(selected!("seedcar_serving_origin"), " == 1"),
                    "{{pod}} {{source}} {{origin}}",
                )],
            },
            Panel {
                title: "Missed by the watch",
                form: Lines,
                unit: "short",
                queries: &[(
                    concat!(
                        "sum by (namespace, job) (increase(",
                        selected!("seedcar_watch_missed_total"),
                        "[$__rate_interval]))"
                    ),
                    "{{namespace}}/{{job}}",
                )],
            },
        ],
    },
    Row {
        title: "Watch and sync",
        panels: &[
            Panel {
                title: "Blocking queries",
                form: Lines,
                unit: "ops",
                queries: &[(
                    concat!(
                        "sum by (result) (rate(",
                        selected!("seedcar_watch_requests_total"),
                        "[$__rate_interval]))"
                    ),
                    "{{result}}",
                )],
            },
            Panel {
                title: "Full reads",
                form: Lines,
                unit: "ops",
                queries: &[(
                    concat!(
                        "sum by (trigger, result) (rate(",
                        selected!("seedcar_syncs_total"),
                        "[$__rate_interval]))"
                    ),
                    "{{trigger}} {{result}}",
                )],
            },
            Panel {
                title: "Duration of a full read",
                form: Lines,
                unit: "s",
                queries: &[
                    (
                        concat!(
                            "histogram_quantile(0.5, sum by (le) (rate(",
                            selected!("seedcar_sync_duration_seconds_bucket"),
                            "[$__rate_interval])))"
                        ),
                        "p50",
                    ),
                    (
                        concat!(
                            "histogram_quantile(0.99, sum by (le) (rate(",
                            selected!("seedcar_sync_duration_seconds_bucket"),
                            "[$__rate_interval])))"
                        ),
                        "p99",
                    ),
                ],
            },
            Panel {
                title: "Duration of a publish",
                form: Lines,
                unit: "s",
                queries: &[(
                    concat!(
                        "histogram_quantile(0.99, sum by (le) (rate(",
                        selected!("seedcar_publish_duration_seconds_bucket"),
                        "[$__rate_interval])))"
                    ),
                    "p99",
                )],
            },
        ],
    },
    Row {
        title: "Consul",
        panels: &[
            Panel {
                title: "Requests",
                form: Lines,
                unit: "reqps",
                queries: &[(
                    concat!(
                        "sum by (outcome) (rate(",
                        selected!("seedcar_consul_requests_total"),
                        "[$__rate_interval]))"
                    ),
                    "{{outcome}}",
                )],
            },
            Panel {
                title: "Duration of a request that does not block",
                form: Lines,
                unit: "s",
                queries: &[(
                    concat!(
                        "histogram_quantile(0.99, sum by (le) (rate(",
                        selected!("seedcar_consul_request_duration_seconds_bucket"),
                        "[$__rate_interval])))"
                    ),
                    "p99",
                )],
            },
            Panel {
                title: "Pods that do not reach Consul",
                form: Lines,
                unit: "short",
                queries: &[(
                    concat!(
                        "count by (namespace, job) (",
                        selected!("seedcar_consul_reachable"),
                        " == 0)"
                    ),
                    "{{namespace}}/{{job}}",
                )],
            },
        ],
    },
    Row {
        title: "Backup",
        panels: &[
            Panel {
                title: "Age of the last good backup, oldest ten",
                form: Lines,
                unit: "s",
                queries: &[(
                    concat!(
                        "topk(10, time() - ",
                        selected!("seedcar_backup_last_success_timestamp_seconds"),
                        ")"
                    ),
                    "{{namespace}}/{{pod}} {{source}}",
                )],
            },
            Panel {
                title: "Backup behind what is published",
                form: Lines,
                unit: "short",
                queries: &[(
                    concat!(
                        "topk(10, ",
                        selected!("seedcar_published_index"),
                        " - ",
                        selected!("seedcar_backup_index"),
                        ")"
                    ),
                    "{{namespace}}/{{pod}} {{source}}",
                )],
            },
            Panel {
                title: "Writes",
                form: Lines,
                unit: "ops",
                queries: &[(
                    concat!(
                        "sum by (result) (rate(",
                        selected!("seedcar_backup_writes_total"),
                        "[$__rate_interval]))"
                    ),
                    "{{result}}",
                )],
            },
        ],
    },
    Row {
        title: "Content",
        panels: &[
            Panel {
                title: "Keys",
                form: Lines,
                unit: "short",
                queries: &[(
                    concat!(
                        "max by (namespace, job, source) (",
                        selected!("seedcar_published_keys"),
                        ")"
                    ),
                    "{{namespace}}/{{job}} {{source}}",
                )],
            },
            Panel {
                title: "Bytes",
                form: Lines,
                unit: "bytes",
                queries: &[(
                    concat!(
                        "max by (namespace, job, source) (",
                        selected!("seedcar_published_bytes"),
                        ")"
                    ),
                    "{{namespace}}/{{job}} {{source}}",
                )],
            },
            Panel {
                title: "Changed files",
                form: Lines,
                unit: "ops",
                queries: &[(
                    concat!(
                        "sum by (change) (rate(",
                        selected!("seedcar_key_changes_total"),
                        "[$__rate_interval]))"
                    ),
                    "{{change}}",
                )],
            },
            Panel {
                title: "Held answers, skipped keys, repairs",
                form: Lines,
                unit: "short",
                queries: &[
                    (
                        concat!(
                            "sum by (reason) (increase(",
                            selected!("seedcar_held_answers_total"),
                            "[$__rate_interval]))"
                        ),
                        "held: {{reason}}",
                    ),
                    (concat!("max(", selected!("seedcar_skipped_keys"), ")"), "skipped"),
                    (
                        concat!(
                            "sum(increase(",
                            selected!("seedcar_repairs_total"),
                            "[$__rate_interval]))"
                        ),
                        "repairs",
                    ),
                ],
            },
        ],
    },
    Row {
        title: "Resources",
        panels: &[
            Panel {
                title: "Resident memory, largest ten",
                form: Lines,
                unit: "bytes",
                queries: &[(
                    concat!(
                        "topk(10, ",
                        selected!("process_resident_memory_bytes"),
                        " and on (instance) seedcar_build_info)"
                    ),
                    "{{namespace}}/{{pod}}",
                )],
            },
            Panel {
                title: "CPU, busiest ten",
                form: Lines,
                unit: "percentunit",
                queries: &[(
                    concat!(
                        "topk(10, rate(",
                        selected!("process_cpu_seconds_total"),
                        "[$__rate_interval]) and on (instance) seedcar_build_info)"
                    ),
                    "{{namespace}}/{{pod}}",
                )],
            },
            Panel {
                title: "Volume in use, fullest ten",
                form: Lines,
                unit: "percentunit",
                queries: &[(
                    concat!(
                        "topk(10, 1 - ",
                        selected!("seedcar_volume_available_bytes"),
                        " / ",
                        selected!("seedcar_volume_capacity_bytes"),
                        ")"
                    ),
                    "{{namespace}}/{{pod}}",
                )],
            },
            Panel {
                title: "Versions",
                form: Lines,
                unit: "short",
                queries: &[(
                    concat!("count by (version) (", selected!("seedcar_build_info"), ")"),
                    "{{version}}",
                )],
            },
            Panel {
                title: "Warnings and errors",
                form: Lines,
                unit: "ops",
                queries: &[(
                    concat!(
                        "sum by (level) (rate(",
                        selected!("seedcar_log_messages_total"),
                        "[$__rate_interval]))"
                    ),
                    "{{level}}",
                )],
            },
        ],
    },
];

/// All the expressions.
pub fn expressions() -> impl Iterator<Item = &'static str> {
    let queries = ROWS.iter().flat_map(|row| row.panels).flat_map(|panel| panel.queries);
    queries.map(|(expr, _)| *expr)
}
