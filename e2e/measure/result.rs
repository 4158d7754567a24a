//! What was measured: samples under a name, and what is told of them.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::load::{self, Load};
use super::machine::Machine;
use super::tool::Tool;
use super::{picture, table};
use crate::quantile::quantile;

/// What is measured, in this order. Times in ms unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum What {
    /// From the start of a process to all files.
    Seed,
    /// CPU of that.
    SeedCpu,
    /// The most that was resident meanwhile, in MB.
    SeedPeak,
    /// Instructions of that, in millions.
    SeedInstructions,
    /// Of the floor of that, the bare question for the whole prefix, read to its end.
    Read,
    /// Of the floor of that, the same files with plain system calls.
    Files,
    /// From the start of what stays to its being ready.
    Ready,
    /// From a PUT to the file that can be read.
    Change,
    /// CPU of that.
    ChangeCpu,
    /// Instructions of that, in millions.
    ChangeInstructions,
    /// Bytes that Consul sent for it, in kB.
    ChangeBytes,
    /// From the last of many writes in few transactions to the final state.
    Burst,
    /// CPU of that.
    BurstCpu,
    /// Requests of that.
    BurstRequests,
    /// How often the files were written anew for it.
    BurstPublishes,
    /// From the last of many single PUTs to the final state.
    Storm,
    /// CPU of that.
    StormCpu,
    /// Requests of that.
    StormRequests,
    /// How often the files were written anew for it.
    StormPublishes,
    /// Resident at rest, in MB.
    Rss,
    /// Private and written at rest, in MB.
    Private,
    /// The volume's pages, which are nobody's resident memory, at rest, in MB.
    Volume,
    /// Threads.
    Threads,
    /// Descriptors.
    Descriptors,
    /// Bytes from Consul in a minute without changes, in kB.
    RestBytes,
    /// Requests in that minute.
    RestRequests,
    /// Wake-ups of all threads in that minute.
    RestWakes,
    /// CPU in that minute.
    RestCpu,
    /// Bytes in a minute beside 50 writes a second to a sibling prefix, in kB.
    BusyBytes,
    /// Requests in that minute.
    BusyRequests,
    /// Wake-ups in that minute.
    BusyWakes,
    /// CPU in that minute.
    BusyCpu,
    /// Bytes in a minute with an empty prefix beside 50 writes a second elsewhere, in kB.
    EmptyBytes,
    /// Requests in that minute.
    EmptyRequests,
    /// Wake-ups in that minute.
    EmptyWakes,
    /// CPU in that minute.
    EmptyCpu,
    /// From the return of a server that was killed for so many seconds to a change, in s.
    Killed(u64),
    /// The same after so many seconds in which the way to it refused, in s.
    Refused(u64),
    /// Private memory that many changes have added, in MB.
    GrowthPrivate,
    /// Resident memory that they have added, in MB.
    GrowthRss,
    /// Descriptors that they have added.
    GrowthDescriptors,
    /// Inodes of the volume that they have added.
    GrowthInodes,
}

/// One figure of one tool (or the floor) under one load.
#[derive(Deserialize)]
pub struct Series {
    /// What.
    pub what: What,
    /// Under which load.
    pub load: Load,
    /// Whose.
    pub who: String,
    /// What was seen, in the order it was seen.
    pub samples: Vec<f64>,
}

/// All of a run.
#[derive(Deserialize)]
pub struct Results {
    /// Where it was measured.
    pub machine: Machine,
    /// The figures, in the order they came.
    pub series: Vec<Series>,
}

/// The name under which the floor stands.
pub const FLOOR: &str = "floor";
/// Ours, which is held against the others.
pub const TREE: &str = Tool::SeedcarTree.name();
/// Theirs, which it is held against.
pub const RIVAL: &str = Tool::TemplateJson.name();
/// The same without what compressing costs the server and undoing it the tool.
pub const RIVAL_PLAIN: &str = Tool::TemplatePlain.name();

/// For tables.
pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

// === impl What ===

impl What {
    /// In tables: what it is, with its unit.
    pub fn title(self) -> String {
        let title = match self {
            Self::Seed => "start to all files, ms",
            Self::SeedCpu => "CPU of that start, ms",
            Self::SeedPeak => "peak memory of that start, MB",
            Self::SeedInstructions => "instructions of that start, millions",
            Self::Read => "GET of the whole prefix, ms",
            Self::Files => "files and directories with plain calls, ms",
            Self::Ready => "start to ready, of what stays, ms",
            Self::Change => "PUT to file, ms",
            Self::ChangeCpu => "CPU of a change, ms",
            Self::ChangeInstructions => "instructions of a change, millions",
            Self::ChangeBytes => "bytes of a change, kB",
            Self::Burst => "last of 1,000 writes in 16 transactions to the final state, ms",
            Self::BurstCpu => "CPU of 1,000 writes in 16 transactions, ms",
            Self::BurstRequests => "requests of 1,000 writes in 16 transactions",
            Self::BurstPublishes => "publishes of 1,000 writes in 16 transactions",
            Self::Storm => "last of 1,000 PUTs to the final state, ms",
            Self::StormCpu => "CPU of 1,000 PUTs, ms",
            Self::StormRequests => "requests of 1,000 PUTs",
            Self::StormPublishes => "publishes of 1,000 PUTs",
            Self::Rss => "resident memory at rest, MB",
            Self::Private => "private memory at rest, MB",
            Self::Volume => "memory of the volume at rest, MB",
            Self::Threads => "threads",
            Self::Descriptors => "descriptors",
            Self::RestBytes => "a minute at rest: bytes, kB",
            Self::RestRequests => "a minute at rest: requests",
            Self::RestWakes => "a minute at rest: wake-ups",
            Self::RestCpu => "a minute at rest: CPU, ms",
            Self::BusyBytes => "a minute beside busy neighbours: bytes, kB",
            Self::BusyRequests => "a minute beside busy neighbours: requests",
            Self::BusyWakes => "a minute beside busy neighbours: wake-ups",
            Self::BusyCpu => "a minute beside busy neighbours: CPU, ms",
            Self::EmptyBytes => "a minute of an empty prefix beside writes: bytes, kB",
            Self::EmptyRequests => "a minute of an empty prefix beside writes: requests",
            Self::EmptyWakes => "a minute of an empty prefix beside writes: wake-ups",
            Self::EmptyCpu => "a minute of an empty prefix beside writes: CPU, ms",
            Self::Killed(time) => {
                return format!("server back after {time} s, to a change, s");
            }
            Self::Refused(time) => {
                return format!("connections back after {time} s, to a change, s");
            }
            Self::GrowthPrivate => "growth over many changes: private memory, MB",
            Self::GrowthRss => "growth over many changes: resident memory, MB",
            Self::GrowthDescriptors => "growth over many changes: descriptors",
            Self::GrowthInodes => "growth over many changes: inodes",
        };
        title.to_owned()
    }

    /// Whether it is a difference, which can be nothing or less.
    pub fn is_growth(self) -> bool {
        self >= Self::GrowthPrivate
    }

    /// Whether it is one figure, of a pause that is drawn.
    pub fn is_drawn(self) -> bool {
        matches!(self, Self::Killed(_) | Self::Refused(_))
    }
}

// === impl Series ===

impl Series {
    /// The value that so large a part of the samples does not exceed.
    pub fn quantile(&self, part: f64) -> f64 {
        quantile(&self.samples, part)
    }

    /// The middle one.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Whether so many single changes were timed that their tail is no chance.
    pub fn has_a_tail(&self) -> bool {
        self.what == What::Change && self.samples.len() >= 1_000
    }

    fn json(&self) -> Value {
        let spread = [("min", 0.0), ("p10", 0.1), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)];
        let spread = spread.map(|(name, part)| (name.to_owned(), json!(self.quantile(part))));
        json!({
            "what": self.what, "title": self.what.title(), "who": self.who, "load": self.load,
            "median": self.median(),
            "spread": Value::Object(spread.into_iter().collect()), "samples": self.samples,
        })
    }
}

// === impl Results ===

impl Results {
    /// What a full run of the same programs has left of other loads than those that are measured now; of a
    /// quick run nothing.
    pub fn continued(from: &Path, machine: Machine, without: &[&Load]) -> Self {
        let fresh = |machine| Self { machine, series: Vec::new() };
        let Ok(mut left) = Self::read(from) else { return fresh(machine) };
        left.series.retain(|series| !without.contains(&&series.load));
        if machine.quick || left.series.is_empty() || !left.machine.is_like(&machine) {
            return fresh(machine);
        }
        Self { machine: machine.since(&left.machine), series: left.series }
    }

    /// Adds a sample to a figure.
    pub fn add(&mut self, what: What, load: &Load, who: &str, sample: f64) {
        let known =
            self.series.iter_mut().find(|s| s.what == what && s.load == *load && s.who == who);
        match known {
            Some(series) => series.samples.push(sample),
            None => {
                let (who, samples) = (who.to_owned(), vec![sample]);
                self.series.push(Series { what, load: *load, who, samples });
            }
        }
    }

    /// A figure, if it was measured.
    pub fn get(&self, what: What, load: &Load, who: &str) -> Option<&Series> {
        self.series.iter().find(|s| s.what == what && s.load == *load && s.who == who)
    }

    /// The middle of a figure. The rival's is the better of what it does with compressed answers and without.
    pub fn median(&self, what: What, load: &Load, who: &str) -> Option<f64> {
        let of = |who| self.get(what, load, who).map(Series::median);
        let plain = of(RIVAL_PLAIN).filter(|_| who == RIVAL);
        of(who).map(|median| median.min(plain.unwrap_or(median)))
    }

    /// The loads, in their order.
    pub fn loads(&self) -> Vec<Load> {
        let measured = |load: &&Load| self.series.iter().any(|series| series.load == **load);
        load::FULL.iter().filter(measured).copied().collect()
    }

    /// What was measured, in the order of tables.
    pub fn whats(&self) -> Vec<What> {
        let mut whats: Vec<What> = self.series.iter().map(|series| series.what).collect();
        whats.sort();
        whats.dedup();
        whats
    }

    /// Writes the table, the samples and the picture.
    pub fn write(&self, into: &Path) -> io::Result<()> {
        fs::create_dir_all(into)?;
        let series: Vec<Value> = self.series.iter().map(Series::json).collect();
        let all = json!({"machine": self.machine, "series": series});
        fs::write(into.join("samples.json"), all.to_string())?;
        fs::write(into.join("table.md"), table::markdown(self))?;
        picture::draw(self, &into.join("bench.svg")).map_err(io::Error::other)
    }

    /// What [`Results::write`] left in the samples' file, if it is whole.
    pub fn read(into: &Path) -> io::Result<Self> {
        Ok(serde_json::from_str(&fs::read_to_string(into.join("samples.json"))?)?)
    }
}
