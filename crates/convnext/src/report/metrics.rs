//! Page sections of any task: curves and last values of its metrics, from what they say of themselves.

use convnext_train::{Direction, Metric, Unit};
use maud::{Markup, html};

use super::curves::{Curve, plot};
use super::error::ReportError;
use super::run_data::RunData;
use super::whole_page::figure;

/// Label of the x axis of the metrics' curves.
pub(super) const EPOCHS: &str = "epochs";

/// The metric that is a loss, which is drawn beside that of the training.
const LOSS: &str = "loss";

/// Names of the curves of a metric.
const OF_WEIGHTS: &str = "validation";
const OF_AVERAGE: &str = "validation, moving average of the weights";

/// Loss of the training and, where it was measured, of the validation, by epochs.
pub(super) fn loss(run: &RunData) -> Result<Markup, ReportError> {
    let Some(epochs_per_step) = run.epochs_per_step() else {
        let steps = run.steps.iter().map(|step| (step.step as f64, f64::from(step.loss))).collect();
        return Ok(figure("Loss", plot("steps", "loss", &[Curve::new("training", steps)])?));
    };
    let steps = run.steps.iter().map(|step| (epochs_per_step * step.step as f64, f64::from(step.loss)));
    let every_step = Curve { is_faint: true, ..Curve::new("training, each step", steps.collect()) };
    let mut curves = vec![every_step, Curve::new("training, mean of the epoch", train_losses(run))];
    for metric in run.metrics().iter().filter(|metric| metric.name == LOSS) {
        curves.push(Curve::new(OF_WEIGHTS, points(run, metric, &metric.key())));
        curves.push(Curve::new(OF_AVERAGE, points(run, metric, &metric.averaged_key())));
    }
    Ok(figure("Loss", plot(EPOCHS, "loss", &curves)?))
}

/// The mean training loss of each epoch.
pub(super) fn train_losses(run: &RunData) -> Vec<(f64, f64)> {
    run.epochs.iter().map(|epoch| (epoch.epochs, epoch.train_loss)).collect()
}

/// The validation loss of each epoch that was measured; empty without one.
pub(super) fn validation_losses(run: &RunData) -> Vec<(f64, f64)> {
    let metrics = run.metrics();
    metrics
        .iter()
        .find(|metric| metric.name == LOSS)
        .map_or_else(Vec::new, |metric| points(run, metric, &metric.key()))
}

/// A plot for each metric that the run measured but the loss, with the curve of the moving average beside that of the
/// weights. `place` stands in the titles after the metrics.
pub(super) fn figures(run: &RunData, place: &str) -> Result<Markup, ReportError> {
    let mut plots = Vec::new();
    for metric in run.metrics().into_iter().filter(|metric| metric.name != LOSS) {
        let of = |name, key: &str| Curve::new(name, points(run, &metric, key));
        let curves = [of(OF_WEIGHTS, &metric.key()), of(OF_AVERAGE, &metric.averaged_key())];
        let title = format!("{}{place}", capitalised(metric.label()));
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

/// The values of metrics, each with its direction.
pub(super) fn table(metrics: &[Metric]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr { th scope="col" { "metric" } th scope="col" { "value" } th scope="col" { "better" } } }
            tbody {
                @for metric in metrics {
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
