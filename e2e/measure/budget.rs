//! What seedcar may cost, held against what was measured in the same run.

use super::load::Load;
use super::result::{FLOOR, Results, What};

const TREE: &str = "seedcar, tree";
const RIVAL: &str = "consul-template, JSON";

/// One thing that is promised of a load: the figure, and the most it may be.
struct Budget {
    says: String,
    is: Option<f64>,
    most: Option<f64>,
}

/// Prints each budget with its figure. Returns how many are missed.
pub fn report(results: &Results) -> usize {
    let mut missed = 0;
    for load in results.loads() {
        println!("\n{load}:");
        for budget in budgets(results, &load) {
            let (Some(is), Some(most)) = (budget.is, budget.most) else {
                continue;
            };
            let kept = is <= most;
            missed += usize::from(!kept);
            let word = if kept { "kept  " } else { "MISSED" };
            println!("{word}  {}: {is:.2} of at most {most:.2}", budget.says);
        }
    }
    missed
}

fn budgets(results: &Results, load: &Load) -> Vec<Budget> {
    let of = |what: What, who: &str| results.get(what, load, who);
    let median = |what, who| of(what, who).map(|series| series.median());
    let part = |what, factor: f64| median(what, RIVAL).map(|rival| rival * factor);
    let payload = load.payload() as f64 / 1e6;
    let mib = |mib: f64| mib * 1.048_576;
    let mut all = vec![
        Budget {
            says: "resident at rest, MB, of 6 MiB + 1.3 x payload".to_owned(),
            is: median(What::Rss, TREE),
            most: Some(mib(6.0) + 1.3 * payload),
        },
        Budget {
            says: "peak of the first seed, MB, of 8 MiB + 2.2 x payload".to_owned(),
            is: median(What::SeedPeak, TREE),
            most: Some(mib(8.0) + 2.2 * payload),
        },
        Budget {
            says: "private memory at rest, MB, of a quarter of consul-template's".to_owned(),
            is: median(What::Private, TREE),
            most: part(What::Private, 0.25),
        },
        Budget {
            says: "resident at rest, MB, of half of consul-template's".to_owned(),
            is: median(What::Rss, TREE),
            most: part(What::Rss, 0.5),
        },
        Budget {
            says: "median from PUT to file, ms, of 1.25 x the bare wake".to_owned(),
            is: median(What::Change, TREE),
            most: median(What::Change, FLOOR).map(|floor| floor * 1.25),
        },
        Budget {
            says: "p99 from PUT to file, ms, of 2 x the bare wake's".to_owned(),
            is: of(What::Change, TREE).map(|s| s.quantile(0.99)),
            most: of(What::Change, FLOOR).map(|s| s.quantile(0.99) * 2.0),
        },
    ];
    let cpu = if load.nested { 0.125 } else { 0.25 };
    if load.keys >= 10_000 {
        all.push(Budget {
            says: format!("CPU of a change, ms, of {cpu} x consul-template's"),
            is: median(What::ChangeCpu, TREE),
            most: part(What::ChangeCpu, cpu),
        });
        all.push(Budget {
            says: "first seed, ms, of 1.5 x the floor".to_owned(),
            is: median(What::Seed, TREE),
            most: median(What::Seed, FLOOR).map(|floor| floor * 1.5),
        });
    }
    if load.keys == 100 {
        all.push(Budget {
            says: "first seed, ms, of 0.4 x consul-template's".to_owned(),
            is: median(What::Seed, TREE),
            most: part(What::Seed, 0.4),
        });
    }
    if load.nested {
        all.push(Budget {
            says: "a minute's bytes at rest, kB".to_owned(),
            is: median(What::RestBytes, TREE),
            most: Some(6.0),
        });
    }
    all
}
