//! Metadata of a file of embeddings.

use convnext_core::{ImageSize, Preprocessing};
use serde::{Deserialize, Serialize};

/// Metadata of a file of embeddings. It stands in the file, but for `.npy`, which has no place for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingMetadata {
    /// The model's name.
    pub model: String,
    /// Layer that they were taken from, such as `pooled` or `stage3`.
    pub layer: String,
    /// Size of the images; `None` where each had one of its own, as the weights say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_size: Option<ImageSize>,
    /// Preprocessing of the images, which stands beside foreign weights and not in them, so that their checksum does not
    /// tell; `None` in files of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocessing: Option<Preprocessing>,
    /// `true` if the EXIF orientation was ignored.
    pub ignore_orientation: bool,
    /// The weights, as given on the command line.
    pub weights: String,
    /// Checksum (CRC-32) of the weight file.
    pub checksum: u32,
    /// The files, folders and archives of the images, as given on the command line.
    pub sources: Vec<String>,
}
