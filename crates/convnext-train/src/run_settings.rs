//! What every training run needs to know, whatever it learns.

use std::path::PathBuf;

use convnext_core::{ModelConfig, Seed};
use convnext_data::{Dataset, Loader, LoaderConfig, OnCorrupt, Orientation, Transform};
use convnext_nn::ModelError;
use serde::Serialize;

use crate::{LayerDecay, Length, Schedule, TrainError, TrainingRecipe};

/// Channels of every picture that is read.
const COLOURS: usize = 3;

/// Batches that are made ahead.
const QUEUE: usize = 4;

/// Where a run reads and writes, and what its chances and its machine are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunSettings {
    /// Folder or archive of images.
    pub data: PathBuf,
    /// Output folder, new or empty.
    pub out: PathBuf,
    /// Weights to start from; `None` starts from fresh ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
    /// Seed of every random choice.
    pub seed: Seed,
    /// Whether the EXIF orientation of pictures counts.
    pub orientation: Orientation,
    /// Threads that read images.
    #[serde(skip)]
    pub threads: usize,
    /// How long, if not as the recipe says.
    #[serde(skip)]
    pub length: Option<Length>,
}

/// Images and schedule of a run, ready to go.
#[derive(Debug)]
pub struct Lesson {
    /// Shuffled whole batches; corrupt files are replaced.
    pub loader: Loader,
    /// The learning rate of every step.
    pub schedule: Schedule,
    /// How much more slowly early layers learn.
    pub layer_decay: Option<LayerDecay>,
}

impl RunSettings {
    /// Makes the batches of a training and its schedule. `recipe` becomes what is really done: its batch
    /// is no larger than the data, its epochs are those of [`Self::length`].
    ///
    /// # Errors
    /// [`TrainError::Data`] when batches cannot be made, [`TrainError::Model`] when `model` does not take
    /// colour pictures.
    pub(crate) fn prepare(
        &self,
        dataset: Dataset,
        transform: Transform,
        model: &ModelConfig,
        recipe: &mut TrainingRecipe,
    ) -> Result<Lesson, TrainError> {
        if model.input_channels != COLOURS {
            return Err(ModelError::Channels { expected: model.input_channels, found: COLOURS }.into());
        }
        recipe.batch_size = recipe.batch_size.min(dataset.len());
        let config = LoaderConfig {
            batch_size: recipe.batch_size,
            threads: self.threads,
            queue: QUEUE,
            shuffle: true,
            drop_last: true,
            orientation: self.orientation,
            on_corrupt: OnCorrupt::Replace,
            seed: self.seed,
        };
        let loader = Loader::new(dataset, transform, config)?;
        let batches = loader.batches_per_epoch();
        if recipe.accumulate == 0 || recipe.accumulate > batches {
            return Err(TrainError::Accumulate { accumulate: recipe.accumulate, batches });
        }
        let steps_per_epoch = batches / recipe.accumulate;
        *recipe = recipe.rescaled(steps_per_epoch, self.length);
        Ok(Lesson { loader, schedule: recipe.schedule(steps_per_epoch), layer_decay: None })
    }
}
