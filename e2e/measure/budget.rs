//! What seedcar may cost, held against what was measured in the same run.
//!
//! Counts, bytes, memory and instructions are held as they are: they are the same on a busy machine. Times
//! are held as ratios of the run, and those of a quick one with room for noise.

use super::load::{Load, MIDDLE, SMALL};
use super::result::{FLOOR, Results, What};

const TREE: &str = "seedcar, tree";
const RIVAL: &str = "consul-template, JSON";

/// A budget that is missed today. A run tells of it and does not fail; once it is kept it is to be taken out.
struct Pending {
    /// How its text begins.
    says: &'static str,
    /// Under which loads.
    under: fn(&Load) -> bool,
    /// Why it is missed.
    why: &'static str,
}

/// All of them, in this one place.
const PENDING: &[Pending] = &[
    Pending {
        says: "resident at rest, MB, of 6 MiB",
        under: |load| load.keys <= 1_000,
        why: "each question at rest has pages of the program mapped again",
    },
    Pending {
        says: "peak of the first seed",
        under: |load| load.keys <= 1_000,
        why: "pages of the program itself are most of it",
    },
    Pending {
        says: "median from PUT to file",
        under: |load| !load.nested || load.keys < 10_000,
        why: "it takes a question more, and a link for each file of the directory",
    },
    Pending {
        says: "p99 from PUT to file",
        under: |_| true,
        why: "it takes a question more, and a link for each file of the directory",
    },
];

/// How much more a time may be in a quick run: it is a median of few, on a machine that others use.
const ROOM: f64 = 1.6;

/// One thing that is promised of a load: the figure, and the most it may be.
struct Budget {
    says: String,
    is: Option<f64>,
    most: Option<f64>,
}

/// Prints each budget with its figure. Returns how many are missed that are not known to be.
pub fn report(results: &Results) -> usize {
    let mut missed = 0;
    for load in results.loads() {
        println!("\n{load}:");
        for budget in budgets(results, &load) {
            missed += usize::from(!is_kept(&budget, &load));
        }
    }
    missed
}

/// Says how it is. A pending one counts as kept.
fn is_kept(budget: &Budget, load: &Load) -> bool {
    let (Some(is), Some(most)) = (budget.is, budget.most) else {
        return true;
    };
    let is_meant = |it: &&Pending| budget.says.starts_with(it.says) && (it.under)(load);
    let pending = PENDING.iter().find(is_meant);
    let (word, why) = match (is <= most, pending) {
        (true, None) => ("kept   ", String::new()),
        (true, Some(_)) => ("kept   ", "; no longer pending: take it out".to_owned()),
        (false, None) => ("MISSED ", String::new()),
        (false, Some(pending)) => ("pending", format!("; {}", pending.why)),
    };
    println!("{word} {}: {is:.2} of at most {most:.2}{why}", budget.says);
    is <= most || pending.is_some()
}

fn budgets(results: &Results, load: &Load) -> Vec<Budget> {
    let held = Held { results, load };
    let mut all = held.memory();
    all.extend(held.traffic());
    all.extend(held.times());
    all.extend(held.changes_leave_nothing());
    all.extend(held.instructions());
    all
}

/// The figures of one load.
struct Held<'r> {
    results: &'r Results,
    load: &'r Load,
}

// === impl Held ===

impl Held<'_> {
    fn median(&self, what: What, who: &str) -> Option<f64> {
        self.results.get(what, self.load, who).map(|series| series.median())
    }

    /// Of seedcar's tree, with its most.
    fn most(&self, says: impl Into<String>, what: What, most: f64) -> Budget {
        Budget { says: says.into(), is: self.median(what, TREE), most: Some(most) }
    }

    /// Of seedcar's tree, with its part of somebody else's.
    fn part(&self, says: impl Into<String>, what: What, part: f64, of: &str) -> Budget {
        let most = self.median(what, of).map(|theirs| theirs * part);
        Budget { says: says.into(), is: self.median(what, TREE), most }
    }

    /// The worst, for what must never be more.
    fn worst(&self, says: &str, what: What, most: f64) -> Budget {
        let series = self.results.get(what, self.load, TREE);
        let is = series.map(|series| series.quantile(1.0));
        Budget { says: says.to_owned(), is, most: Some(most) }
    }

    fn memory(&self) -> Vec<Budget> {
        let payload = self.load.payload() as f64 / 1e6;
        let mib = |mib: f64| mib * 1.048_576;
        vec![
            self.most(
                "resident at rest, MB, of 6 MiB + 1.3 x payload",
                What::Rss,
                mib(6.0) + 1.3 * payload,
            ),
            self.most(
                "peak of the first seed, MB, of 8 MiB + 2.2 x payload",
                What::SeedPeak,
                mib(8.0) + 2.2 * payload,
            ),
            self.part(
                "private memory at rest, MB, of a quarter of consul-template's",
                What::Private,
                0.25,
                RIVAL,
            ),
            self.part("resident at rest, MB, of half of consul-template's", What::Rss, 0.5, RIVAL),
        ]
    }

    fn traffic(&self) -> Vec<Budget> {
        let body = self.median(What::ChangeBytes, FLOOR).unwrap_or(f64::INFINITY);
        let mut all = vec![
            // Beside the body: heads, and the doorbell's list of names.
            self.most(
                "bytes of a change, kB, of one body and a tenth",
                What::ChangeBytes,
                body * 1.1 + 2.0,
            ),
            self.worst("requests of 1,000 writes", What::BurstRequests, 16.0),
            self.worst("publishes of 1,000 writes", What::BurstPublishes, 8.0),
            // Two whole waits a minute.
            self.worst("a minute's requests at rest", What::RestRequests, 2.5),
            // As many, and what falls into a short window.
            self.worst("a minute's requests beside busy neighbours", What::BusyRequests, 8.0),
            // One a second, and what falls into the window's ends.
            self.worst("a minute's requests of an empty prefix", What::EmptyRequests, 75.0),
        ];
        if self.load.nested {
            all.push(self.most("a minute's bytes at rest, kB", What::RestBytes, 6.0));
        }
        all
    }

    fn times(&self) -> Vec<Budget> {
        let room = if self.results.machine.quick { ROOM } else { 1.0 };
        let ratio = |says: &str, what, part: f64, of| {
            let part = part * room;
            self.part(format!("{says}, of {part:.2} x {of}"), what, part, of)
        };
        let mut all = vec![ratio("median from PUT to file, ms", What::Change, 1.25, FLOOR)];
        if !self.results.machine.quick {
            // A tail of few changes is chance.
            let p99 =
                |who| self.results.get(What::Change, self.load, who).map(|s| s.quantile(0.99));
            all.push(Budget {
                says: "p99 from PUT to file, ms, of 2 x the floor's".to_owned(),
                is: p99(TREE),
                most: p99(FLOOR).map(|floor| floor * 2.0),
            });
        }
        if self.load.keys >= 10_000 {
            let cpu = if self.load.nested { 0.125 } else { 0.25 };
            all.push(ratio("CPU of a change, ms", What::ChangeCpu, cpu, RIVAL));
            all.push(ratio("first seed, ms", What::Seed, 1.5, FLOOR));
        }
        if *self.load == SMALL {
            all.push(ratio("first seed, ms", What::Seed, 0.4, RIVAL));
        }
        // Twice our longest pause: it decides, not how fast the machine is.
        let outages = self.results.whats().into_iter();
        let outages = outages.filter(|what| matches!(what, What::Killed(_) | What::Refused(_)));
        all.extend(outages.map(|what| self.most(what.title(), what, 10.0)));
        all
    }

    /// Zero growth, but for what an allocator keeps for the next time; early in a run that is up to a body more.
    fn changes_leave_nothing(&self) -> Vec<Budget> {
        let kept = if self.results.machine.quick { 1.5 } else { 0.5 };
        vec![
            self.worst("private memory that changes add, MB", What::GrowthPrivate, kept),
            self.worst("descriptors that changes add", What::GrowthDescriptors, 0.0),
            self.worst("inodes that changes add", What::GrowthInodes, 0.0),
        ]
    }

    /// About a seventh above what was counted: a newer compiler may do a little more.
    fn instructions(&self) -> Vec<Budget> {
        if *self.load != MIDDLE {
            return Vec::new();
        }
        vec![
            self.most("instructions of a first seed, millions", What::SeedInstructions, 112.0),
            self.most("instructions of a change, millions", What::ChangeInstructions, 24.0),
        ]
    }
}
