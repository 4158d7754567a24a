//! The stories as pictures: a row for each fleet, seconds from left to right.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::play::Story;
use super::report::{megabytes, rate};
use super::servers::Done;

const LEADER: RGBColor = RGBColor(210, 70, 0);
const FOLLOWERS: RGBColor = RGBColor(0, 110, 180);
const PANEL: (u32, u32) = (620, 260);

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// What is drawn of each: its name, and the figure.
type Figure = (&'static str, fn(&Done) -> f64);

const FIGURES: [Figure; 3] = [
    ("requests a second", |done| done.asked().requests as f64),
    ("MB sent a second", |done| megabytes(done.used.sent)),
    ("cores busy", |done| done.used.cpu.as_secs_f64()),
];

/// Writes an SVG.
pub fn draw(stories: &[Story], into: &Path) -> Outcome {
    let (width, height) = (PANEL.0 * FIGURES.len() as u32, PANEL.1 * stories.len().max(1) as u32);
    let root = SVGBackend::new(into, (width, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let areas = root.split_evenly((stories.len().max(1), FIGURES.len()));
    for (story, row) in stories.iter().zip(areas.chunks(FIGURES.len())) {
        // The same scale for all, so that they can be compared.
        for (figure, area) in FIGURES.iter().zip(row) {
            let most = stories.iter().map(|story| most(story, figure)).fold(0.0, f64::max);
            panel(story, figure, most, area)?;
        }
    }
    root.present()?;
    Ok(())
}

/// Points of leader and followers, at the seconds between samples.
fn points(story: &Story, figure: &Figure) -> Vec<(f64, (f64, f64))> {
    let pairs = story.samples.windows(2);
    pairs
        .map(|pair| (pair[1].at, rate(&pair[0], &pair[1], leader(story, pair[1].at), &figure.1)))
        .collect()
}

/// Who led then, as far as the phases tell.
fn leader(story: &Story, at: f64) -> usize {
    let phase = story.phases.iter().find(|phase| at <= phase.span.1).or(story.phases.last());
    phase.map_or(0, |phase| phase.leader)
}

fn most(story: &Story, figure: &Figure) -> f64 {
    points(story, figure).into_iter().map(|(_, (a, b))| a.max(b)).fold(0.001, f64::max)
}

fn panel(
    story: &Story,
    figure: &Figure,
    most: f64,
    area: &DrawingArea<SVGBackend<'_>, Shift>,
) -> Outcome {
    let end = story.samples.last().map_or(1.0, |sample| sample.at);
    let caption = format!("{} {}: {}", story.plan.sidecars, story.tool.name(), figure.0);
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 15))
        .margin(8)
        .x_label_area_size(24)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..end, 0.0..most * 1.15)?;
    chart.configure_mesh().light_line_style(WHITE).draw()?;
    for phase in &story.phases {
        let line = [(phase.span.0, 0.0), (phase.span.0, most * 1.15)];
        chart.draw_series(LineSeries::new(line, RGBColor(190, 190, 190)))?;
        let name = Text::new(phase.what.title(), (phase.span.0, most * 1.13), ("sans-serif", 11));
        chart.draw_series(std::iter::once(name))?;
    }
    let points = points(story, figure);
    let followers = points.iter().map(|(at, rates)| (*at, rates.1));
    chart
        .draw_series(LineSeries::new(followers, FOLLOWERS))?
        .label("both followers")
        .legend(key(FOLLOWERS));
    let leader = points.iter().map(|(at, rates)| (*at, rates.0));
    chart.draw_series(LineSeries::new(leader, LEADER))?.label("leader").legend(key(LEADER));
    chart.configure_series_labels().border_style(RGBColor(200, 200, 200)).draw()?;
    Ok(())
}

fn key(color: RGBColor) -> impl Fn((i32, i32)) -> PathElement<(i32, i32)> {
    move |(x, y)| PathElement::new([(x, y), (x + 14, y)], color)
}
