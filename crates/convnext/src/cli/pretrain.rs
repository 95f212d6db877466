//! `convnext pretrain`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use convnext::core::{DecoderKind, EncoderKind, FcmaeConfig, FcmaeTask, ModelConfig, WeightMetadata};
use convnext::data::{Dataset, open_unlabelled, open_unlabelled_read_only};
use convnext::train::{
    InitFrom, PretrainJob, PretrainRecipe, Pretrained, RecipeContext, Setting, plan_pretraining, pretrain,
    read_metadata,
};
use convnext::write_report;

use super::decoder::DecoderArguments;
use super::launched::Launched;
use super::out_folder::check_apart;
use super::output::{print_text, shell_word, stopped_in_words};
use super::plan::print_plan;
use super::shared::SharedMachine;
use super::training::TrainingArguments;
use super::training::recipe::OF_WEIGHTS;
use super::training::recorded_recipe::Origin;
use super::values;
use super::weights::Weights;

/// Pre-train on images without labels (FCMAE)
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
The image size must be a multiple of the patch, which is 8 x stem stride pixels wide: 32 by default.

Examples:
  convnext pretrain --data photos --model atto --out runs/pretrained
  convnext pretrain --data photos.tar --model tiny --epochs 200 --batch-size 32 --out runs/tiny
  convnext pretrain --data icons --model micro --image-size 32 --stem-stride 1 --out runs/icons
  convnext pretrain --data photos --model v1-atto --watch-features --out runs/watched
  convnext pretrain --config runs/tiny --seed 1 --out runs/again"
)]
pub(crate) struct PretrainArguments {
    /// Images: a folder with any nesting, a .tar or a .tar.gz; labels are ignored
    #[arg(long, value_name = "PATH")]
    data: PathBuf,
    /// Weights to start from: a file or folder, hf:ORG/NAME[@REVISION] or a released checkpoint
    #[arg(long, value_name = "WEIGHTS")]
    init: Option<Weights>,
    /// Share of patches to remove [default: that of the recipe, or of the weights, or 0.6]
    #[arg(long, value_name = "R", value_parser = values::share)]
    mask_ratio: Option<f64>,
    /// How the encoder treats removed patches [default: that of the weights, or sparse]
    #[arg(long, value_name = "KIND")]
    encoder: Option<EncoderName>,
    #[command(flatten)]
    decoder: DecoderArguments,
    /// Measure feature distance, dead and saturated maps (after GRN, on 64 whole images) at each validation, for the report
    #[arg(long)]
    watch_features: bool,
    #[command(flatten)]
    training: TrainingArguments,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum EncoderName {
    /// Submanifold sparse convolution on the kept sites
    Sparse,
    /// Dense convolution under a mask: the same numbers, slower
    MaskedDense,
    /// Dense convolution that computes at removed sites: the paper's ablation
    Leaky,
    /// The same with a learned mask token there after the stem, as in SimMIM
    Tokens,
}

impl From<EncoderName> for EncoderKind {
    fn from(name: EncoderName) -> Self {
        match name {
            EncoderName::Sparse => Self::Sparse,
            EncoderName::MaskedDense => Self::MaskedDense,
            EncoderName::Leaky => Self::Leaky,
            EncoderName::Tokens => Self::Tokens,
        }
    }
}

pub(crate) fn run(arguments: PretrainArguments, launched: &Launched, quiet: bool) -> anyhow::Result<()> {
    let training = &arguments.training;
    let shared =
        SharedMachine::set_up(&training.machine, &training.ranks, launched, quiet)?.for_training()?;
    let (dry_run, device) = (training.length.dry_run, &shared.machine.device);
    let (mut job, images) = shared.prepare(|| plan(arguments, shared.machine.threads))?;
    job.run = job.run.shared_by(shared.ranks.clone());
    if dry_run {
        let planned = plan_pretraining(&job, images, device)?;
        return print_plan(&planned, &job.run, &[]);
    }
    let Pretrained { weights, summary } = pretrain(&job, images, device, &mut shared.progress()?)?;
    if !shared.ranks.is_first() {
        return Ok(());
    }
    let report = write_report(&job.run.out)?;
    print_text(&format!(
        "wrote {} and {}{}\nnext: convnext reconstruct IMAGE --weights {word} --out reconstructions\n      \
         convnext finetune --data LABELLED --init {word} --out classifier",
        weights.display(),
        report.display(),
        stopped_in_words(&summary),
        word = shell_word(&weights),
    ))
}

/// The key that `--mask-ratio` stands for.
const MASK_RATIO: &str = "masking.ratio";

/// From what was typed to what will be run, and on what.
pub(super) fn plan(arguments: PretrainArguments, threads: usize) -> anyhow::Result<(PretrainJob, Dataset)> {
    let PretrainArguments { data, init, mask_ratio, encoder, decoder, watch_features, training } = arguments;
    training.activations.check(training.machine.precision)?;
    let init = init.map(|weights| weights.file()).transpose()?;
    let metadata = init.as_deref().map(read_metadata).transpose()?;
    let of_weights = metadata.as_ref().map(WeightMetadata::convnext).transpose()?;
    let start = init.as_deref().zip(of_weights.as_ref());
    let backbone = training.backbone(start)?;
    let images = match training.length.dry_run {
        true => open_unlabelled_read_only(&data)?,
        false => {
            // The next training would take the pictures of this run for images.
            check_apart(&training.out, &[&data])?;
            open_unlabelled(&data)?
        }
    };
    let context = RecipeContext {
        model: &backbone,
        init_from: InitFrom::of(metadata.as_ref()),
        head_only: false,
        images: images.len(),
        class_sizes: &[],
    };
    let mut given = training.given(metadata.as_ref());
    given.flags.extend(mask_ratio.map(|ratio| Setting::new(MASK_RATIO, ratio, "--mask-ratio")));
    let fcmae = metadata.and_then(|metadata| metadata.task_as::<FcmaeTask>().ok());
    given.weights.extend(fcmae.iter().flat_map(masking));
    let origin = Origin { init: init.as_deref(), data: &data, labels: None, seed: training.seed };
    given.other_claim = origin.other_claim(&training.recipe, &context, &images);
    let mut recipe = PretrainRecipe::choose(&training.recipe, &given, &context)?;
    let mut model = autoencoder(fcmae, backbone, encoder, decoder)?;
    // A decoder of blocks has those of the encoder, unless weights say otherwise and nothing else was asked for.
    let has_blocks = model.decoder.kind == DecoderKind::ConvNext;
    if has_blocks && training.blocks.changes_response_norm() {
        model.decoder.response_norm = model.encoder.response_norm;
    }
    if has_blocks && training.blocks.changes_layer_scale() {
        model.decoder.layer_scale = model.encoder.layer_scale;
    }
    let patch = model.encoder.patch_size();
    training.shrink(&mut recipe.training, &mut recipe.input.image_size, patch, &mut recipe.reasons);
    training.activations.warn_of_decoder(model.decoder.kind);
    let run = training.settings(data, init, threads)?;
    Ok((PretrainJob { run, model, recipe, watch_features }, images))
}

/// The model: that of the weights to start from, if there are any, but for what is given.
fn autoencoder(
    of_weights: Option<FcmaeTask>,
    backbone: ModelConfig,
    encoder: Option<EncoderName>,
    decoder: DecoderArguments,
) -> anyhow::Result<FcmaeConfig> {
    let model = match of_weights {
        Some(fcmae) => fcmae.config(&backbone),
        None => FcmaeConfig::new(backbone),
    };
    Ok(FcmaeConfig {
        encoder_kind: encoder.map_or(model.encoder_kind, EncoderKind::from),
        decoder: decoder.apply(model.decoder, &model.encoder)?,
        ..model
    })
}

/// The masking that weights of an autoencoder were trained with.
fn masking(task: &FcmaeTask) -> [Setting; 2] {
    [
        Setting::new(MASK_RATIO, task.mask_ratio, OF_WEIGHTS),
        Setting::new("masking.normalize_target", task.normalize_target, OF_WEIGHTS),
    ]
}
