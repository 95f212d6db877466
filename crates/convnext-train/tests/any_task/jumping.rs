//! A task whose weights can be measured, and which breaks where a test wants it.

use std::cell::Cell;
use std::path::Path;

use burn::prelude::*;
use convnext_core::WeightMetadata;
use convnext_nn::tensor_values;
use convnext_train::{BatchOf, Direction, Loss, Metric, MonitoredMetric, Task, TrainError, ValidationResult};

use crate::toy::{Agreement, Toy, TwoViews};

/// Where a training breaks, as a process does that is killed: without another checkpoint.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Breaks {
    Never,
    /// In the loss of this step.
    InStep(usize),
    /// In this validation, of those of the average as well.
    InValidation(usize),
}

/// [`Agreement`] with a metric that jumps up and down, so that any step may be the best one.
pub(super) struct Jumping {
    agreement: Agreement,
    validation_images: usize,
    breaks: Breaks,
    /// Factor on the loss of a step, by its number from 1.
    factor: fn(usize) -> f64,
    goal: MonitoredMetric,
    pub(super) step: Cell<usize>,
    pub(super) validations: Cell<usize>,
}

impl Jumping {
    pub(super) fn new(breaks: Breaks) -> Self {
        let agreement = Agreement::new(Device::flex().autodiff());
        let (step, validations) = (Cell::new(0), Cell::new(0));
        let goal = MonitoredMetric::Named("height");
        Self { agreement, validation_images: 0, breaks, factor: |_| 1.0, goal, step, validations }
    }

    /// The same with so many images to measure on.
    pub(super) fn validated_on(self, validation_images: usize) -> Self {
        Self { validation_images, ..self }
    }

    /// The same with a loss that rises from step to step.
    pub(super) fn rising(self) -> Self {
        Self { factor: |step| step as f64, ..self }
    }

    /// The same with a loss that falls from step to step, and by which the best weights are told.
    pub(super) fn compared_by_a_falling_loss(self) -> Self {
        Self { factor: |step| 0.01_f64.powi(step as i32), goal: MonitoredMetric::TrainLoss, ..self }
    }

    fn check(&self, breaks: Breaks) -> Result<(), TrainError> {
        if self.breaks == breaks { Err(TrainError::NoRun("killed".into())) } else { Ok(()) }
    }
}

impl Task for Jumping {
    type Model = Toy;
    type Source = TwoViews;

    fn loss(&self, model: &Toy, batch: BatchOf<Self>) -> Result<Loss, TrainError> {
        self.check(Breaks::InStep(self.step.get()))?;
        let loss = self.agreement.loss(model, batch)?;
        Ok(Loss { total: loss.total * (self.factor)(self.step.get()), ..loss })
    }

    fn before_step(&self, model: Toy, step: usize, total_steps: usize) -> Toy {
        self.step.set(step + 1);
        self.agreement.before_step(model, step, total_steps)
    }

    fn metadata(&self) -> &WeightMetadata {
        self.agreement.metadata()
    }

    fn validation_images(&self) -> usize {
        self.validation_images
    }

    fn validate(&self, model: &Toy, _image_folder: Option<&Path>) -> Result<ValidationResult, TrainError> {
        self.validations.set(self.validations.get() + 1);
        self.check(Breaks::InValidation(self.validations.get()))?;
        let height = Some(height(&tensor_values(model.weight.val().reshape([12]))));
        Ok(ValidationResult::new(
            "jumping",
            vec![Metric::new("height", height, Direction::HigherIsBetter)],
            &(),
        ))
    }

    fn monitored_metric(&self) -> MonitoredMetric {
        self.goal
    }
}

/// Of a layer's weights.
pub(super) fn height(weight: &[f32]) -> f64 {
    (f64::from(weight.iter().sum::<f32>()) * 1e4).sin()
}
