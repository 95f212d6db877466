//! Curves as SVG.

use std::ops::Range;

use maud::{Markup, PreEscaped, html};
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use super::error::ReportError;

/// Points that a curve keeps; more are no more to see.
const MOST_POINTS: usize = 800;

/// Width and height: with these the letters are still read on a page of 400 pixels.
const SIZE: (u32, u32) = (480, 300);

/// Colours that differ for people who are colour-blind too (Okabe and Ito 2008).
const PALETTE: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(150, 70, 130),
    RGBColor(60, 60, 60),
    RGBColor(180, 130, 0),
];

/// Dashes and gaps in pixels, so that curves differ in print; the first is a whole line.
const DASHES: [(u32, u32); 4] = [(1, 0), (9, 5), (3, 4), (16, 4)];

const FAINT: RGBColor = RGBColor(165, 175, 190);

/// One curve of a plot.
pub(super) struct Curve {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
    /// `true` for a thin grey line behind the others.
    pub(super) is_faint: bool,
}

impl Curve {
    pub(super) fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points, is_faint: false }
    }
}

/// The y axis of a plot.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scale {
    /// As far as there are values, and a little more.
    Values,
    /// From one number to another.
    Between(f64, f64),
    /// Equal ratios are equal lengths, with marks at powers of two; numbers above 0 are shown.
    Logarithmic,
}

impl Scale {
    fn shown(self, mut points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
        if let Self::Logarithmic = self {
            points.retain(|point| point.1 > 0.0);
        }
        points
    }
}

/// The look of a curve.
#[derive(Clone, Copy)]
struct Stroke {
    colour: RGBColor,
    width: u32,
    dash: (u32, u32),
}

impl Stroke {
    /// The strokes of curves: faint ones alike, the others in turn.
    fn of(curves: &[Curve]) -> Vec<Self> {
        let mut number = 0;
        let mut next = |curve: &Curve| {
            if curve.is_faint {
                return Self { colour: FAINT, width: 1, dash: DASHES[0] };
            }
            number += 1;
            let place = number - 1;
            Self {
                colour: PALETTE[place % PALETTE.len()],
                width: 2,
                dash: DASHES[(place + place / 12) % DASHES.len()],
            }
        };
        curves.iter().map(&mut next).collect()
    }

    /// A piece of the line, for the legend.
    fn sample(self) -> Markup {
        let RGBColor(red, green, blue) = self.colour;
        let dash = if self.dash.1 == 0 { String::new() } else { format!("{} {}", self.dash.0, self.dash.1) };
        html! {
            svg.key viewBox="0 0 34 8" width="34" height="8" aria-hidden="true" {
                line x1="0" y1="4" x2="34" y2="4" stroke=(format!("rgb({red},{green},{blue})"))
                    stroke-width=(self.width) stroke-dasharray=(dash) {}
            }
        }
    }
}

/// Draws curves over a common axis, with a legend where there are several; `None` when there is nothing to draw.
pub(super) fn plot(x_label: &str, y_label: &str, curves: &[Curve]) -> Result<Option<Markup>, ReportError> {
    plot_scaled([x_label, y_label], curves, Scale::Values)
}

/// Draws curves as [`plot`] does, with this y axis; points that it cannot show are left out.
pub(super) fn plot_scaled(
    [x_label, y_label]: [&str; 2],
    curves: &[Curve],
    scale: Scale,
) -> Result<Option<Markup>, ReportError> {
    let drawn: Vec<Drawn> = (curves.iter().zip(Stroke::of(curves)))
        .map(|(curve, stroke)| Drawn { name: &curve.name, points: scale.shown(thin(&curve.points)), stroke })
        .filter(|curve| !curve.points.is_empty())
        .collect();
    let points = || drawn.iter().flat_map(|curve| &curve.points);
    let Some(x) = range(points().map(|point| point.0)) else { return Ok(None) };
    let Some(y) = range(points().map(|point| point.1)) else { return Ok(None) };
    let mut svg = String::new();
    let labels = [x_label, y_label];
    let done = match scale {
        Scale::Values => draw(&mut svg, labels, &drawn, x, widen(y)),
        Scale::Between(low, high) => draw(&mut svg, labels, &drawn, x, low..high),
        Scale::Logarithmic => {
            draw(&mut svg, labels, &drawn, x, (0.8 * y.0..1.25 * y.1).log_scale().base(2.0))
        }
    };
    done.map_err(|error| ReportError::Draw { what: y_label.to_owned(), why: error.to_string() })?;
    Ok(Some(html! {
        (PreEscaped(svg))
        @if curves.len() > 1 {
            ul.legend { @for Drawn { name, stroke, .. } in &drawn { li { (stroke.sample()) " " (name) } } }
        }
    }))
}

/// A curve as it is drawn.
struct Drawn<'a> {
    name: &'a str,
    points: Vec<(f64, f64)>,
    stroke: Stroke,
}

fn draw<Y>(
    svg: &mut String,
    [x_label, y_label]: [&str; 2],
    curves: &[Drawn],
    x: (f64, f64),
    y: Y,
) -> Result<(), Box<dyn std::error::Error>>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = (ChartBuilder::on(&area).margin(10).margin_right(20))
        .x_label_area_size(42)
        .y_label_area_size(68)
        .build_cartesian_2d(x.0..x.1, y)?;
    (chart.configure_mesh().x_labels(7).y_labels(6).x_desc(x_label).y_desc(y_label))
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 15))
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .y_label_formatter(&|value| number(*value))
        .x_label_formatter(&|value| number(*value))
        .draw()?;
    for Drawn { points, stroke: Stroke { colour, width, dash }, .. } in curves {
        let style = colour.stroke_width(*width);
        // A line of one point cannot be seen.
        if let [(x, y)] = points[..] {
            chart.draw_series([Circle::new((x, y), 3, colour.filled())])?;
        }
        let points = points.iter().copied();
        match dash {
            (_, 0) => chart.draw_series(LineSeries::new(points, style))?,
            (size, gap) => chart.draw_series(DashedLineSeries::new(points, *size, *gap, style))?,
        };
    }
    area.present()?;
    drop(chart);
    Ok(())
}

/// Means over stretches of equal length, so that no more than [`MOST_POINTS`] are left.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let stretch = points.len().div_ceil(MOST_POINTS).max(1);
    let mean = |part: &[(f64, f64)]| {
        let count = part.len() as f64;
        let (x, y) = part.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (x / count, y / count)
    };
    points.chunks(stretch).map(mean).filter(|point| point.1.is_finite()).collect()
}

/// Smallest and largest value, apart from each other.
fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (low, high) = values
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return None;
    }
    Some(if low < high { (low, high) } else { (low - 0.5, high + 0.5) })
}

/// Some air above and below.
fn widen((low, high): (f64, f64)) -> Range<f64> {
    let air = 0.05 * (high - low);
    let bottom = if low >= 0.0 { (low - air).max(0.0) } else { low - air };
    bottom..high + air
}

/// A number as short as it can be said.
fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    if (1e-3..1e5).contains(&value.abs()) {
        let text = format!("{value:.4}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    format!("{value:.1e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_mean_and_the_order() {
        let points: Vec<(f64, f64)> = (0..16_000).map(|i| (f64::from(i), f64::from(i % 20))).collect();
        let thinned = thin(&points);
        assert_eq!(thinned.len(), MOST_POINTS);
        assert!(thinned.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(thinned.iter().all(|point| point.1 == 9.5), "{:?}", &thinned[..3]);
        assert_eq!(thin(&points[..3]), points[..3]);
    }

    #[test]
    fn numbers_are_short() {
        let cases = [(0.0, "0"), (0.5, "0.5"), (120.0, "120"), (2.4e-4, "2.4e-4"), (1e6, "1.0e6")];
        for (value, expected) in cases {
            assert_eq!(number(value), expected);
        }
    }
}
