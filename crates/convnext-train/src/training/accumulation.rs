//! The mean over the micro-batches of a step.

use crate::error::TrainError;
use crate::optimization::gradients::NamedGradients;
use crate::training::losses::LossValues;
use crate::training::observed::Observed;

/// Result of one micro-batch of a step.
#[derive(Debug, Clone)]
pub(crate) struct MicroBatch {
    /// The gradient of its loss.
    pub(crate) gradients: NamedGradients,
    pub(crate) report: MicroBatchReport,
}

/// What a micro-batch says besides its gradient.
#[derive(Debug, Clone, Default)]
pub(crate) struct MicroBatchReport {
    /// The numbers of its loss.
    pub(crate) loss: LossValues,
    /// Its updates of running statistics and counters.
    pub(crate) observed: Vec<Observed>,
    /// Its images.
    pub(crate) images: usize,
}

/// Loss and image count of one step, over all its batches.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepOutput {
    /// Mean loss of the batches, before the step.
    pub loss: LossValues,
    /// Images of all batches.
    pub images: usize,
}

/// The micro-batches of a step together.
#[derive(Debug, Default)]
pub(crate) struct Accumulated {
    /// The mean of their gradients; empty without a micro-batch.
    pub(crate) gradients: NamedGradients,
    pub(crate) output: StepOutput,
    /// What they observed, in their order.
    pub(crate) observed: Vec<Observed>,
}

/// Adds up micro-batches in their order: floating-point sums in another order would have other bits.
///
/// # Errors
/// That of the first micro-batch that has one.
pub(crate) fn accumulate(
    micro_batches: impl Iterator<Item = Result<MicroBatch, TrainError>>,
) -> Result<Accumulated, TrainError> {
    let (mut sum, mut reports) = (None::<NamedGradients>, Vec::new());
    for found in micro_batches {
        let MicroBatch { gradients, report } = found?;
        match &mut sum {
            None => sum = Some(gradients),
            Some(sum) => sum.add(gradients),
        }
        reports.push(report);
    }
    Ok(Accumulated::of(sum.unwrap_or_default(), reports))
}

impl Accumulated {
    /// The mean of gradients from their sum, and of losses from the reports in the order of the micro-batches.
    pub(crate) fn of(mut gradients: NamedGradients, reports: Vec<MicroBatchReport>) -> Self {
        let count = reports.len();
        let mut reports = reports.into_iter();
        let Some(MicroBatchReport { mut loss, mut observed, mut images }) = reports.next() else {
            return Self::default();
        };
        for report in reports {
            loss.add(&report.loss);
            observed.extend(report.observed);
            images += report.images;
        }
        if count > 1 {
            loss.divide(count as f32);
            gradients.scale(1.0 / count as f64);
        }
        Self { gradients, output: StepOutput { loss, images }, observed }
    }
}
