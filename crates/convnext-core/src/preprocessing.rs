//! How a picture becomes the input of a model (facts B7).

use serde::{Deserialize, Serialize};

use crate::ConfigError;

/// Largest side of an image that a model is given, in pixels.
pub const LARGEST_IMAGE: usize = 16_384;

/// Mean of the red, green and blue values of ImageNet, in [0, 1].
pub const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];

/// Standard deviation of the red, green and blue values of ImageNet, in [0, 1].
pub const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// What evaluation does to a picture. It travels with the weights, so that whoever uses them later
/// does the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Side of the square that the model sees, in pixels.
    pub image_size: usize,
    /// The short side is resized to `floor(image_size / crop)` and the centre cut out; `None` warps the
    /// whole picture to the square.
    pub crop: Option<f64>,
    /// Mean of each colour, subtracted from values in [0, 1].
    pub mean: [f32; 3],
    /// Standard deviation of each colour, divided by.
    pub std: [f32; 3],
}

impl Preprocessing {
    /// The official rule for a size: below 384 pixels the centre of a resize by 1 / 0.875, from
    /// 384 on warping. Pictures of at most 32 pixels are not cropped either (facts B7).
    pub fn for_size(image_size: usize) -> Self {
        let crop = (33..384).contains(&image_size).then_some(0.875);
        Self { image_size, crop, mean: IMAGENET_MEAN, std: IMAGENET_STD }
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
        let finite = self.mean.iter().all(|mean| mean.is_finite());
        check(finite, "mean", format!("{:?}", self.mean), "finite")?;
        let positive = self.std.iter().all(|std| std.is_finite() && *std > 0.0);
        check(positive, "std", format!("{:?}", self.std), "finite and above 0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_without_sense_are_refused() {
        let good = Preprocessing::for_size(224);
        assert_eq!(good.validate(), Ok(()));
        for (bad, what) in [
            (Preprocessing { image_size: 0, ..good }, "image size is 0"),
            (Preprocessing { image_size: 100_000_000, ..good }, "image size is 100000000"),
            (Preprocessing { crop: Some(0.0), ..good }, "crop is"),
            (Preprocessing { mean: [f32::NAN; 3], ..good }, "mean is"),
            (Preprocessing { std: [0.2, 0.0, 0.2], ..good }, "std is"),
        ] {
            let message = bad.validate().unwrap_err().to_string();
            assert!(message.contains(what), "{message}");
        }
    }

    #[test]
    fn the_rule_changes_at_384() {
        assert_eq!(Preprocessing::for_size(224).crop, Some(0.875));
        assert_eq!(Preprocessing::for_size(384).crop, None);
        assert_eq!(Preprocessing::for_size(32).crop, None);
    }
}
