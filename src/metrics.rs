//! Every metric there is, from one table.
//!
//! Names, types, labels and help are API. Counters and histograms are fed by the parts; gauges are
//! set from the board at the moment of a scrape, so that an age can never be older than its scrape.

use prometheus::core::Collector;
use prometheus::{
    CounterVec, Encoder, GaugeVec, HistogramOpts, HistogramVec, Opts, Registry, TextEncoder,
};

/// One row of the table.
pub struct Metric {
    /// The full name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Label names.
    pub labels: &'static [&'static str],
    /// The help line.
    pub help: &'static str,
}

/// A metric's type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets with these upper bounds, in seconds.
    Histogram(&'static [f64]),
}

const SYNC: &[f64] = &[0.005, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
const PUBLISH: &[f64] = &[0.0005, 0.001, 0.005, 0.02, 0.1, 0.5, 2.0];
const REQUEST: &[f64] = &[0.002, 0.005, 0.02, 0.05, 0.1, 0.5, 2.0, 10.0];

macro_rules! table {
    ($($id:ident $name:literal $kind:expr, [$($label:literal),*], $help:literal;)*) => {
        /// The index of each metric in [`TABLE`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)] // The table below documents each.
        pub enum Id { $($id),* }

        /// The table.
        pub const TABLE: &[Metric] = &[
            $(Metric { name: $name, kind: $kind, labels: &[$($label),*], help: $help }),*
        ];
    };
}

use Kind::{Counter, Gauge, Histogram};

table! {
    BuildInfo "seedcar_build_info" Gauge, ["version"], "Build facts; always 1.";
    Ready "seedcar_ready" Gauge, [], "1 once a complete generation is published and while not shutting down.";
    ServingOrigin "seedcar_serving_origin" Gauge, ["source", "origin"], "1 for the origin of the published content.";
    MechanismUp "seedcar_mechanism_up" Gauge, ["source", "mechanism"], "1 while the mechanism's last try worked.";
    SeedDuration "seedcar_seed_duration_seconds" Gauge, ["source"], "From process start to the first published generation; absent where one was adopted.";
    Confirmed "seedcar_confirmed_timestamp_seconds" Gauge, ["source"], "When the request was sent whose answer last showed the published content to be Consul's. The freshness metric.";
    PublishedAt "seedcar_published_timestamp_seconds" Gauge, ["source"], "When the published content last changed.";
    PublishedIndex "seedcar_published_index" Gauge, ["source"], "Consul's index of the published content.";
    PublishedDigest "seedcar_published_digest" Gauge, ["source"], "First 48 bits of the content digest, to compare pods.";
    PublishedKeys "seedcar_published_keys" Gauge, ["source"], "Keys in the published content.";
    PublishedBytes "seedcar_published_bytes" Gauge, ["source"], "Sum of the published values' sizes.";
    SkippedKeys "seedcar_skipped_keys" Gauge, ["source"], "Keys that are missing from an output; the status names them.";
    Held "seedcar_held" Gauge, ["source", "reason"], "1 while an answer is refused for this reason and the old generation stays.";
    HeldAnswers "seedcar_held_answers_total" Counter, ["source", "reason"], "Answers refused by a guard.";
    KeyChanges "seedcar_key_changes_total" Counter, ["change"], "Files added, updated and removed.";
    WatchRequests "seedcar_watch_requests_total" Counter, ["source", "result"], "Finished blocking queries.";
    PartReads "seedcar_part_reads_total" Counter, ["source", "result"], "Changes of large prefixes, by how they could be read: part, whole.";
    WatchMissed "seedcar_watch_missed_total" Counter, ["source"], "Changes that the heartbeat found and the watch had missed.";
    Syncs "seedcar_syncs_total" Counter, ["source", "trigger", "result"], "Finished full reads.";
    SyncDuration "seedcar_sync_duration_seconds" Histogram(SYNC), ["source"], "Full read, from request to judged answer; waits excluded.";
    PublishDuration "seedcar_publish_duration_seconds" Histogram(PUBLISH), [], "Complete answer to atomic switch.";
    PublishErrors "seedcar_publish_errors_total" Counter, ["kind"], "Generations that could not be written.";
    HeartbeatInterval "seedcar_heartbeat_interval_seconds" Gauge, [], "Configured period of the heartbeat; absent when it is off.";
    HeartbeatSuccess "seedcar_heartbeat_last_success_timestamp_seconds" Gauge, ["source"], "Last good full read by the heartbeat.";
    BackupWrites "seedcar_backup_writes_total" Counter, ["source", "result"], "Backup attempts: written, unchanged, error.";
    BackupSuccess "seedcar_backup_last_success_timestamp_seconds" Gauge, ["source"], "When a backup was last written, or read back and found whole.";
    BackupIndex "seedcar_backup_index" Gauge, ["source"], "Consul's index of the newest valid backup.";
    BackupBytes "seedcar_backup_bytes" Gauge, ["source"], "Sum of the value sizes in the newest valid backup.";
    Repairs "seedcar_repairs_total" Counter, [], "Times the published tree had been changed by somebody else and was put back.";
    Frozen "seedcar_frozen" Gauge, [], "1 while an operator keeps changes from being published.";
    HookRequests "seedcar_hook_requests_total" Counter, ["result"], "Requests to the hook: success, error.";
    HookPending "seedcar_hook_pending" Gauge, [], "1 while the hook has not been told of what is published; absent where there is none.";
    ConsulRequests "seedcar_consul_requests_total" Counter, ["mechanism", "outcome"], "Finished requests to Consul.";
    ConsulDuration "seedcar_consul_request_duration_seconds" Histogram(REQUEST), [], "Requests to Consul that do not block, to the last byte.";
    ConsulLogins "seedcar_consul_logins_total" Counter, ["result"], "Logins to Consul, by how they ended.";
    ConsulTokenExpiry "seedcar_consul_token_expiry_timestamp_seconds" Gauge, [], "When the token of the login expires; absent where it does not, or there is no login.";
    ConsulReachable "seedcar_consul_reachable" Gauge, [], "1 while the last request to Consul got an HTTP answer below 500.";
    ExecPending "seedcar_exec_pending" Gauge, ["application"], "1 while an application of seedcar exec has not been told of the published generation.";
    ExecActions "seedcar_exec_actions_total" Counter, ["application", "result"], "What seedcar exec did after changes: signalled, restarted, error.";
    VolumeCapacity "seedcar_volume_capacity_bytes" Gauge, [], "Size of the volume.";
    VolumeAvailable "seedcar_volume_available_bytes" Gauge, [], "Free bytes of the volume.";
    ThreadRestarts "seedcar_thread_restarts_total" Counter, ["thread"], "Threads that panicked and were started again.";
    LogMessages "seedcar_log_messages_total" Counter, ["level"], "Log events at level warn and error.";
    ProcessCpu "process_cpu_seconds_total" Counter, [], "CPU time used, user and system, in seconds.";
    ProcessOpenFds "process_open_fds" Gauge, [], "Open file descriptors.";
    ProcessMaxFds "process_max_fds" Gauge, [], "The limit of open file descriptors.";
    ProcessResident "process_resident_memory_bytes" Gauge, [], "Resident memory in bytes.";
    ProcessStart "process_start_time_seconds" Gauge, [], "When the process started, seconds since 1970.";
    ProcessThreads "process_threads" Gauge, [], "Threads of this process.";
}

/// All metrics, registered.
pub struct Metrics {
    registry: Registry,
    families: Vec<Family>,
}

enum Family {
    Counter(CounterVec),
    Gauge(GaugeVec),
    Histogram(HistogramVec),
}

// === impl Kind ===

impl Kind {
    /// The word in the exposition format.
    pub fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry::new();
        let families = TABLE.iter().map(|metric| Family::register(metric, &registry)).collect();
        Self { registry, families }
    }
}

impl Metrics {
    /// Adds one.
    pub fn count(&self, id: Id, labels: &[&str]) {
        self.add(id, labels, 1.0);
    }

    /// Shows a counter that has counted nothing yet.
    pub fn start(&self, id: Id, labels: &[&str]) {
        self.add(id, labels, 0.0);
    }

    /// Adds `by`.
    pub fn add(&self, id: Id, labels: &[&str], by: f64) {
        if let Family::Counter(counter) = &self.families[id as usize] {
            counter.with_label_values(labels).inc_by(by);
        }
    }

    /// Sets a gauge.
    pub fn set(&self, id: Id, labels: &[&str], value: f64) {
        if let Family::Gauge(gauge) = &self.families[id as usize] {
            gauge.with_label_values(labels).set(value);
        }
    }

    /// Raises a counter that is kept elsewhere to its present value.
    pub fn raise(&self, id: Id, labels: &[&str], to: f64) {
        if let Family::Counter(counter) = &self.families[id as usize] {
            let counter = counter.with_label_values(labels);
            counter.inc_by((to - counter.get()).max(0.0));
        }
    }

    /// Forgets a metric's series, whose labels come and go.
    pub fn forget(&self, id: Id) {
        match &self.families[id as usize] {
            Family::Counter(counter) => counter.reset(),
            Family::Gauge(gauge) => gauge.reset(),
            Family::Histogram(histogram) => histogram.reset(),
        }
    }

    /// Records a duration in seconds.
    pub fn observe(&self, id: Id, labels: &[&str], duration: std::time::Duration) {
        if let Family::Histogram(histogram) = &self.families[id as usize] {
            histogram.with_label_values(labels).observe(duration.as_secs_f64());
        }
    }

    /// The exposition text.
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        // Fails only where a family has no series, and `gather` leaves those out.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        String::from_utf8(text).unwrap_or_default()
    }
}

// === impl Family ===

impl Family {
    fn register(metric: &Metric, registry: &Registry) -> Self {
        let opts = Opts::new(metric.name, metric.help);
        let labels = metric.labels;
        let sane = "each row has its own name and sane labels; a test makes them all";
        match metric.kind {
            Kind::Counter => {
                Self::Counter(added(registry, CounterVec::new(opts, labels).expect(sane)))
            }
            Kind::Gauge => Self::Gauge(added(registry, GaugeVec::new(opts, labels).expect(sane))),
            Kind::Histogram(buckets) => {
                let opts = HistogramOpts::from(opts).buckets(buckets.to_vec());
                Self::Histogram(added(registry, HistogramVec::new(opts, labels).expect(sane)))
            }
        }
    }
}

fn added<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> C {
    registry.register(Box::new(collector.clone())).expect("each name stands once in the table");
    collector
}

/// The README's list of metrics.
pub fn markdown() -> String {
    let mut text = String::from("| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for metric in TABLE {
        let labels = metric.labels.join(", ");
        let row = [metric.name, metric.kind.word(), &labels, metric.help];
        text += &format!("| `{}` | {} | {} | {} |\n", row[0], row[1], row[2], row[3]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_makes_a_metric_and_shows_up() {
        let metrics = Metrics::default();
        for (at, metric) in TABLE.iter().enumerate() {
            let labels: Vec<&str> = metric.labels.iter().map(|_| "x").collect();
            match &metrics.families[at] {
                Family::Counter(c) => c.with_label_values(&labels).inc(),
                Family::Gauge(g) => g.with_label_values(&labels).set(1.0),
                Family::Histogram(h) => h.with_label_values(&labels).observe(1.0),
            }
        }
        let text = metrics.render();
        for metric in TABLE {
            let typed = format!("# TYPE {} {}", metric.name, metric.kind.word());
            assert!(text.contains(&typed), "{typed}");
        }
        assert_eq!(TABLE[Id::ProcessThreads as usize].name, "process_threads");
    }
}
