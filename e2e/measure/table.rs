//! The figures as a table for people.

use std::fmt::Write as _;

use super::load::Load;
use super::result::{FLOOR, RIVAL, Results, Series, TREE, What};
use super::tool::Tool;

/// The columns, from the floor to the rival.
pub const WHO: [&str; 7] = [
    FLOOR,
    Tool::SeedcarTree.name(),
    Tool::SeedcarJson.name(),
    Tool::TemplateJson.name(),
    Tool::TemplatePlain.name(),
    Tool::TemplateMirror.name(),
    Tool::TemplateDefault.name(),
];

/// The columns after them: what ours is of the floor, and of the rival.
pub const RATIOS: [&str; 2] = ["tree / floor", "tree / consul-template"];

/// Markdown: a table for each load, a row for each figure.
pub fn markdown(results: &Results) -> String {
    let mut text = format!(
        "{}.\n\nMedians, with the spread from p10 to p90 in brackets. Ratios are of seedcar's tree, to the floor and to\n\
         consul-template's JSON, with gzip or without, as it is better.\n",
        results.machine.line()
    );
    for load in results.loads() {
        let who = columns(results, &load);
        let _ = writeln!(text, "\n### {load}\n\n{}", head(&who));
        for what in results.whats() {
            if let Some(cells) = row(results, &load, what, &who) {
                let _ = writeln!(text, "| {} | {} |", what.title(), cells.join(" | "));
            }
        }
    }
    text
}

/// The first two lines.
pub fn head(who: &[&str]) -> String {
    let columns = [who, &RATIOS].concat();
    format!("| | {} |\n|---|{}", columns.join(" | "), "---:|".repeat(columns.len()))
}

/// Who was measured under a load.
fn columns(results: &Results, load: &Load) -> Vec<&'static str> {
    let measured = |who: &&str| results.series.iter().any(|s| s.load == *load && s.who == **who);
    WHO.into_iter().filter(measured).collect()
}

/// The cells of a row, if anything in it was measured.
pub fn row(results: &Results, load: &Load, what: What, who: &[&str]) -> Option<Vec<String>> {
    let series = || who.iter().map(|who| results.get(what, load, who));
    let cell = |series: Option<&Series>| series.map_or("-".to_owned(), said);
    let ratios = [FLOOR, RIVAL].map(|to| ratio(results, load, what, to));
    series().any(|series| series.is_some()).then(|| series().map(cell).chain(ratios).collect())
}

/// What ours is of another's. To nothing there is no ratio, nor of a difference or of a figure that is drawn.
fn ratio(results: &Results, load: &Load, what: What, to: &str) -> String {
    let median = |who| results.median(what, load, who).filter(|median| *median > 0.0);
    let of = median(TREE).zip(median(to)).filter(|_| !what.is_growth() && !what.is_drawn());
    of.map_or("-".to_owned(), |(ours, theirs)| match ours / theirs {
        less if less < 0.005 => "< 0.01 x".to_owned(),
        ratio => format!("{} x", number(ratio)),
    })
}

/// The middle and the spread; of changes the tail matters, too.
fn said(series: &Series) -> String {
    let [low, middle, high] = [0.1, 0.5, 0.9].map(|part| number(series.quantile(part)));
    let spread = if low == high { String::new() } else { format!(" ({low}-{high})") };
    let tail = if series.has_a_tail() {
        let [p99, max] = [0.99, 1.0].map(|part| number(series.quantile(part)));
        format!(", p99 {p99}, max {max}")
    } else {
        String::new()
    };
    format!("{middle}{spread}{tail}")
}

/// So many digits as matter.
pub fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v < 0.005 => "0".to_owned(),
        _ => format!("{value:.2}"),
    }
}
