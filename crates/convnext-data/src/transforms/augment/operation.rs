//! The operations that augmentation is made of.

use convnext_core::{COLOURS, ImageSize};

use crate::pixels::image::Image;
use crate::pixels::label_map::LabelMap;
use crate::transforms::augment::{affine, blend, levels};

/// A change of an image that keeps its size, with its strength.
///
/// Each gives the pixels of Pillow 13 (`ImageOps`, `ImageEnhance`, `rotate` and `transform` with bicubic
/// resampling).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Operation {
    /// Stretches each colour so that its least value becomes 0 and its largest 255.
    AutoContrast,
    /// Spreads the values of each colour evenly.
    Equalize,
    /// Subtracts every value from 255.
    Invert,
    /// Turns the image about its centre, counter-clockwise, by so many degrees.
    Rotate(f64),
    /// Keeps so many of the eight bits of each value, the highest ones. 0 gives black.
    Posterize(u32),
    /// Inverts values from this threshold on. 256 changes nothing.
    Solarize(u16),
    /// Adds so much to values below 128, up to 255.
    SolarizeAdd(u8),
    /// Moves colours away from (above 1) or towards (below 1) their greyscale.
    Color(f64),
    /// Moves values away from (above 1) or towards (below 1) the mean of the greyscale image.
    Contrast(f64),
    /// Multiplies every value.
    Brightness(f64),
    /// Moves values away from (above 1) or towards (below 1) those of the smoothed image.
    Sharpness(f64),
    /// Takes each pixel from so many columns to the right for each row that it lies below the top.
    ShearX(f64),
    /// Takes each pixel from so many rows further down for each column that it lies right of the left border.
    ShearY(f64),
    /// Takes each pixel from further right by this fraction of the width.
    TranslateX(f64),
    /// Takes each pixel from further down by this fraction of the height.
    TranslateY(f64),
}

impl Operation {
    /// The changed image. Pixels that come from outside the image get the colour `fill`.
    ///
    /// # Panics
    /// When the image has other than three channels.
    pub fn apply(self, image: Image, fill: [u8; COLOURS]) -> Image {
        assert_eq!(image.channels(), COLOURS, "operations change red, green and blue");
        if let Some(matrix) = self.matrix(image.size()) {
            return affine::transform(&image, matrix, fill);
        }
        match self {
            Self::AutoContrast => levels::auto_contrast(image),
            Self::Equalize => levels::equalize(image),
            Self::Invert => levels::map(image, |level| 255 - level),
            Self::Posterize(bits) => levels::posterize(image, bits),
            Self::Solarize(threshold) => levels::solarize(image, threshold),
            Self::SolarizeAdd(add) => levels::solarize_add(image, add),
            Self::Color(factor) => blend::color(image, factor),
            Self::Contrast(factor) => blend::contrast(image, factor),
            Self::Brightness(factor) => blend::brightness(image, factor),
            Self::Sharpness(factor) => blend::sharpness(image, factor),
            // These have a matrix.
            Self::Rotate(_)
            | Self::ShearX(_)
            | Self::ShearY(_)
            | Self::TranslateX(_)
            | Self::TranslateY(_) => image,
        }
    }

    /// `[a, b, c, d, e, f]` of an operation that moves pixels, for an image of this size: a point (x, y) of the result
    /// comes from (ax + by + c, dx + ey + f), where the centre of the first pixel is (0.5, 0.5). `None` for an operation
    /// that leaves pixels where they are.
    pub fn matrix(self, size: ImageSize) -> Option<[f64; 6]> {
        let (width, height) = (size.width as f64, size.height as f64);
        match self {
            Self::Rotate(degrees) => Some(affine::rotation(size, degrees)),
            Self::ShearX(factor) => Some([1.0, factor, 0.0, 0.0, 1.0, 0.0]),
            Self::ShearY(factor) => Some([1.0, 0.0, 0.0, factor, 1.0, 0.0]),
            Self::TranslateX(share) => Some([1.0, 0.0, share * width, 0.0, 1.0, 0.0]),
            Self::TranslateY(share) => Some([1.0, 0.0, 0.0, 0.0, 1.0, share * height]),
            _ => None,
        }
    }

    /// The labels of the changed image: the nearest ones, and ignored where they come from outside.
    pub fn apply_to_labels(self, map: LabelMap) -> LabelMap {
        match self.matrix(map.size()) {
            Some(matrix) => affine::transform_labels(&map, matrix),
            None => map,
        }
    }
}
