//! Arguments of `convnext bench`.

use clap::{Args, ValueEnum};
use convnext::core::{ImageSize, ModelConfig, ModelSize};
use serde::Serialize;

use crate::cli::activations::ActivationsName;
use crate::cli::blocks::{BlockArguments, FreshBlockArguments};
use crate::cli::decoder::DecoderArguments;
use crate::cli::shared::RankArguments;
use crate::cli::stages::StageArguments;
use crate::cli::values::{self, GradientSumName, MachineArguments};

/// Measure how fast a model runs on this machine, on random images
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Speed is the median over the steps. The share of the peak is that of a loop of multiply-adds that never \
leaves the registers, timed on all threads before and after the steps. Of other devices than the CPU it is \
not known, and the memory that is told is that of this program, not that of the device. Under mpirun or srun \
the ranks share the steps of a training, and each brings a batch.

Examples:
  convnext bench --mode infer --model atto --batch-size 8
  convnext bench --mode pretrain --model tiny --batch-size 8 --encoder dense --json
  convnext bench --mode train --model atto --batch-size 8 --profile
  convnext bench --mode segment-train --model atto --head-width 128 --image-size 256 --batch-size 8
  convnext bench --mode detect-train --model atto --image-size 512 --batch-size 2 --regions 64
  mpirun -n 2 --map-by ppr:1:node --hostfile hosts convnext bench --mode pretrain --model tiny --batch-size 8"
)]
pub(crate) struct BenchArguments {
    /// What a step is
    #[arg(long, value_name = "MODE")]
    pub(super) mode: Mode,
    /// Model (see `convnext models`)
    #[arg(long, value_name = "NAME", value_parser = values::model)]
    pub(super) model: &'static ModelSize,
    /// Batch size
    #[arg(long, value_name = "N", value_parser = values::timed_batch)]
    pub(super) batch_size: usize,
    /// Size of the images in pixels: a side, or height and width as in 224x320
    #[arg(long, value_name = "N|HxW", value_parser = values::image_size, default_value = "224")]
    pub(super) image_size: ImageSize,
    /// Side of the stem's patches
    #[arg(long, value_name = "N", value_parser = values::stem_stride, default_value = "4")]
    pub(super) stem_stride: usize,
    #[command(flatten)]
    pub(super) stages: StageArguments,
    #[command(flatten)]
    pub(super) blocks: FreshBlockArguments,
    /// Sites that the encoder of a pre-training computes at
    #[arg(long, value_name = "KIND", default_value = "sparse")]
    pub(super) encoder: Sites,
    #[command(flatten)]
    pub(super) decoder: DecoderArguments,
    /// The whole step, or the encoder alone, forward and backward
    #[arg(long, value_name = "SCOPE", default_value = "step")]
    pub(super) scope: Scope,
    /// Channels of the heads of segment-* (default: 512, and 128 below tiny) and detect-* (default: 256, and 64
    /// below tiny)
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub(super) head_width: Option<usize>,
    /// Features of the box head's hidden layers of detect-* (default: 1024, and 256 below tiny)
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub(super) box_width: Option<usize>,
    /// Regions of an image that the heads of detect-train learn from (default: 512)
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub(super) regions: Option<usize>,
    /// Steps that are timed
    #[arg(long, value_name = "N", value_parser = values::timed_steps, default_value_t = 10)]
    pub(super) steps: usize,
    /// What to do with what the backward pass needs
    #[arg(long, value_name = "POLICY", default_value = "save")]
    pub(super) activations: ActivationsName,
    /// Tell the time of each kernel of the CPU
    #[arg(long)]
    pub(super) profile: bool,
    /// Order in which the ranks of a job add up the gradients of a step
    #[arg(long, value_name = "ORDER", default_value = "ordered")]
    pub(super) sum: GradientSumName,
    #[command(flatten)]
    pub(super) ranks: RankArguments,
    #[command(flatten)]
    pub(super) machine: MachineArguments,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl BenchArguments {
    /// The backbone that is measured.
    pub(super) fn backbone(&self) -> ModelConfig {
        let model = self.stages.apply(self.model.config());
        let model = ModelConfig { stem_stride: self.stem_stride, ..model };
        BlockArguments::from(self.blocks).of_fresh(model)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mode {
    /// Forward
    Infer,
    /// Supervised: forward, backward, optimiser
    Train,
    /// FCMAE: forward, backward, optimiser
    Pretrain,
    /// UperNet of 150 classes: forward, with logits at the size of the images
    SegmentInfer,
    /// UperNet of 150 classes: forward, backward, optimiser
    SegmentTrain,
    /// Mask R-CNN of one class: from an image to the masks of its objects
    DetectInfer,
    /// Mask R-CNN of one class and 25 objects an image: forward, backward, optimiser
    DetectTrain,
}

impl Mode {
    /// `true` for the modes of Mask R-CNN.
    pub(super) fn is_detection(self) -> bool {
        matches!(self, Self::DetectInfer | Self::DetectTrain)
    }

    /// `true` for the modes of UperNet.
    pub(super) fn is_segmentation(self) -> bool {
        matches!(self, Self::SegmentInfer | Self::SegmentTrain)
    }

    /// `true` where nothing is learned.
    pub(super) fn is_inference(self) -> bool {
        matches!(self, Self::Infer | Self::SegmentInfer | Self::DetectInfer)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Sites {
    /// Kept ones only
    Sparse,
    /// All
    Dense,
    /// All, with a mask token at removed ones
    Tokens,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Scope {
    /// The whole step
    Step,
    /// The encoder
    Encoder,
}
