//! Configuration files of timm and transformers beside weights.
//!
//! timm's `config.json` holds a `pretrained_cfg` (`timm/models/_hub.py`, `save_config_for_hf`), the `transformers` of
//! Hugging Face spread the same over `config.json` and `preprocessor_config.json` (`ConvNextImageProcessor`).

mod computation;
mod description;
mod forms;
mod processor;
mod segmentation;
mod settings;

use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;

use self::description::Description;
use self::processor::ImageProcessor;
pub use self::settings::{PackageConfig, PackageCrop};
use crate::error::IoError;

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
