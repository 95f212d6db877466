//! The kinds of runs, by what they do in a study.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The part of a run in a study, which decides its command, its images and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// FCMAE, on images without labels.
    Pretraining,
    /// Supervised training on many classes between pre-training and fine-tuning: ImageNet-22K in the paper.
    Intermediate,
    /// Supervised training for the classes of interest, from weights or from scratch: ImageNet-1K in the paper.
    Finetuning,
    /// Training for another task than classification: COCO and ADE20K in the paper.
    Downstream,
    /// Measures of the activations of trained weights.
    Analysis,
    /// Speed and memory of training steps.
    Bench,
}

impl Stage {
    /// All of them, in the order in which they are run.
    pub const ALL: [Self; 6] = [
        Self::Pretraining,
        Self::Intermediate,
        Self::Finetuning,
        Self::Downstream,
        Self::Analysis,
        Self::Bench,
    ];

    /// Name in the file of a study, and in options of the program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pretraining => "pretraining",
            Self::Intermediate => "intermediate",
            Self::Finetuning => "finetuning",
            Self::Downstream => "downstream",
            Self::Analysis => "analysis",
            Self::Bench => "bench",
        }
    }

    /// Command of the program.
    pub fn command(self) -> &'static str {
        match self {
            Self::Pretraining => "pretrain",
            Self::Intermediate | Self::Finetuning | Self::Downstream => "finetune",
            Self::Analysis => "analyze",
            Self::Bench => "bench",
        }
    }

    /// `true` for a run that learns: it has a length, and goes on where it was stopped.
    pub fn is_training(self) -> bool {
        !matches!(self, Self::Analysis | Self::Bench)
    }

    /// The stage whose images serve where none are named for this one.
    pub(crate) fn data_of(self) -> Option<Self> {
        match self {
            Self::Pretraining | Self::Analysis => Some(Self::Finetuning),
            _ => None,
        }
    }

    /// Flag of the program that names the images of this stage.
    pub(crate) fn data_flag(self) -> &'static str {
        match self {
            Self::Pretraining => "--pretraining-data",
            Self::Intermediate => "--intermediate-data",
            Self::Downstream => "--downstream-data",
            Self::Finetuning | Self::Analysis | Self::Bench => "--data",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Pretraining => "pre-training",
            Self::Intermediate => "intermediate fine-tuning",
            Self::Finetuning => "fine-tuning",
            Self::Downstream => "downstream training",
            Self::Analysis => "analysis",
            Self::Bench => "bench",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_options_call_a_stage_the_same() {
        for stage in Stage::ALL {
            assert_eq!(serde_json::to_value(stage).unwrap(), stage.name());
        }
    }
}
