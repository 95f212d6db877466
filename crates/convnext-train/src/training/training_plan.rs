//! The plan of a training, without the training.

use std::fmt;

use crate::training::run_length::RunLength;
use crate::training::step_timing::StepTiming;
use crate::words::duration_in_words;

/// Plan of a training: what would be done, on what, and for how long. Nothing was written.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingPlan {
    /// Plan in lines, with reasons: model, images, length, schedule, memory, reasons of the recipe.
    pub announcement: String,
    /// Length in steps and epochs.
    pub length: RunLength,
    /// Times of a few steps that were made and thrown away.
    pub timing: StepTiming,
}

impl TrainingPlan {
    /// Estimated seconds of the training, with validations, checkpoints and weights.
    pub fn seconds(&self) -> f64 {
        self.timing.seconds_of(self.length.steps)
    }
}

impl fmt::Display for TrainingPlan {
    /// The announcement, and a line such as `  about 19m: 480 steps at 2.4 s (13.3 img/s), 3 validations of 12 s each`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (duration, steps) = (duration_in_words(self.seconds()), self.timing.of_steps(self.length.steps));
        write!(formatter, "{}\n  about {duration}: {steps}", self.announcement)
    }
}
