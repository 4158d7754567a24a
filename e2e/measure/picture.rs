//! The figures that decide, as a picture: one panel for each, a group of bars for each load.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::load::Load;
use super::result::{FLOOR, Results, What};
use super::table::number;
use super::tool::Tool;

/// What is drawn, from above.
const PANELS: [What; 5] =
    [What::Change, What::ChangeCpu, What::Seed, What::Private, What::RestBytes];
/// Who, and how: ours in blue, the rival in orange, the floor between them in grey.
const WHO: [(&str, RGBColor); 5] = [
    (FLOOR, RGBColor(176, 182, 188)),
    (Tool::SeedcarTree.name(), RGBColor(22, 96, 167)),
    (Tool::SeedcarJson.name(), RGBColor(116, 178, 226)),
    (Tool::TemplateJson.name(), RGBColor(209, 101, 22)),
    (Tool::TemplateMirror.name(), RGBColor(244, 180, 116)),
];
const WIDTH: u32 = 1180;
const PANEL: u32 = 230;
const HEAD: u32 = 92;
const FOOT: u32 = 34;
const DARK: RGBColor = RGBColor(38, 44, 50);
const SOFT: RGBColor = RGBColor(110, 118, 126);
const LINE: RGBColor = RGBColor(228, 231, 234);

type Drawn<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Writes an SVG. The scale is logarithmic, because loads differ by powers of ten; each bar has its figure.
pub fn draw(results: &Results, into: &Path) -> Drawn {
    let panels: Vec<What> =
        PANELS.into_iter().filter(|what| results.whats().contains(what)).collect();
    let height = HEAD + FOOT + PANEL * panels.len() as u32;
    let root = SVGBackend::new(into, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let (head, rest) = root.split_vertically(HEAD);
    let (body, foot) = rest.split_vertically(PANEL * panels.len() as u32);
    legend(&head)?;
    for (area, what) in body.split_evenly((panels.len(), 1)).iter().zip(panels) {
        panel(results, area, what)?;
    }
    foot.draw(&Text::new(results.machine.line(), (24, 8), font(11, SOFT)))?;
    root.present()?;
    Ok(())
}

fn font(size: i32, color: RGBColor) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&color)
}

fn middle(size: i32, color: RGBColor, vertical: VPos) -> TextStyle<'static> {
    font(size, color).pos(Pos::new(HPos::Center, vertical))
}

fn legend(area: &Area<'_>) -> Drawn {
    let title = "seedcar beside consul-template: less is better";
    area.draw(&Text::new(title, (24, 16), font(21, DARK)))?;
    for (i, (who, color)) in WHO.iter().enumerate() {
        let x = 24 + 225 * i as i32;
        area.draw(&Rectangle::new([(x, 58), (x + 14, 72)], color.filled()))?;
        area.draw(&Text::new(*who, (x + 21, 58), font(14, DARK)))?;
    }
    Ok(())
}

fn panel(results: &Results, area: &Area<'_>, what: What) -> Drawn {
    let loads = results.loads();
    let medians = results.series.iter().filter(|s| s.what == what).map(|s| s.median());
    let (least, most) = medians
        .filter(|median| *median > 0.0)
        .fold((f64::MAX, f64::MIN), |(low, high), it| (low.min(it), high.max(it)));
    if least > most {
        return Ok(());
    }
    // A bar of the least is still seen, and above the most there is room for its figure.
    let (bottom, top) = (least / 2.5, most * 2.0);
    let group = (WHO.len() + 1) as f64;
    let mut chart = ChartBuilder::on(area)
        .margin_left(24)
        .margin_right(20)
        .margin_top(34)
        .x_label_area_size(26)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..group * loads.len() as f64, (bottom..top).log_scale())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .light_line_style(TRANSPARENT)
        .bold_line_style(LINE)
        .axis_style(LINE)
        .y_labels(6)
        .y_label_style(font(11, SOFT))
        .y_label_formatter(&|y| number(*y))
        .draw()?;
    area.draw(&Text::new(what.title(), (24, 8), font(16, DARK)))?;
    for (i, load) in loads.iter().enumerate() {
        let left = i as f64 * group + 0.5;
        bars(results, &mut chart, what, load, left, bottom)?;
        // Below the axis, where the chart itself does not draw.
        let (x, y) = chart.backend_coord(&(left + (group - 1.0) / 2.0, bottom));
        let (edge, above) = area.get_base_pixel();
        let at = (x - edge, y - above + 7);
        area.draw(&Text::new(short(load), at, middle(12, DARK, VPos::Top)))?;
    }
    Ok(())
}

type Chart<'a, 'b> = ChartContext<
    'a,
    SVGBackend<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, LogCoord<f64>>,
>;

fn bars(
    results: &Results,
    chart: &mut Chart<'_, '_>,
    what: What,
    load: &Load,
    left: f64,
    bottom: f64,
) -> Drawn {
    for (j, (who, color)) in WHO.iter().enumerate() {
        let Some(series) = results.get(what, load, who) else { continue };
        let (x, median) = (left + j as f64, series.median());
        let bar = [(x + 0.05, bottom), (x + 0.95, median.max(bottom))];
        chart.draw_series(std::iter::once(Rectangle::new(bar, color.filled())))?;
        let label = middle(11, DARK, VPos::Bottom);
        let at = (x + 0.5, median.max(bottom) * 1.06);
        chart.draw_series(std::iter::once(Text::new(number(median), at, label)))?;
    }
    Ok(())
}

fn short(load: &Load) -> String {
    load.to_string().replace("in 100 directories", "nested")
}
