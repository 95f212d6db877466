//! How a picture becomes the input of a model (facts B7).

use serde::{Deserialize, Serialize};

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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_changes_at_384() {
        assert_eq!(Preprocessing::for_size(224).crop, Some(0.875));
        assert_eq!(Preprocessing::for_size(384).crop, None);
        assert_eq!(Preprocessing::for_size(32).crop, None);
    }
}
