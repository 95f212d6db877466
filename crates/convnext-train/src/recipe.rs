//! Recipes: how a run trains, as TOML. Unknown keys are errors.

use convnext_core::{IMAGENET_MEAN, IMAGENET_STD};
use convnext_data::{TrainCrop, TrainTransform};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{LayerCount, Schedule, TrainError};

/// Images of at most this side are padded and cropped instead of resized in fine-tuning (facts D3).
const SMALL_IMAGE: usize = 32;

/// A recipe of FCMAE pre-training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainRecipe {
    /// What the recipe promises.
    pub claim: String,
    /// Optimiser and schedule.
    pub training: TrainingRecipe,
    /// What happens to each picture.
    pub augmentation: AugmentationRecipe,
    /// What is removed and predicted.
    pub masking: MaskingRecipe,
}

/// A recipe of supervised training or fine-tuning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinetuneRecipe {
    /// What the recipe promises.
    pub claim: String,
    /// Optimiser and schedule.
    pub training: TrainingRecipe,
    /// What happens to each picture.
    pub augmentation: AugmentationRecipe,
    /// What keeps the classifier from learning by heart.
    pub regularization: RegularizationRecipe,
    /// Layer-wise decay of the learning rate, from weights only; `None` lets all layers learn alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_decay: Option<LayerDecayRecipe>,
}

/// Optimiser and schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingRecipe {
    /// Images of a batch.
    pub batch_size: usize,
    /// Batches of a step, whose gradients are averaged.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// Visits of every image.
    pub epochs: f64,
    /// Epochs of the linear warm-up.
    pub warmup_epochs: f64,
    /// Highest learning rate, absolute.
    pub learning_rate: f64,
    /// Learning rate at the end.
    pub minimum_learning_rate: f64,
    /// Decay of weights of two and more dimensions.
    pub weight_decay: f64,
    /// Decay GRN's parameters and the mask token as well, as the public code does in pre-training.
    #[serde(default)]
    pub decay_grn_and_mask_token: bool,
    /// Largest L2 norm of all gradients together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Decay of a moving average of the weights, such as 0.9999.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// Decay rates of AdamW's two moments.
    pub betas: [f64; 2],
}

fn one() -> usize {
    1
}

/// How much more slowly early layers learn when fine-tuning from weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerDecayRecipe {
    /// Rate of a layer over that of the layer after it, in (0, 1].
    pub rate: f64,
    /// How layers are counted.
    pub count: LayerCount,
}

/// What happens to each picture in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugmentationRecipe {
    /// Smallest and largest share of the picture that a crop covers.
    pub crop_scale: [f64; 2],
    /// Smallest and largest width over height of a crop.
    pub crop_ratio: [f64; 2],
    /// Probability of a horizontal flip.
    pub flip: f64,
    /// For images of at most 32 pixels: pad by so many pixels and crop, instead of resizing a crop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub small_padding: Option<usize>,
}

/// What FCMAE removes and predicts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskingRecipe {
    /// Side of the images in pixels.
    pub image_size: usize,
    /// Share of patches that are removed.
    pub ratio: f64,
    /// Predict pixels normalised within their patch.
    pub normalize_target: bool,
}

/// What keeps a classifier from learning by heart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegularizationRecipe {
    /// Side of the images in pixels.
    pub image_size: usize,
    /// Share of the target that is spread over all classes.
    pub label_smoothing: f64,
    /// Drop path rate of the last block.
    pub drop_path: f64,
    /// Factor on the fresh head when training from scratch.
    pub head_init_scratch: f64,
    /// Factor on the fresh head when starting from weights.
    pub head_init_weights: f64,
}

/// How long to train, if not as long as the recipe says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Length {
    /// So many visits of every image.
    Epochs(f64),
    /// So many optimiser steps.
    Steps(usize),
}

impl PretrainRecipe {
    /// The recipe for small runs.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] if the built-in file were broken, which a test rules out.
    pub fn plain() -> Result<Self, TrainError> {
        parse("pretrain-plain", include_str!("../recipes/pretrain-plain.toml"))
    }
}

impl FinetuneRecipe {
    /// The recipe for small runs.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] if the built-in file were broken, which a test rules out.
    pub fn plain() -> Result<Self, TrainError> {
        parse("finetune-plain", include_str!("../recipes/finetune-plain.toml"))
    }
}

fn parse<R: DeserializeOwned>(name: &str, text: &str) -> Result<R, TrainError> {
    toml::from_str(text).map_err(|error| TrainError::Recipe { name: name.into(), why: error.to_string() })
}

impl TrainingRecipe {
    /// The same recipe at another length: the whole schedule is rescaled, so the warm-up keeps its
    /// share.
    pub fn rescaled(&self, steps_per_epoch: usize, length: Option<Length>) -> Self {
        let epochs = match length {
            None => self.epochs,
            Some(Length::Epochs(epochs)) => epochs,
            Some(Length::Steps(steps)) => steps as f64 / steps_per_epoch as f64,
        };
        let share = if self.epochs > 0.0 { self.warmup_epochs / self.epochs } else { 0.0 };
        Self { epochs, warmup_epochs: share * epochs, ..self.clone() }
    }

    /// The learning-rate curve for epochs of `steps_per_epoch` steps.
    pub fn schedule(&self, steps_per_epoch: usize) -> Schedule {
        let steps = |epochs: f64| epochs * steps_per_epoch as f64;
        Schedule {
            peak: self.learning_rate,
            minimum: self.minimum_learning_rate.min(self.learning_rate),
            warmup_steps: steps(self.warmup_epochs),
            total_steps: (steps(self.epochs).round() as usize).max(1),
        }
    }
}

impl AugmentationRecipe {
    /// The transform for images of a size.
    pub fn transform(&self, image_size: usize) -> TrainTransform {
        let crop = match self.small_padding {
            Some(padding) if image_size <= SMALL_IMAGE => TrainCrop::Padded { padding },
            _ => TrainCrop::RandomResized { scale: self.crop_scale, ratio: self.crop_ratio },
        };
        TrainTransform {
            image_size,
            crop,
            flip_probability: self.flip,
            mean: IMAGENET_MEAN,
            std: IMAGENET_STD,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_recipes_parse() {
        assert_eq!(PretrainRecipe::plain().unwrap().masking.ratio, 0.6);
        assert_eq!(FinetuneRecipe::plain().unwrap().augmentation.small_padding, Some(4));
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let text = include_str!("../recipes/pretrain-plain.toml").replace("flip =", "flop =");
        let message = parse::<PretrainRecipe>("mine", &text).unwrap_err().to_string();
        assert!(message.contains("mine") && message.contains("flop"), "{message}");
    }

    #[test]
    fn what_a_recipe_leaves_out_is_off() {
        let recipe = FinetuneRecipe::plain().unwrap();
        assert_eq!(
            (recipe.training.accumulate, recipe.training.clip_norm, recipe.training.ema),
            (1, None, None)
        );
        assert_eq!(recipe.layer_decay, None);
        let text = include_str!("../recipes/finetune-plain.toml")
            .replace("batch_size = 64", "batch_size = 32\naccumulate = 2\nclip_norm = 1.0\nema = 0.999");
        let text = format!("{text}\n[layer_decay]\nrate = 0.9\ncount = \"group\"\n");
        let recipe: FinetuneRecipe = parse("mine", &text).unwrap();
        assert_eq!(recipe.training.accumulate, 2);
        assert_eq!(recipe.training.ema, Some(0.999));
        assert_eq!(recipe.layer_decay, Some(LayerDecayRecipe { rate: 0.9, count: LayerCount::Group }));
    }

    #[test]
    fn another_length_keeps_the_share_of_the_warm_up() {
        let training = FinetuneRecipe::plain().unwrap().training;
        let steps = |length, steps_per_epoch| {
            let schedule = training.rescaled(steps_per_epoch, length).schedule(steps_per_epoch);
            (schedule.total_steps, (schedule.warmup_steps * 1e6).round() / 1e6)
        };
        assert_eq!(steps(None, 10), (500, 50.0));
        assert_eq!(steps(Some(Length::Steps(30)), 10), (30, 3.0));
        assert_eq!(steps(Some(Length::Steps(1)), 7), (1, 0.1));
        assert_eq!(steps(Some(Length::Epochs(2.0)), 7), (14, 1.4));
    }

    #[test]
    fn small_images_are_padded_only_where_the_recipe_says() {
        let pretrain = PretrainRecipe::plain().unwrap().augmentation;
        assert!(matches!(pretrain.transform(32).crop, TrainCrop::RandomResized { .. }));
        let finetune = FinetuneRecipe::plain().unwrap().augmentation;
        assert_eq!(finetune.transform(32).crop, TrainCrop::Padded { padding: 4 });
        assert!(matches!(finetune.transform(64).crop, TrainCrop::RandomResized { .. }));
    }
}
