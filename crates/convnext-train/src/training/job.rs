//! Interface of a job: a training task and its data.

use burn::tensor::Device;
use convnext_core::{ConfigError, DecoderConfig, ImageSize, ModelConfig, Preprocessing, WeightMetadata};
use convnext_data::Dataset;
use serde::Serialize;

use crate::error::TrainError;
use crate::memory::MemoryEstimate;
use crate::optimization::parameter_rules::ParameterRules;
use crate::recipe::training::TrainingRecipe;
use crate::run::run_settings::RunSettings;
use crate::training::task::Task;

/// A training task and its data. [`crate::run_training`] asks for one thing after the other and does the rest.
///
/// What it serialises to stands in `config.toml`, and must not change when the run goes on.
pub trait Job: Clone + Serialize {
    /// The task to train.
    type Task: Task;

    /// Settings of the run: its inputs and outputs.
    fn settings(&self) -> &RunSettings;

    /// Optimiser and schedule.
    fn training(&self) -> &TrainingRecipe;

    /// Optimiser and schedule, to be set to what is really done: a smaller batch, another length.
    fn training_mut(&mut self) -> &mut TrainingRecipe;

    /// Why the recipe is as it is, line by line.
    fn reasons(&self) -> &[String];

    /// The images that are learned from.
    fn images(&self) -> &Dataset;

    /// The images that are measured on; `None` or an empty set measures on none.
    fn validation(&self) -> Option<&Dataset> {
        None
    }

    /// Size of the images that the model is trained on, and their channels.
    fn input(&self) -> (ImageSize, usize);

    /// The backbone, whose blocks may have something else in the place of GRN than weights to start from: that starts fresh
    /// then. `None` takes weights as they are.
    fn backbone(&self) -> Option<&ModelConfig> {
        None
    }

    /// The decoder of an autoencoder, whose blocks are compared with those of weights as the backbone's are.
    fn decoder(&self) -> Option<&DecoderConfig> {
        None
    }

    /// `true` if the blocks of the backbone learn nothing.
    fn freezes_encoder(&self) -> bool {
        false
    }

    /// `true` if the head of weights to start from, which say this about themselves, goes on learning; else
    /// it starts fresh.
    fn keeps_head(&self, _of_weights: &WeightMetadata) -> bool {
        false
    }

    /// Prefixes of the names of the head's tensors.
    fn head_parts(&self) -> &[&str] {
        &["head."]
    }

    /// Names, or their beginnings, of the parts of the model that may start fresh where weights to start from do not
    /// have them. The head, and what an autoencoder has besides its encoder, always may.
    fn fresh_parts(&self) -> &[&str] {
        &[]
    }

    /// Checks what can be checked without work.
    ///
    /// # Errors
    /// Any [`TrainError`] about settings that do not fit each other.
    fn check(&self) -> Result<(), TrainError>;

    /// The memory that a step needs.
    ///
    /// # Errors
    /// [`ConfigError`] when the model cannot be.
    fn memory(&self) -> Result<MemoryEstimate, ConfigError>;

    /// Preprocessing of images in evaluation, from what a training on images of its size would store: the
    /// weights and the run say so.
    fn preprocessing(&self, found: Preprocessing) -> Preprocessing {
        found
    }

    /// The source that reads the images.
    ///
    /// # Errors
    /// [`TrainError::Data`] for a setting that makes no sense.
    fn source(&self, preprocessing: &Preprocessing) -> Result<SourceOf<Self>, TrainError>;

    /// A fresh model on a device that tracks gradients.
    ///
    /// # Errors
    /// [`TrainError`] when it cannot be made.
    fn model(&self, device: &Device) -> Result<ModelOf<Self>, TrainError>;

    /// Rule of each parameter: its learning rate scale, weight decay, and whether it is frozen.
    fn rules(&self) -> ParameterRules {
        ParameterRules::of_recipe(self.training())
    }

    /// The task; `device` tracks no gradients.
    ///
    /// # Errors
    /// [`TrainError`] when the images to measure on cannot be used.
    fn task(&self, preprocessing: Preprocessing, device: &Device) -> Result<Self::Task, TrainError>;

    /// One line to show before the first step; `steps` says how many there are.
    fn announcement(&self, steps: &str) -> String;
}

/// Data source of a job's task.
pub type SourceOf<J> = <<J as Job>::Task as Task>::Source;

/// Model that a job trains.
pub type ModelOf<J> = <<J as Job>::Task as Task>::Model;
