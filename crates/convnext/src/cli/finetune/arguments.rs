//! Arguments of `convnext finetune`.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use convnext::train::{Freeze, Setting};

use crate::cli::detection_data::DetectionDataArguments;
use crate::cli::segmentation_data::SegmentationDataArguments;
use crate::cli::training::TrainingArguments;
use crate::cli::values;
use crate::cli::weights::Weights;

/// Train a classifier, a segmentation network or a detector, from pre-trained weights or from scratch
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
The data is train/CLASS/* and val/CLASS/* (or test where there is no val), or CLASS/* which is split by --val-fraction \
and --seed. Parts are told by their names in any case: Training, seg_train, dev, val2017, Test, ...
With --task segment each image of images/ has a mask of the same name in masks/, annotations/ or labels/, with or without \
folders for the parts, as ADE20K, Pascal VOC, Cityscapes and CamVid have them.
With --task detect images have boxes, and perhaps masks, of objects: COCO's JSON (Roboflow's too), YOLO, LabelMe or \
Pascal VOC's XML.

Examples:
  convnext finetune --data labelled --init runs/pretrained/weights.safetensors --out runs/classifier
  convnext finetune --data labelled --model atto --epochs 100 --out runs/scratch
  convnext finetune --data labelled --init pretrained.safetensors --labels-per-class 10 --out runs/few
  convnext finetune --data labelled --init pretrained.safetensors --freeze encoder --out runs/probe
  convnext finetune --task multi-label --data photos --labels tags.csv --init pretrained.safetensors --out runs/tags
  convnext finetune --task segment --data camvid --init pretrained.safetensors --ignore-index 11 --out runs/streets
  convnext finetune --task detect --data nuclei --init pretrained.safetensors --out runs/nuclei
  convnext finetune --data imagenet --init base.safetensors --recipe paper --batch-size 16 --accumulate 64 \\
      --out runs/base
  convnext finetune --data labelled --init pretrained.safetensors --set training.ema=0.999 \\
      --set from_weights.layer_decay.rate=0.9 --set from_weights.layer_decay.count=single --out runs/slow-stem
  convnext finetune --config runs/classifier --seed 1 --out runs/again"
)]
pub(crate) struct FinetuneArguments {
    /// Labelled images: a folder, a .tar or a .tar.gz
    #[arg(long, value_name = "PATH")]
    pub(super) data: PathBuf,
    /// What labels are
    #[arg(long, value_name = "TASK", default_value = "classification")]
    pub(super) task: TaskName,
    /// Weights to start from: a file or folder, hf:ORG/NAME[@REVISION] or a released checkpoint; `none` trains from scratch
    #[arg(long, value_name = "WEIGHTS|none", default_value = "none")]
    pub(super) init: Weights,
    /// CSV file with the columns path, label and perhaps split, instead of folders as classes; for multi-label, labels are
    /// lists such as boat;sea
    #[arg(long, value_name = "FILE")]
    pub(super) labels: Option<PathBuf>,
    /// Use only so many labelled images of each class, chosen by the seed
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub(super) labels_per_class: Option<usize>,
    /// For --task segment and detect: use only so many labelled images, chosen by the seed
    #[arg(long, value_name = "N", value_parser = values::count, conflicts_with = "label_fraction")]
    pub(super) labelled_images: Option<usize>,
    /// Use only this share of the labelled images (of each class), chosen by the seed
    #[arg(long, value_name = "F", value_parser = values::share, conflicts_with = "labels_per_class")]
    pub(super) label_fraction: Option<f64>,
    /// Share of each class held out for validation, of data that has no such part [default: 0.2]
    #[arg(long, value_name = "F", value_parser = values::share)]
    pub(super) val_fraction: Option<f64>,
    /// What does not learn: with `encoder` a linear probe is trained, for --task segment and detect the heads alone
    #[arg(long, value_name = "PART", default_value = "nothing")]
    pub(super) freeze: FreezeName,
    /// How much each class counts in the loss: its images, or with --task segment its pixels [default: that of the recipe]
    #[arg(long, value_name = "WEIGHTS")]
    pub(super) class_weights: Option<ClassWeightsName>,
    /// For --task segment and detect: channels of the decode head, or of the pyramid [default: as in the paper from Tiny on, 512
    /// and 256; a quarter of that below]
    #[arg(long, value_name = "N", value_parser = values::decoder_width)]
    pub(super) head_width: Option<usize>,
    /// For --task segment: ranks normalise the batches of a round together in the heads (SyncBatchNorm); the number of ranks is
    /// then a setting of the run
    #[arg(long)]
    pub(super) sync_batch_norm: bool,
    /// For --task detect: features of the box head [default: 1024 from Tiny on, as in the paper, and 256 below]
    #[arg(long, value_name = "N", value_parser = values::decoder_width)]
    pub(super) box_width: Option<usize>,
    /// For --task detect: regions of an image that the heads learn from [default: that of the recipe]
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub(super) regions: Option<usize>,
    #[command(flatten)]
    pub(super) objects: DetectionDataArguments,
    #[command(flatten)]
    pub(super) masks: SegmentationDataArguments,
    #[command(flatten)]
    pub(super) training: TrainingArguments,
}

impl FinetuneArguments {
    /// Refuses a choice of images by their one class, where each has many.
    pub(super) fn refuse_labels_per_class(&self) -> anyhow::Result<()> {
        if self.labels_per_class.is_some() {
            bail!(
                "--labels-per-class chooses images by their one class, and here each has many; choose --labelled-images N \
                 of them, or --label-fraction F"
            );
        }
        Ok(())
    }

    /// Refuses flags that are about detection.
    pub(super) fn refuse_about_objects(&self) -> anyhow::Result<()> {
        if self.objects.are_given() || self.box_width.is_some() || self.regions.is_some() {
            bail!(
                "--annotations, --crowd-as-object, --allow-missing, --box-width and --regions are about detection; give \
                 --task detect, or leave them out"
            );
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum TaskName {
    /// One class for each image
    Classification,
    /// Any number of classes for each image, in lists that --labels names
    MultiLabel,
    /// A class for every pixel, in masks
    #[value(alias = "segmentation")]
    Segment,
    /// Boxes and masks of objects
    #[value(alias = "detection")]
    Detect,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum FreezeName {
    /// Everything learns
    Nothing,
    /// Only the final norm and the head learn
    Encoder,
}

impl From<FreezeName> for Freeze {
    fn from(name: FreezeName) -> Self {
        match name {
            FreezeName::Nothing => Self::Nothing,
            FreezeName::Encoder => Self::Encoder,
        }
    }
}

impl FreezeName {
    /// Warns where the features of a linear probe would be those of a fresh network.
    pub(super) fn warn_if_random(self, is_fresh: bool) {
        if matches!(self, Self::Encoder) && is_fresh {
            log::warn!(
                "--freeze encoder trains a head on the features of the encoder, which are random without weights to start \
                 from; give --init WEIGHTS, or leave --freeze out"
            );
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum ClassWeightsName {
    /// All images, or pixels, count the same
    Equal,
    /// All classes count the same, for sets where some classes have few images; with --task segment rare classes count more,
    /// by 1 / ln(1.02 + share of the pixels)
    Balanced,
}

impl ClassWeightsName {
    /// The setting of a recipe under this key.
    pub(super) fn setting(self, key: &'static str) -> Setting {
        let value = match self {
            Self::Equal => "\"equal\"",
            Self::Balanced => "\"balanced\"",
        };
        Setting::new(key, value, "--class-weights")
    }
}
