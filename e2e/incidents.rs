//! Incidents known elsewhere, each with the test that would have caught it.
//!
//! The table is made from the issue trackers of programs that do what seedcar does. Where no test of
//! seedcar's own would have caught one, it is played again in the modules below.

mod volumes;
mod watching;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::ledger::{Proof, Tally};

/// What this part proves.
pub const PROOFS: &[Proof] = &[
    Proof {
        promise: "P0",
        test: "incidents::each_has_a_test_that_exists_or_a_reason",
        shows: "every incident of the table below is bound to a test, once",
        mutants: &["incident-test-is-gone"],
    },
    Proof {
        promise: "P0",
        test: "incidents::watching::a_change_whose_fetch_fails_is_not_lost",
        shows: "agollo #164 played again",
        mutants: &["follow-forgets-what-rang"],
    },
    Proof {
        promise: "P14",
        test: "incidents::volumes::two_pods_that_share_backups_both_see_a_change",
        shows: "nacos #11774 played again: what another pod has backed up hides no change",
        mutants: &[],
    },
];

/// A line each: the program and the number in its tracker, what happened there, and the path of the
/// test that would have caught it here, or `none:` and why it is none of ours.
const TABLE: &str = include_str!("incidents/table.txt");

/// A line of the table.
struct Incident {
    number: &'static str,
    what: &'static str,
    test: &'static str,
}

/// The table for the page of the promises.
pub fn markdown() -> String {
    let mut page = String::from(
        "\n## Incidents\n\nWhat went wrong in programs of this kind, and the test that would have caught it here.\n",
    );
    for line in TABLE.lines() {
        if let Some(kind) = line.strip_prefix("# ") {
            let head = "| incident | what happened | test |\n|---|---|---|\n";
            let _ = write!(page, "\n### {kind}\n\n{head}");
        } else {
            let Incident { number, what, test } = incident(line);
            let _ = writeln!(page, "| {number} | {what} | {test} |");
        }
    }
    page
}

fn incident(line: &'static str) -> Incident {
    let cells: Vec<_> = line.split(" | ").collect();
    let [number, what, test] = cells[..] else { panic!("not three cells: {line}") };
    Incident { number, what, test }
}

#[test]
fn each_has_a_test_that_exists_or_a_reason() {
    let mut tally = Tally::of(PROOFS[0].test);
    let (ours, mut seen) = (tests_of_this_program(), HashSet::new());
    let lines = TABLE.lines().filter(|line| !line.starts_with("# "));
    for Incident { number, test, .. } in lines.map(incident) {
        tally.check(seen.insert(number), || format!("{number} is there twice"));
        let answered = test.starts_with("none: ") || ours.contains(test) || is_unit_test(test);
        tally.check(answered, || format!("{number}: there is no test {test}"));
    }
    tally.check(seen.len() > 80, || format!("only {} incidents", seen.len()));
    tally.finish();
}

fn tests_of_this_program() -> HashSet<String> {
    let this = std::env::current_exe().expect("this program");
    let listed = Command::new(this).arg("--list").output().expect("a list of tests");
    let listed = String::from_utf8(listed.stdout).expect("UTF-8");
    listed.lines().filter_map(|line| Some(line.strip_suffix(": test")?.to_owned())).collect()
}

/// Whether a source file that the path can mean has a function of this name.
fn is_unit_test(path: &str) -> bool {
    let Some((modules, name)) = path.rsplit_once("::") else {
        return false;
    };
    let modules: Vec<_> = modules.split("::").collect();
    let function = format!("fn {name}(");
    (1..=modules.len()).any(|depth| {
        let file = format!("src/{}.rs", modules[..depth].join("/"));
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file));
        text.is_ok_and(|text| text.contains(&function))
    })
}
