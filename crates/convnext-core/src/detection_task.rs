//! Task metadata of a network for object detection and instance segmentation.

use serde::{Deserialize, Serialize};

use crate::class_names::ClassNames;
use crate::config::ModelConfig;
use crate::cost::Cost;
use crate::detector_rules::DetectorRules;
use crate::error::ConfigError;
use crate::image_size::ImageSize;
use crate::mask_rcnn::MaskRcnnConfig;
use crate::preprocessing::Preprocessing;
use crate::tagged::Kind;
use crate::task_metadata::TaskMetadata;
use crate::tensors::{TensorShape, backbone_tensors};

/// Detection: the boxes of the objects in an image, with masks if there is a head for them, by Mask R-CNN behind the backbone,
/// whose configuration has as many classes, the background not counted. Strides, anchors and the coding of boxes are
/// constants of the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectionTask {
    /// The names of the classes; empty where none is known.
    pub classes: ClassNames,
    /// Pyramid and heads.
    pub head: MaskRcnnConfig,
}

impl Kind for DetectionTask {
    const KIND: &'static str = "detection";
}

impl TaskMetadata for DetectionTask {
    fn validate(&self, backbone: &ModelConfig, _preprocessing: &Preprocessing) -> Result<(), ConfigError> {
        self.head.validate_with(backbone)?;
        self.classes.check(backbone.classes)
    }

    fn describe(&self, backbone: &ModelConfig) -> String {
        let MaskRcnnConfig { head_width, masks, rules, .. } = self.head;
        let network = if masks { "Mask R-CNN" } else { "Faster R-CNN" };
        let ModelConfig { name, classes, .. } = backbone;
        let rules = match rules {
            DetectorRules::MmDetection => "",
            DetectorRules::Torchvision => " by torchvision's rules",
        };
        format!("detector {name} of {classes} classes, {network} of {head_width} channels{rules}")
    }

    fn class_names(&self) -> ClassNames {
        self.classes.clone()
    }

    /// That of Mask R-CNN, whose FLOPs are counted as in the paper's Table 6: see [`MaskRcnnConfig::cost`].
    fn cost(&self, backbone: &ModelConfig, size: ImageSize) -> Result<Cost, ConfigError> {
        self.head.cost(backbone, size)
    }

    fn tensors(&self, backbone: &ModelConfig) -> Vec<TensorShape> {
        let mut tensors = backbone_tensors("", backbone);
        tensors.extend(self.head.tensors(backbone));
        tensors
    }
}
