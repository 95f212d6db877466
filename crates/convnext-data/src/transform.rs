//! From a picture to the values that a model sees: `f32`, channel by channel, normalised.

use convnext_core::{COLOURS, Interpolation, Preprocessing, ValueRange};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::{
    ColorJitter, DataError, Decoding, Orientation, Picture, RandAugment, RandomErasing, Region, TrainCrop,
    crop::Square,
    picture::Levels,
    resample::{Order, resize_in_order},
    resize_with,
};

/// The square of a picture that evaluation looks at: `image_size` x `image_size` pixels.
///
/// With `crop`, the short side is resized to `floor(image_size / crop)`, the long side follows (rounded
/// down), and the centre is cut out. Without, the whole picture is warped to the square. A `crop` above 1
/// counts as 1, an `image_size` of 0 as 1.
pub fn crop_for_evaluation(picture: &Picture, preprocessing: &Preprocessing) -> Picture {
    let size = preprocessing.image_size.max(1);
    let interpolation = preprocessing.interpolation;
    let Some(crop) = preprocessing.crop else {
        return resize_with(interpolation, picture, Region::whole(picture), size, size);
    };
    let short_target = ((size as f64 / crop).floor() as usize).max(size);
    let (width, height) = (picture.width(), picture.height());
    let (short, long) = (width.min(height), width.max(height));
    let long_target = (short_target as f64 * long as f64 / short as f64) as usize;
    let (width, height) =
        if width <= height { (short_target, long_target) } else { (long_target, short_target) };
    // Only the centre is computed: the same pixels as cutting it out of the whole, at less cost.
    let part = |target: usize, side: usize| {
        let scale = side as f64 / target as f64;
        // Halves go to the even neighbour, as in Python.
        let start = ((target - size) as f64 / 2.0).round_ties_even();
        (start * scale, size as f64 * scale)
    };
    let (left, region_width) = part(width, picture.width());
    let (top, region_height) = part(height, picture.height());
    let centre = Region { left, top, width: region_width, height: region_height };
    resize_in_order(interpolation, picture, centre, [size, size], Order::of(picture, width, height))
}

/// [`crop_for_evaluation`] followed by [`normalize`]: values of shape `[channels, image_size, image_size]`.
///
/// # Panics
/// When the picture has other channels than the preprocessing.
pub fn prepare_for_evaluation(picture: &Picture, preprocessing: &Preprocessing) -> Vec<f32> {
    normalize(&crop_for_evaluation(picture, preprocessing), &preprocessing.mean, &preprocessing.std)
}

/// `(value - mean) / std` of every pixel, whose levels are values in [0, 1], all values of the first channel first: shape
/// `[channels, height, width]`. `mean` and `std` have a value for each channel.
///
/// # Panics
/// When they have fewer or more.
pub fn normalize(picture: &Picture, mean: &[f32], std: &[f32]) -> Vec<f32> {
    let channels = picture.channels();
    assert_eq!([mean.len(), std.len()], [channels; 2], "a mean and a deviation for each channel");
    let mut values = Vec::with_capacity(picture.width() * picture.height() * channels);
    for (channel, (mean, std)) in mean.iter().zip(std).enumerate() {
        match picture.deep_levels() {
            None => {
                let table: [f32; 256] = std::array::from_fn(|level| (level as f32 / 255.0 - mean) / std);
                let levels = picture.bytes()[channel..].iter().step_by(channels);
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

/// What training does to a picture, in this order: a random crop, a random mirror image, RandAugment or colour
/// jitter, normalisation, random erasing (facts D3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainTransform {
    /// Side of the square that the model sees, in pixels.
    pub image_size: usize,
    /// How the square is cut.
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
    /// Which values of the files become 0 and 1.
    #[serde(default, skip_serializing_if = "ValueRange::is_unstated")]
    pub range: ValueRange,
    /// Random rectangles of noise.
    pub erasing: Option<RandomErasing>,
}

impl TrainTransform {
    /// A crop and, half of the times, a mirror image, and nothing else that is random.
    pub fn plain(image_size: usize, crop: TrainCrop, mean: Vec<f32>, std: Vec<f32>) -> Self {
        Self {
            image_size,
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

    /// Channels of the pictures, each with its mean.
    pub fn channels(&self) -> usize {
        self.mean.len()
    }

    /// Values of shape `[channels, image_size, image_size]`. All random choices come from `rng`.
    ///
    /// # Panics
    /// When the picture has other channels than the transform, or settings do not pass [`Self::validate`].
    pub fn apply(&self, picture: &Picture, rng: &mut impl rand::Rng) -> Vec<f32> {
        let square = self.crop.apply(picture, self.square(), rng);
        self.finish(square, rng)
    }

    /// What files are decoded to.
    pub fn decoding(&self, orientation: Orientation) -> Decoding {
        Decoding::new(self.channels(), orientation).with_range(self.range.clone())
    }

    /// Decodes a file, as [`Self::decoding`] says, and gives nearly what [`Self::apply`] gives, with the same random
    /// choices.
    ///
    /// A JPEG file in colours is decoded at one to four eighths of its size, the fewest at which its crop still has
    /// `image_size` pixels on both sides. The values differ a little, by less than 2 levels of 255 on
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
        let square = self.crop.apply_to_file(bytes, name, decoding, self.square(), rng)?;
        Ok(self.finish(square, rng))
    }

    fn square(&self) -> Square {
        Square { side: self.image_size.max(1), interpolation: self.interpolation }
    }

    /// What happens after the crop.
    fn finish(&self, mut square: Picture, rng: &mut impl rand::Rng) -> Vec<f32> {
        if rng.random::<f64>() < self.flip_probability {
            square = mirror(square);
        }
        if let Some(rand_augment) = self.rand_augment {
            square = rand_augment.apply(square, mean_colour(&self.mean), rng);
        }
        if let Some(color_jitter) = self.color_jitter {
            square = color_jitter.apply(square, rng);
        }
        let (height, width) = (square.height(), square.width());
        let mut values = normalize(&square, &self.mean, &self.std);
        if let Some(erasing) = self.erasing {
            erasing.apply(&mut values, height, width, rng);
        }
        values
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] with the first value that does not fit, for colour jitter together with RandAugment,
    /// and for either with other channels than three.
    pub fn validate(&self) -> Result<(), DataError> {
        let probable = (0.0..=1.0).contains(&self.flip_probability);
        DataError::check(probable, "flip probability", self.flip_probability, "between 0 and 1")?;
        check_common(self.image_size, &self.mean, &self.std, &self.range)?;
        let channels = self.channels();
        for (what, on, advice) in [
            ("RandAugment", self.rand_augment.is_some(), "--set augmentation.rand_augment=none"),
            ("colour jitter", self.color_jitter.is_some(), "--set augmentation.color_jitter=0"),
        ] {
            let expected =
                format!("off for pictures of {channels} channel(s), because it changes colours: {advice}");
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
    if let Some(crop) = preprocessing.crop {
        DataError::check(crop > 0.0 && crop <= 1.0, "evaluation crop", crop, "above 0 and at most 1")?;
    }
    let Preprocessing { image_size, mean, std, range, .. } = preprocessing;
    check_common(*image_size, mean, std, range)
}

/// The largest side of a model's input; a larger one is a slip of the finger.
const MAX_IMAGE_SIZE: usize = 16_384;

fn check_common(image_size: usize, mean: &[f32], std: &[f32], range: &ValueRange) -> Result<(), DataError> {
    let sensible = (1..=MAX_IMAGE_SIZE).contains(&image_size);
    DataError::check(sensible, "image size", image_size, &format!("between 1 and {MAX_IMAGE_SIZE}"))?;
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
    DataError::check(sensible, "value range", range.in_words(), expected)
}

/// The mean in levels of 255, as timm rounds it: (124, 116, 104) for ImageNet.
fn mean_colour(mean: &[f32]) -> [u8; COLOURS] {
    std::array::from_fn(|colour| (255.0 * f64::from(mean[colour])).round_ties_even() as u8)
}

/// The picture with left and right exchanged.
fn mirror(picture: Picture) -> Picture {
    let (width, height, channels) = (picture.width(), picture.height(), picture.channels());
    let mut levels = picture.into_levels();
    match &mut levels {
        Levels::Eight(levels) => mirror_rows(levels, width, channels),
        Levels::Sixteen(levels, rounded) => {
            rounded.take();
            mirror_rows(levels, width, channels);
        }
    }
    Picture::from_parts(width, height, channels, levels)
}

fn mirror_rows<T>(levels: &mut [T], width: usize, channels: usize) {
    for row in levels.chunks_exact_mut(width * channels) {
        // All values change places, then those of each pixel back.
        row.reverse();
        row.chunks_exact_mut(channels).for_each(<[T]>::reverse);
    }
}

#[cfg(test)]
mod tests;
