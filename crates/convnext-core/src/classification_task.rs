//! Task metadata of a classifier.

use serde::{Deserialize, Serialize};

use crate::class_names::ClassNames;
use crate::config::ModelConfig;
use crate::cost::Cost;
use crate::error::ConfigError;
use crate::image_size::ImageSize;
use crate::preprocessing::Preprocessing;
use crate::tagged::Kind;
use crate::task_metadata::{OutputActivation, TaskMetadata};
use crate::tensors::{TensorShape, backbone_tensors, final_norm_tensors, head_tensors, trained_values};

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

    /// That of the backbone and its head. Its parameters are those of the tensors, with the norm that an encoder without
    /// a head has, too.
    fn cost(&self, backbone: &ModelConfig, size: ImageSize) -> Result<Cost, ConfigError> {
        let cost = Cost::of(backbone, size.height, size.width)?;
        Ok(Cost { parameters: trained_values(self.tensors(backbone)), ..cost })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response_norm::ResponseNorm;
    use crate::sizes::find_model;

    /// Batch norm has running statistics, which do not count.
    #[test]
    fn parameters_are_those_of_the_tensors_with_and_without_classes() {
        for response_norm in [Some(ResponseNorm::Grn), Some(ResponseNorm::Bn), None] {
            for classes in [0, 7] {
                let model = ModelConfig { response_norm, classes, ..find_model("micro").unwrap().config() };
                let task = ClassificationTask::default();
                let learned = task.tensors(&model).into_iter().filter(|(name, _)| {
                    !["running_mean", "running_var", "num_batches_tracked"]
                        .iter()
                        .any(|leaf| name.ends_with(leaf))
                });
                let values: usize = learned.map(|(_, shape)| shape.iter().product::<usize>()).sum();
                let cost = task.cost(&model, 32.into()).unwrap();
                assert_eq!(cost.parameters, values as u64, "{response_norm:?}, {classes} classes");
                let of_backbone = Cost::of(&model, 32, 32).unwrap();
                let final_norm = if classes == 0 { 2 * model.last_width() as u64 } else { 0 };
                assert_eq!(cost, Cost { parameters: of_backbone.parameters + final_norm, ..of_backbone });
            }
        }
    }
}
