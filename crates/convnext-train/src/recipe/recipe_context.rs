//! Context that a recipe is chosen by: model, initial weights and data.

use convnext_core::{ModelConfig, WeightMetadata};

use crate::recipe::Start;

/// Model, initial weights and data of a training.
#[derive(Debug, Clone, Copy)]
pub struct RecipeContext<'a> {
    /// The backbone.
    pub model: &'a ModelConfig,
    /// Initial weights.
    pub origin: Origin,
    /// `true` if only the head is trained, as in a linear probe.
    pub head_only: bool,
    /// Images to learn from.
    pub images: usize,
    /// Of these, the images of each class; empty without labels.
    pub class_sizes: &'a [usize],
}

/// Kind of weights that a training starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Fresh ones.
    Scratch,
    /// Weights of a pre-training without labels.
    Pretrained,
    /// Weights of a classifier.
    Classifier {
        /// The classes that it tells apart.
        classes: usize,
    },
}

impl Origin {
    /// The origin that a weight file is; none is a start from scratch.
    pub fn of(weights: Option<&WeightMetadata>) -> Self {
        match weights.map(WeightMetadata::class_count) {
            None => Self::Scratch,
            Some(0) => Self::Pretrained,
            Some(classes) => Self::Classifier { classes },
        }
    }

    /// [`Start::Weights`] if training starts from weights, of either kind.
    pub fn start(self) -> Start {
        if self == Self::Scratch { Start::Scratch } else { Start::Weights }
    }

    pub(super) fn in_words(self) -> String {
        match self {
            Self::Scratch => "from scratch".to_owned(),
            Self::Pretrained => "from pre-trained weights".to_owned(),
            Self::Classifier { classes } => format!("from a classifier of {classes} classes"),
        }
    }
}
