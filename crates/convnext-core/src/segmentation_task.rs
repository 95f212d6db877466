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
    /// The numbers that the masks of the training had for each class. Empty where each is the position of its class, where
    /// colours are the classes, and where nothing is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<Vec<u16>>,
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
        let lists = [
            ("colours of the palette", self.palette.len()),
            ("lists of the numbers of classes in masks", self.numbers.len()),
        ];
        let fits = |(_, found): &(&str, usize)| [0, backbone.classes].contains(found);
        if let Some((what, found)) = lists.into_iter().find(|list| !fits(list)) {
            let (found, expected) = (found.to_string(), "one for each class, or none");
            return Err(ConfigError::OutOfRange { what, found, expected });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sizes::find_model;

    #[test]
    fn numbers_of_classes_are_kept_where_there_are_any() {
        let model = ModelConfig { classes: 2, ..find_model("micro").unwrap().config() };
        let task = SegmentationTask {
            classes: ClassNames(vec!["sky".into(), "road".into()]),
            numbers: Vec::new(),
            palette: Vec::new(),
            head: UperNetConfig::of_backbone(&model),
        };
        let check = |numbers: &[&[u16]]| {
            let numbers = numbers.iter().map(|&numbers| numbers.to_vec()).collect();
            let task = SegmentationTask { numbers, ..task.clone() };
            task.validate(&model, &Preprocessing::for_size(32, 3)).map(|()| task)
        };
        let message = check(&[&[7]]).unwrap_err().to_string();
        assert!(message.contains("numbers of classes in masks is 1"), "{message}");
        let numbered = check(&[&[7, 8], &[0]]).unwrap();
        let text = serde_json::to_string(&numbered).unwrap();
        assert_eq!(serde_json::from_str::<SegmentationTask>(&text).unwrap(), numbered);
        // Files are as before where there are none, and those of earlier versions are read.
        let plain = serde_json::to_string(&check(&[]).unwrap()).unwrap();
        assert!(!plain.contains("numbers"), "{plain}");
        assert_eq!(serde_json::from_str::<SegmentationTask>(&plain).unwrap(), task);
    }
}
