//! Will a training fit into memory? Better asked before the first step than answered by the system.

mod activation_values;
mod decoder_values;

use convnext_core::{
    ConfigError, Cost, FcmaeConfig, ImageSize, ModelConfig, PatchGrid, decoder_parameters, usable_kept_count,
};
use convnext_nn::{Activations, Precision};
use sysinfo::System;

use self::activation_values::{ActivationValues, BlockMemory, product};
use self::decoder_values::with_decoder;
use crate::error::TrainError;
use crate::recipe::finetune_recipe::FinetuneRecipe;
use crate::recipe::pretrain_recipe::PretrainRecipe;
use crate::recipe::training::TrainingRecipe;
use crate::words::bytes_in_words;

/// Bytes of a value.
const VALUE: u64 = 4;

/// Copies of a batch's images: in the loader's queue, on the device, cut into patches. This and the next constants are
/// fitted to measured peaks of pre-training, with every kind of decoder; estimates lie up to a fifth above those, and within a
/// third of those of fine-tuning.
const IMAGE_COPIES: u64 = 3;

/// Copies of what the decoder predicts: the predictions and their gradient.
const PREDICTION_COPIES: u64 = 2;

/// Tenths of what the parameters take: weights, gradients and two moments; the rest is on its way, such as packed
/// weights and the gradients of parts of a batch.
const PARAMETER_TENTHS: u64 = 47;

/// Copies of the weights of an encoder that learns nothing: as they stay the same, its kernels keep them packed beside.
const FROZEN_COPIES: u64 = 2;

/// The largest batch that is looked for: that of the paper's pre-training (Table 8).
const MAX_BATCH: usize = 4096;

/// Memory of the program before it has read an image, with what its allocator keeps at hand, in bytes.
const PROGRAM: u64 = 150 << 20;

/// An estimate of the memory that a training needs on up to about 32 threads. Each further thread adds buffers of its own, about
/// 3.5 MiB, that are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// In bytes.
    pub bytes: u64,
}

/// Parts of a network around its backbone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BesideBackbone {
    /// Their parameters.
    pub parameters: u64,
    /// Values that they hold in a step, for a whole batch: what the backward pass needs, and the largest work in progress.
    pub values: u64,
}

impl MemoryEstimate {
    /// The need of a pre-training: a sparse encoder sees the kept sites, the decoder one site a patch, a UNet pixels too.
    ///
    /// # Errors
    /// [`ConfigError`] when images or mask ratio do not fit the model.
    pub fn of_pretraining(
        config: &FcmaeConfig,
        recipe: &PretrainRecipe,
        memory: Activations,
        precision: Precision,
    ) -> Result<Self, ConfigError> {
        let size = recipe.input.image_size;
        let grid = PatchGrid::of_image(&config.encoder, size.height, size.width)?;
        let kept = usable_kept_count(grid.patches(), recipe.masking.ratio)?;
        let share = match config.encoder_kind.computes_everywhere() {
            true => 1.0,
            false => kept as f64 / grid.patches() as f64,
        };
        let (batch, patches) = (recipe.training.batch_size as u64, grid.patches() as u64);
        let of_encoder = BlockMemory::of_encoder(config, memory, precision);
        let of_decoder = BlockMemory::of(config.decoder.response_norm, memory, precision);
        let need = ActivationValues::of_encoder(&config.encoder, size, batch, share, of_encoder)?;
        let need = with_decoder(need, config, [batch, patches], of_decoder);
        let predictions = product(&[PREDICTION_COPIES, batch, patches, config.values_per_patch() as u64]);
        let values = need.values().saturating_add(predictions);
        Self::sum(&config.encoder, size, decoder_parameters(config), values, &recipe.training)
    }

    /// The need of a supervised training.
    ///
    /// # Errors
    /// [`ConfigError`] when images do not fit the model.
    pub fn of_finetuning(
        config: &ModelConfig,
        recipe: &FinetuneRecipe,
        memory: Activations,
        precision: Precision,
    ) -> Result<Self, ConfigError> {
        let nothing = BesideBackbone { parameters: 0, values: 0 };
        Self::of_network(config, recipe.input.image_size, &recipe.training, (memory, precision), nothing)
    }

    /// The need of a supervised training of norm and head alone: the encoder runs layer by layer, and nothing of it is kept but
    /// its weights, or learns.
    ///
    /// # Errors
    /// [`ConfigError`] when images do not fit the model.
    pub fn of_linear_probe(config: &ModelConfig, recipe: &FinetuneRecipe) -> Result<Self, ConfigError> {
        let (size, training) = (recipe.input.image_size, &recipe.training);
        let blocks = BlockMemory::of(config.response_norm, Activations::Recompute, Precision::F32);
        let need = ActivationValues::of_encoder(config, size, training.batch_size as u64, 1.0, blocks)?;
        let parameters =
            |config: &ModelConfig| Cost::of(config, size.height, size.width).map(|cost| cost.parameters);
        let encoder = parameters(&ModelConfig { classes: 0, ..config.clone() })?;
        let of_head = learning_values(parameters(config)?.saturating_sub(encoder), training);
        let of_parameters = product(&[FROZEN_COPIES, encoder]).saturating_add(of_head);
        Ok(Self::of_values([of_parameters, need.largest(), image_values(config, size, training)]))
    }

    /// The need of a training of a backbone and what is around it, for dense images.
    ///
    /// # Errors
    /// [`ConfigError`] when images do not fit the model.
    pub fn of_network(
        backbone: &ModelConfig,
        size: ImageSize,
        training: &TrainingRecipe,
        (memory, precision): (Activations, Precision),
        beside: BesideBackbone,
    ) -> Result<Self, ConfigError> {
        let blocks = BlockMemory::of(backbone.response_norm, memory, precision);
        let need = ActivationValues::of_encoder(backbone, size, training.batch_size as u64, 1.0, blocks)?;
        let values = need.values().saturating_add(beside.values);
        Self::sum(backbone, size, beside.parameters, values, training)
    }

    fn sum(
        encoder: &ModelConfig,
        size: ImageSize,
        more_parameters: u64,
        activations: u64,
        training: &TrainingRecipe,
    ) -> Result<Self, ConfigError> {
        let parameters =
            Cost::of(encoder, size.height, size.width)?.parameters.saturating_add(more_parameters);
        let of_parameters = learning_values(parameters, training);
        Ok(Self::of_values([of_parameters, activations, image_values(encoder, size, training)]))
    }

    fn of_values(values: [u64; 3]) -> Self {
        let values = values.into_iter().fold(0, u64::saturating_add);
        Self { bytes: values.saturating_mul(VALUE).saturating_add(PROGRAM) }
    }

    /// The largest batch of a training whose need fits into so many bytes of free memory, and at most 4,096 images. `need`
    /// tells that of a batch.
    ///
    /// # Errors
    /// [`TrainError::UnknownMemory`] without a number of bytes, [`TrainError::Memory`] when not even one image fits, and what
    /// `need` fails with.
    pub fn largest_batch(
        free: Option<u64>,
        need: impl Fn(usize) -> Result<Self, ConfigError>,
    ) -> Result<usize, TrainError> {
        let available = free.ok_or(TrainError::UnknownMemory)?;
        let found = largest(available, &need)?;
        if found == 0 {
            let needed = bytes_in_words(need(1)?.bytes);
            return Err(TrainError::Memory { needed, available: bytes_in_words(available) });
        }
        log::info!("batches of {found} images fit into {} of memory", bytes_in_words(available));
        Ok(found)
    }

    /// Compares the need with so many bytes of free memory, if they are known; warns when it is close.
    ///
    /// # Errors
    /// [`TrainError::Memory`] when there is much less.
    pub fn check(self, free: Option<u64>) -> Result<(), TrainError> {
        let Some(available) = free else { return Ok(()) };
        let (needed, available_words) = (bytes_in_words(self.bytes), bytes_in_words(available));
        if self.bytes <= available {
            return Ok(());
        }
        // An estimate that may be too high by a third is no reason to refuse what may fit.
        if self.bytes / 4 * 3 <= available {
            log::warn!("needs about {needed} of memory ({available_words} available): this may fail");
            return Ok(());
        }
        Err(TrainError::Memory { needed, available: available_words })
    }

    /// Such as `needs about 283 MiB of memory (21.4 GiB available)`.
    pub(crate) fn beside_available(self, free: Option<u64>) -> String {
        let available = free.map(|bytes| format!(" ({} available)", bytes_in_words(bytes)));
        format!("needs about {} of memory{}", bytes_in_words(self.bytes), available.unwrap_or_default())
    }
}

/// Values of parameters that learn, and of all that is held for each of them.
fn learning_values(parameters: u64, training: &TrainingRecipe) -> u64 {
    // The gradients of a step of several batches, and the average, are as large as the parameters.
    let more = u64::from(training.accumulate > 1) + u64::from(training.ema.is_some());
    parameters.saturating_mul(PARAMETER_TENTHS + 10 * more) / 10
}

/// Values of the images of a batch, in all their copies.
fn image_values(encoder: &ModelConfig, size: ImageSize, training: &TrainingRecipe) -> u64 {
    let [batch, channels, pixels] =
        [training.batch_size, encoder.input_channels, size.pixels()].map(|count| count as u64);
    product(&[IMAGE_COPIES, batch, channels, pixels])
}

/// The largest batch whose need fits into so many bytes; the need grows with the batch.
fn largest(
    bytes: u64,
    need: impl Fn(usize) -> Result<MemoryEstimate, ConfigError>,
) -> Result<usize, ConfigError> {
    let (mut fits, mut too_large) = (0, MAX_BATCH + 1);
    while too_large - fits > 1 {
        let middle = fits.midpoint(too_large);
        if need(middle)?.bytes <= bytes { fits = middle } else { too_large = middle }
    }
    Ok(fits)
}

/// Bytes of memory that this process may still take; `None` where the system does not tell.
pub fn available_memory() -> Option<u64> {
    let mut system = System::new();
    system.refresh_memory();
    // A container may be allowed less than the machine has. What files take of it is given back.
    let allowed =
        system.cgroup_limits().map_or(u64::MAX, |limits| limits.total_memory.saturating_sub(limits.rss));
    Some(system.available_memory().min(allowed)).filter(|&bytes| bytes > 0)
}

#[cfg(test)]
mod tests;
