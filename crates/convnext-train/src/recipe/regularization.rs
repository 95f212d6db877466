//! Regularisation, against overfitting of a classifier.

use serde::{Deserialize, Serialize};

/// Regularisation, against overfitting of a classifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegularizationRecipe {
    /// Share of the target that is spread over all classes.
    pub label_smoothing: f64,
    /// Drop path rate of the last block.
    pub drop_path: f64,
    /// Class weights of the loss.
    #[serde(default, skip_serializing_if = "ClassWeights::is_equal")]
    pub class_weights: ClassWeights,
}

/// Class weights: how much the images of each class count in the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassWeights {
    /// All images alike.
    #[default]
    Equal,
    /// Each class as a whole alike: an image counts `images / (classes x images of its class)`.
    Balanced,
}

impl ClassWeights {
    fn is_equal(&self) -> bool {
        *self == Self::Equal
    }

    /// The weight of an image of each class; their mean over all images is 1. A class without images counts for nothing.
    pub fn of(self, class_sizes: &[usize]) -> Vec<f32> {
        let images: usize = class_sizes.iter().sum();
        let classes = class_sizes.iter().filter(|&&size| size > 0).count();
        let share = images as f64 / classes.max(1) as f64;
        let weight = |&size: &usize| match self {
            Self::Equal => 1.0,
            Self::Balanced => (share / size.max(1) as f64) as f32,
        };
        class_sizes.iter().map(weight).collect()
    }
}
