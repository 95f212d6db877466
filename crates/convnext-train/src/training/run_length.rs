//! Length of a run in every unit that is shown.

use std::fmt;

use convnext_core::counted;

/// Length of a run: epochs, steps, and the images of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunLength {
    /// Optimiser steps of the whole run.
    pub steps: usize,
    /// Steps of an epoch.
    pub steps_per_epoch: usize,
    /// Batch size: images of a forward and backward pass.
    pub batch_size: usize,
    /// Gradient accumulation: batches of a step.
    pub accumulate: usize,
}

impl RunLength {
    /// Epochs of the whole run, perhaps with a fraction.
    pub fn epochs(&self) -> f64 {
        self.steps as f64 / self.steps_per_epoch as f64
    }
}

impl fmt::Display for RunLength {
    /// Such as `3 epochs, 18 steps of 8 images (batch size 4, gradient accumulation 2), 6 steps an epoch`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { steps, steps_per_epoch, batch_size, accumulate } = *self;
        let epochs = (10.0 * self.epochs()).round() / 10.0;
        let plural = if epochs == 1.0 { "" } else { "s" };
        let (steps, images) =
            (counted(steps, "step", "steps"), counted(batch_size * accumulate, "image", "images"));
        write!(formatter, "{epochs} epoch{plural}, {steps} of {images}")?;
        if accumulate > 1 {
            write!(formatter, " (batch size {batch_size}, gradient accumulation {accumulate})")?;
        }
        write!(formatter, ", {} an epoch", counted(steps_per_epoch, "step", "steps"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_says_every_unit() {
        let length = RunLength { steps: 18, steps_per_epoch: 6, batch_size: 4, accumulate: 2 };
        let words =
            "3 epochs, 18 steps of 8 images (batch size 4, gradient accumulation 2), 6 steps an epoch";
        assert_eq!(length.to_string(), words);
        let short = RunLength { steps: 1, steps_per_epoch: 7, batch_size: 1, accumulate: 1 };
        assert_eq!(short.to_string(), "0.1 epochs, 1 step of 1 image, 7 steps an epoch");
    }
}
