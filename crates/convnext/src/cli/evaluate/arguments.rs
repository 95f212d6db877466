//! Arguments of `convnext evaluate`, and what they say about the images.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use convnext::core::{DetectionTask, ImageSize, Preprocessing, SegmentationTask, Tagged};
use convnext::data::OnCorrupt;
use convnext::train::{EvalLoaderConfig, LabelSubset};

use crate::cli::class_names::ClassNameArguments;
use crate::cli::detection_data::DetectionDataArguments;
use crate::cli::detection_inference::DetectionInferenceArguments;
use crate::cli::parts::SplitName;
use crate::cli::segmentation_data::SegmentationDataArguments;
use crate::cli::segmentation_inference::InferenceArguments;
use crate::cli::shared::{RankArguments, SharedMachine};
use crate::cli::values::{self, DecodeArguments, MachineArguments};
use crate::cli::weights::Weights;

/// Images that go through the model together.
const BATCH_SIZE: usize = 32;

/// Measure a network on labelled images: top-1, top-5, loss, and precision, recall and F1 of each class; of several labels mean average precision; of masks mean intersection over union; of objects average precision
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
The images are those of --split or, without it, val/CLASS/* (or test/CLASS/* where there is no val) if there is such a \
part, and CLASS/* otherwise. What is printed says which part it was.
If `finetune` held a part of CLASS/* out, name the same --val-fraction and --seed to measure on that part.

Examples:
  convnext evaluate --data labelled --weights runs/classifier/weights.safetensors
  convnext evaluate --data labelled --weights runs/classifier/weights.safetensors --image-size 288
  convnext evaluate --data labelled --weights runs/classifier/weights.safetensors --split test --html test.html
  convnext evaluate --data labelled --weights runs/pretrained/weights.safetensors --knn
  convnext evaluate --data camvid --weights runs/streets/weights.safetensors --ignore-index 11
  convnext evaluate --data camvid --weights weights.safetensors --mode slide --crop 256 --scales 0.75,1,1.25 --flip
  convnext evaluate --data nuclei --weights runs/nuclei/weights.safetensors --write-predictions results.json
  convnext evaluate --data photos --weights model_best.pth.tar --class-names names.txt
  convnext evaluate --data flat --val-fraction 0.2 --seed 0 --weights weights.safetensors --json"
)]
pub(crate) struct EvaluateArguments {
    /// Labelled images: a folder, a .tar or a .tar.gz
    #[arg(long, value_name = "PATH")]
    pub(super) data: PathBuf,
    /// CSV file with the columns path, label and perhaps split, instead of folders as classes; of a multi-label classifier
    /// labels are lists such as boat;sea
    #[arg(long, value_name = "FILE")]
    pub(super) labels: Option<PathBuf>,
    /// Weights of a classifier, a segmentation network or a detector, with --knn of any kind: a file or folder,
    /// hf:ORG/NAME[@REVISION] or a released checkpoint
    #[arg(long, value_name = "WEIGHTS")]
    pub(super) weights: Weights,
    /// Measure on this part of the data [default: validation, or test where there is none]
    #[arg(long, value_name = "PART", conflicts_with = "val_fraction")]
    pub(super) split: Option<SplitName>,
    #[command(flatten)]
    pub(super) class_names: ClassNameArguments,
    /// Measure on this share of each class, as `finetune` held it out of data that has no part to measure on
    #[arg(long, value_name = "F", value_parser = values::share)]
    pub(super) val_fraction: Option<f64>,
    /// Seed of that choice
    #[arg(long, value_name = "N", default_value_t = 0, requires = "val_fraction")]
    pub(super) seed: u64,
    /// Classify by the nearest training images instead of by a head: judges pre-trained features without training
    #[arg(long, conflicts_with = "class_names")]
    pub(super) knn: bool,
    /// Training images that vote for a class
    #[arg(long, value_name = "K", value_parser = values::count, default_value_t = 20, requires = "knn")]
    pub(super) neighbours: usize,
    /// Size of the images in pixels: a side, or height and width as in 224x320, if not as trained [default: that of the weights]
    #[arg(long, value_name = "N|HxW", value_parser = values::image_size)]
    pub(super) image_size: Option<ImageSize>,
    /// Images that go through the model together, where they are of one size; of masks windows of an image [default: 32; of windows 1]
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub(super) batch_size: Option<usize>,
    #[command(flatten)]
    pub(super) masks: SegmentationDataArguments,
    #[command(flatten)]
    pub(super) inference: InferenceArguments,
    #[command(flatten)]
    pub(super) objects: DetectionDataArguments,
    #[command(flatten)]
    pub(super) detection: DetectionInferenceArguments,
    /// Of a detector: write what it finds as COCO's results, which pycocotools reads
    #[arg(long, value_name = "FILE")]
    pub(super) write_predictions: Option<PathBuf>,
    #[command(flatten)]
    pub(super) machine: MachineArguments,
    #[command(flatten)]
    pub(super) ranks: RankArguments,
    #[command(flatten)]
    pub(super) decoding: DecodeArguments,
    /// Write a page with scores of each class, confusion and predictions
    #[arg(long, value_name = "FILE.html", value_parser = values::page)]
    pub(super) html: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl EvaluateArguments {
    /// Leaves out the files that rank 0 writes.
    pub(super) fn write_nothing(&mut self) {
        (self.html, self.write_predictions) = (None, None);
    }

    /// The files of labels, names, classes and annotations that were named.
    pub(super) fn texts(&self) -> Vec<&Path> {
        let Self { labels, class_names, masks, objects, .. } = self;
        let files = [labels, &class_names.class_names, &masks.classes, &objects.annotations];
        files.into_iter().flatten().map(PathBuf::as_path).collect()
    }

    /// `true` for weights of this task if they are a detector.
    ///
    /// # Errors
    /// When flags of one are given for other weights.
    pub(super) fn is_detection(&self, task: &Tagged) -> anyhow::Result<bool> {
        let is_detection = task.is::<DetectionTask>();
        if !is_detection && self.has_object_flags() {
            bail!(
                "{} is no detector, and flags about annotations, suppression, tiles and predictions are for those; leave \
                 them out",
                self.weights.text()
            );
        }
        Ok(is_detection)
    }

    /// `true` if a flag is given that is about objects.
    pub(super) fn has_object_flags(&self) -> bool {
        self.objects.are_given() || self.detection.are_given() || self.write_predictions.is_some()
    }

    /// `true` for weights of this task if they are a segmentation network.
    ///
    /// # Errors
    /// When flags of one are given for other weights.
    pub(super) fn is_segmentation(&self, task: &Tagged) -> anyhow::Result<bool> {
        let is_segmentation = task.is::<SegmentationTask>();
        if !is_segmentation && self.has_mask_flags() {
            bail!(
                "{} is no segmentation network, and flags about masks, windows, scales and mirror images are for those; leave \
                 them out",
                self.weights.text()
            );
        }
        Ok(is_segmentation)
    }

    /// `true` if a flag is given that is about masks.
    pub(super) fn has_mask_flags(&self) -> bool {
        self.masks.are_given() || self.inference.are_given()
    }

    pub(super) fn choice(&self, validation_fraction: f64) -> LabelSubset {
        LabelSubset { file: self.labels.clone(), validation_fraction, ..LabelSubset::default() }
    }

    /// As the weights say, or for another size.
    pub(super) fn preprocessing(&self, of_weights: Preprocessing) -> Preprocessing {
        match self.image_size {
            Some(size) => of_weights.at_size(size),
            None => of_weights,
        }
    }

    pub(super) fn reading(&self, shared: &SharedMachine) -> EvalLoaderConfig {
        EvalLoaderConfig {
            batch_size: self.batch_size.unwrap_or(BATCH_SIZE),
            threads: shared.machine.threads,
            orientation: self.decoding.orientation(),
            on_corrupt: OnCorrupt::Fail,
            ranks: shared.ranks.clone(),
        }
    }
}
