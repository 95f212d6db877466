//! `convnext finetune` with labels of whole images: classification and multi-label classification.

use std::path::Path;

use anyhow::bail;
use convnext::core::{Seed, WeightMetadata};
use convnext::data::{LabelledData, Orientation, classes_of_sets, open_label_sets};
use convnext::multilabel::MultiLabel;
use convnext::train::{
    Classification, FinetuneJob, FinetuneRecipe, Finetuned, InitFrom, LabelSubset, RecipeContext, finetune,
    plan_finetuning, read_metadata,
};

use super::arguments::{FinetuneArguments, FreezeName, TaskName};
use super::finished::{FinishedTraining, same_part};
use super::share::check_share_is_used;
use crate::cli::out_folder::check_apart;
use crate::cli::output::shell_word;
use crate::cli::parts::MeasuredPart;
use crate::cli::plan::print_plan;
use crate::cli::shared::SharedMachine;
use crate::cli::training::recorded_recipe::Origin;

/// The key of the class weights in a recipe.
const CLASS_WEIGHTS: &str = "regularization.class_weights";

pub(super) fn run(arguments: FinetuneArguments, shared: &SharedMachine) -> anyhow::Result<()> {
    let (task, dry_run) = (arguments.task, arguments.training.length.dry_run);
    let (mut job, data) = shared.prepare(|| plan(arguments, shared.machine.threads))?;
    job.run = job.run.shared_by(shared.ranks.clone());
    let (measured_on, device) = (MeasuredPart::of_validation(&data), &shared.machine.device);
    let turn = match job.run.orientation {
        Orientation::Honour => "",
        Orientation::Ignore => " --ignore-orientation",
    };
    if dry_run {
        let lines = [
            format!("training images: {}", data.train_source),
            format!("validation images: {}", measured_on.in_words()),
        ];
        let planned = match task {
            TaskName::MultiLabel => plan_finetuning::<MultiLabel>(&job, data, device)?,
            _ => plan_finetuning::<Classification>(&job, data, device)?,
        };
        return print_plan(&planned, &job.run, &lines);
    }
    let progress = &mut shared.progress()?;
    let finetuned = match task {
        TaskName::MultiLabel => finetune::<MultiLabel>(&job, data, device, progress)?,
        _ => finetune::<Classification>(&job, data, device, progress)?,
    };
    let Finetuned { weights, summary, held_out } = &finetuned;
    let same_part = same_part(*held_out, job.labels.validation_fraction, &job.run);
    let labels = job.labels.file.as_ref().map(|file| format!(" --labels {}", shell_word(file)));
    let same_images = format!("{}{turn}{same_part}", labels.unwrap_or_default());
    let classify = |weights: &str| format!("classify IMAGE --weights {weights}{turn}");
    FinishedTraining { run: &job.run, weights, summary, same_images }.print(&measured_on, classify)
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
    if task != TaskName::MultiLabel {
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
        TaskName::MultiLabel => {
            let classes = classes_of_sets(images.train.classes()).len();
            vec![images.train.len().div_ceil(classes.max(1)); classes]
        }
        _ => images.train.labels_per_class(),
    }
}

/// From what was typed to what will be run, and on what.
pub(in crate::cli) fn plan(
    arguments: FinetuneArguments,
    threads: usize,
) -> anyhow::Result<(FinetuneJob, LabelledData)> {
    check_flags(&arguments)?;
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
    if images.held_out && labels.file.is_none() && !training.length.dry_run {
        // Without parts, every folder in the data is a class, that of the run too.
        check_apart(&training.out, &[&data])?;
    }
    let class_sizes = class_sizes(arguments.task, &images);
    let sources = [&*images.validation_source, &*images.train_source];
    check_share_is_used(arguments.val_fraction, images.held_out, sources, &data)?;
    let context = RecipeContext {
        model: &model,
        init_from: InitFrom::of(metadata.as_ref()),
        head_only: matches!(arguments.freeze, FreezeName::Encoder),
        images: images.train.len(),
        class_sizes: &class_sizes,
    };
    let mut given = training.given(metadata.as_ref());
    given.flags.extend(arguments.class_weights.map(|weights| weights.setting(CLASS_WEIGHTS)));
    let origin =
        Origin { init: init.as_deref(), data: &data, labels: Origin::choice(&labels), seed: training.seed };
    given.other_claim = origin.other_claim(&training.recipe, &context, &images.train);
    let mut recipe = FinetuneRecipe::choose(&training.recipe, &given, &context)?;
    let patch = model.patch_size();
    training.shrink(&mut recipe.training, &mut recipe.input.image_size, patch, &mut recipe.reasons);
    let run = training.settings(data, init, threads)?;
    Ok((FinetuneJob { run, labels, freeze: arguments.freeze.into(), model, recipe }, images))
}

/// Refuses flags that are about masks.
fn check_flags(arguments: &FinetuneArguments) -> anyhow::Result<()> {
    if arguments.sync_batch_norm {
        bail!(
            "--sync-batch-norm is about the heads of --task segment, the only ones with batch norms; leave it out"
        );
    }
    if arguments.masks.are_given() {
        bail!(
            "--classes, --ignore-index and --reduce-zero-label are about masks; give --task segment, or leave them out"
        );
    }
    if arguments.head_width.is_some() || arguments.labelled_images.is_some() {
        bail!(
            "--head-width and --labelled-images are about segmentation and detection; give --task segment or detect, or \
             leave them out"
        );
    }
    arguments.refuse_about_objects()
}
