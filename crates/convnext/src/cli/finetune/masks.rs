//! `convnext finetune --task segment`: a class for every pixel.

use anyhow::bail;
use convnext::core::{ModelConfig, Seed, SegmentationTask, UperNetConfig, WeightMetadata};
use convnext::data::{HELD_OUT, Orientation, SegmentationData, open_segmentation};
use convnext::segment::{
    MaskSubset, SegmentJob, SegmentRecipe, Segmented, plan_segmentation, train_segmentation,
};
use convnext::train::{InitFrom, RecipeContext, RunSettings, SupervisedRecipe, read_metadata};

use super::arguments::{FinetuneArguments, FreezeName};
use super::finished::{FinishedTraining, same_part};
use super::share::check_share_is_used;
use crate::cli::absent::absent;
use crate::cli::output::shell_word;
use crate::cli::parts::MeasuredPart;
use crate::cli::plan::print_plan;
use crate::cli::shared::SharedMachine;
use crate::cli::training::recorded_recipe::Origin;

pub(super) fn run(arguments: FinetuneArguments, shared: &SharedMachine) -> anyhow::Result<()> {
    let dry_run = arguments.training.length.dry_run;
    let (mut job, data) = shared.prepare(|| plan(arguments, shared.machine.threads))?;
    job.run = job.run.shared_by(shared.ranks.clone());
    job.sync_batch_norm = job.sync_batch_norm.map(|_| shared.ranks.size());
    if shared.ranks.is_alone() && job.sync_batch_norm.take().is_some() {
        refuse_without_ranks(&job.run)?;
    }
    let measured_on = MeasuredPart::of_segmentation(&data);
    let turn = match data.train.orientation() {
        Orientation::Honour => "",
        Orientation::Ignore => " --ignore-orientation",
    };
    for decision in &data.decisions {
        log::info!("{decision}");
    }
    if dry_run {
        let mut lines = vec![
            format!("training images: {}", data.train_source),
            format!("validation images: {}", measured_on.in_words()),
        ];
        lines.extend(data.decisions.iter().map(|decision| format!("masks: {decision}")));
        let planned = plan_segmentation(&job, data, &shared.machine.device)?;
        return print_plan(&planned, &job.run, &lines);
    }
    let progress = &mut shared.progress()?;
    let segmented = train_segmentation(&job, data, &shared.machine.device, progress)?;
    let Segmented { weights, summary, held_out } = &segmented;
    let same_part = same_part(*held_out, job.labels.validation_fraction, &job.run);
    let same_images = format!("{}{turn}{same_part}", of_masks(&job.labels));
    let segment = |weights: &str| format!("segment IMAGE --weights {weights} --out segmented{turn}");
    FinishedTraining { run: &job.run, weights, summary, same_images }.print(&measured_on, segment)
}

/// Refuses to synchronise the batch norms of one process where that was typed. Of a repeated run, which nobody can leave it
/// out of, it is left out with a warning.
fn refuse_without_ranks(run: &RunSettings) -> anyhow::Result<()> {
    const FLAG: &str = "--sync-batch-norm";
    let is_typed = run.repeats.is_none() || run.command.iter().any(|word| word == FLAG);
    if is_typed {
        bail!(
            "{FLAG} is about several ranks, and this is one process; start them with mpirun or srun, or leave it out"
        );
    }
    log::warn!(
        "{FLAG} of the repeated run is left out: it is about several ranks, and this is one process, so that the result will \
         differ"
    );
    Ok(())
}

/// The flags by which a command reads the masks as the training did.
fn of_masks(labels: &MaskSubset) -> String {
    let classes = labels.classes.as_ref().map(|file| format!(" --classes {}", shell_word(file)));
    let ignored = labels.ignored.iter().map(|number| format!(" --ignore-index {number}"));
    let reduced = labels.reduce_zero_label.then(|| " --reduce-zero-label".to_owned());
    classes.into_iter().chain(ignored).chain(reduced).collect()
}

/// From what was typed to what will be run, and on what.
pub(in crate::cli) fn plan(
    arguments: FinetuneArguments,
    threads: usize,
) -> anyhow::Result<(SegmentJob, SegmentationData)> {
    check_flags(&arguments)?;
    let labels = labels(&arguments);
    let images = open(&arguments, &labels)?;
    let FinetuneArguments { data, init, training, freeze, head_width, class_weights, .. } = arguments;
    let sync_batch_norm = arguments.sync_batch_norm;
    training.activations.check(training.machine.precision)?;
    let init = (init.text() != "none").then(|| init.file()).transpose()?;
    let metadata = init.as_deref().map(read_metadata).transpose()?;
    let of_weights = metadata.as_ref().map(WeightMetadata::convnext).transpose()?;
    let model = training.backbone(init.as_deref().zip(of_weights.as_ref()))?;
    freeze.warn_if_random(init.is_none());
    let context = RecipeContext {
        model: &model,
        init_from: InitFrom::of(metadata.as_ref()),
        head_only: matches!(freeze, FreezeName::Encoder),
        images: images.train.len(),
        class_sizes: &[],
    };
    // Crops have no size by the weights: a classifier looked at whole images.
    let mut given = training.given(None);
    given.flags.extend(class_weights.map(|weights| weights.setting(SegmentRecipe::CLASS_WEIGHTS)));
    let origin =
        Origin { init: init.as_deref(), data: &data, labels: Origin::choice(&labels), seed: training.seed };
    given.other_claim = origin.other_claim(&training.recipe, &context, images.train.images());
    let mut recipe = SegmentRecipe::choose(&training.recipe, &given, &context)?;
    let patch = model.patch_size();
    training.shrink(&mut recipe.training, &mut recipe.input.image_size, patch, &mut recipe.reasons);
    let head = head(&model, metadata.as_ref(), head_width);
    let run = training.settings(data, init, threads)?;
    let sync_batch_norm = sync_batch_norm.then_some(1);
    Ok((SegmentJob { run, labels, freeze: freeze.into(), sync_batch_norm, model, head, recipe }, images))
}

/// The heads: those of weights of a segmentation network, else the usual ones of the backbone; of the width that is asked for.
pub(in crate::cli) fn head(
    model: &ModelConfig,
    weights: Option<&WeightMetadata>,
    width: Option<usize>,
) -> UperNetConfig {
    let of_weights = weights.and_then(|metadata| metadata.task_as::<SegmentationTask>().ok());
    let head = of_weights.map_or_else(|| UperNetConfig::of_backbone(model), |task| task.head);
    UperNetConfig { head_width: width.unwrap_or(head.head_width), ..head }
}

/// Which images and masks are asked for.
fn labels(arguments: &FinetuneArguments) -> MaskSubset {
    let masks = &arguments.masks;
    MaskSubset {
        classes: masks.classes.clone(),
        ignored: masks.ignore_index.clone(),
        reduce_zero_label: masks.reduce_zero_label,
        validation_fraction: arguments.val_fraction.unwrap_or(HELD_OUT),
        count: arguments.labelled_images,
        fraction: arguments.label_fraction,
    }
}

/// Opens the images and masks.
fn open(arguments: &FinetuneArguments, labels: &MaskSubset) -> anyhow::Result<SegmentationData> {
    let FinetuneArguments { data, val_fraction, training, .. } = arguments;
    let seed = Seed(training.seed);
    let layout = arguments.masks.layout(None, *val_fraction, training.decoding.orientation());
    let mut images = open_segmentation(data, &layout, seed)?;
    let sources = [&*images.validation_source, &*images.train_source];
    check_share_is_used(*val_fraction, images.held_out, sources, data)?;
    if let Some(count) = labels.count {
        images.train = images.train.choose(count, seed)?;
    }
    if let Some(fraction) = labels.fraction {
        images.train = images.train.choose_fraction(fraction, seed)?;
    }
    let lacking = lacking(&images);
    images.decisions.extend(lacking);
    Ok(images)
}

/// What the images that were chosen have nothing of.
fn lacking(images: &SegmentationData) -> Vec<String> {
    let SegmentationData { train, validation, classes, .. } = images;
    let absent = absent(("train", "pixel"), &train.pixels_per_class(), &classes.0);
    let unmeasured = validation.pixels_per_class().iter().all(|&pixels| pixels == 0);
    let unmeasured = unmeasured
        .then(|| "validation has no pixel with a class, so nothing can be measured on it".to_owned());
    absent.into_iter().chain(unmeasured).collect()
}

/// Refuses flags that are about classes of whole images.
fn check_flags(arguments: &FinetuneArguments) -> anyhow::Result<()> {
    if arguments.labels.is_some() {
        bail!(
            "--labels names a file with the classes of whole images, and here each image has a mask; name the classes of the \
             masks with --classes FILE"
        );
    }
    if arguments.training.fast_decode {
        bail!("--fast-decode is about classifiers; leave it out");
    }
    arguments.refuse_labels_per_class()?;
    arguments.refuse_about_objects()
}
