//! How a picture becomes the input of a model (facts B7).

use serde::{Deserialize, Serialize};

use crate::{ConfigError, ValueRange};

/// Largest side of an image that a model is given, in pixels.
pub const LARGEST_IMAGE: usize = 16_384;

/// Channels of a colour picture: red, green and blue.
pub const COLOURS: usize = 3;

/// Mean of the red, green and blue values of ImageNet, in [0, 1].
pub const IMAGENET_MEAN: [f32; COLOURS] = [0.485, 0.456, 0.406];

/// Standard deviation of the red, green and blue values of ImageNet, in [0, 1].
pub const IMAGENET_STD: [f32; COLOURS] = [0.229, 0.224, 0.225];

/// The mean of ImageNet for pictures of so many channels: of one channel the mean over the colours, as in timm
/// (`adapt_to_chs`), of others the values of red, green and blue over and over.
pub fn imagenet_mean(channels: usize) -> Vec<f32> {
    for_channels(IMAGENET_MEAN, channels)
}

/// The standard deviation of ImageNet for pictures of so many channels, by the rule of [`imagenet_mean`].
pub fn imagenet_std(channels: usize) -> Vec<f32> {
    for_channels(IMAGENET_STD, channels)
}

fn for_channels(colours: [f32; COLOURS], channels: usize) -> Vec<f32> {
    match channels {
        1 => vec![(colours.map(f64::from).iter().sum::<f64>() / COLOURS as f64) as f32],
        _ => colours.into_iter().cycle().take(channels).collect(),
    }
}

/// What evaluation does to a picture. It travels with the weights, so that whoever uses them later
/// does the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Side of the square that the model sees, in pixels.
    pub image_size: usize,
    /// The short side is resized to `floor(image_size / crop)` and the centre cut out; `None` warps the
    /// whole picture to the square.
    pub crop: Option<f64>,
    /// Mean of each channel, subtracted from values in [0, 1].
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, divided by.
    pub std: Vec<f32>,
    /// Which values of the files become 0 and 1.
    #[serde(default, skip_serializing_if = "ValueRange::is_unstated")]
    pub range: ValueRange,
}

impl Preprocessing {
    /// The official rule for a size: below 384 pixels the centre of a resize by 1 / 0.875, from
    /// 384 on warping. Pictures of at most 32 pixels are not cropped either (facts B7). Mean and standard
    /// deviation are those of ImageNet.
    pub fn for_size(image_size: usize, channels: usize) -> Self {
        let crop = (33..384).contains(&image_size).then_some(0.875);
        let (mean, std) = (imagenet_mean(channels), imagenet_std(channels));
        Self { image_size, crop, mean, std, range: ValueRange::Unstated }
    }

    /// Channels of the pictures, each with its mean: what files are decoded to.
    pub fn channels(&self) -> usize {
        self.mean.len()
    }

    /// The same for another size.
    #[must_use]
    pub fn at_size(self, image_size: usize) -> Self {
        let crop = Self::for_size(image_size, self.channels()).crop;
        Self { image_size, crop, ..self }
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] with the first value that does not fit.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = |ok: bool, what: &'static str, found: String, expected: &'static str| {
            if ok { Ok(()) } else { Err(ConfigError::OutOfRange { what, found, expected }) }
        };
        let size = self.image_size;
        check((1..=LARGEST_IMAGE).contains(&size), "image size", size.to_string(), "from 1 to 16384")?;
        let crop_fits = self.crop.is_none_or(|crop| crop > 0.0 && crop <= 1.0);
        check(crop_fits, "crop", format!("{:?}", self.crop), "above 0 and at most 1")?;
        let (means, stds) = (self.mean.len(), self.std.len());
        check(means > 0, "number of means", means.to_string(), "at least 1")?;
        let counts = format!("{stds} for {means} means");
        check(stds == means, "number of standard deviations", counts, "the same")?;
        let finite = self.mean.iter().all(|mean| mean.is_finite());
        check(finite, "mean", format!("{:?}", self.mean), "finite")?;
        let positive = self.std.iter().all(|std| std.is_finite() && *std > 0.0);
        check(positive, "std", format!("{:?}", self.std), "finite and above 0")?;
        self.range.validate(means)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_without_sense_are_refused() {
        let good = || Preprocessing::for_size(224, 3);
        assert_eq!(good().validate(), Ok(()));
        for (bad, what) in [
            (Preprocessing { image_size: 0, ..good() }, "image size is 0"),
            (Preprocessing { image_size: 100_000_000, ..good() }, "image size is 100000000"),
            (Preprocessing { crop: Some(0.0), ..good() }, "crop is"),
            (Preprocessing { mean: vec![f32::NAN; 3], ..good() }, "mean is"),
            (Preprocessing { std: vec![0.2, 0.0, 0.2], ..good() }, "std is"),
            (Preprocessing { mean: vec![], std: vec![], ..good() }, "number of means is 0"),
            (Preprocessing { std: vec![0.2], ..good() }, "standard deviations is 1 for 3 means"),
        ] {
            let message = bad.validate().unwrap_err().to_string();
            assert!(message.contains(what), "{message}");
        }
    }

    #[test]
    fn statistics_fit_any_number_of_channels() {
        assert_eq!(imagenet_mean(3), IMAGENET_MEAN);
        assert_eq!((imagenet_mean(1), imagenet_std(1)), (vec![0.449], vec![0.226]));
        assert_eq!(imagenet_mean(5), [0.485, 0.456, 0.406, 0.485, 0.456]);
        assert_eq!(imagenet_std(2), [0.229, 0.224]);
        assert_eq!(Preprocessing::for_size(224, 5).channels(), 5);
    }

    #[test]
    fn another_size_keeps_the_statistics() {
        let own = Preprocessing { mean: vec![0.1], std: vec![0.2], ..Preprocessing::for_size(32, 1) };
        let expected = Preprocessing { image_size: 224, crop: Some(0.875), ..own.clone() };
        assert_eq!(own.at_size(224), expected);
    }

    #[test]
    fn the_rule_changes_at_384() {
        assert_eq!(Preprocessing::for_size(224, 3).crop, Some(0.875));
        assert_eq!(Preprocessing::for_size(384, 3).crop, None);
        assert_eq!(Preprocessing::for_size(32, 3).crop, None);
    }
}
