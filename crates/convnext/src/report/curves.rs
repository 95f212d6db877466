//! Curves as SVG.

use plotters::prelude::*;

use super::ReportError;

/// Points that a curve keeps; more are no more to see.
const MOST_POINTS: usize = 800;

const SIZE: (u32, u32) = (720, 300);
const PALETTE: [RGBColor; 3] = [RGBColor(31, 95, 168), RGBColor(200, 85, 20), RGBColor(60, 130, 60)];

/// One curve of a plot.
pub(super) struct Curve {
    pub(super) name: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

/// Draws curves over a common axis; `None` when there is nothing to draw.
pub(super) fn plot(
    x_label: &'static str,
    y_label: &str,
    curves: &[Curve],
) -> Result<Option<String>, ReportError> {
    let thinned: Vec<(&str, Vec<(f64, f64)>)> =
        curves.iter().map(|curve| (curve.name, thin(&curve.points))).filter(|(_, c)| !c.is_empty()).collect();
    let points = || thinned.iter().flat_map(|(_, points)| points);
    let Some(x) = range(points().map(|point| point.0)) else { return Ok(None) };
    let Some(y) = range(points().map(|point| point.1)) else { return Ok(None) };
    let mut svg = String::new();
    draw(&mut svg, x_label, y_label, &thinned, x, widen(y))
        .map_err(|error| ReportError::Draw { what: y_label.to_owned(), why: error.to_string() })?;
    Ok(Some(svg))
}

fn draw(
    svg: &mut String,
    x_label: &str,
    y_label: &str,
    curves: &[(&str, Vec<(f64, f64)>)],
    x: (f64, f64),
    y: (f64, f64),
) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(72)
        .build_cartesian_2d(x.0..x.1, y.0..y.1)?;
    chart
        .configure_mesh()
        .x_desc(x_label)
        .y_desc(y_label)
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 14))
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .y_label_formatter(&|value| number(*value))
        .x_label_formatter(&|value| number(*value))
        .draw()?;
    for ((name, points), colour) in curves.iter().zip(PALETTE) {
        let style = colour.stroke_width(2);
        // A line of one point cannot be seen.
        if let [(x, y)] = points[..] {
            chart.draw_series([Circle::new((x, y), 3, colour.filled())])?;
        }
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    if curves.len() > 1 {
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.85))
            .border_style(RGBColor(200, 200, 200))
            .label_font(("sans-serif", 13))
            .position(quiet_corner(curves, y))
            .draw()?;
    }
    area.present()?;
    drop(chart);
    Ok(())
}

/// The right corner that the curves do not run into.
fn quiet_corner(curves: &[(&str, Vec<(f64, f64)>)], y: (f64, f64)) -> SeriesLabelPosition {
    let ends_high =
        curves.iter().filter_map(|(_, points)| points.last()).any(|end| end.1 > f64::midpoint(y.0, y.1));
    if ends_high { SeriesLabelPosition::LowerRight } else { SeriesLabelPosition::UpperRight }
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
fn widen((low, high): (f64, f64)) -> (f64, f64) {
    let air = 0.05 * (high - low);
    let bottom = if low >= 0.0 { (low - air).max(0.0) } else { low - air };
    (bottom, high + air)
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
