//! Configuration files of timm and transformers beside weights.
//!
//! timm's `config.json` holds a `pretrained_cfg` (`timm/models/_hub.py`, `save_config_for_hf`), the `transformers` of
//! Hugging Face spread the same over `config.json` and `preprocessor_config.json` (`ConvNextImageProcessor`).

mod computation;
mod description;
mod processor;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use convnext_core::{COLOURS, ClassNames, Geometry, ImageSize, Interpolation, Preprocessing};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use self::description::Description;
use self::processor::ImageProcessor;
use crate::IoError;

/// Resizing and cropping in evaluation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PackageCrop {
    /// The short side is resized to the image size over this share, and the centre cut out.
    Centre(f64),
    /// The whole image is warped.
    Whole,
}

/// Configuration of timm or transformers for the use of weights; `None` is what they do not say.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct PackageConfig {
    /// Size of the images of the training.
    pub image_size: Option<ImageSize>,
    /// Resizing and cropping in evaluation.
    pub crop: Option<PackageCrop>,
    /// Mean of each channel, subtracted from values in [0, 1]; a single one is for all channels.
    pub mean: Option<Vec<f32>>,
    /// Standard deviation of each channel, divided by; a single one is for all channels.
    pub std: Option<Vec<f32>>,
    /// The filter of the resizing.
    pub interpolation: Option<Interpolation>,
    /// Classes of the head; 0 for an encoder alone.
    pub classes: Option<usize>,
    /// Their names, in the order of the logits.
    pub class_names: Option<ClassNames>,
    /// The licence of the weights.
    pub licence: Option<String>,
    /// Settings that are not followed, by the name of the field, and what is done instead.
    pub remarks: Vec<String>,
}

impl PackageConfig {
    /// Reads `config.json` and, where there is one, `preprocessor_config.json`. Fields that nobody here needs
    /// are passed over.
    ///
    /// # Errors
    /// [`IoError::BadConfig`] for what is no JSON, a field of another type, or rectangles that transformers cuts out;
    /// [`IoError::Read`] for a file that cannot be read.
    pub fn read(config: &Path, preprocessor: Option<&Path>) -> Result<Self, IoError> {
        let described = read_json::<Description>(config)?.into_config();
        let Some(path) = preprocessor else { return Ok(described) };
        // What a processor says goes before what the description says.
        read_json::<ImageProcessor>(path)?
            .into_config(described)
            .ok_or_else(|| IoError::BadConfig { path: path.to_owned(), why: "its crop is not square".into() })
    }

    /// Preprocessing: what is said here, and the rest as otherwise. Statistics of colours become those of
    /// other channels as in [`Preprocessing::for_channels`].
    pub fn preprocessing(&self, otherwise: Preprocessing) -> Preprocessing {
        let sized = match self.image_size {
            Some(size) => otherwise.at_size(size),
            None => otherwise,
        };
        let channels = sized.channels();
        let of_channels = |stated: &Option<Vec<f32>>, otherwise: Vec<f32>| match stated.as_deref() {
            None => otherwise,
            Some([one]) => vec![*one; channels],
            Some(values) => values.to_vec(),
        };
        let stated = Preprocessing {
            geometry: match (self.crop, sized.image_size()) {
                (Some(PackageCrop::Centre(crop)), Some(size)) => Geometry::CentreCrop { size, crop },
                (Some(PackageCrop::Whole), Some(size)) => Geometry::Warp { size },
                (None, _) | (_, None) => sized.geometry,
            },
            mean: of_channels(&self.mean, sized.mean),
            std: of_channels(&self.std, sized.std),
            interpolation: self.interpolation.unwrap_or(sized.interpolation),
            ..sized
        };
        // A model that was adapted to other channels still states its colours.
        let is_of_colours = stated.mean.len() == COLOURS && stated.std.len() == COLOURS;
        if is_of_colours { stated.for_channels(channels) } else { stated }
    }
}

/// A size as transformers writes it, in one of four ways.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Size {
    Side(usize),
    Sides([usize; 2]),
    ShortestEdge { shortest_edge: usize, longest_edge: Option<f64> },
    Box { height: usize, width: usize },
}

impl Size {
    /// Height and width; of a shortest edge those of its square.
    fn sides(self) -> ImageSize {
        match self {
            Self::Side(side) | Self::ShortestEdge { shortest_edge: side, .. } => ImageSize::square(side),
            Self::Sides([height, width]) | Self::Box { height, width } => ImageSize { height, width },
        }
    }
}

/// Names of classes, in order or by number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Labels {
    InOrder(Vec<String>),
    ByNumber(BTreeMap<String, String>),
}

impl Labels {
    /// The names in the order of the logits, if they count from 0 without gaps.
    fn in_order(self) -> Option<Vec<String>> {
        match self {
            Self::InOrder(names) => Some(names),
            Self::ByNumber(mut names) => {
                (0..names.len()).map(|index| names.remove(&index.to_string())).collect()
            }
        }
    }
}

/// A number for all channels, or one for each.
#[derive(Deserialize)]
#[serde(untagged)]
enum Numbers {
    One(f32),
    Each(Vec<f32>),
}

impl Numbers {
    fn into_list(self) -> Vec<f32> {
        match self {
            Self::One(number) => vec![number],
            Self::Each(numbers) => numbers,
        }
    }
}

/// Byte order mark, which some editors write before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, IoError> {
    let text = fs::read(path).map_err(|source| IoError::Read { path: path.to_owned(), source })?;
    serde_json::from_slice(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text))
        .map_err(|error| IoError::BadConfig { path: path.to_owned(), why: error.to_string() })
}

#[cfg(test)]
mod tests;
