//! `convnext finetune --task detect`: boxes and masks of objects.

use anyhow::bail;
use convnext::core::{DetectionTask, MaskRcnnConfig, ModelConfig, Seed, WeightMetadata};
use convnext::data::{DetectionData, DetectionSet, Orientation, TileOptions, open_detection};
use convnext::detect::{
    DetectJob, DetectRecipe, ObjectSubset, TrainedDetector, plan_detection, train_detection,
};
use convnext::train::{InitFrom, RecipeContext, Setting, SupervisedRecipe, read_metadata};
use toml::Table;

use super::arguments::{FinetuneArguments, FreezeName};
use super::finished::{FinishedTraining, same_part};
use super::share::check_share_is_used;
use crate::cli::output::shell_word;
use crate::cli::parts::MeasuredPart;
use crate::cli::plan::print_plan;
use crate::cli::shared::SharedMachine;
use crate::cli::training::recorded_recipe::Origin;

pub(super) fn run(arguments: FinetuneArguments, shared: &SharedMachine) -> anyhow::Result<()> {
    let dry_run = arguments.training.length.dry_run;
    let (mut job, data) = shared.prepare(|| plan(arguments, shared.machine.threads))?;
    job.run = job.run.shared_by(shared.ranks.clone());
    let measured_on = MeasuredPart::of_detection(&data);
    // `evaluate` sees by its annotations how images are turned; `detect` has none.
    let turn = match data.train.orientation() {
        Orientation::Honour => "",
        Orientation::Ignore => " --ignore-orientation",
    };
    for remark in &data.remarks {
        log::warn!("{}", remark.sentence());
    }
    if dry_run {
        let mut lines = vec![
            format!("training images: {}", data.train_source),
            format!("validation images: {}", measured_on.in_words()),
        ];
        lines.extend(data.decisions.iter().map(|decision| format!("objects: {decision}")));
        let planned = plan_detection(&job, data, &shared.machine.device)?;
        return print_plan(&planned, &job.run, &lines);
    }
    let progress = &mut shared.progress()?;
    let trained = train_detection(&job, data, &shared.machine.device, progress)?;
    let TrainedDetector { weights, summary, held_out } = &trained;
    let same_part = same_part(*held_out, job.labels.validation_fraction, &job.run);
    let same_images = format!("{}{same_part}", of_annotations(&job.labels));
    let detect = |weights: &str| format!("detect IMAGE --weights {weights} --out found --overlay{turn}");
    FinishedTraining { run: &job.run, weights, summary, same_images }.print(&measured_on, detect)
}

/// The flags by which a command reads the annotations as the training did.
fn of_annotations(labels: &ObjectSubset) -> String {
    let file = labels.annotations.as_ref().map(|file| format!(" --annotations {}", shell_word(file)));
    let crowds = labels.crowd_as_object.then(|| " --crowd-as-object".to_owned());
    let missing = labels.allow_missing.then(|| " --allow-missing".to_owned());
    file.into_iter().chain(crowds).chain(missing).collect()
}

/// From what was typed to what will be run, and on what.
pub(in crate::cli) fn plan(
    arguments: FinetuneArguments,
    threads: usize,
) -> anyhow::Result<(DetectJob, DetectionData)> {
    check_flags(&arguments)?;
    let labels = labels(&arguments);
    let images = open(&arguments, &labels)?;
    let FinetuneArguments { data, init, training, freeze, head_width, box_width, regions, .. } = arguments;
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
    // Images have no size by the weights: a classifier looked at smaller ones.
    let mut given = training.given(None);
    given.flags.extend(regions.map(|count| Setting::new(DetectRecipe::REGIONS, count, "--regions")));
    let origin =
        Origin { init: init.as_deref(), data: &data, labels: Origin::choice(&labels), seed: training.seed };
    let checksum = |recorded: &Table| checksum_as_in(recorded, &images.train);
    given.other_claim = origin.other_claim_of(&training.recipe, &context, checksum);
    let mut recipe = DetectRecipe::choose(&training.recipe, &given, &context)?;
    if let Some(side) = recipe.augmentation.tile {
        // Each tile is an image to learn from.
        let tiles = images.train.tile_count(TileOptions::of_size(side))?;
        let context = RecipeContext { images: tiles, ..context };
        recipe = DetectRecipe::choose(&training.recipe, &given, &context)?;
    }
    let patch = model.patch_size();
    training.shrink(&mut recipe.training, &mut recipe.input.image_size, patch, &mut recipe.reasons);
    let head = head(&model, metadata.as_ref(), [head_width, box_width]);
    let run = training.settings(data, init, threads)?;
    Ok((DetectJob { run, labels, freeze: freeze.into(), model, head, recipe }, images))
}

/// The checksum of the images as a recorded training learned from them: in tiles, if its recipe says so.
fn checksum_as_in(recorded: &Table, train: &DetectionSet) -> u32 {
    let tile =
        recorded.get("recipe").and_then(|recipe| recipe.get("augmentation")?.get("tile")?.as_integer());
    let options = tile.and_then(|side| usize::try_from(side).ok()).map(TileOptions::of_size);
    let tiled = options.and_then(|options| train.tiled(options).ok());
    tiled.as_ref().unwrap_or(train).images().fingerprint()
}

/// Pyramid and heads: those of weights of a detector, else the usual ones of the backbone; of the widths that are asked for.
pub(in crate::cli) fn head(
    model: &ModelConfig,
    weights: Option<&WeightMetadata>,
    [head_width, box_width]: [Option<usize>; 2],
) -> MaskRcnnConfig {
    let of_weights = weights.and_then(|metadata| metadata.task_as::<DetectionTask>().ok());
    let head = of_weights.map_or_else(|| MaskRcnnConfig::of_backbone(model), |task| task.head);
    MaskRcnnConfig {
        head_width: head_width.unwrap_or(head.head_width),
        box_width: box_width.unwrap_or(head.box_width),
        masks: true,
        ..head
    }
}

/// Which images and objects are asked for.
fn labels(arguments: &FinetuneArguments) -> ObjectSubset {
    let objects = &arguments.objects;
    ObjectSubset {
        annotations: objects.annotations.clone(),
        crowd_as_object: objects.crowd_as_object,
        allow_missing: objects.allow_missing,
        validation_fraction: objects.layout(None, arguments.val_fraction).validation_fraction,
        count: arguments.labelled_images,
        fraction: arguments.label_fraction,
    }
}

/// Opens the images and their annotations.
fn open(arguments: &FinetuneArguments, labels: &ObjectSubset) -> anyhow::Result<DetectionData> {
    let FinetuneArguments { data, val_fraction, training, .. } = arguments;
    let seed = Seed(training.seed);
    let mut images = open_detection(data, &arguments.objects.layout(None, *val_fraction), seed)?;
    let sources = [&*images.validation_source, &*images.train_source];
    check_share_is_used(*val_fraction, images.held_out, sources, data)?;
    if let Some(count) = labels.count {
        images.train = images.train.choose(count, seed)?;
    }
    if let Some(fraction) = labels.fraction {
        images.train = images.train.choose_fraction(fraction, seed)?;
    }
    Ok(images)
}

/// Refuses flags that are about classes of whole images, or of pixels.
fn check_flags(arguments: &FinetuneArguments) -> anyhow::Result<()> {
    if arguments.sync_batch_norm {
        bail!(
            "--sync-batch-norm is about the heads of --task segment, the only ones with batch norms; leave it out"
        );
    }
    if arguments.labels.is_some() {
        bail!(
            "--labels names a file with the classes of whole images; name a file with the objects of images with \
             --annotations FILE"
        );
    }
    arguments.refuse_labels_per_class()?;
    if arguments.masks.are_given() {
        bail!(
            "--classes, --ignore-index and --reduce-zero-label are about the masks of --task segment; leave them out"
        );
    }
    if arguments.training.fast_decode {
        bail!("--fast-decode is about classifiers; leave it out");
    }
    if arguments.training.decoding.ignore_orientation {
        bail!(
            "--ignore-orientation is not for detection: images are turned as their annotations say; leave it out"
        );
    }
    if arguments.class_weights.is_some() {
        bail!("--class-weights are about classes of images and pixels; leave them out");
    }
    Ok(())
}
