//! The figures that decide, as a picture.

use std::path::Path;

use plotters::prelude::*;

use super::load::Load;
use super::result::{FLOOR, Results, What};

/// What is drawn, one panel each.
const PANELS: [What; 4] = [What::Change, What::ChangeCpu, What::Seed, What::Private];
const WHO: [(&str, RGBColor); 5] = [
    (FLOOR, RGBColor(150, 150, 150)),
    ("seedcar, tree", RGBColor(0, 110, 180)),
    ("seedcar, JSON", RGBColor(90, 180, 230)),
    ("consul-template, JSON", RGBColor(210, 90, 0)),
    ("consul-template, mirror", RGBColor(240, 170, 90)),
];
const SIZE: (u32, u32) = (1100, 900);

/// Writes an SVG: for each load a group of bars, on a logarithmic scale.
pub fn draw(
    results: &Results,
    into: &Path,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let root = SVGBackend::new(into, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (head, body) = root.split_vertically(60);
    legend(&head)?;
    for (area, what) in body.split_evenly((2, 2)).iter().zip(PANELS) {
        panel(results, area, what)?;
    }
    root.present()?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn legend(area: &Area<'_>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    for (i, (who, color)) in WHO.iter().enumerate() {
        let x = 20 + 215 * i as i32;
        area.draw(&Rectangle::new([(x, 22), (x + 16, 38)], color.filled()))?;
        area.draw(&Text::new(*who, (x + 22, 24), ("sans-serif", 15)))?;
    }
    Ok(())
}

fn panel(
    results: &Results,
    area: &Area<'_>,
    what: What,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let loads = results.loads();
    let figures = results.series.iter().filter(|series| series.what == what);
    let medians: Vec<f64> = figures.map(|series| series.median().max(0.01)).collect();
    let (Some(least), Some(most)) =
        (medians.iter().copied().reduce(f64::min), medians.iter().copied().reduce(f64::max))
    else {
        return Ok(());
    };
    let width = (WHO.len() + 1) as f64;
    let mut chart = ChartBuilder::on(area)
        .caption(title(what), ("sans-serif", 18))
        .margin(14)
        .x_label_area_size(30)
        .y_label_area_size(56)
        .build_cartesian_2d(
            0.0..width * loads.len() as f64,
            (least / 2.0..most * 1.5).log_scale(),
        )?;
    let name = |x: &f64| {
        let at = (x / width) as usize;
        loads.get(at).map(short).unwrap_or_default()
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(loads.len())
        .x_label_formatter(&name)
        .y_label_formatter(&|y| format!("{y:.1}"))
        .draw()?;
    for (i, load) in loads.iter().enumerate() {
        for (j, (who, color)) in WHO.iter().enumerate() {
            let Some(series) = results.get(what, load, who) else { continue };
            let x = i as f64 * width + j as f64 + 0.5;
            let bar = [(x, least / 2.0), (x + 0.9, series.median().max(0.01))];
            chart.draw_series(std::iter::once(Rectangle::new(bar, color.filled())))?;
        }
    }
    Ok(())
}

fn title(what: What) -> &'static str {
    match what {
        What::ChangeCpu => "CPU of a change, ms",
        what => what.title(),
    }
}

fn short(load: &Load) -> String {
    let shape = if load.nested { "nested" } else { "flat" };
    format!("{} {shape}", load.keys)
}
