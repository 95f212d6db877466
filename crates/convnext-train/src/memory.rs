//! Will a training fit into memory? Better asked before the first step than answered by the system.

mod activation_values;
mod decoder_values;

use burn::tensor::Device;
use convnext_core::{
    ConfigError, Cost, EncoderKind, FcmaeConfig, ImageSize, ModelConfig, PatchGrid, decoder_parameters,
    usable_kept_count,
};
use convnext_nn::{Activations, Precision, is_cpu};
use sysinfo::System;

use self::activation_values::{ActivationValues, BlockMemory};
use self::decoder_values::with_decoder;
use crate::error::TrainError;
use crate::recipe::finetune_recipe::FinetuneRecipe;
use crate::recipe::pretrain_recipe::PretrainRecipe;
use crate::recipe::training::TrainingRecipe;
use crate::words::bytes_in_words;

/// Bytes of a value.
const VALUE: u64 = 4;

/// Copies of a batch's images: in the loader's queue, on the device, cut into patches. This and the next constants are
/// fitted to measured peaks of pre-training; estimates lie up to a fifth above those, and within a third of those of
/// fine-tuning.
const IMAGE_COPIES: u64 = 3;

/// Copies of what the decoder predicts: the predictions and their gradient.
const PREDICTION_COPIES: u64 = 2;

/// Tenths of what the parameters take: weights, gradients and two moments; the rest is on its way, such as packed
/// weights and the gradients of parts of a batch.
const PARAMETER_TENTHS: u64 = 47;

/// The largest batch that is looked for: that of the paper's pre-training (Table 8).
const MAX_BATCH: usize = 4096;

/// Memory of the program before it has read an image, with what its allocator keeps at hand, in bytes.
const PROGRAM: u64 = 150 << 20;

/// An estimate of the memory that a training needs.
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
        // A dense encoder computes everywhere.
        let share = match config.encoder_kind {
            EncoderKind::Sparse => kept as f64 / grid.patches() as f64,
            EncoderKind::MaskedDense | EncoderKind::Leaky | EncoderKind::Tokens => 1.0,
        };
        let (batch, patches) = (recipe.training.batch_size as u64, grid.patches() as u64);
        let of_encoder = BlockMemory::of(config.encoder.response_norm, memory, precision);
        let of_decoder = BlockMemory::of(config.decoder.response_norm, memory, precision);
        let need = ActivationValues::of_encoder(&config.encoder, size, batch, share, of_encoder)?;
        let need = with_decoder(need, config, [batch, patches], of_decoder);
        let predictions = PREDICTION_COPIES * batch * patches * config.values_per_patch() as u64;
        let decoder = decoder_parameters(config);
        Self::sum(&config.encoder, size, decoder, need.values() + predictions, &recipe.training)
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
        let parameters = Cost::of(encoder, size.height, size.width)?.parameters + more_parameters;
        // The gradients of a step of several batches, and the average, are as large as the parameters.
        let more = u64::from(training.accumulate > 1) + u64::from(training.ema.is_some());
        let of_parameters = (PARAMETER_TENTHS + 10 * more) * parameters / 10;
        let images = (training.batch_size * encoder.input_channels * size.pixels()) as u64 * IMAGE_COPIES;
        Ok(Self { bytes: PROGRAM + VALUE * (of_parameters + activations + images) })
    }

    /// The largest batch of a training whose need fits into the memory that is free, and at most 4,096 images.
    /// `need` tells that of a batch.
    ///
    /// # Errors
    /// [`TrainError::UnknownMemory`] on other devices than the CPU, [`TrainError::Memory`] when not even one image
    /// fits, and what `need` fails with.
    pub fn largest_batch(
        device: &Device,
        need: impl Fn(usize) -> Result<Self, ConfigError>,
    ) -> Result<usize, TrainError> {
        let available = available_memory().filter(|_| is_cpu(device)).ok_or(TrainError::UnknownMemory)?;
        let found = largest(available, &need)?;
        if found == 0 {
            let needed = bytes_in_words(need(1)?.bytes);
            return Err(TrainError::Memory { needed, available: bytes_in_words(available) });
        }
        log::info!("batches of {found} images fit into {} of memory", bytes_in_words(available));
        Ok(found)
    }

    /// Compares the need with the memory that is free; warns when it is close. Other devices than the CPU
    /// have memory of their own, and are not asked.
    ///
    /// # Errors
    /// [`TrainError::Memory`] when there is much less.
    pub fn check(self, device: &Device) -> Result<(), TrainError> {
        let Some(available) = available_memory().filter(|_| is_cpu(device)) else { return Ok(()) };
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
    pub(crate) fn beside_available(self, device: &Device) -> String {
        let available = available_memory().filter(|_| is_cpu(device));
        let available = available.map(|bytes| format!(" ({} available)", bytes_in_words(bytes)));
        format!("needs about {} of memory{}", bytes_in_words(self.bytes), available.unwrap_or_default())
    }
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
mod tests {
    use convnext_core::{ResponseNorm, find_model};

    use super::*;

    fn pretraining(model: &str, settings: &[&str], memory: Activations, precision: Precision) -> u64 {
        let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
        let recipe = PretrainRecipe::load("plain", &settings).unwrap();
        let config = FcmaeConfig::new(find_model(model).unwrap().config());
        MemoryEstimate::of_pretraining(&config, &recipe, memory, precision).unwrap().bytes
    }

    /// Peaks of `pretrain` that were measured with two threads, in MiB: model, batch, peak.
    #[test]
    fn estimates_lie_a_little_above_measured_peaks() {
        use Activations::{Recompute, Save, SaveBf16};
        use Precision::{Bf16, F32};
        for (memory, precision, peaks) in [
            (Save, F32, &[("atto", 4, 307), ("atto", 64, 919), ("tiny", 16, 1137), ("base", 2, 1889)][..]),
            (SaveBf16, F32, &[("atto", 64, 785), ("tiny", 16, 1029), ("base", 2, 1853)]),
            (Recompute, F32, &[("atto", 64, 633), ("tiny", 16, 917), ("base", 2, 1779)]),
            (Save, Bf16, &[("atto", 64, 737), ("tiny", 16, 960), ("base", 2, 1807), ("huge", 4, 11_366)]),
            (Recompute, Bf16, &[("atto", 64, 609), ("tiny", 16, 873), ("base", 2, 1755)]),
        ] {
            for &(model, batch, peak) in peaks {
                let batch = format!("training.batch_size={batch}");
                let found = pretraining(model, &[&batch], memory, precision) >> 20;
                assert!(
                    (peak..=peak * 6 / 5).contains(&found),
                    "{model}, {batch}, {memory:?}, {precision:?}: {found} MiB, not {peak}"
                );
            }
        }
    }

    /// peaks as above with alternatives to GRN: norm, model, batch, peak.
    #[test]
    fn estimates_know_what_blocks_without_kernels_need() {
        use ResponseNorm::{Bn, Cbam, GrnL1, Se};
        for (norm, model, batch, peak) in [
            (GrnL1, "atto", 16, 449),
            (GrnL1, "atto", 64, 1105),
            (Cbam, "atto", 16, 483),
            (Se, "tiny", 8, 1011),
            (Bn, "atto", 16, 821),
            (Bn, "atto", 64, 2859),
            (Bn, "tiny", 8, 1561),
        ] {
            let recipe = PretrainRecipe::load("plain", &[format!("training.batch_size={batch}")]).unwrap();
            let backbone = find_model(model).unwrap().config();
            let config = FcmaeConfig::new(ModelConfig { response_norm: Some(norm), ..backbone });
            let need = MemoryEstimate::of_pretraining(&config, &recipe, Activations::Save, Precision::F32);
            let found = need.unwrap().bytes >> 20;
            assert!(
                (peak..=peak * 6 / 5).contains(&found),
                "{norm:?}, {model}, {batch}: {found} MiB, not {peak}"
            );
        }
    }

    #[test]
    fn averages_accumulation_and_images_cost_memory() {
        let need = |settings: &[&str]| pretraining("nano", settings, Activations::Save, Precision::F32);
        let plain = need(&[]);
        for setting in
            ["training.ema=0.9", "training.accumulate=2", "training.batch_size=65", "input.image_size=256"]
        {
            assert!(need(&[setting]) > plain, "{setting}");
        }
    }

    #[test]
    fn the_largest_batch_is_the_last_one_that_fits() {
        let need = |batch: usize| Ok(MemoryEstimate { bytes: 1000 + 10 * batch as u64 });
        for (bytes, expected) in [(999, 0), (1009, 0), (1010, 1), (1019, 1), (2000, 100), (1 << 40, 4096)] {
            assert_eq!(largest(bytes, need).unwrap(), expected, "{bytes} bytes");
        }
        let device = Device::flex();
        assert_eq!(
            MemoryEstimate::largest_batch(&device, |_| Ok(MemoryEstimate { bytes: 1 })).unwrap(),
            MAX_BATCH
        );
        let error =
            MemoryEstimate::largest_batch(&device, |_| Ok(MemoryEstimate { bytes: 1 << 50 })).unwrap_err();
        assert!(matches!(error, TrainError::Memory { .. }), "{error}");
    }

    #[test]
    fn what_does_not_fit_is_refused_in_words() {
        let device = Device::flex();
        let message = MemoryEstimate { bytes: 1 << 50 }.check(&device).unwrap_err().to_string();
        assert!(message.contains("1048576.0 GiB") && message.contains("--batch-size"), "{message}");
        MemoryEstimate { bytes: 1 }.check(&device).unwrap();
    }
}
