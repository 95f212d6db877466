//! Task metadata of a classifier.

use serde::{Deserialize, Serialize};

use crate::class_names::ClassNames;
use crate::config::ModelConfig;
use crate::error::ConfigError;
use crate::preprocessing::Preprocessing;
use crate::tagged::Kind;
use crate::task_metadata::{OutputActivation, TaskMetadata};
use crate::tensors::{TensorShape, backbone_tensors, final_norm_tensors, head_tensors};

/// Image classification: final norm and head behind the backbone. Without classes in the backbone's
/// configuration it is an encoder alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassificationTask {
    /// The names of the classes; empty where none is known.
    pub classes: ClassNames,
}

impl Kind for ClassificationTask {
    const KIND: &'static str = "classification";
}

impl TaskMetadata for ClassificationTask {
    fn validate(&self, backbone: &ModelConfig, _preprocessing: &Preprocessing) -> Result<(), ConfigError> {
        self.classes.check(backbone.classes)
    }

    fn describe(&self, backbone: &ModelConfig) -> String {
        match backbone.classes {
            0 => format!("encoder {} without a head", backbone.name),
            classes => format!("classifier {} of {classes} classes", backbone.name),
        }
    }

    fn class_names(&self) -> ClassNames {
        self.classes.clone()
    }

    fn activation(&self) -> Option<OutputActivation> {
        Some(OutputActivation::Softmax)
    }

    fn tensors(&self, backbone: &ModelConfig) -> Vec<TensorShape> {
        classifier_tensors(backbone)
    }
}

/// The tensors of a backbone, its final norm and, with classes, its head.
pub fn classifier_tensors(model: &ModelConfig) -> Vec<TensorShape> {
    let mut tensors = backbone_tensors("", model);
    tensors.extend(final_norm_tensors(model));
    if model.classes > 0 {
        tensors.extend(head_tensors(model));
    }
    tensors
}
