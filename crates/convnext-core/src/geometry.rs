//! Resizing and cropping in evaluation (docs/facts.md, "Preprocessing", "Detection", "Segmentation").

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::image_size::{ImageSize, MAX_IMAGE_SIDE, SIDE_RANGE};

/// Resizing and cropping of an image of any size to the input of a model, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Geometry {
    /// The image is resized in its proportions until it covers both sides of `size`, each over `crop`, and the centre
    /// is cut out, as timm does (`crop_mode` `center`).
    CentreCrop {
        /// Size of the crop.
        size: ImageSize,
        /// The fraction of the resized image that is left of its shorter side, in (0, 1]; timm's `crop_pct`.
        crop: f64,
    },
    /// The whole image is resized, whatever its proportions; timm's `crop_mode` `squash`.
    Warp {
        /// Size after resizing.
        size: ImageSize,
    },
    /// The image is resized in its proportions and padded, as mmdet and mmseg do: each has a size of its own.
    Fit(Fit),
    /// The image keeps its size and is padded.
    None {
        /// Both sides are padded to a multiple of so many pixels, at least 1.
        pad: usize,
    },
}

/// Bounds of [`Geometry::Fit`], in pixels: the image becomes as large as they allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fit {
    /// The longer side of the resized image is at most this.
    pub long: usize,
    /// The shorter side of the resized image is at most this.
    pub short: usize,
    /// Both sides are padded to a multiple of so many pixels, at least 1.
    pub pad: usize,
}

impl Fit {
    /// The size of an image after resizing and before padding: mmcv's `rescale_size`, halves rounded up. An image that
    /// is much longer than wide keeps at least one pixel.
    pub fn resized(&self, image: ImageSize) -> ImageSize {
        let scale =
            (self.long as f64 / image.long_side() as f64).min(self.short as f64 / image.short_side() as f64);
        let side = |side: usize| ((side as f64 * scale + 0.5) as usize).max(1);
        ImageSize { height: side(image.height), width: side(image.width) }
    }
}

impl Geometry {
    /// The official rule for a size, by its shorter side: below 384 pixels the centre of a resize by 1 / 0.875, from
    /// 384 on warping. Images of at most 32 pixels are not cropped either (docs/facts.md, "Preprocessing").
    pub fn official(size: ImageSize) -> Self {
        match size.short_side() {
            33..384 => Self::CentreCrop { size, crop: 0.875 },
            _ => Self::Warp { size },
        }
    }

    /// The size that every image becomes; `None` where each has a size of its own.
    pub fn image_size(&self) -> Option<ImageSize> {
        match *self {
            Self::CentreCrop { size, .. } | Self::Warp { size } => Some(size),
            Self::Fit(_) | Self::None { .. } => None,
        }
    }

    /// The smallest size that an image can become.
    pub fn smallest(&self) -> ImageSize {
        match *self {
            Self::CentreCrop { size, .. } | Self::Warp { size } => size,
            Self::Fit(Fit { pad, .. }) | Self::None { pad } => ImageSize::square(pad),
        }
    }

    /// A size, with padding at the bottom and at the right: both sides become multiples of `pad`.
    pub fn padded(&self, image: ImageSize) -> ImageSize {
        match *self {
            Self::CentreCrop { .. } | Self::Warp { .. } => image,
            Self::Fit(Fit { pad, .. }) | Self::None { pad } => {
                let [height, width] =
                    [image.height, image.width].map(|side| side.next_multiple_of(pad.max(1)));
                ImageSize { height, width }
            }
        }
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] with the first value that does not fit.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = |what: &'static str, side: usize| {
            let (found, expected) = (side.to_string(), SIDE_RANGE);
            let fits = (1..=MAX_IMAGE_SIDE).contains(&side);
            if fits { Ok(()) } else { Err(ConfigError::OutOfRange { what, found, expected }) }
        };
        match *self {
            Self::CentreCrop { size, crop } => {
                size.validate()?;
                if crop > 0.0 && crop <= 1.0 {
                    return Ok(());
                }
                let (found, expected) = (crop.to_string(), "above 0 and at most 1");
                Err(ConfigError::OutOfRange { what: "crop", found, expected })
            }
            Self::Warp { size } => size.validate(),
            Self::Fit(Fit { long, short, pad }) => {
                check("long side of the fit", long)?;
                check("short side of the fit", short)?;
                check("padding of the fit", pad)?;
                if short <= long {
                    return Ok(());
                }
                let (what, found) = ("short side of the fit", format!("{short} with a long side of {long}"));
                Err(ConfigError::OutOfRange { what, found, expected: "at most the long side" })
            }
            Self::None { pad } => check("padding", pad),
        }
    }
}

impl fmt::Display for Geometry {
    /// As in `images of 224 px, centre crop 0.875`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::CentreCrop { size, crop } => {
                write!(f, "of {}, centre crop {}", size.with_unit(), (crop * 1e4).round() / 1e4)
            }
            Self::Warp { size } => write!(f, "of {}, warped", size.with_unit()),
            Self::Fit(Fit { long, short, pad }) => {
                write!(f, "of at most {long} px at the long and {short} px at the short side{}", Padding(pad))
            }
            Self::None { pad } => write!(f, "of their own size{}", Padding(pad)),
        }
    }
}

/// Padding to multiples of so many pixels; no words for none.
struct Padding(usize);

impl fmt::Display for Padding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => Ok(()),
            pad => write!(f, ", padded to multiples of {pad} px"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_changes_at_384_of_the_shorter_side() {
        for (size, crop) in [
            (ImageSize::square(32), None),
            (ImageSize::square(33), Some(0.875)),
            (ImageSize::square(224), Some(0.875)),
            (ImageSize::square(384), None),
            (ImageSize::from([224, 512]), Some(0.875)),
            (ImageSize::from([512, 384]), None),
        ] {
            let expected = crop.map_or(Geometry::Warp { size }, |crop| Geometry::CentreCrop { size, crop });
            assert_eq!(Geometry::official(size), expected, "{size}");
        }
    }

    /// Sizes after mmcv 2's `rescale_size((w, h), (1333, 800))`, worked out in Python.
    #[test]
    fn fitting_is_that_of_mmdet() {
        let fit = Fit { long: 1333, short: 800, pad: 32 };
        for (image, resized, padded) in [
            ([480, 640], [800, 1067], [800, 1088]),
            ([640, 480], [1067, 800], [1088, 800]),
            ([427, 640], [800, 1199], [800, 1216]),
            ([200, 640], [417, 1333], [448, 1344]),
            ([500, 500], [800, 800], [800, 800]),
            ([1200, 1600], [800, 1067], [800, 1088]),
            ([3, 10_000], [1, 1333], [32, 1344]),
        ] {
            let found = fit.resized(image.into());
            assert_eq!(found, resized.into(), "{image:?}");
            assert_eq!(Geometry::Fit(fit).padded(found), padded.into(), "{image:?}");
        }
    }

    #[test]
    fn fitted_images_touch_a_bound_and_cross_none() {
        let fit = Fit { long: 100, short: 60, pad: 7 };
        for height in 1..40 {
            for width in 1..40 {
                let image = ImageSize { height, width };
                let found = fit.resized(image);
                assert!(found.long_side() <= 100 && found.short_side() <= 60, "{image}: {found}");
                assert!(found.long_side() == 100 || found.short_side() == 60, "{image}: {found}");
                let padded = Geometry::Fit(fit).padded(found);
                for (before, after) in [(found.height, padded.height), (found.width, padded.width)] {
                    assert!(after % 7 == 0 && (before..before + 7).contains(&after), "{image}: {padded}");
                }
            }
        }
    }

    #[test]
    fn values_without_sense_are_refused() {
        let size = ImageSize::square(32);
        let fit = Fit { long: 64, short: 32, pad: 8 };
        assert_eq!(Geometry::Fit(fit).validate(), Ok(()));
        for (bad, what) in [
            (Geometry::Warp { size: ImageSize { width: 0, ..size } }, "image size is 32x0"),
            (Geometry::CentreCrop { size, crop: f64::NAN }, "crop is NaN"),
            (Geometry::CentreCrop { size, crop: 1.5 }, "crop is 1.5"),
            (Geometry::Fit(Fit { long: 0, ..fit }), "long side of the fit is 0"),
            (Geometry::Fit(Fit { short: 65, ..fit }), "short side of the fit is 65 with a long side of 64"),
            (Geometry::Fit(Fit { pad: 0, ..fit }), "padding of the fit is 0"),
            (Geometry::None { pad: 100_000 }, "padding is 100000"),
        ] {
            let message = bad.validate().unwrap_err().to_string();
            assert!(message.contains(what), "{message}");
        }
    }
}
