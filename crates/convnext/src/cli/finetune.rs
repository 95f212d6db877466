//! `convnext finetune`

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, ValueEnum};
use convnext::core::{Seed, WeightMetadata};
use convnext::data::{LabelledData, classes_of_sets, open_label_sets};
use convnext::multilabel::MultiLabel;
use convnext::train::{
    BEST_WEIGHTS_FILE, Classification, FinetuneJob, FinetuneRecipe, Finetuned, Freeze, InitFrom, LabelSubset,
    Metric, RecipeContext, Setting, finetune, plan_finetuning, read_metadata,
};
use convnext::write_report;

use super::machine::{Machine, set_up};
use super::output::{print_text, stopped_in_words};
use super::parts::MeasuredPart;
use super::plan::print_plan;
use super::progress::TrainingProgress;
use super::training::TrainingArguments;
use super::training::recorded_recipe::Origin;
use super::values;
use super::weights::Weights;

/// Train a classifier, from pre-trained weights or from scratch
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
The data is train/CLASS/* and val/CLASS/* (or test where there is no val), or CLASS/* which is split by --val-fraction
and --seed. Parts are told by their names in any case: Training, seg_train, dev, val2017, Test, ...

Examples:
  convnext finetune --data labelled --init runs/pretrained/weights.safetensors --out runs/classifier
  convnext finetune --data labelled --model atto --epochs 100 --out runs/scratch
  convnext finetune --data labelled --init pretrained.safetensors --labels-per-class 10 --out runs/few
  convnext finetune --data labelled --init pretrained.safetensors --freeze encoder --out runs/probe
  convnext finetune --task multi-label --data photos --labels tags.csv --init pretrained.safetensors --out runs/tags
  convnext finetune --data imagenet --init base.safetensors --recipe paper --batch-size 16 --accumulate 64 \\
      --out runs/base
  convnext finetune --data labelled --init pretrained.safetensors --set training.ema=0.999 \\
      --set from_weights.layer_decay.rate=0.9 --set from_weights.layer_decay.count=single --out runs/slow-stem
  convnext finetune --config runs/classifier --seed 1 --out runs/again"
)]
pub(crate) struct FinetuneArguments {
    /// Labelled images: a folder, a .tar or a .tar.gz
    #[arg(long, value_name = "PATH")]
    data: PathBuf,
    /// What labels are
    #[arg(long, value_name = "TASK", default_value = "classification")]
    task: TaskName,
    /// Weights to start from: a file or folder, hf:ORG/NAME[@REVISION] or a released checkpoint; `none` trains from scratch
    #[arg(long, value_name = "WEIGHTS|none", default_value = "none")]
    init: Weights,
    /// CSV file with the columns path, label and perhaps split, instead of folders as classes; for multi-label, labels are
    /// lists such as boat;sea
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Use only so many labelled images of each class, chosen by the seed
    #[arg(long, value_name = "N", value_parser = values::count)]
    labels_per_class: Option<usize>,
    /// Use only this share of the labelled images of each class, chosen by the seed
    #[arg(long, value_name = "F", value_parser = values::share, conflicts_with = "labels_per_class")]
    label_fraction: Option<f64>,
    /// Share of each class held out for validation, of data that has no such part [default: 0.2]
    #[arg(long, value_name = "F", value_parser = values::share)]
    val_fraction: Option<f64>,
    /// What does not learn: with `encoder` a linear probe is trained
    #[arg(long, value_name = "PART", default_value = "nothing")]
    freeze: FreezeName,
    /// How much the images of each class count [default: that of the recipe]
    #[arg(long, value_name = "WEIGHTS")]
    class_weights: Option<ClassWeightsName>,
    #[command(flatten)]
    training: TrainingArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TaskName {
    /// One class for each image
    Classification,
    /// Any number of classes for each image, in lists that --labels names
    MultiLabel,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FreezeName {
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
    fn warn_if_random(self, is_fresh: bool) {
        if matches!(self, Self::Encoder) && is_fresh {
            log::warn!(
                "--freeze encoder trains a head on the features of the encoder, which are random without weights to start \
                 from; give --init WEIGHTS, or leave --freeze out"
            );
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ClassWeightsName {
    /// All images count the same
    Equal,
    /// All classes count the same, for sets where some classes have few images
    Balanced,
}

impl ClassWeightsName {
    fn setting(self) -> Setting {
        let value = match self {
            Self::Equal => "\"equal\"",
            Self::Balanced => "\"balanced\"",
        };
        Setting::new("regularization.class_weights", value, "--class-weights")
    }
}

pub(crate) fn run(arguments: FinetuneArguments, quiet: bool) -> anyhow::Result<()> {
    let Machine { threads, device, .. } = set_up(&arguments.training.machine)?;
    let (task, dry_run) = (arguments.task, arguments.training.length.dry_run);
    let (job, data) = plan(arguments, threads)?;
    let measured_on = MeasuredPart::of_validation(&data);
    if dry_run {
        let lines = [
            format!("training images: {}", data.train_source),
            format!("validation images: {}", measured_on.in_words()),
        ];
        let planned = match task {
            TaskName::Classification => plan_finetuning::<Classification>(&job, data, &device)?,
            TaskName::MultiLabel => plan_finetuning::<MultiLabel>(&job, data, &device)?,
        };
        return print_plan(&planned, &job.run, &lines);
    }
    let progress = &mut TrainingProgress::new(quiet)?;
    let finetuned = match task {
        TaskName::Classification => finetune::<Classification>(&job, data, &device, progress)?,
        TaskName::MultiLabel => finetune::<MultiLabel>(&job, data, &device, progress)?,
    };
    let report = write_report(&job.run.out)?;
    if let Some(metric) = finetuned.summary.monitored() {
        let unread = match finetuned.summary.last.left_out() {
            0 => String::new(),
            count => format!(" ({count} of them could not be read)"),
        };
        let stopped = stopped_in_words(&finetuned.summary);
        print_text(&format!("validation {metric} on {}{unread}{stopped}", measured_on.in_words()))?;
    }
    print_what_next(&job, &finetuned, &report)
}

/// Prints what was written, and commands that use the best weights, or the last ones where nothing was measured.
fn print_what_next(job: &FinetuneJob, finetuned: &Finetuned, report: &Path) -> anyhow::Result<()> {
    let Finetuned { weights, summary, held_out } = finetuned;
    // Without these two, `evaluate` would look at training images as well.
    let same_part = match held_out {
        true => format!(" --val-fraction {} --seed {}", job.labels.validation_fraction, job.run.seed.0),
        false => String::new(),
    };
    let same_part = match &job.labels.file {
        Some(file) => format!(" --labels {}{same_part}", file.display()),
        None => same_part,
    };
    let best = summary.monitored().zip(summary.best.as_ref()).map(|(metric, best)| {
        let metric = Metric { value: Some(best.value), ..metric };
        (job.run.out.join(BEST_WEIGHTS_FILE), format!("{metric} in epoch {}", best.epoch + 1))
    });
    let best = best.filter(|(file, _)| file.is_file());
    let also = best.as_ref().map(|(file, why)| format!(", {} (the best: {why})", file.display()));
    let recommended = best.as_ref().map_or(weights, |(file, _)| file);
    print_text(&format!(
        "wrote {last}{also} and {report}\nnext: convnext evaluate --data {data}{same_part} --weights {weights}\n      \
         convnext classify IMAGE --weights {weights}",
        last = weights.display(),
        also = also.unwrap_or_default(),
        weights = recommended.display(),
        report = report.display(),
        data = job.run.data.display(),
    ))
}

/// Refuses a share to hold out of data that has a part to measure on: it would be ignored.
pub(super) fn check_share_is_used(
    share: Option<f64>,
    images: &LabelledData,
    data: &Path,
) -> anyhow::Result<()> {
    match share {
        Some(share) if !images.held_out => bail!(
            "--val-fraction {share} holds images out of data without a part to measure on, but {} has one, {}; leave \
             --val-fraction out, or give the training images, {}, alone",
            data.display(),
            images.validation_source,
            images.train_source
        ),
        _ => Ok(()),
    }
}

/// Opens the images; with `dry_run` nothing is written beside them.
fn open(
    task: TaskName,
    labels: &LabelSubset,
    data: &Path,
    seed: Seed,
    dry_run: bool,
) -> anyhow::Result<LabelledData> {
    let LabelSubset { file, validation_fraction, per_class, fraction } = labels;
    if task == TaskName::Classification {
        let opened = if dry_run { labels.open_read_only(data, seed) } else { labels.open(data, seed) };
        return Ok(opened?);
    }
    if per_class.is_some() || fraction.is_some() {
        bail!(
            "--labels-per-class and --label-fraction choose images by their one class, and here each has any number"
        );
    }
    match file {
        Some(file) => Ok(open_label_sets(data, file, *validation_fraction, seed)?),
        None => bail!(
            "--task multi-label needs --labels FILE: a CSV file with the columns path and label, whose labels are lists \
             such as boat;sea"
        ),
    }
}

/// Images of each class, by which `auto` chooses. With several labels all classes count the same.
fn class_sizes(task: TaskName, images: &LabelledData) -> Vec<usize> {
    match task {
        TaskName::Classification => images.train.labels_per_class(),
        TaskName::MultiLabel => {
            let classes = classes_of_sets(images.train.classes()).len();
            vec![images.train.len().div_ceil(classes.max(1)); classes]
        }
    }
}

/// From what was typed to what will be run, and on what.
pub(super) fn plan(
    arguments: FinetuneArguments,
    threads: usize,
) -> anyhow::Result<(FinetuneJob, LabelledData)> {
    let FinetuneArguments { data, init, labels, training, .. } = arguments;
    training.activations.check(training.machine.precision)?;
    let labels = LabelSubset {
        file: labels,
        validation_fraction: arguments.val_fraction.unwrap_or(LabelSubset::default().validation_fraction),
        per_class: arguments.labels_per_class,
        fraction: arguments.label_fraction,
    };
    let init = (init.text() != "none").then(|| init.file()).transpose()?;
    let metadata = init.as_deref().map(read_metadata).transpose()?;
    let of_weights = metadata.as_ref().map(WeightMetadata::convnext).transpose()?;
    let start = init.as_deref().zip(of_weights.as_ref());
    let model = training.backbone(start)?;
    arguments.freeze.warn_if_random(init.is_none());
    let images = open(arguments.task, &labels, &data, Seed(training.seed), training.length.dry_run)?;
    let class_sizes = class_sizes(arguments.task, &images);
    check_share_is_used(arguments.val_fraction, &images, &data)?;
    let context = RecipeContext {
        model: &model,
        init_from: InitFrom::of(metadata.as_ref()),
        head_only: matches!(arguments.freeze, FreezeName::Encoder),
        images: images.train.len(),
        class_sizes: &class_sizes,
    };
    let mut given = training.given(metadata.as_ref());
    given.flags.extend(arguments.class_weights.map(ClassWeightsName::setting));
    let origin = Origin { init: init.as_deref(), data: &data, labels: Some(&labels), seed: training.seed };
    given.other_claim = origin.other_claim(&training.recipe, &context, &images.train);
    let mut recipe = FinetuneRecipe::choose(&training.recipe, &given, &context)?;
    let patch = model.patch_size();
    training.shrink(&mut recipe.training, &mut recipe.input.image_size, patch, &mut recipe.reasons);
    let run = training.settings(data, init, threads)?;
    Ok((FinetuneJob { run, labels, freeze: arguments.freeze.into(), model, recipe }, images))
}
