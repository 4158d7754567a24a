//! What was measured: samples under a name, and what is told of them.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::load::Load;
use super::{picture, table};

/// What is measured, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// From the start of a process to all files, in ms.
    Seed,
    /// CPU of that, in ms.
    SeedCpu,
    /// The most that was resident meanwhile, in MB.
    SeedPeak,
    /// From a PUT to the file that can be read, in ms.
    Change,
    /// CPU of that, in ms.
    ChangeCpu,
    /// Bytes that Consul sent for it, in kB.
    ChangeBytes,
    /// From the last of many writes to the final state, in ms.
    Burst,
    /// CPU of that, in ms.
    BurstCpu,
    /// Resident at rest, in MB.
    Rss,
    /// Private and written at rest, in MB.
    Private,
    /// Threads.
    Threads,
    /// Descriptors.
    Descriptors,
    /// Bytes from Consul in a minute without changes, in kB.
    RestBytes,
    /// Requests in that minute.
    RestRequests,
    /// CPU in that minute, in ms.
    RestCpu,
    /// Wake-ups of all threads in that minute.
    RestWakes,
}

/// One figure of one tool (or the floor) under one load.
pub struct Series {
    /// What.
    pub what: What,
    /// Under which load.
    pub load: Load,
    /// Whose.
    pub who: &'static str,
    /// What was seen, in the order it was seen.
    pub samples: Vec<f64>,
}

/// All of a run.
pub struct Results {
    /// The figures, in the order they came.
    pub series: Vec<Series>,
}

/// The name under which the floor stands.
pub const FLOOR: &str = "floor";

// === impl What ===

impl What {
    /// In tables: what it is, with its unit.
    pub fn title(self) -> &'static str {
        match self {
            Self::Seed => "start to seeded, ms",
            Self::SeedCpu => "its CPU, ms",
            Self::SeedPeak => "its peak memory, MB",
            Self::Change => "PUT to file, ms",
            Self::ChangeCpu => "its CPU, ms",
            Self::ChangeBytes => "its bytes, kB",
            Self::Burst => "1,000 writes to the final state, ms",
            Self::BurstCpu => "its CPU, ms",
            Self::Rss => "resident at rest, MB",
            Self::Private => "private at rest, MB",
            Self::Threads => "threads",
            Self::Descriptors => "descriptors",
            Self::RestBytes => "a minute's bytes at rest, kB",
            Self::RestRequests => "its requests",
            Self::RestCpu => "its CPU, ms",
            Self::RestWakes => "its wake-ups",
        }
    }
}

// === impl Series ===

impl Series {
    /// The value that so large a part of the samples does not exceed.
    pub fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        let at = (part * sorted.len() as f64).ceil() as usize;
        sorted.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    /// The middle one.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    fn json(&self) -> Value {
        json!({
            "what": format!("{:?}", self.what), "title": self.what.title(), "who": self.who,
            "keys": self.load.keys, "value": self.load.value, "nested": self.load.nested,
            "median": self.median(), "p90": self.quantile(0.9), "p99": self.quantile(0.99),
            "max": self.quantile(1.0), "samples": self.samples,
        })
    }
}

// === impl Results ===

impl Results {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { series: Vec::new() }
    }

    /// Adds samples to a figure.
    pub fn add(&mut self, what: What, load: &Load, who: &'static str, samples: &[f64]) {
        let known =
            self.series.iter_mut().find(|s| s.what == what && s.load == *load && s.who == who);
        match known {
            Some(series) => series.samples.extend_from_slice(samples),
            None => {
                let samples = samples.to_vec();
                self.series.push(Series { what, load: *load, who, samples });
            }
        }
    }

    /// A figure, if it was measured.
    pub fn get(&self, what: What, load: &Load, who: &str) -> Option<&Series> {
        self.series.iter().find(|s| s.what == what && s.load == *load && s.who == who)
    }

    /// The loads, in their order.
    pub fn loads(&self) -> Vec<Load> {
        let mut loads = Vec::new();
        for series in &self.series {
            if !loads.contains(&series.load) {
                loads.push(series.load);
            }
        }
        loads
    }

    /// Writes the table, the samples and the picture.
    pub fn write(&self, into: &Path) -> io::Result<()> {
        fs::create_dir_all(into)?;
        let samples: Vec<Value> = self.series.iter().map(Series::json).collect();
        fs::write(into.join("samples.json"), serde_json::to_string(&samples)?)?;
        fs::write(into.join("table.md"), table::markdown(self))?;
        picture::draw(self, &into.join("bench.svg")).map_err(io::Error::other)
    }
}
