//! Preprocessing: from an image to the input of a model (docs/facts.md, "Preprocessing").

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::geometry::Geometry;
use crate::image_size::ImageSize;
use crate::interpolation::Interpolation;
use crate::resize_rule::ResizeRule;
use crate::stored_preprocessing::StoredPreprocessing;
use crate::value_range::ValueRange;

/// Channels of a colour image: red, green and blue.
pub const COLOURS: usize = 3;

/// Mean of the red, green and blue values of ImageNet, in [0, 1].
pub const IMAGENET_MEAN: [f32; COLOURS] = [0.485, 0.456, 0.406];

/// Standard deviation of the red, green and blue values of ImageNet, in [0, 1].
pub const IMAGENET_STD: [f32; COLOURS] = [0.229, 0.224, 0.225];

/// The mean of ImageNet for images of this number of channels: of one channel the mean over the colours, as
/// in timm (`adapt_to_chs`), of others the values of red, green and blue over and over.
pub fn imagenet_mean(channels: usize) -> Vec<f32> {
    for_channels(&IMAGENET_MEAN, channels)
}

/// The standard deviation of ImageNet for images of this number of channels, by the rule of
/// [`imagenet_mean`].
pub fn imagenet_std(channels: usize) -> Vec<f32> {
    for_channels(&IMAGENET_STD, channels)
}

/// Values of channels for images of another number of channels.
fn for_channels(values: &[f32], channels: usize) -> Vec<f32> {
    match channels {
        _ if channels == values.len() => values.to_vec(),
        1 => vec![(values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64) as f32],
        _ => values.iter().copied().cycle().take(channels).collect(),
    }
}

/// Evaluation transform of an image. It travels with the weights, so that whoever uses them later
/// does the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredPreprocessing", into = "StoredPreprocessing")]
pub struct Preprocessing {
    /// Resizing and cropping.
    pub geometry: Geometry,
    /// Mean of each channel, subtracted from values in [0, 1].
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, divided by.
    pub std: Vec<f32>,
    /// The filter of the resizing.
    pub interpolation: Interpolation,
    /// Values of the files that become 0 and 1.
    pub range: ValueRange,
}

impl TryFrom<StoredPreprocessing> for Preprocessing {
    type Error = &'static str;

    fn try_from(stored: StoredPreprocessing) -> Result<Self, Self::Error> {
        let geometry = stored.geometry()?;
        let StoredPreprocessing { mean, std, interpolation, range, .. } = stored;
        Ok(Self { geometry, mean, std, interpolation, range })
    }
}

impl From<Preprocessing> for StoredPreprocessing {
    fn from(preprocessing: Preprocessing) -> Self {
        let Preprocessing { geometry, mean, std, interpolation, range } = preprocessing;
        Self::new(geometry, mean, std, interpolation, range)
    }
}

impl Preprocessing {
    /// The official rule for a size, [`Geometry::official`]. Mean and standard deviation are those of ImageNet, and
    /// resizing is bicubic.
    pub fn for_size(image_size: impl Into<ImageSize>, channels: usize) -> Self {
        Self {
            geometry: Geometry::official(image_size.into()),
            mean: imagenet_mean(channels),
            std: imagenet_std(channels),
            interpolation: Interpolation::Bicubic,
            range: ValueRange::Unstated,
        }
    }

    /// The preprocessing of a training: that of the weights that it starts from, where there are any, for images of this
    /// size and this number of channels. Everything else that happens to its images follows from it.
    pub fn of_training(start: Option<&Self>, image_size: impl Into<ImageSize>, channels: usize) -> Self {
        match start {
            None => Self::for_size(image_size, channels),
            Some(start) => start.clone().at_size(image_size).for_channels(channels),
        }
    }

    /// The size that every image becomes; `None` where each has a size of its own.
    pub fn image_size(&self) -> Option<ImageSize> {
        self.geometry.image_size()
    }

    /// [`Self::image_size`], for what needs one.
    ///
    /// # Errors
    /// [`ConfigError::NoImageSize`] where each image has a size of its own.
    pub fn fixed_size(&self) -> Result<ImageSize, ConfigError> {
        self.image_size().ok_or_else(|| ConfigError::NoImageSize { images: self.geometry.to_string() })
    }

    /// Channels of the images, each with its mean: what files are decoded to.
    pub fn channels(&self) -> usize {
        self.mean.len()
    }

    /// The same for other channels, by the rule of [`imagenet_mean`].
    #[must_use]
    pub fn for_channels(self, channels: usize) -> Self {
        let [mean, std] = [&self.mean, &self.std].map(|values| for_channels(values, channels));
        Self { mean, std, ..self }
    }

    /// The same for another size, by the official rule for that; a size that it has already changes nothing.
    #[must_use]
    pub fn at_size(self, image_size: impl Into<ImageSize>) -> Self {
        let image_size = image_size.into();
        if self.image_size() == Some(image_size) {
            return self;
        }
        Self { geometry: Geometry::official(image_size), ..self }
    }

    /// The same with images resized by a rule, both sides padded to a multiple of `pad` pixels.
    #[must_use]
    pub fn resized_by(self, rule: ResizeRule, pad: usize) -> Self {
        Self { geometry: rule.geometry(pad), ..self }
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] with the first value that does not fit.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = |ok: bool, what: &'static str, found: String, expected: &'static str| {
            if ok { Ok(()) } else { Err(ConfigError::OutOfRange { what, found, expected }) }
        };
        self.geometry.validate()?;
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

    fn crop(preprocessing: &Preprocessing) -> Option<f64> {
        match preprocessing.geometry {
            Geometry::CentreCrop { crop, .. } => Some(crop),
            _ => None,
        }
    }

    #[test]
    fn values_without_sense_are_refused() {
        let good = || Preprocessing::for_size(224, 3);
        assert_eq!(good().validate(), Ok(()));
        for (bad, what) in [
            (good().at_size(0), "image size is 0"),
            (good().at_size(100_000_000), "image size is 100000000"),
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
        let size = ImageSize::square(224);
        let expected = Preprocessing { geometry: Geometry::CentreCrop { size, crop: 0.875 }, ..own.clone() };
        assert_eq!(own.at_size(224), expected);
        let size = ImageSize::square(288);
        let geometry = Geometry::CentreCrop { size, crop: 0.95 };
        let cropped = Preprocessing { geometry, ..Preprocessing::for_size(288, 3) };
        assert_eq!(cropped.clone().at_size(288), cropped);
        assert_eq!(crop(&cropped.at_size([288, 320])), Some(0.875));
    }

    #[test]
    fn images_of_their_own_sizes_have_no_size_until_one_is_asked_for() {
        let own = Preprocessing { geometry: Geometry::None { pad: 32 }, ..Preprocessing::for_size(64, 3) };
        let message = own.fixed_size().unwrap_err().to_string();
        assert!(message.contains("of their own size") && message.contains("--image-size"), "{message}");
        assert_eq!(own.at_size([64, 96]).fixed_size(), Ok(ImageSize::from([64, 96])));
    }

    #[test]
    fn a_training_follows_the_weights() {
        let own = Preprocessing {
            geometry: Geometry::Warp { size: ImageSize::square(64) },
            mean: vec![0.25, 0.5, 0.75],
            std: vec![0.5; 3],
            interpolation: Interpolation::Bilinear,
            ..Preprocessing::for_size(64, 3)
        };
        assert_eq!(Preprocessing::of_training(Some(&own), 64, 3), own);
        let grey = Preprocessing { mean: vec![0.5], std: vec![0.5], ..own.clone() };
        assert_eq!(Preprocessing::of_training(Some(&own), 64, 1), grey);
        let larger = Preprocessing::of_training(Some(&own), 224, 5);
        assert_eq!((crop(&larger), larger.interpolation), (Some(0.875), Interpolation::Bilinear));
        assert_eq!(larger.mean, [0.25, 0.5, 0.75, 0.25, 0.5]);
        assert_eq!(Preprocessing::of_training(None, 32, 3), Preprocessing::for_size(32, 3));
    }

    #[test]
    fn files_mention_only_unusual_filters() {
        let usual = serde_json::to_string(&Preprocessing::for_size(32, 1)).unwrap();
        assert_eq!(usual, r#"{"image_size":32,"crop":null,"mean":[0.449],"std":[0.226]}"#);
        for interpolation in Interpolation::PILLOW {
            let own = Preprocessing { interpolation, ..Preprocessing::for_size(32, 1) };
            let text = serde_json::to_string(&own).unwrap();
            assert_eq!(serde_json::from_str::<Preprocessing>(&text).unwrap(), own);
            assert_eq!(text.contains(interpolation.name()), interpolation != Interpolation::Bicubic);
            assert_eq!(Interpolation::PILLOW[interpolation.pillow_number()], interpolation);
        }
    }
}
