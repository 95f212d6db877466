//! Page sections of any task: curves and last values of its metrics, from what they say of themselves.

use convnext_train::{Direction, Metric, Unit};
use maud::{Markup, html};

use super::ReportError;
use super::curves::{Curve, plot};
use super::page::figure;
use super::run_data::RunData;

/// Label of the x axis of the metrics' curves.
pub(super) const EPOCHS: &str = "epochs";

/// A plot for each metric that the run measured, with the curve of the moving average beside that of the weights.
pub(super) fn figures(run: &RunData) -> Result<Markup, ReportError> {
    let mut plots = Vec::new();
    for metric in run.metrics() {
        let of = |name, key: &str| Curve { name, points: points(run, &metric, key) };
        let curves = [of("weights", &metric.key()), of("moving average", &metric.averaged_key())];
        let title = format!("{} on the validation images", capitalised(metric.label()));
        plots.push((title, plot(EPOCHS, &axis(&metric), &curves)?));
    }
    Ok(html! { @for (title, svg) in plots { (figure(&title, svg)) } })
}

/// The numbers under a key that a metric has, over the epochs that were made by then: a validation within an epoch lies
/// between two whole numbers.
pub(super) fn points(run: &RunData, metric: &Metric, key: &str) -> Vec<(f64, f64)> {
    let scale = match metric.unit {
        Unit::None => 1.0,
        Unit::Fraction => 100.0,
    };
    run.epochs.iter().filter_map(|epoch| Some((epoch.epochs, scale * epoch.value(key)?))).collect()
}

/// Label of the y axis of a metric, with its unit.
pub(super) fn axis(metric: &Metric) -> String {
    match metric.unit {
        Unit::None => metric.label().to_owned(),
        Unit::Fraction => format!("{} in %", metric.label()),
    }
}

/// The values of the last evaluation, for tasks that the page knows no more about.
pub(super) fn table(run: &RunData) -> Markup {
    let Some(measured) = &run.evaluation else { return html! {} };
    html! {
        h2 { "Last evaluation" }
        div.scroll { table {
            thead { tr { th scope="col" { "metric" } th scope="col" { "value" } th scope="col" { "better" } } }
            tbody {
                @for metric in &measured.metrics {
                    tr { th scope="row" { (metric.label()) } td { (metric.value_in_words()) } td.text { (better(metric)) } }
                }
            }
        } }
    }
}

fn better(metric: &Metric) -> &'static str {
    match metric.direction {
        Direction::HigherIsBetter => "higher",
        Direction::LowerIsBetter => "lower",
    }
}

/// Capitalises the first letter of a text.
pub(super) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
