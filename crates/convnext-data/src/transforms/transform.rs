//! From an image to the values that a model sees in training: `f32`, channel by channel, normalised.

use std::borrow::Cow;

use convnext_core::{COLOURS, ImageSize, Interpolation, Preprocessing, ValueRange};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::pixels::image::Image;
use crate::pixels::orientation::Orientation;
use crate::pixels::resample::CropTarget;
use crate::reading::decode::decode_named;
use crate::reading::decoding::Decoding;
use crate::transforms::augment::{ColorJitter, RandAugment, RandomErasing};
use crate::transforms::crop::TrainCrop;
use crate::transforms::drawn::DrawnTransform;
use crate::transforms::step::Step;

/// `(value - mean) / std` of every pixel, whose levels are values in [0, 1], all values of the first channel first: shape
/// `[channels, height, width]`. `mean` and `std` have a value for each channel.
///
/// # Panics
/// When they have fewer or more.
pub fn normalize(image: &Image, mean: &[f32], std: &[f32]) -> Vec<f32> {
    let channels = image.channels();
    assert_eq!([mean.len(), std.len()], [channels; 2], "a mean and a standard deviation for each channel");
    let mut values = Vec::with_capacity(image.width() * image.height() * channels);
    for (channel, (mean, std)) in mean.iter().zip(std).enumerate() {
        match image.deep_levels() {
            None => {
                let table: [f32; 256] = std::array::from_fn(|level| (level as f32 / 255.0 - mean) / std);
                let levels = image.bytes()[channel..].iter().step_by(channels);
                values.extend(levels.map(|&level| table[usize::from(level)]));
            }
            Some(levels) => {
                let levels = levels[channel..].iter().step_by(channels);
                values.extend(levels.map(|&level| (f32::from(level) / f32::from(u16::MAX) - mean) / std));
            }
        }
    }
    values
}

/// Training transform of an image, in this order: a random crop, a random mirror image, RandAugment or colour
/// jitter, normalisation, random erasing (docs/facts.md, "Train transform order").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainTransform {
    /// Height and width of what the model sees, in pixels.
    pub image_size: ImageSize,
    /// The random crop.
    pub crop: TrainCrop,
    /// Probability of exchanging left and right, in [0, 1].
    pub flip_probability: f64,
    /// Random brightness, contrast and saturation. Of colours only, and not together with RandAugment.
    pub color_jitter: Option<ColorJitter>,
    /// Random operations, of colours only. Those that move pixels fill the corners with the mean colour.
    pub rand_augment: Option<RandAugment>,
    /// Mean of each channel, subtracted from values in [0, 1].
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, divided by.
    pub std: Vec<f32>,
    /// The filter that crops are resized with.
    #[serde(default, skip_serializing_if = "Interpolation::is_bicubic")]
    pub interpolation: Interpolation,
    /// Values of the files that become 0 and 1.
    #[serde(default, skip_serializing_if = "ValueRange::is_unstated")]
    pub range: ValueRange,
    /// Random rectangles of noise.
    pub erasing: Option<RandomErasing>,
}

impl TrainTransform {
    /// A crop and, half of the times, a mirror image, and nothing else that is random.
    pub fn plain(image_size: impl Into<ImageSize>, crop: TrainCrop, mean: Vec<f32>, std: Vec<f32>) -> Self {
        Self {
            image_size: image_size.into(),
            crop,
            flip_probability: 0.5,
            color_jitter: None,
            rand_augment: None,
            mean,
            std,
            interpolation: Interpolation::Bicubic,
            range: ValueRange::Unstated,
            erasing: None,
        }
    }

    /// Channels of the images, each with its mean.
    pub fn channels(&self) -> usize {
        self.mean.len()
    }

    /// Draws what happens to an image of this size before it is normalised: the crop, the mirror image, RandAugment or
    /// colour jitter. Label maps take the geometric steps of it.
    ///
    /// What is drawn for the same size from the same stream is the same, whatever the image.
    pub fn draw(&self, image: ImageSize, rng: &mut impl rand::Rng) -> DrawnTransform {
        let mut steps = self.crop.draw(image, self.target(), rng);
        if rng.random::<f64>() < self.flip_probability {
            steps.push(Step::Mirror);
        }
        let mut operations = Vec::new();
        if let Some(rand_augment) = self.rand_augment {
            operations.extend(rand_augment.draw_all(rng));
        }
        if let Some(color_jitter) = self.color_jitter {
            operations.extend(color_jitter.draw(rng));
        }
        if !operations.is_empty() {
            let fill = mean_colour(&self.mean);
            steps.extend(operations.into_iter().map(|operation| Step::Operation { operation, fill }));
        }
        DrawnTransform { steps }
    }

    /// Values of shape `[channels, height, width]`. All random choices come from `rng`.
    ///
    /// # Panics
    /// When the image has other channels than the transform, or settings do not pass [`Self::validate`].
    pub fn apply(&self, image: &Image, rng: &mut impl rand::Rng) -> Vec<f32> {
        let drawn = self.draw(image.size(), rng);
        self.values(&drawn.apply(image), rng)
    }

    /// Decoding options.
    pub fn decoding(&self, orientation: Orientation) -> Decoding {
        Decoding::new(self.channels(), orientation).with_range(self.range.clone())
    }

    /// Decodes a file, as [`Self::decoding`] says, and gives nearly what [`Self::apply`] gives, with the same random
    /// choices.
    ///
    /// A JPEG file in colours is decoded at one to four eighths of its size, the fewest at which its crop still has
    /// as many pixels as `image_size` on both sides. The values differ a little, by less than 2 levels of 255 on
    /// average for photographs. All other files and crops are decoded at full size. Damaged data below the
    /// crop is not noticed, but a file that was cut is refused all the same.
    ///
    /// # Errors
    /// Those of [`crate::decode`]; `name` is used in them.
    pub fn apply_to_file(
        &self,
        bytes: &[u8],
        name: &str,
        decoding: &Decoding,
        rng: &mut impl rand::Rng,
    ) -> Result<Vec<f32>, DataError> {
        self.apply_to_named(bytes, &|| name.to_owned(), decoding, rng)
    }

    /// [`Self::apply_to_file`] of a file whose name may have to be read, so that only messages ask for it.
    pub(crate) fn apply_to_named(
        &self,
        bytes: &[u8],
        name: &dyn Fn() -> String,
        decoding: &Decoding,
        rng: &mut impl rand::Rng,
    ) -> Result<Vec<f32>, DataError> {
        let whole = || decode_named(bytes, name, decoding);
        let Some(jpeg) = self.crop.scaled_jpeg(bytes, decoding) else {
            return Ok(self.apply(&whole()?, rng));
        };
        let (width, height) = jpeg.size();
        let drawn = self.draw(ImageSize { height, width }, rng);
        let cut = match drawn.steps.first() {
            Some(&Step::Crop { region, .. }) => jpeg.cut(region, self.target()),
            _ => None,
        };
        let image = match cut {
            Some(cut) => drawn.apply_from(1, Cow::Owned(cut)),
            None => drawn.apply(&whole()?),
        };
        Ok(self.values(&image, rng))
    }

    fn target(&self) -> CropTarget {
        let [height, width] = [self.image_size.height, self.image_size.width].map(|side| side.max(1));
        CropTarget { size: ImageSize { height, width }, interpolation: self.interpolation }
    }

    /// Normalises the finished image and erases a part of it.
    fn values(&self, image: &Image, rng: &mut impl rand::Rng) -> Vec<f32> {
        let mut values = normalize(image, &self.mean, &self.std);
        if let Some(erasing) = self.erasing {
            erasing.apply(&mut values, image.height(), image.width(), rng);
        }
        values
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] or [`DataError::Config`] with the first value that does not fit, for colour jitter
    /// together with RandAugment, and for either with other channels than three.
    pub fn validate(&self) -> Result<(), DataError> {
        let probable = (0.0..=1.0).contains(&self.flip_probability);
        DataError::check(probable, "flip probability", self.flip_probability, "between 0 and 1")?;
        self.image_size.validate()?;
        check_common(&self.mean, &self.std, &self.range)?;
        let channels = self.channels();
        for (what, on, advice) in [
            ("RandAugment", self.rand_augment.is_some(), "--set augmentation.rand_augment=none"),
            ("colour jitter", self.color_jitter.is_some(), "--set augmentation.color_jitter=0"),
        ] {
            let expected =
                format!("off for images of {channels} channel(s), because it changes colours: {advice}");
            DataError::check(channels == COLOURS || !on, what, "on", &expected)?;
        }
        if let Some(color_jitter) = self.color_jitter {
            let advice = "off when RandAugment is on, as in timm; leave one of the two out";
            DataError::check(self.rand_augment.is_none(), "colour jitter", "on", advice)?;
            color_jitter.validate()?;
        }
        if let Some(rand_augment) = self.rand_augment {
            rand_augment.validate()?;
        }
        if let Some(erasing) = self.erasing {
            erasing.validate()?;
        }
        self.crop.validate(self.image_size)
    }
}

/// Checks the settings of evaluation against their ranges.
pub(crate) fn validate_preprocessing(preprocessing: &Preprocessing) -> Result<(), DataError> {
    Ok(preprocessing.validate()?)
}

fn check_common(mean: &[f32], std: &[f32], range: &ValueRange) -> Result<(), DataError> {
    let channels = mean.len();
    DataError::check(channels > 0, "number of channels", channels, "at least 1")?;
    let fits = std.len() == channels;
    let expected = format!("{channels}, one for each channel");
    DataError::check(fits, "number of standard deviations", std.len(), &expected)?;
    let finite = mean.iter().all(|value| value.is_finite());
    DataError::check(finite, "mean of the channels", format!("{mean:?}"), "finite")?;
    let positive = std.iter().all(|&value| value.is_finite() && value > 0.0);
    DataError::check(positive, "standard deviation of the channels", format!("{std:?}"), "above 0")?;
    let sensible = range.validate(channels).is_ok();
    let expected = "two finite numbers, the lower one first, for each channel or once for all";
    DataError::check(sensible, "value range", range, expected)
}

/// The mean in levels of 255, as timm rounds it: (124, 116, 104) for ImageNet.
fn mean_colour(mean: &[f32]) -> [u8; COLOURS] {
    std::array::from_fn(|colour| (255.0 * f64::from(mean[colour])).round_ties_even() as u8)
}

#[cfg(test)]
mod tests;
