//! Curves of the parts of the training loss, for tasks whose loss is a sum.

use std::collections::BTreeSet;

use convnext_train::StepReport;
use maud::Markup;

use super::curves::{Curve, Scale, plot_scaled};
use super::error::ReportError;
use super::metrics::EPOCHS;
use super::run_data::RunData;
use super::whole_page::figure;

/// Points of a curve: of more, the noise of single batches would hide the other curves.
const POINTS: usize = 50;

/// The parts by their names in `metrics.jsonl`; nothing where the loss is one thing. The axis is logarithmic, for parts may
/// differ by orders of magnitude.
pub(super) fn section(run: &RunData) -> Result<Markup, ReportError> {
    let names: BTreeSet<&str> =
        run.steps.iter().flat_map(|step| step.parts.keys()).map(String::as_str).collect();
    let (label, scale) = run.epochs_per_step().map_or(("steps", 1.0), |share| (EPOCHS, share));
    let curves: Vec<Curve> = names.into_iter().map(|name| means(run, name, scale)).collect();
    Ok(figure(
        "Parts of the training loss",
        plot_scaled([label, "loss, logarithmic"], &curves, Scale::Logarithmic)?,
    ))
}

/// Means of a part over stretches of equal length.
fn means(run: &RunData, name: &str, scale: f64) -> Curve {
    let stretch = run.steps.len().div_ceil(POINTS).max(1);
    let mean = |steps: &[StepReport]| {
        let mean = |sum: f64| sum / steps.len() as f64;
        let of_step = |step: &StepReport| step.parts.get(name).copied().map_or(0.0, f64::from);
        let place = scale * mean(steps.iter().map(|step| step.step as f64).sum());
        (place, mean(steps.iter().map(of_step).sum()))
    };
    Curve::new(name, run.steps.chunks(stretch).map(mean).collect())
}
