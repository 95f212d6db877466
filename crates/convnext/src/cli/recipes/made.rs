//! Recipes that are made for a model and its images, without a training.

use std::ffi::OsString;

use clap::{Args, Parser, ValueEnum};
use convnext::detect::DetectRecipe;
use convnext::segment::SegmentRecipe;
use convnext::train::{FinetuneRecipe, PretrainRecipe};

use crate::cli::finetune::{FinetuneArguments, images, masks, objects};
use crate::cli::pretrain::{self, PretrainArguments};

/// Model and images that `auto` or `paper` is shown for. The values are those of the flags of the trainings, which check
/// them.
#[derive(Debug, Args)]
pub(super) struct MadeForArguments {
    /// Images that `auto` or `paper` is made for
    #[arg(long, value_name = "PATH")]
    pub(super) data: Option<OsString>,
    /// Model that it is made for, unless --init has one
    #[arg(long, value_name = "NAME", requires = "data")]
    model: Option<OsString>,
    /// Weights that the training starts from
    #[arg(long, value_name = "WEIGHTS", requires = "data")]
    init: Option<OsString>,
    /// CSV file with the labels of the images
    #[arg(long, value_name = "FILE", requires = "data")]
    labels: Option<OsString>,
    /// File of the classes of masks
    #[arg(long, value_name = "FILE", requires = "data")]
    classes: Option<OsString>,
    /// Number in masks whose pixels are ignored; may be given several times
    #[arg(long, value_name = "N", requires = "data")]
    ignore_index: Vec<OsString>,
    /// 0 in masks is ignored, and classes begin at 1
    #[arg(long, requires = "data")]
    reduce_zero_label: bool,
    /// Size of the images in pixels
    #[arg(long, value_name = "N|HxW", requires = "data")]
    image_size: Option<OsString>,
    /// Kind of training
    #[arg(long, value_name = "TASK", default_value = "classification", requires = "data")]
    task: TaskName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TaskName {
    /// Pre-training without labels
    Pretraining,
    /// One class for each image
    Classification,
    /// Any number of classes for each image
    MultiLabel,
    /// A class for every pixel
    #[value(alias = "segmentation")]
    Segment,
    /// Boxes and masks of objects
    #[value(alias = "detection")]
    Detect,
}

/// A recipe that was made, with the command that it is for.
pub(super) enum Made {
    /// Of `convnext pretrain`.
    Pretrain(PretrainRecipe),
    /// Of `convnext finetune`.
    Finetune(FinetuneRecipe),
    /// Of `convnext finetune --task segment`.
    Segment(SegmentRecipe),
    /// Of `convnext finetune --task detect`.
    Detect(DetectRecipe),
}

#[derive(Parser)]
struct Pretrain {
    #[command(flatten)]
    arguments: PretrainArguments,
}

#[derive(Parser)]
struct Finetune {
    #[command(flatten)]
    arguments: FinetuneArguments,
}

impl MadeForArguments {
    /// The recipe that a training with these arguments would use; `batch` are flags of its batch with their values.
    pub(super) fn make(&self, recipe: &str, batch: &[(&str, Option<usize>)]) -> anyhow::Result<Made> {
        // A plan opens the images and reads the weights, but writes nothing.
        const THREADS: usize = 1;
        let mut line = self.line(recipe);
        let batch = batch.iter().filter_map(|(flag, count)| Some(format!("{flag}={}", (*count)?).into()));
        line.extend(batch);
        Ok(match self.task {
            TaskName::Pretraining => {
                let (job, _) = pretrain::plan(Pretrain::parse_from(line).arguments, THREADS)?;
                Made::Pretrain(job.recipe)
            }
            TaskName::Classification | TaskName::MultiLabel => {
                let (job, _) = images::plan(Finetune::parse_from(line).arguments, THREADS)?;
                Made::Finetune(job.recipe)
            }
            TaskName::Segment => {
                let (job, _) = masks::plan(Finetune::parse_from(line).arguments, THREADS)?;
                Made::Segment(job.recipe)
            }
            TaskName::Detect => {
                let (job, _) = objects::plan(Finetune::parse_from(line).arguments, THREADS)?;
                Made::Detect(job.recipe)
            }
        })
    }

    /// The command line of that training, as a dry run.
    fn line(&self, recipe: &str) -> Vec<OsString> {
        let flags = [
            ("--data", &self.data),
            ("--model", &self.model),
            ("--init", &self.init),
            ("--labels", &self.labels),
            ("--classes", &self.classes),
            ("--image-size", &self.image_size),
        ];
        let given = flags.into_iter().filter_map(|(flag, value)| Some([flag.into(), value.clone()?]));
        let ignored = self.ignore_index.iter().map(|number| ["--ignore-index".into(), number.clone()]);
        let reduced = self.reduce_zero_label.then(|| OsString::from("--reduce-zero-label"));
        let task = match self.task {
            TaskName::MultiLabel => Some("multi-label"),
            TaskName::Segment => Some("segment"),
            TaskName::Detect => Some("detect"),
            TaskName::Pretraining | TaskName::Classification => None,
        };
        let task = task.map(|name| ["--task", name].map(OsString::from));
        let fixed = ["convnext", "--dry-run", "--out", "not-used", "--recipe", recipe].map(OsString::from);
        let given = given.chain(ignored).chain(task).flatten();
        fixed.into_iter().chain(given).chain(reduced).collect()
    }
}
