//! Data augmentation of images, and mixup and CutMix of batches.

use convnext_core::{ImageSize, Preprocessing};
use convnext_data::{ColorJitter, Mixing, RandAugment, RandomErasing, TrainCrop, TrainTransform};
use serde::{Deserialize, Deserializer, Serialize};

use super::ranges::is_on;

/// Images whose sides are at most this long are padded and cropped instead of resized in fine-tuning (facts D3).
const SMALL_IMAGE: usize = 32;

/// Data augmentation of each image in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugmentationRecipe {
    /// Smallest and largest share of the image that a crop covers.
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
    /// Strength of colour jitter on brightness, contrast and saturation, such as 0.4; not together with
    /// RandAugment.
    #[serde(default)]
    pub color_jitter: f64,
    /// Probability of random erasing.
    #[serde(default)]
    pub random_erasing: f64,
}

/// Value that turns RandAugment off.
const NONE: &str = "none";

fn rand_augment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RandAugment>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == NONE { Ok(None) } else { text.parse().map(Some).map_err(serde::de::Error::custom) }
}

impl AugmentationRecipe {
    /// Keys without effect for images of this size, and why.
    pub(super) fn idle_keys(&self, image_size: ImageSize) -> Vec<(&'static str, &'static str)> {
        match self.small_padding {
            Some(_) if image_size.long_side() <= SMALL_IMAGE => {
                let why = "images of at most 32 px are padded and cropped at their size (augmentation.small_padding)";
                vec![("augmentation.crop_scale", why), ("augmentation.crop_ratio", why)]
            }
            Some(_) => vec![("augmentation.small_padding", "it is for images of at most 32 px")],
            None => Vec::new(),
        }
    }

    /// The transform to images of a size for what is evaluated with this preprocessing: same channels, statistics and
    /// filter.
    pub fn transform(&self, preprocessing: &Preprocessing, image_size: ImageSize) -> TrainTransform {
        let Preprocessing { mean, std, interpolation, range, .. } = preprocessing.clone();
        let crop = match self.small_padding {
            Some(padding) if image_size.long_side() <= SMALL_IMAGE => TrainCrop::Padded { padding },
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
            mean,
            std,
            interpolation,
            range,
            erasing: is_on(self.random_erasing).map(|probability| RandomErasing { probability }),
        }
    }
}

/// Mixup and CutMix of the images of a batch; 0 turns either off.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MixingRecipe {
    /// Alpha of mixup.
    pub mixup: f64,
    /// Alpha of CutMix.
    pub cutmix: f64,
}

impl MixingRecipe {
    /// Mixing of batches, if there is any: of all of them, and where both ways are on each in half of the
    /// batches (facts D1).
    pub fn mixing(&self) -> Option<Mixing> {
        let Self { mixup, cutmix } = *self;
        let on = mixup != 0.0 || cutmix != 0.0;
        on.then_some(Mixing { mixup, cutmix, probability: 1.0, switch_probability: 0.5 })
    }
}
