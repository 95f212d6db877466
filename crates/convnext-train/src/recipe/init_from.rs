//! Initial weights of a training: fresh ones, or those of an earlier training.

use std::fmt;

use convnext_core::{WeightMetadata, counted};

/// Kind of weights that a training starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitFrom {
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

impl InitFrom {
    /// Initial weights with this metadata; without any, training starts from scratch.
    pub fn of(weights: Option<&WeightMetadata>) -> Self {
        match weights.map(WeightMetadata::class_count) {
            None => Self::Scratch,
            Some(0) => Self::Pretrained,
            Some(classes) => Self::Classifier { classes },
        }
    }

    /// `true` if training starts from weights, of either kind.
    pub fn is_weights(self) -> bool {
        self != Self::Scratch
    }
}

impl fmt::Display for InitFrom {
    /// Such as `from pre-trained weights`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scratch => formatter.write_str("from scratch"),
            Self::Pretrained => formatter.write_str("from pre-trained weights"),
            Self::Classifier { classes } => {
                write!(formatter, "from a classifier of {}", counted(*classes, "class", "classes"))
            }
        }
    }
}
