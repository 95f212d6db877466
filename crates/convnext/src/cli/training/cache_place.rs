//! `--cache`: the place of the cache of decoded images.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use convnext::data::Cache;
use convnext::train::available_memory;

/// Place of the cache of decoded images.
#[derive(Debug, Clone)]
pub(crate) enum CachePlace {
    Memory,
    Folder(PathBuf),
}

impl FromStr for CachePlace {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "ram" { Self::Memory } else { Self::Folder(text.into()) })
    }
}

impl CachePlace {
    /// In memory at most half of what is free: the training needs the other half.
    pub(super) fn into_cache(self) -> Cache {
        match self {
            Self::Memory => Cache::Memory { bytes: available_memory().unwrap_or(0) / 2 },
            Self::Folder(folder) => Cache::Folder(folder),
        }
    }
}
