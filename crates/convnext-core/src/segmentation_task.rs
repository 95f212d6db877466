//! Task metadata of a network for semantic segmentation.

use serde::{Deserialize, Serialize};

use crate::class_names::ClassNames;
use crate::config::ModelConfig;
use crate::cost::Cost;
use crate::error::ConfigError;
use crate::image_size::ImageSize;
use crate::preprocessing::Preprocessing;
use crate::tagged::Kind;
use crate::task_metadata::TaskMetadata;
use crate::tensors::{TensorShape, backbone_tensors};
use crate::upernet::UperNetConfig;

/// Semantic segmentation: a class for every pixel, by UperNet behind the backbone, whose configuration has as many classes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentationTask {
    /// The names of the classes; empty where none is known.
    pub classes: ClassNames,
    /// Red, green and blue of each class, with which label maps are shown; empty for colours of our own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub palette: Vec<[u8; 3]>,
    /// The decode head.
    pub head: UperNetConfig,
}

impl Kind for SegmentationTask {
    const KIND: &'static str = "segmentation";
}

impl TaskMetadata for SegmentationTask {
    fn validate(&self, backbone: &ModelConfig, _preprocessing: &Preprocessing) -> Result<(), ConfigError> {
        self.head.validate()?;
        if backbone.classes == 0 {
            let (what, found, expected) = ("classes of a segmentation", "0".to_owned(), "at least 1");
            return Err(ConfigError::OutOfRange { what, found, expected });
        }
        if !self.palette.is_empty() && self.palette.len() != backbone.classes {
            let (what, found) = ("colours of the palette", self.palette.len().to_string());
            return Err(ConfigError::OutOfRange { what, found, expected: "one for each class, or none" });
        }
        self.classes.check(backbone.classes)
    }

    fn describe(&self, backbone: &ModelConfig) -> String {
        format!(
            "segmentation network {} of {} classes, UperNet of {} channels",
            backbone.name, backbone.classes, self.head.head_width
        )
    }

    fn class_names(&self) -> ClassNames {
        self.classes.clone()
    }

    /// That of UperNet, whose FLOPs are counted as in the paper's Table 7: see [`UperNetConfig::cost`].
    fn cost(&self, backbone: &ModelConfig, size: ImageSize) -> Result<Cost, ConfigError> {
        self.head.cost(backbone, size)
    }

    fn tensors(&self, backbone: &ModelConfig) -> Vec<TensorShape> {
        let mut tensors = backbone_tensors("", backbone);
        tensors.extend(self.head.tensors(backbone));
        tensors
    }
}
