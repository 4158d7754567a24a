//! What seedcar may cost, held against what was measured in the same run.
//!
//! Counts, bytes, memory and instructions are held as they are: they are the same on a busy machine. Times
//! are held as ratios of the run, and those of a quick one with room for noise.

use super::burst;
use super::load::{Load, MIDDLE, SMALL};
use super::result::{FLOOR, RIVAL, Results, TREE, What};
use super::table::number;
use super::tool::Tool;

/// Ours with another output, which may take what the README says of it.
const JSON: &str = Tool::SeedcarJson.name();

/// A budget that is missed today. A run tells of it and does not fail; once it is kept it is to be taken out.
struct Pending {
    /// How its text begins.
    says: &'static str,
    /// Under which loads.
    under: fn(&Load) -> bool,
    /// Why it is missed.
    why: &'static str,
    /// So many times what is promised it may be, and no more: what is missed must not grow unseen.
    times: f64,
}

/// All of them, in this one place.
const PENDING: &[Pending] = &[
    Pending {
        says: "median from PUT to file",
        under: |load| load.value < 10_000 && !load.is_read_by_directory(),
        why: "it asks the leader whether before it asks anyone what, and makes a link for each file of the directory",
        times: 2.5,
    },
    Pending {
        says: "median from PUT to file",
        under: |load| load.is_read_by_directory() && load.keys < 10_000,
        why: "it asks the leader whether, and searches where: that pays where the whole is larger",
        times: 1.8,
    },
    Pending {
        says: "p99 from PUT to file",
        under: |load| load.keys < 1_000,
        why: "it asks the leader whether before it asks anyone what",
        times: 1.5,
    },
    Pending {
        says: "first seed",
        under: |load| *load == SMALL,
        why: "it is kept beside answers with gzip, as consul-template asks; without, that starts faster",
        times: 1.5,
    },
    Pending {
        says: "first seed",
        under: |load| load.keys >= 10_000 && !load.nested,
        why: "where the server is fast, decoding and hashing the values takes longer than their reading",
        times: 1.3,
    },
    Pending {
        says: "CPU of a change",
        under: |load| !load.nested,
        why: "a link for each file of the directory, and later its removal",
        times: 2.2,
    },
];

/// How much more a time may be in a quick run: it is a median of few, on a machine that others use.
const ROOM: f64 = 1.6;

/// How much more a part of the rival's memory may be in a quick run: what its collector leaves at rest differs
/// by a tenth from look to look.
const LOOSE: f64 = 1.15;

/// One thing that is promised of a load: the figure, and the most it may be.
struct Budget {
    says: String,
    is: Option<f64>,
    most: Option<f64>,
}

/// How many budgets a run has missed.
#[derive(Default)]
pub struct Missed {
    /// Of which it is not known.
    pub anew: usize,
    /// Of which it is known, and by no more than is known.
    pub pending: usize,
}

/// How a budget was kept.
enum Verdict {
    Kept,
    /// There is nothing beside it that it could be compared with.
    Skipped,
    /// Missed, as is known.
    Pending(&'static Pending),
    Missed,
}

/// Prints each budget with its figure. Returns how many are missed.
pub fn report(results: &Results) -> Missed {
    let mut missed = Missed::default();
    for load in results.loads() {
        println!("\n{load}:");
        for budget in budgets(results, &load) {
            let verdict = verdict(&budget, &load);
            println!("{}", said(&budget, &verdict, &load, results.machine.quick));
            match verdict {
                Verdict::Kept | Verdict::Skipped => (),
                Verdict::Pending(_) => missed.pending += 1,
                Verdict::Missed => missed.anew += 1,
            }
        }
    }
    missed
}

/// What a run has missed: each budget with its figures, and why where that is known.
pub fn misses(results: &Results) -> Vec<String> {
    let mut misses: Vec<(String, Vec<String>)> = Vec::new();
    for load in results.loads() {
        for budget in budgets(results, &load) {
            let what = match verdict(&budget, &load) {
                Verdict::Kept | Verdict::Skipped => continue,
                Verdict::Pending(pending) => format!("{} ({})", budget.says, pending.why),
                Verdict::Missed => budget.says.clone(),
            };
            let figures = match budget.is.zip(budget.most) {
                Some((is, most)) => format!("{} of at most {} ({load})", number(is), number(most)),
                None => format!("not measured ({load})"),
            };
            match misses.iter_mut().find(|(known, _)| *known == what) {
                Some((_, all)) => all.push(figures),
                None => misses.push((what, vec![figures])),
            }
        }
    }
    misses.into_iter().map(|(what, all)| format!("{what}: {}", all.join("; "))).collect()
}

/// What should have been measured and was not counts as missed.
fn verdict(budget: &Budget, load: &Load) -> Verdict {
    let Some(is) = budget.is else { return Verdict::Missed };
    let Some(most) = budget.most else { return Verdict::Skipped };
    if is <= most {
        return Verdict::Kept;
    }
    let pending = pending(budget, load).filter(|pending| is <= most * pending.times);
    pending.map_or(Verdict::Missed, Verdict::Pending)
}

/// What is known of it under this load.
fn pending(budget: &Budget, load: &Load) -> Option<&'static Pending> {
    PENDING.iter().find(|it| budget.says.starts_with(it.says) && (it.under)(load))
}

/// A line for people.
fn said(budget: &Budget, verdict: &Verdict, load: &Load, is_quick: bool) -> String {
    let says = &budget.says;
    let Some(is) = budget.is else { return format!("MISSED  {says}: not measured") };
    let Some(most) = budget.most else {
        return format!("skipped {says}: it is {is:.2}, and there is nothing beside it");
    };
    let (word, why) = match (verdict, pending(budget, load)) {
        (Verdict::Pending(pending), _) => ("pending", format!("; {}", pending.why)),
        (Verdict::Missed, Some(known)) => {
            ("MISSED ", format!(", by more than {} times", known.times))
        }
        (Verdict::Missed, None) => ("MISSED ", String::new()),
        // A quick run has room in which much is kept.
        (_, Some(_)) if !is_quick => ("kept   ", "; no longer pending: take it out".to_owned()),
        _ => ("kept   ", String::new()),
    };
    format!("{word} {says}: {is:.2} of at most {most:.2}{why}")
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
        self.results.median(what, self.load, who)
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
        self.worst_of(TREE, says, what, most)
    }

    fn worst_of(&self, who: &str, says: &str, what: What, most: f64) -> Budget {
        let series = self.results.get(what, self.load, who);
        let is = series.map(|series| series.quantile(1.0));
        Budget { says: says.to_owned(), is, most: Some(most) }
    }

    fn memory(&self) -> Vec<Budget> {
        let payload = self.load.payload() as f64 / 1e6;
        let mib = |mib: f64| mib * 1.048_576;
        let loose = if self.results.machine.quick { LOOSE } else { 1.0 };
        vec![
            self.worst(
                "resident at rest, MB, of 6 MiB + 1.3 x payload",
                What::Rss,
                mib(6.0) + 1.3 * payload,
            ),
            self.worst(
                "peak of the first seed, MB, of 8 MiB + 2.2 x payload",
                What::SeedPeak,
                mib(8.0) + 2.2 * payload,
            ),
            self.worst_of(
                JSON,
                "peak of the first seed with one JSON file, MB, of 8 MiB + 4.4 x payload",
                What::SeedPeak,
                mib(8.0) + 4.4 * payload,
            ),
            self.part(
                "private memory at rest, MB, of a quarter of consul-template's",
                What::Private,
                0.25 * loose,
                RIVAL,
            ),
            self.part(
                "resident at rest, MB, of half of consul-template's",
                What::Rss,
                0.5 * loose,
                RIVAL,
            ),
        ]
    }

    fn traffic(&self) -> Vec<Budget> {
        let body = self.median(What::ChangeBytes, FLOOR).unwrap_or(f64::INFINITY);
        // Beside the body: heads, and the doorbell's list of names. Of a large one only what changed.
        let (says, most) = if self.load.is_read_in_parts() {
            ("bytes of a change, kB, of a quarter of one body", body * 0.25)
        } else {
            ("bytes of a change, kB, of one body and a tenth", body * 1.1 + 2.0)
        };
        let mut all = vec![
            self.most(says, What::ChangeBytes, most),
            // Two whole waits a minute.
            self.worst("a minute's requests at rest", What::RestRequests, 2.5),
        ];
        if burst::is_measured(self.load) {
            // Of a large body a change is searched, with at most 48 questions; a burst is two or three changes.
            let searches = if body > 1000.0 { 2.0 } else { 0.0 };
            let most = 16.0 + searches * 48.0;
            all.push(self.worst("requests of 1,000 writes", What::BurstRequests, most));
            all.push(self.worst("publishes of 1,000 writes", What::BurstPublishes, 8.0));
        }
        if *self.load == SMALL {
            let half = |says: &str, what| self.part(says, what, 0.5, RIVAL);
            all.push(half(
                "requests of 1,000 PUTs, of half of consul-template's",
                What::StormRequests,
            ));
            all.push(half(
                "publishes of 1,000 PUTs, of half of consul-template's",
                What::StormPublishes,
            ));
            // As many as at rest, and what falls into a short window.
            all.push(self.worst(
                "a minute's requests beside busy neighbours",
                What::BusyRequests,
                8.0,
            ));
            // One a second, and what falls into the window's ends.
            all.push(self.worst(
                "a minute's requests of an empty prefix",
                What::EmptyRequests,
                75.0,
            ));
        }
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
        // Where only a part is read, below the wake that reads all.
        let part = if self.load.is_read_by_directory() { 1.0 } else { 1.25 };
        let mut all = vec![ratio("median from PUT to file, ms", What::Change, part, FLOOR)];
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
            // Twice our longest pause: it decides, not how fast the machine is.
            let outages = self.results.whats().into_iter();
            let outages = outages.filter(|what| matches!(what, What::Killed(_) | What::Refused(_)));
            all.extend(outages.map(|what| self.most(what.title(), what, 10.0)));
        }
        all
    }

    /// Zero growth, but for what an allocator keeps for the next time; early in a run that is up to a body more.
    fn changes_leave_nothing(&self) -> Vec<Budget> {
        if *self.load != MIDDLE {
            return Vec::new();
        }
        let kept = if self.results.machine.quick { 1.5 } else { 0.5 };
        vec![
            self.worst("private memory that changes add, MB", What::GrowthPrivate, kept),
            self.worst("descriptors that changes add", What::GrowthDescriptors, 0.0),
            self.worst("inodes that changes add", What::GrowthInodes, 0.0),
        ]
    }

    /// A little above what was counted: a newer compiler may do a little more.
    fn instructions(&self) -> Vec<Budget> {
        if *self.load != MIDDLE {
            return Vec::new();
        }
        if self.median(What::SeedInstructions, TREE).is_none() {
            println!("skipped instructions: nothing counts them here");
            return Vec::new();
        }
        vec![
            self.most("instructions of a first seed, millions", What::SeedInstructions, 112.0),
            self.most("instructions of a change, millions", What::ChangeInstructions, 24.0),
        ]
    }
}
