//! Recipes: how a run trains, as TOML. Unknown keys are errors.

use std::fs;

use convnext_core::{ConfigError, IMAGENET_MEAN, IMAGENET_STD};
use convnext_data::{TrainCrop, TrainTransform};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use toml::{Table, Value};

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

/// The built-in recipes of pre-training by name.
const PRETRAINING: [(&str, &str); 1] = [("plain", include_str!("../recipes/pretrain-plain.toml"))];
/// The built-in recipes of supervised training by name.
const FINETUNING: [(&str, &str); 1] = [("plain", include_str!("../recipes/finetune-plain.toml"))];

impl PretrainRecipe {
    /// Reads a recipe: the name of a built-in one (`plain`, for small runs) or the path of a TOML file.
    /// Each of `settings` replaces one key, as in `training.weight_decay=0.1`.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] when the file cannot be read, or a key is unknown, missing or of another
    /// type; [`TrainError::Config`] when a value is out of its range.
    pub fn load(choice: &str, settings: &[String]) -> Result<Self, TrainError> {
        let recipe: Self = load(&PRETRAINING, choice, settings)?;
        recipe.training.validate()?;
        Ok(recipe)
    }
}

impl FinetuneRecipe {
    /// Reads a recipe, as [`PretrainRecipe::load`] does.
    ///
    /// # Errors
    /// As [`PretrainRecipe::load`].
    pub fn load(choice: &str, settings: &[String]) -> Result<Self, TrainError> {
        let recipe: Self = load(&FINETUNING, choice, settings)?;
        recipe.training.validate()?;
        let smoothing = recipe.regularization.label_smoothing;
        check((0.0..1.0).contains(&smoothing), "label smoothing", smoothing, "in [0, 1)")?;
        if let Some(LayerDecayRecipe { rate, .. }) = recipe.layer_decay {
            check(rate > 0.0 && rate <= 1.0, "layer decay rate", rate, "above 0 and at most 1")?;
        }
        Ok(recipe)
    }
}

fn load<R: DeserializeOwned>(
    built_in: &[(&str, &str)],
    choice: &str,
    settings: &[String],
) -> Result<R, TrainError> {
    let fail = |why: String| TrainError::Recipe { name: choice.to_owned(), why };
    let text = match built_in.iter().find(|(name, _)| *name == choice) {
        Some((_, text)) => (*text).to_owned(),
        None => fs::read_to_string(choice).map_err(|error| {
            let names: Vec<&str> = built_in.iter().map(|(name, _)| *name).collect();
            fail(format!("{error}; give the path of a TOML file, or one of: {}", names.join(", ")))
        })?,
    };
    let mut table: Table = toml::from_str(&text).map_err(|error| fail(error.to_string()))?;
    for setting in settings {
        set(&mut table, setting).map_err(&fail)?;
    }
    table.try_into().map_err(|error: toml::de::Error| fail(error.to_string()))
}

/// Replaces one key of a table: `a.b=value`. What is no TOML value is taken as text.
fn set(table: &mut Table, setting: &str) -> Result<(), String> {
    let (path, text) =
        setting.split_once('=').ok_or_else(|| format!("'{setting}' is not of the form key=value"))?;
    let value = toml::from_str::<Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()));
    let mut keys: Vec<&str> = path.trim().split('.').collect();
    let last = keys.pop().unwrap_or_default();
    let mut place = table;
    for key in keys {
        let next = place.entry(key).or_insert_with(|| Value::Table(Table::new()));
        place = next.as_table_mut().ok_or_else(|| format!("'{path}': '{key}' is no table"))?;
    }
    place.insert(last.to_owned(), value);
    Ok(())
}

fn check(ok: bool, what: &'static str, found: f64, expected: &'static str) -> Result<(), TrainError> {
    if ok { Ok(()) } else { Err(ConfigError::OutOfRange { what, found: found.to_string(), expected }.into()) }
}

impl TrainingRecipe {
    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`TrainError::Config`] with the first value that does not fit.
    fn validate(&self) -> Result<(), TrainError> {
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let not_negative = |value: f64| value >= 0.0 && value.is_finite();
        check(self.batch_size > 0, "batch size", self.batch_size as f64, "at least 1")?;
        check(self.accumulate > 0, "accumulate", self.accumulate as f64, "at least 1")?;
        check(positive(self.epochs), "epochs", self.epochs, "above 0")?;
        let warmup_fits = (0.0..=self.epochs).contains(&self.warmup_epochs);
        check(warmup_fits, "warm-up epochs", self.warmup_epochs, "from 0 to the epochs")?;
        check(positive(self.learning_rate), "learning rate", self.learning_rate, "above 0")?;
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
        assert_eq!(PretrainRecipe::load("plain", &[]).unwrap().masking.ratio, 0.6);
        assert_eq!(FinetuneRecipe::load("plain", &[]).unwrap().augmentation.small_padding, Some(4));
    }

    fn pretrain(settings: &[&str]) -> Result<PretrainRecipe, String> {
        let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
        PretrainRecipe::load("plain", &settings).map_err(|error| error.to_string())
    }

    #[test]
    fn settings_replace_keys_of_any_type() {
        let recipe = pretrain(&[
            "training.weight_decay=0.1",
            "training.betas=[0.8, 0.9]",
            "training.ema=0.99",
            "masking.normalize_target=false",
            "claim=mine",
        ])
        .unwrap();
        assert_eq!(recipe.training.weight_decay, 0.1);
        assert_eq!((recipe.training.betas, recipe.training.ema), ([0.8, 0.9], Some(0.99)));
        assert_eq!((recipe.masking.normalize_target, recipe.claim.as_str()), (false, "mine"));
    }

    #[test]
    fn bad_settings_are_named() {
        for (setting, expected) in [
            ("training.flop=1", "flop"),
            ("flop=1", "flop"),
            ("training.epochs=many", "epochs"),
            ("training.epochs.more=1", "'epochs' is no table"),
            ("training.epochs", "key=value"),
            ("training.epochs=0", "epochs is 0, but must be above 0"),
            ("training.warmup_epochs=101", "warm-up epochs is 101"),
            ("training.betas=[0.9, 1.0]", "beta is 1"),
            ("training.ema=1.5", "ema is 1.5"),
            ("training.learning_rate=nan", "learning rate is NaN"),
        ] {
            let message = pretrain(&[setting]).unwrap_err();
            assert!(message.contains(expected), "{setting}: {message}");
        }
    }

    #[test]
    fn a_recipe_can_be_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        let name = path.display().to_string();
        let missing = PretrainRecipe::load(&name, &[]).unwrap_err().to_string();
        assert!(missing.contains("mine.toml") && missing.contains("one of: plain"), "{missing}");
        fs::write(&path, PRETRAINING[0].1.replace("flip = 0.0", "flip = 0.25")).unwrap();
        assert_eq!(PretrainRecipe::load(&name, &[]).unwrap().augmentation.flip, 0.25);
        fs::write(&path, PRETRAINING[0].1.replace("flip =", "flop =")).unwrap();
        let unknown = PretrainRecipe::load(&name, &[]).unwrap_err().to_string();
        assert!(unknown.contains("mine.toml") && unknown.contains("flop"), "{unknown}");
    }

    #[test]
    fn what_a_recipe_leaves_out_is_off() {
        let recipe = FinetuneRecipe::load("plain", &[]).unwrap();
        assert_eq!(
            (recipe.training.accumulate, recipe.training.clip_norm, recipe.training.ema),
            (1, None, None)
        );
        assert_eq!(recipe.layer_decay, None);
        let settings = [
            "training.accumulate=2",
            "training.ema=0.999",
            "layer_decay.rate=0.9",
            "layer_decay.count=group",
        ];
        let recipe = FinetuneRecipe::load("plain", &settings.map(str::to_owned)).unwrap();
        assert_eq!(recipe.training.accumulate, 2);
        assert_eq!(recipe.training.ema, Some(0.999));
        assert_eq!(recipe.layer_decay, Some(LayerDecayRecipe { rate: 0.9, count: LayerCount::Group }));
    }

    #[test]
    fn another_length_keeps_the_share_of_the_warm_up() {
        let training = FinetuneRecipe::load("plain", &[]).unwrap().training;
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
        let pretrain = PretrainRecipe::load("plain", &[]).unwrap().augmentation;
        assert!(matches!(pretrain.transform(32).crop, TrainCrop::RandomResized { .. }));
        let finetune = FinetuneRecipe::load("plain", &[]).unwrap().augmentation;
        assert_eq!(finetune.transform(32).crop, TrainCrop::Padded { padding: 4 });
        assert!(matches!(finetune.transform(64).crop, TrainCrop::RandomResized { .. }));
    }
}
