//! Errors of masks and their classes.

use convnext_core::{ConfigError, ImageSize};
use thiserror::Error;

use crate::loading::corrupt_file::{CorruptFile, listed};
use crate::pixels::orientation::Orientation;
use crate::segmentation::value::MaskValue;

/// Masks, or a table of their classes, that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MaskError {
    /// A file of classes cannot be read.
    #[error(
        "classes {path}, line {line}: {why}; a file of classes is CSV with the columns name and any of id, colour, or r, g \
         and b, or TOML with a [[class]] each, or text with a name a line"
    )]
    ClassFile {
        /// The file.
        path: String,
        /// The line, from 1.
        line: u64,
        /// The reason.
        why: String,
    },
    /// The values of masks do not say which class is where.
    #[error("the masks of {path} cannot be used: {found}; {advice}")]
    Masks {
        /// The data, or a mask that shows it.
        path: String,
        /// The reason.
        found: String,
        /// The remedy.
        advice: String,
    },
    /// A mask has a value that is no class, although none had when the data was opened.
    #[error(
        "{name} has pixels of {value}, which is none of the classes; was the file changed since it was opened?"
    )]
    Value {
        /// The mask.
        name: String,
        /// The value.
        value: MaskValue,
    },
    /// A mask has another size than its image.
    #[error("{name}: {}", size_reason(.image, *.found, *.expected, *.fits))]
    Size {
        /// The mask.
        name: String,
        /// Its size.
        found: ImageSize,
        /// The image.
        image: String,
        /// The image's size.
        expected: ImageSize,
        /// The other treatment of the image's EXIF orientation, if the mask fits the image with that.
        fits: Option<Orientation>,
    },
    /// An image of which a network gets too few pixels.
    #[error(
        "{image}, of {}, cannot be segmented: {source}; remove it with its mask, or have the network look at larger images \
         (--resize short:N, or in a training --set inference.resize=short:N)",
        .size.with_unit()
    )]
    SmallImage {
        /// The image.
        image: String,
        /// Its size.
        size: ImageSize,
        /// What the network gets, and what it needs.
        source: ConfigError,
    },
    /// Masks that cannot be read or do not fit their images.
    #[error(
        "{count} of the {total} masks of {path} cannot be used:{}\nrepair them, or remove them with their images",
        listed(.files, *.count)
    )]
    Unusable {
        /// The data.
        path: String,
        /// Number of such masks.
        count: usize,
        /// Number of masks.
        total: usize,
        /// The masks.
        files: Vec<CorruptFile>,
    },
}

impl MaskError {
    /// Reason why a mask cannot be used, without its name.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Size { found, image, expected, fits, .. } => size_reason(image, *found, *expected, *fits),
            other => other.to_string(),
        }
    }
}

fn size_reason(image: &str, found: ImageSize, expected: ImageSize, fits: Option<Orientation>) -> String {
    let words = match fits {
        Some(Orientation::Ignore) => {
            "; it fits the image without the turn in its EXIF data: turn the mask or the image's pixels, or give \
             --ignore-orientation"
        }
        Some(Orientation::Honour) => {
            "; it fits the image with the turn in its EXIF data: leave out --ignore-orientation, or turn the mask"
        }
        None => "; masks have a label for each pixel, so scale it without smoothing or take the right one",
    };
    format!("it is {} but its image {image} is {}{words}", found.with_unit(), expected.with_unit())
}
