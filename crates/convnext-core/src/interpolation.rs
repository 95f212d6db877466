//! The filter of resizing.

use serde::{Deserialize, Serialize};

/// The filter that images are resized with: Pillow's of the same names, antialiased but for the nearest pixel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// The pixel below the middle of the new one.
    Nearest,
    /// The mean of the pixels below the new one.
    Box,
    /// A triangle.
    Bilinear,
    /// As sharp as bicubic, as fast as bilinear.
    Hamming,
    /// Cubic with a = -0.5: what the official models were trained with.
    #[default]
    Bicubic,
    /// Lanczos of three lobes.
    Lanczos,
}

impl Interpolation {
    /// All filters, each at the place of Pillow's number for it.
    pub const PILLOW: [Self; 6] =
        [Self::Nearest, Self::Lanczos, Self::Bilinear, Self::Bicubic, Self::Box, Self::Hamming];

    /// The name in Pillow, timm and our files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nearest => "nearest",
            Self::Box => "box",
            Self::Bilinear => "bilinear",
            Self::Hamming => "hamming",
            Self::Bicubic => "bicubic",
            Self::Lanczos => "lanczos",
        }
    }

    /// Pillow's number, which transformers writes as `resample`.
    pub fn pillow_number(self) -> usize {
        Self::PILLOW.iter().position(|&other| other == self).unwrap_or_default()
    }

    /// `true` for the default, which files do not mention.
    pub fn is_bicubic(&self) -> bool {
        *self == Self::Bicubic
    }
}
