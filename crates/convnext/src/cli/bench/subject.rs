//! A step that the bench times, and the parts that the steps of all modes are made of.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use convnext::core::ModelConfig;
use convnext::data::ImageBatch;
use convnext::distributed::Ranks;
use convnext::nn::Precision;
use convnext::train::{Learner, ParameterRules, TrainError, TrainingRecipe};

use super::arguments::BenchArguments;

/// So small that nothing diverges, however many steps are timed.
pub(super) const LEARNING_RATE: f64 = 1e-6;

/// Of what is timed, a backward pass costs twice as much as the forward pass.
pub(super) const FORWARD_AND_BACKWARD: f64 = 3.0;

/// One step of what is timed.
pub(super) type Step = Box<dyn FnMut() -> anyhow::Result<()>>;

/// A step, and its multiply-adds for each image.
pub(super) struct Subject {
    /// Does it once.
    pub(super) step: Step,
    /// Of all that the step does; unknown where that depends on what is found.
    pub(super) macs: Option<f64>,
}

/// Parts of the steps of all modes.
pub(super) struct Parts<'a> {
    pub(super) arguments: &'a BenchArguments,
    pub(super) backbone: ModelConfig,
    pub(super) recipe: TrainingRecipe,
    /// The batch, without its images.
    pub(super) batch: ImageBatch,
    /// Its images, `[N, 3, H, W]`.
    pub(super) images: Tensor<4>,
    /// Device that tracks no gradients.
    pub(super) device: &'a Device,
    pub(super) precision: Precision,
    /// The ranks that share a step, of which each brings one batch.
    pub(super) ranks: Ranks,
}

impl Parts<'_> {
    /// A model in training, whose steps all ranks share.
    pub(super) fn learner<M: Module>(&self, model: M) -> Result<Learner<M>, TrainError> {
        let learner = Learner::new(model, &self.recipe, ParameterRules::of_recipe(&self.recipe));
        learner.shared_by(self.ranks.clone(), self.ranks.size(), self.arguments.sum.into())
    }
}
