//! Checks of the blocks of a model before its training, and what is told of them.

use burn::tensor::Device;
use convnext_core::{EncoderKind, ModelConfig, ResponseNorm};
use convnext_nn::{Activations, has_kernels, is_cpu};

use crate::block_change::BlockChanges;
use crate::error::TrainError;

/// What blocks without kernels save.
const INPUT_ALONE: &str = "their input alone for the backward pass, and compute the rest again";

/// What blocks save that are operations of the whole model's graph.
const EVERY_VALUE: &str =
    "every value between their operations for the backward pass, several times as much as others";

/// Checks that a batch norm in the place of GRN, whose variance is that of a batch, has two values of each channel at least:
/// `images` of a batch, with so many sites each in the last stage.
///
/// # Errors
/// [`TrainError::BatchNorm`] when it has fewer.
pub fn check_batch_norm(model: &ModelConfig, images: usize, sites: usize) -> Result<(), TrainError> {
    let has_batch_norm = model.response_norm == Some(ResponseNorm::Bn);
    match has_batch_norm && images.saturating_mul(sites) < 2 {
        true => Err(TrainError::BatchNorm),
        false => Ok(()),
    }
}

/// Refuses a choice of activations for blocks that have none, and fresh parameters in blocks that learn nothing.
///
/// # Errors
/// [`TrainError::FixedActivations`], and where the blocks are frozen [`TrainError::FrozenActivations`] and
/// [`TrainError::FrozenBlocks`].
pub(crate) fn check_blocks(
    model: &ModelConfig,
    activations: Activations,
    is_frozen: bool,
    changes: Option<BlockChanges>,
) -> Result<(), TrainError> {
    if activations != Activations::Save {
        if is_frozen {
            return Err(TrainError::FrozenActivations);
        }
        if let Some(norm) = without_kernels(model) {
            let blocks = format!("blocks with {}", norm.in_words());
            return Err(TrainError::FixedActivations { blocks, saved: saved_in_words(norm) });
        }
    }
    let changes = changes.filter(|_| is_frozen);
    let additions = changes.map(BlockChanges::additions_in_words).unwrap_or_default();
    match additions.is_empty() {
        true => Ok(()),
        false => Err(TrainError::FrozenBlocks { additions: additions.join(", and ") }),
    }
}

/// Refuses a choice of activations for an encoder that has none.
///
/// # Errors
/// [`TrainError::FixedActivations`].
pub(crate) fn check_encoder(kind: EncoderKind, activations: Activations) -> Result<(), TrainError> {
    match kind == EncoderKind::MaskedDense && activations != Activations::Save {
        true => Err(TrainError::FixedActivations {
            blocks: "the blocks of a masked dense encoder".into(),
            saved: EVERY_VALUE,
        }),
        false => Ok(()),
    }
}

/// What is told of the blocks of a model before its training: where they differ from those of its size and from those of the
/// weights that it starts from, and how they are computed. Frozen blocks save nothing.
pub(crate) fn blocks_in_words(
    model: &ModelConfig,
    is_frozen: bool,
    changes: Option<BlockChanges>,
    device: &Device,
) -> Vec<String> {
    let special = model.block_differences().map(|_| format!("the model is {model}"));
    let mut lines: Vec<String> = special.into_iter().collect();
    lines.extend(changes.map(BlockChanges::in_words).unwrap_or_default());
    let Some(norm) = without_kernels(model) else { return lines };
    let name = norm.in_words();
    // Other devices have no kernels for any block.
    if is_cpu(device) {
        lines.push(format!("blocks with {name} run without kernels: slower, and in f32"));
    }
    if !is_frozen {
        lines.push(format!("blocks with {name} save {}", saved_in_words(norm)));
    }
    lines
}

/// Warns of a choice of activations on a device that has none. It is no error: a run that began on the CPU may go on elsewhere, and
/// one with `save-bf16`, which is recorded, must be given it again.
pub(crate) fn warn_of_activations(activations: Activations, device: &Device) {
    if let Some(words) = without_effect(activations, is_cpu(device)) {
        log::warn!("{words}");
    }
}

/// A choice of activations that has no effect, in words.
fn without_effect(activations: Activations, on_cpu: bool) -> Option<String> {
    let has_choice = on_cpu || activations == Activations::Save;
    (!has_choice).then(|| format!("--activations has no effect on this device: blocks save {INPUT_ALONE}"))
}

/// The alternative to GRN in the blocks of a model, if they have no kernels.
fn without_kernels(model: &ModelConfig) -> Option<ResponseNorm> {
    model.alternative().filter(|&norm| !has_kernels(Some(norm)))
}

/// What the blocks with this alternative to GRN save for the backward pass, which is made in ordinary operations.
fn saved_in_words(norm: ResponseNorm) -> &'static str {
    match norm {
        // Its statistics leave the block, so its graph is that of the whole model.
        ResponseNorm::Bn => EVERY_VALUE,
        _ => INPUT_ALONE,
    }
}

#[cfg(test)]
mod tests {
    use convnext_core::{FcmaeConfig, FcmaeObjective, Preprocessing, WeightMetadata, find_model};

    use super::*;
    use crate::block_change::ModelBlocks;

    fn micro(response_norm: Option<ResponseNorm>) -> ModelConfig {
        ModelConfig { response_norm, ..find_model("micro").unwrap().config() }
    }

    #[test]
    fn what_is_special_about_blocks_is_told() {
        let device = Device::flex();
        assert!(blocks_in_words(&micro(Some(ResponseNorm::Grn)), false, None, &device).is_empty());
        let found = blocks_in_words(&micro(None), false, None, &device);
        assert_eq!(found, ["the model is micro, with nothing in the place of GRN"]);
        let found = blocks_in_words(&micro(Some(ResponseNorm::GrnSum)), false, None, &device);
        assert_eq!(found, ["the model is micro, with GRN by one over the sum in the place of GRN"]);
        let found = blocks_in_words(&micro(Some(ResponseNorm::Se)), false, None, &device);
        assert!(found[1].contains("slower") && found[2].contains("input alone"), "{found:?}");
        let found = blocks_in_words(&micro(Some(ResponseNorm::Bn)), false, None, &device);
        assert!(found.len() == 3 && found[2].contains("every value"), "{found:?}");
        let frozen = blocks_in_words(&micro(Some(ResponseNorm::Bn)), true, None, &device);
        assert_eq!(frozen, found[..2]);
    }

    #[test]
    fn batch_norms_need_two_values() {
        let bn = micro(Some(ResponseNorm::Bn));
        for (images, sites, fits) in [(1, 1, false), (1, 2, true), (2, 1, true), (0, 9, false)] {
            assert_eq!(check_batch_norm(&bn, images, sites).is_ok(), fits, "{images}, {sites}");
            check_batch_norm(&micro(None), images, sites).unwrap();
        }
        let message = check_batch_norm(&bn, 1, 1).unwrap_err().to_string();
        assert!(message.contains("--response-norm") && message.contains("--batch-size"), "{message}");
    }

    #[test]
    fn settings_without_effect_are_refused() {
        let se = micro(Some(ResponseNorm::Se));
        check_blocks(&se, Activations::Save, false, None).unwrap();
        check_blocks(&micro(None), Activations::Recompute, false, None).unwrap();
        let message = check_blocks(&se, Activations::Recompute, false, None).unwrap_err().to_string();
        assert!(message.contains("squeeze and excite save their input alone"), "{message}");
    }

    /// Bug: nobody was told.
    #[test]
    fn a_choice_that_a_device_has_not_is_told() {
        for choice in [Activations::SaveBf16, Activations::Recompute] {
            assert_eq!(without_effect(choice, true), None);
            let words = without_effect(choice, false).unwrap();
            assert!(words.contains("--activations has no effect on this device"), "{words}");
        }
        assert_eq!(without_effect(Activations::Save, false), None);
    }

    /// Bug: nobody was told, and `save-bf16` was recorded.
    #[test]
    fn frozen_blocks_save_nothing_whatever_is_chosen() {
        for model in [micro(None), micro(Some(ResponseNorm::Se))] {
            check_blocks(&model, Activations::Save, true, None).unwrap();
            for choice in [Activations::SaveBf16, Activations::Recompute] {
                let message = check_blocks(&model, choice, true, None).unwrap_err().to_string();
                assert!(message.contains("with --freeze encoder the blocks save nothing"), "{message}");
            }
        }
    }

    #[test]
    fn frozen_blocks_may_lose_something_and_get_nothing() {
        let changes = |from: Option<ResponseNorm>, to: &ModelConfig| {
            let (from, preprocessing) = (FcmaeConfig::new(micro(from)), Preprocessing::for_size(32, 3));
            let weights = WeightMetadata::of_fcmae(&from, FcmaeObjective::default(), preprocessing);
            BlockChanges::new(&weights, ModelBlocks { backbone: to, decoder: None })
        };
        let (grn, se) = (Some(ResponseNorm::Grn), Some(ResponseNorm::Se));
        for (from, to, fits) in [(grn, grn, true), (grn, None, true), (grn, se, false), (None, grn, false)] {
            let to = micro(to);
            let found = check_blocks(&to, Activations::Save, true, changes(from, &to));
            assert_eq!(found.is_ok(), fits, "{found:?}");
            check_blocks(&to, Activations::Save, false, changes(from, &to)).unwrap();
        }
        let to = micro(se);
        let message = check_blocks(&to, Activations::Save, true, changes(grn, &to)).unwrap_err().to_string();
        assert!(message.contains("replaced by squeeze and excite") && message.contains("leave"), "{message}");
    }
}
