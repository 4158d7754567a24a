//! Figures by the second, one panel below the other.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

const COLORS: [RGBColor; 2] = [BLUE, RGBColor(210, 70, 0)];

/// A panel: what it shows, and its lines by name, each a figure by the second.
pub struct Panel<'a> {
    /// What, with its unit.
    pub what: &'a str,
    /// Two lines at most.
    pub lines: Vec<(&'a str, Vec<u64>)>,
}

/// Writes an SVG; the first figures are of the second `from`.
pub fn draw(path: &Path, from: u64, panels: &[Panel<'_>]) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(path, (900, 300 * panels.len() as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, panel) in root.split_evenly((panels.len(), 1)).iter().zip(panels) {
        let values = || panel.lines.iter().flat_map(|(_, values)| values);
        let most = values().copied().max().unwrap_or(0) + 1;
        let count = panel.lines.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
        let mut chart = ChartBuilder::on(area)
            .caption(panel.what, ("sans-serif", 18))
            .margin(8)
            .x_label_area_size(28)
            .y_label_area_size(64)
            .build_cartesian_2d(from..from + count as u64, 0..most)?;
        chart.configure_mesh().draw()?;
        for ((name, values), color) in panel.lines.iter().zip(COLORS) {
            let points = values.iter().enumerate().map(|(at, value)| (at as u64 + from, *value));
            let key = move |(x, y)| PathElement::new([(x, y), (x + 14, y)], color);
            chart.draw_series(LineSeries::new(points, color))?.label(*name).legend(key);
        }
        if panel.lines.len() > 1 {
            chart.configure_series_labels().border_style(BLACK).draw()?;
        }
    }
    root.present()?;
    Ok(())
}
