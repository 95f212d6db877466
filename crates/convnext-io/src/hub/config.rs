//! What a repository says about its weights besides them.
//!
//! timm's `config.json` holds a `pretrained_cfg` (`timm/models/_hub.py`, `save_config_for_hf`), the `transformers` of
//! Hugging Face spread the same over `config.json` and `preprocessor_config.json` (`ConvNextImageProcessor`).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use convnext_core::{ClassNames, Preprocessing};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::HubError;

/// Images from this size on are warped by `ConvNextImageProcessor`, smaller ones cropped.
const TRANSFORMERS_WARP_FROM: usize = 384;

/// How a picture becomes a square in evaluation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum HubCrop {
    /// The short side is resized to the image size over this share, and the centre cut out.
    Centre(f64),
    /// The whole picture is warped.
    Whole,
}

/// What a repository says about the use of its weights; `None` is what it does not say.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct HubConfig {
    /// Side of the images of the training, in pixels.
    pub image_size: Option<usize>,
    /// How pictures become squares in evaluation.
    pub crop: Option<HubCrop>,
    /// Mean of each channel, subtracted from values in [0, 1].
    pub mean: Option<Vec<f32>>,
    /// Standard deviation of each channel, divided by.
    pub std: Option<Vec<f32>>,
    /// The way of resizing in timm's words, such as `bicubic`.
    pub interpolation: Option<String>,
    /// Classes of the head; 0 for an encoder alone.
    pub classes: Option<usize>,
    /// Their names, in the order of the logits.
    pub class_names: Option<ClassNames>,
    /// The licence of the weights.
    pub licence: Option<String>,
}

impl HubConfig {
    /// Reads `config.json` and, where there is one, `preprocessor_config.json`. Fields that nobody here needs
    /// are passed over.
    ///
    /// # Errors
    /// [`HubError::BadConfig`] for what is no JSON, a field of another type, or images that are no squares;
    /// [`HubError::Cache`] for a file that cannot be read.
    pub fn read(config: &Path, preprocessor: Option<&Path>) -> Result<Self, HubError> {
        let described: Description = read_json(config)?;
        let processor: Option<ImageProcessor> = preprocessor.map(read_json).transpose()?;
        let stated = described.into_config();
        let stated = match processor {
            Some(processor) => processor.into_config(stated),
            None => stated,
        };
        stated.ok_or_else(|| HubError::BadConfig {
            path: preprocessor.unwrap_or(config).to_owned(),
            why: "the images that it states are no squares".into(),
        })
    }

    /// How pictures are prepared: what is said here, and the rest as otherwise.
    pub fn preprocessing(&self, otherwise: Preprocessing) -> Preprocessing {
        let sized = match self.image_size {
            Some(size) => otherwise.at_size(size),
            None => otherwise,
        };
        Preprocessing {
            image_size: sized.image_size,
            crop: match self.crop {
                Some(HubCrop::Centre(share)) => Some(share),
                Some(HubCrop::Whole) => None,
                None => sized.crop,
            },
            mean: self.mean.clone().unwrap_or(sized.mean),
            std: self.std.clone().unwrap_or(sized.std),
            range: sized.range,
        }
    }
}

/// `config.json`, of either program.
#[derive(Deserialize)]
struct Description {
    // timm's, with what it says about the weights either nested or, as in old files, beside the rest.
    pretrained_cfg: Option<TimmConfig>,
    #[serde(flatten)]
    plain: TimmConfig,
    // Those of transformers.
    image_size: Option<Size>,
    id2label: Option<Labels>,
}

/// timm's `pretrained_cfg`.
#[derive(Default, Deserialize)]
struct TimmConfig {
    /// Channels, height, width.
    input_size: Option<[usize; 3]>,
    crop_pct: Option<f64>,
    crop_mode: Option<String>,
    interpolation: Option<String>,
    mean: Option<Vec<f32>>,
    std: Option<Vec<f32>>,
    num_classes: Option<usize>,
    label_names: Option<Labels>,
    license: Option<String>,
}

/// `preprocessor_config.json` of transformers.
#[derive(Deserialize)]
struct ImageProcessor {
    size: Option<Size>,
    crop_pct: Option<f64>,
    /// Pillow's number of a way of resizing.
    resample: Option<u8>,
    image_mean: Option<Vec<f32>>,
    image_std: Option<Vec<f32>>,
}

/// A size as transformers writes it, in one of four ways.
#[derive(Deserialize)]
#[serde(untagged)]
enum Size {
    Side(usize),
    Sides([usize; 2]),
    ShortestEdge { shortest_edge: usize },
    Box { height: usize, width: usize },
}

/// Names of classes, in order or by number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Labels {
    InOrder(Vec<String>),
    ByNumber(BTreeMap<String, String>),
}

impl Description {
    /// `None` for images that are no squares.
    fn into_config(self) -> Option<HubConfig> {
        let Self { pretrained_cfg, plain, image_size, id2label } = self;
        let timm = pretrained_cfg.unwrap_or_default();
        let input =
            timm.input_size.or(plain.input_size).map(|[_, height, width]| Size::Sides([height, width]));
        let crop = match timm.crop_mode.or(plain.crop_mode).as_deref() {
            None | Some("center") => timm.crop_pct.or(plain.crop_pct).map(HubCrop::Centre),
            Some("squash") => Some(HubCrop::Whole),
            Some(_) => None,
        };
        let labels = plain.label_names.or(timm.label_names).or(id2label).and_then(Labels::in_order);
        let classes = plain.num_classes.or(timm.num_classes);
        Some(HubConfig {
            image_size: input.or(image_size).map(|size| size.side().ok_or(())).transpose().ok()?,
            crop,
            mean: timm.mean.or(plain.mean),
            std: timm.std.or(plain.std),
            interpolation: timm.interpolation.or(plain.interpolation),
            classes: classes.or(labels.as_ref().map(Vec::len)),
            class_names: labels.map(ClassNames),
            licence: timm.license.or(plain.license),
        })
    }
}

impl ImageProcessor {
    /// What it says goes before what the description says; `None` for images that are no squares.
    fn into_config(self, described: Option<HubConfig>) -> Option<HubConfig> {
        let side = self.size.map(|size| size.side().ok_or(())).transpose().ok()?;
        let described = described?;
        let image_size = side.or(described.image_size);
        let crop = match image_size {
            Some(size) if size >= TRANSFORMERS_WARP_FROM => Some(HubCrop::Whole),
            _ => self.crop_pct.map(HubCrop::Centre),
        };
        let interpolation = self.resample.and_then(|number| match number {
            0 => Some("nearest"),
            1 => Some("lanczos"),
            2 => Some("bilinear"),
            3 => Some("bicubic"),
            _ => None,
        });
        Some(HubConfig {
            image_size,
            crop: crop.or(described.crop),
            mean: self.image_mean.or(described.mean),
            std: self.image_std.or(described.std),
            interpolation: interpolation.map(str::to_owned).or(described.interpolation),
            ..described
        })
    }
}

impl Size {
    /// The side of a square.
    fn side(self) -> Option<usize> {
        match self {
            Self::Side(side) | Self::ShortestEdge { shortest_edge: side } => Some(side),
            Self::Sides([height, width]) | Self::Box { height, width } => (height == width).then_some(height),
        }
    }
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

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, HubError> {
    let text = fs::read(path).map_err(HubError::cache(path))?;
    serde_json::from_slice(&text)
        .map_err(|error| HubError::BadConfig { path: path.to_owned(), why: error.to_string() })
}

#[cfg(test)]
mod tests;
