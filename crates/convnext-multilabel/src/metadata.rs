//! Multi-label metadata of weights.

use convnext_core::{
    ClassNames, ConfigError, Kind, ModelConfig, OutputActivation, Preprocessing, TaskMetadata, TensorShape,
    classifier_tensors,
};
use serde::{Deserialize, Serialize};

/// To say of each class whether it is in an image: the network of a classifier, whose outputs stand for themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultiLabelTask {
    /// The names of the classes.
    pub classes: ClassNames,
}

impl Kind for MultiLabelTask {
    const KIND: &'static str = "multi-label";
}

impl TaskMetadata for MultiLabelTask {
    fn validate(&self, backbone: &ModelConfig, _preprocessing: &Preprocessing) -> Result<(), ConfigError> {
        self.classes.check_each(backbone.classes)
    }

    fn describe(&self, backbone: &ModelConfig) -> String {
        format!("multi-label classifier {} of {} classes", backbone.name, backbone.classes)
    }

    fn class_names(&self) -> ClassNames {
        self.classes.clone()
    }

    fn activation(&self) -> Option<OutputActivation> {
        Some(OutputActivation::Sigmoid)
    }

    fn tensors(&self, backbone: &ModelConfig) -> Vec<TensorShape> {
        classifier_tensors(backbone)
    }
}
