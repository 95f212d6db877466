//! Recipes: how a run trains, as TOML. Unknown keys are errors.

use convnext_core::{ConfigError, IMAGENET_MEAN, IMAGENET_STD};
use convnext_data::{ColorJitter, Mixing, RandAugment, RandomErasing, TrainCrop, TrainTransform};
use serde::{Deserialize, Deserializer, Serialize};
use toml::Value;

use crate::{LayerCount, Schedule, TrainError};

mod auto;
mod paper;
mod reading;
mod situation;

pub use situation::{Origin, Situation};

use auto::Rule;
use reading::{FINETUNING, PRETRAINING, insert, names, parse, read, recipe_error, set};

/// Images of at most this side are padded and cropped instead of resized in fine-tuning (facts D3).
const SMALL_IMAGE: usize = 32;

/// Images of a batch of a training that is only tried.
const QUICK_BATCH: usize = 4;

/// Images of a step that a base learning rate is meant for.
const BASE_IMAGES: f64 = 256.0;

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
    /// Where it leaves what the paper prints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub departures: Vec<Departure>,
    /// Why the default chose what it chose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
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
    /// How images are mixed.
    #[serde(default)]
    pub mixing: MixingRecipe,
    /// What keeps the classifier from learning by heart.
    pub regularization: RegularizationRecipe,
    /// What holds when starting from weights.
    pub from_weights: FromWeightsRecipe,
    /// What holds when starting from scratch.
    pub from_scratch: FromScratchRecipe,
    /// Where it leaves what the paper prints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub departures: Vec<Departure>,
    /// Why the default chose what it chose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// A value that the paper prints otherwise, or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Departure {
    /// The key of the recipe.
    pub key: String,
    /// What the paper prints.
    pub printed: String,
    /// What the recipe has.
    pub used: String,
    /// Where that comes from.
    pub source: String,
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
    /// Highest learning rate, absolute. Either this or the base rate is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// Highest learning rate for steps of 256 images; that of other steps is in proportion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_learning_rate: Option<f64>,
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
    /// Decay of a moving average of the weights, such as 0.9999; in a file 0 turns it off.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "above_zero")]
    pub ema: Option<f64>,
    /// Decay rates of AdamW's two moments.
    pub betas: [f64; 2],
}

fn above_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    Ok(is_on(f64::deserialize(deserializer)?))
}

fn one() -> usize {
    1
}

/// What a supervised training from weights does in its own way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FromWeightsRecipe {
    /// Factor on the fresh head.
    pub head_init: f64,
    /// Layer-wise decay of the learning rate; `None` lets all layers learn alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_decay: Option<LayerDecayRecipe>,
}

/// What a supervised training from scratch does in its own way. Rate and warm-up take the place of
/// those in `training`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FromScratchRecipe {
    /// Factor on the fresh head.
    pub head_init: f64,
    /// As [`TrainingRecipe::learning_rate`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// As [`TrainingRecipe::base_learning_rate`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_learning_rate: Option<f64>,
    /// As [`TrainingRecipe::warmup_epochs`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup_epochs: Option<f64>,
}

/// How images of a batch are mixed; 0 turns either off.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MixingRecipe {
    /// Alpha of mixup.
    pub mixup: f64,
    /// Alpha of CutMix.
    pub cutmix: f64,
}

/// Where a supervised training starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// From fresh weights.
    Scratch,
    /// From weights of a file.
    Weights,
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
    /// RandAugment as timm writes it, such as `rand-m9-mstd0.5-inc1`; in a file `none` turns it off.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "rand_augment")]
    pub rand_augment: Option<RandAugment>,
    /// How far brightness, contrast and saturation are changed, such as 0.4; not together with RandAugment.
    #[serde(default)]
    pub color_jitter: f64,
    /// Probability of random erasing.
    #[serde(default)]
    pub random_erasing: f64,
}

/// What turns RandAugment off.
const NONE: &str = "none";

fn rand_augment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RandAugment>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == NONE { Ok(None) } else { text.parse().map(Some).map_err(serde::de::Error::custom) }
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
    /// How much the images of each class count.
    #[serde(default, skip_serializing_if = "ClassWeights::is_equal")]
    pub class_weights: ClassWeights,
}

/// How much the images of each class count in the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassWeights {
    /// All images alike.
    #[default]
    Equal,
    /// Each class as a whole alike: an image counts `images / (classes x images of its class)`.
    Balanced,
}

impl ClassWeights {
    fn is_equal(&self) -> bool {
        *self == Self::Equal
    }

    /// The weight of an image of each class; their mean over all images is 1.
    pub fn of(self, class_sizes: &[usize]) -> Vec<f32> {
        let images: usize = class_sizes.iter().sum();
        let share = images as f64 / class_sizes.len().max(1) as f64;
        let weight = |&size: &usize| match self {
            Self::Equal => 1.0,
            Self::Balanced => (share / size.max(1) as f64) as f32,
        };
        class_sizes.iter().map(weight).collect()
    }
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
    /// Names of the built-in recipes.
    pub fn names() -> impl Iterator<Item = &'static str> {
        names(PRETRAINING)
    }

    /// The same recipe with another batch.
    pub(crate) fn with_batch(&self, batch_size: usize) -> Self {
        let training = TrainingRecipe { batch_size, ..self.training.clone() };
        Self { training, ..self.clone() }
    }

    /// The recipe for a situation: with `auto` one that is made for it, with `paper` the paper's row, or as
    /// [`Self::load`].
    ///
    /// # Errors
    /// As [`Self::load`]; [`TrainError::Recipe`] when the paper has no row.
    pub fn choose(choice: &str, settings: &[String], situation: &Situation<'_>) -> Result<Self, TrainError> {
        match choice {
            paper::PAPER => Self::load(&paper::pretraining_row(situation.image_size)?, settings),
            auto::AUTO => {
                let rules = auto::pretraining(situation)?;
                let recipe = Self::load(PLAIN, &[settings_of(&rules), settings.to_vec()].concat())?;
                Ok(Self { claim: AUTO_CLAIM.to_owned(), reasons: reasons(&rules, settings), ..recipe })
            }
            _ => Self::load(choice, settings),
        }
    }

    /// Reads a recipe: the name of a built-in one, or the path of a TOML file. Each of `settings` replaces
    /// one key, as in `training.weight_decay=0.1`.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] when the file cannot be read, or a key is unknown, missing or of another
    /// type; [`TrainError::Config`]
    /// when a value is out of its range.
    pub fn load(choice: &str, settings: &[String]) -> Result<Self, TrainError> {
        let recipe: Self = parse(choice, read(PRETRAINING, choice)?, settings)?;
        recipe.training.validate(choice)?;
        Ok(recipe)
    }
}

impl FinetuneRecipe {
    /// Names of the built-in recipes.
    pub fn names() -> impl Iterator<Item = &'static str> {
        names(FINETUNING)
    }

    /// The same recipe with another batch.
    pub(crate) fn with_batch(&self, batch_size: usize) -> Self {
        let training = TrainingRecipe { batch_size, ..self.training.clone() };
        Self { training, ..self.clone() }
    }

    /// The recipe for a situation, as [`PretrainRecipe::choose`] does it.
    ///
    /// # Errors
    /// As [`PretrainRecipe::choose`].
    pub fn choose(choice: &str, settings: &[String], situation: &Situation<'_>) -> Result<Self, TrainError> {
        let start = situation.origin.start();
        match choice {
            paper::PAPER => Self::load(&paper::finetuning_row(situation)?, settings, start),
            auto::AUTO => {
                let rules = auto::finetuning(situation)?;
                let recipe = Self::load(PLAIN, &[settings_of(&rules), settings.to_vec()].concat(), start)?;
                Ok(Self { claim: AUTO_CLAIM.to_owned(), reasons: reasons(&rules, settings), ..recipe })
            }
            _ => Self::load(choice, settings, start),
        }
    }

    /// Reads a recipe, as [`PretrainRecipe::load`] does. From scratch, rate and warm-up are those of
    /// `from_scratch`, unless one of `settings` names them under `training`.
    ///
    /// # Errors
    /// As [`PretrainRecipe::load`].
    pub fn load(choice: &str, settings: &[String], start: Start) -> Result<Self, TrainError> {
        let mut table = read(FINETUNING, choice)?;
        let fail = |why| recipe_error(choice, why);
        let (of_starts, others): (Vec<String>, Vec<String>) =
            settings.iter().cloned().partition(|setting| setting.starts_with("from_"));
        for setting in &of_starts {
            set(&mut table, setting).map_err(fail)?;
        }
        if start == Start::Scratch
            && let Some(Value::Table(own)) = table.get("from_scratch").cloned()
            && let Some(Value::Table(training)) = table.get_mut("training")
        {
            for (key, value) in own.into_iter().filter(|(key, _)| key != "head_init") {
                insert(training, &key, value);
            }
        }
        let recipe: Self = parse(choice, table, &others)?;
        recipe.training.validate(choice)?;
        let smoothing = recipe.regularization.label_smoothing;
        check((0.0..1.0).contains(&smoothing), "label smoothing", smoothing, "in [0, 1)")?;
        if let Some(LayerDecayRecipe { rate, .. }) = recipe.from_weights.layer_decay {
            check(rate > 0.0 && rate <= 1.0, "layer decay rate", rate, "above 0 and at most 1")?;
        }
        Ok(recipe)
    }

    /// Factor on the fresh head.
    pub fn head_init(&self, start: Start) -> f64 {
        match start {
            Start::Scratch => self.from_scratch.head_init,
            Start::Weights => self.from_weights.head_init,
        }
    }

    /// How much more slowly early layers learn, if they do.
    pub fn layer_decay(&self, start: Start) -> Option<LayerDecayRecipe> {
        match start {
            Start::Scratch => None,
            Start::Weights => self.from_weights.layer_decay,
        }
    }
}

/// The recipe that the default starts from.
const PLAIN: &str = "plain";

/// What the default promises.
const AUTO_CLAIM: &str = "Made for this model and these images.";

/// Rules as settings.
fn settings_of(rules: &[Rule]) -> Vec<String> {
    rules.iter().map(|rule| format!("{}={}", rule.key, rule.value)).collect()
}

/// Why each value is what it is, but for those that the user has set.
fn reasons(rules: &[Rule], settings: &[String]) -> Vec<String> {
    let is_set = |key: &str| settings.iter().any(|setting| setting.split('=').next() == Some(key));
    let kept = rules.iter().filter(|rule| !is_set(rule.key));
    kept.map(|rule| format!("{} = {}: {}", rule.key, rule.value, rule.why)).collect()
}

/// Reasons as they are shown below what a run is going to do.
pub(crate) fn in_lines(reasons: &[String]) -> String {
    reasons.iter().map(|reason| format!("\n  {reason}")).collect()
}

fn check(ok: bool, what: &'static str, found: f64, expected: &'static str) -> Result<(), TrainError> {
    if ok { Ok(()) } else { Err(ConfigError::OutOfRange { what, found: found.to_string(), expected }.into()) }
}

impl TrainingRecipe {
    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`TrainError::Config`] with the first value that does not fit, [`TrainError::Recipe`] when there is
    /// no learning rate, or two.
    fn validate(&self, choice: &str) -> Result<(), TrainError> {
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let not_negative = |value: f64| value >= 0.0 && value.is_finite();
        check(self.batch_size > 0, "batch size", self.batch_size as f64, "at least 1")?;
        check(self.accumulate > 0, "accumulate", self.accumulate as f64, "at least 1")?;
        check(positive(self.epochs), "epochs", self.epochs, "above 0")?;
        let warmup_fits = (0.0..=self.epochs).contains(&self.warmup_epochs);
        check(warmup_fits, "warm-up epochs", self.warmup_epochs, "from 0 to the epochs")?;
        let (rate, what) = match (self.learning_rate, self.base_learning_rate) {
            (Some(rate), None) => (rate, "learning rate"),
            (None, Some(rate)) => (rate, "base learning rate"),
            _ => {
                let why = "[training] needs either learning_rate or base_learning_rate, and not both";
                return Err(recipe_error(choice, why.to_owned()));
            }
        };
        check(positive(rate), what, rate, "above 0")?;
        let minimum = self.minimum_learning_rate;
        check(not_negative(minimum), "minimum learning rate", minimum, "0 or above")?;
        check(not_negative(self.weight_decay), "weight decay", self.weight_decay, "0 or above")?;
        for beta in self.betas {
            check((0.0..1.0).contains(&beta), "beta", beta, "in [0, 1)")?;
        }
        let clip_norm = self.clip_norm.unwrap_or(1.0);
        check(positive(clip_norm), "clip norm", clip_norm, "above 0")?;
        let ema = self.ema.unwrap_or(0.0);
        check((0.0..1.0).contains(&ema), "ema", ema, "in [0, 1)")
    }

    /// Makes steps so small that a machine of any size runs them in seconds.
    pub fn shrink(&mut self) {
        (self.batch_size, self.accumulate) = (self.batch_size.min(QUICK_BATCH), self.accumulate.min(2));
    }

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

    /// The highest learning rate of a run with these batches: as it is given, or the base rate times the
    /// images of a step over 256 (facts C1).
    pub fn peak_learning_rate(&self) -> f64 {
        let images = (self.batch_size * self.accumulate) as f64;
        let from_base = self.base_learning_rate.map(|base| base * images / BASE_IMAGES);
        self.learning_rate.or(from_base).unwrap_or_default()
    }

    /// The learning-rate curve for epochs of `steps_per_epoch` steps.
    pub fn schedule(&self, steps_per_epoch: usize) -> Schedule {
        let steps = |epochs: f64| epochs * steps_per_epoch as f64;
        Schedule {
            peak: self.peak_learning_rate(),
            minimum: self.minimum_learning_rate.min(self.peak_learning_rate()),
            warmup_steps: steps(self.warmup_epochs),
            total_steps: (steps(self.epochs).round() as usize).max(1),
        }
    }
}

/// A number that turns something off when it is 0.
fn is_on(value: f64) -> Option<f64> {
    Some(value).filter(|&value| value != 0.0)
}

impl MixingRecipe {
    /// How batches are mixed, if they are: all of them, and where both ways are on each in half of the batches
    /// (facts D1).
    pub fn mixing(&self) -> Option<Mixing> {
        let Self { mixup, cutmix } = *self;
        let on = mixup != 0.0 || cutmix != 0.0;
        on.then_some(Mixing { mixup, cutmix, probability: 1.0, switch_probability: 0.5 })
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
            color_jitter: is_on(self.color_jitter).map(|most| ColorJitter {
                brightness: most,
                contrast: most,
                saturation: most,
            }),
            rand_augment: self.rand_augment,
            mean: IMAGENET_MEAN,
            std: IMAGENET_STD,
            erasing: is_on(self.random_erasing).map(|probability| RandomErasing { probability }),
        }
    }
}

#[cfg(test)]
mod tests;
