//! The mean over the micro-batches of a step.

use crate::optimization::gradients::NamedGradients;
use crate::training::losses::LossValues;
use crate::training::observed::Observed;

/// Result of one micro-batch of a step.
#[derive(Debug, Clone)]
pub struct MicroBatch {
    /// The gradient of its loss.
    pub gradients: NamedGradients,
    /// The numbers of its loss.
    pub loss: LossValues,
    /// Its updates of running statistics and counters.
    pub observed: Vec<Observed>,
    /// Its images.
    pub images: usize,
}

/// Loss and image count of one step, over all its batches.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepOutput {
    /// Mean loss of the batches, before the step.
    pub loss: LossValues,
    /// Images of all batches.
    pub images: usize,
}

/// Adds up the micro-batches of a step in their order, whoever computed them: floating-point sums in another order
/// would have other bits, and a training must not depend on the number of machines.
#[derive(Debug, Default)]
pub struct Accumulation {
    sum: Option<MicroBatch>,
    count: usize,
}

impl Accumulation {
    /// Adds the next micro-batch of the step.
    pub fn add(&mut self, found: MicroBatch) {
        self.count += 1;
        match &mut self.sum {
            None => self.sum = Some(found),
            Some(sum) => {
                sum.gradients.add(found.gradients);
                sum.loss.add(&found.loss);
                sum.observed.extend(found.observed);
                sum.images += found.images;
            }
        }
    }

    /// Ends the step: the mean of the gradients, what the batches said, and what they observed, in their order. Without a
    /// micro-batch there is no gradient.
    pub fn finish(self) -> (NamedGradients, StepOutput, Vec<Observed>) {
        let Some(mut sum) = self.sum else { return Default::default() };
        if self.count > 1 {
            sum.loss.divide(self.count as f32);
            sum.gradients.scale(1.0 / self.count as f64);
        }
        (sum.gradients, StepOutput { loss: sum.loss, images: sum.images }, sum.observed)
    }
}
