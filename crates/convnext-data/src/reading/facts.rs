//! Properties of an image file besides its pixels.

use std::fmt;

use image::{ExtendedColorType, metadata::Orientation as Turn};
use serde::{Deserialize, Serialize};

use crate::reading::sample_type::SampleType;

/// Meaning of the channels of a file, before they become red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channels {
    /// Greyscale.
    Greyscale,
    /// Greyscale and alpha.
    GreyscaleAlpha,
    /// Three colours, or a palette of them.
    Colour,
    /// RGB and alpha.
    ColourAlpha,
    /// CMYK.
    Cmyk,
    /// Any number of values that are no colours.
    Bands,
}

impl Channels {
    pub(crate) fn of(kind: ExtendedColorType) -> Self {
        use ExtendedColorType as Kind;
        match kind {
            Kind::L1 | Kind::L2 | Kind::L4 | Kind::L8 | Kind::L16 => Self::Greyscale,
            Kind::La1 | Kind::La2 | Kind::La4 | Kind::La8 | Kind::La16 => Self::GreyscaleAlpha,
            Kind::Rgba1 | Kind::Rgba2 | Kind::Rgba4 | Kind::Rgba8 | Kind::Rgba16 => Self::ColourAlpha,
            Kind::Bgra8 | Kind::Rgba32F | Kind::A8 => Self::ColourAlpha,
            Kind::Cmyk8 | Kind::Cmyk16 => Self::Cmyk,
            _ => Self::Colour,
        }
    }
}

impl fmt::Display for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greyscale => "greyscale",
            Self::GreyscaleAlpha => "greyscale with alpha",
            Self::Colour => "colour",
            Self::ColourAlpha => "colour with alpha",
            Self::Cmyk => "CMYK",
            Self::Bands => "bands",
        })
    }
}

/// Properties of an image file besides its pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Name of the format, by content.
    pub(crate) format: &'static str,
    /// Meaning of its channels.
    pub(crate) channels: Channels,
    /// Transform that makes the image upright.
    pub(crate) turn: Turn,
    /// The type of its values.
    pub(crate) samples: SampleType,
    /// What is wrong with the file, where its image is only what can be read of it.
    pub(crate) damage: Option<String>,
}
