//! `convnext pretrain`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use convnext::core::{DecoderConfig, EncoderKind, FcmaeConfig, WeightKind};
use convnext::data::{Dataset, open_unlabelled};
use convnext::train::{Origin, PretrainJob, PretrainRecipe, Pretrained, Situation, pretrain, read_metadata};
use convnext::write_report;

use super::output::print_text;
use super::progress::TrainingProgress;
use super::values::{self, TrainingArguments};
use super::weights::Weights;
use super::{Machine, set_up};

/// Pre-train on images without labels (FCMAE)
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
The image size must be a multiple of the patch, which is 8 x stem stride pixels wide: 32 by default.

Examples:
  convnext pretrain --data photos --model atto --out runs/pretrained
  convnext pretrain --data photos.tar --model tiny --epochs 200 --batch-size 32 --out runs/tiny
  convnext pretrain --data icons --model micro --image-size 32 --stem-stride 1 --out runs/icons"
)]
pub(crate) struct PretrainArguments {
    /// Images: a folder with any nesting, a .tar or a .tar.gz; labels are ignored
    #[arg(long, value_name = "PATH")]
    data: PathBuf,
    /// Weights to start from: a file, hf:ORG/NAME[@REVISION] or a released checkpoint
    #[arg(long, value_name = "WEIGHTS")]
    init: Option<Weights>,
    /// Share of patches to remove [default: 0.6]
    #[arg(long, value_name = "R", value_parser = values::share)]
    mask_ratio: Option<f64>,
    /// How the encoder treats removed patches [default: sparse]
    #[arg(long, value_name = "KIND")]
    encoder: Option<EncoderName>,
    /// Blocks of the decoder [default: 1]
    #[arg(long, value_name = "N", value_parser = values::decoder_depth)]
    decoder_depth: Option<usize>,
    /// Channels of the decoder [default: 512; 128 for the micro models]
    #[arg(long, value_name = "N", value_parser = values::decoder_width)]
    decoder_width: Option<usize>,
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
}

impl From<EncoderName> for EncoderKind {
    fn from(name: EncoderName) -> Self {
        match name {
            EncoderName::Sparse => Self::Sparse,
            EncoderName::MaskedDense => Self::MaskedDense,
            EncoderName::Leaky => Self::Leaky,
        }
    }
}

pub(crate) fn run(arguments: PretrainArguments, quiet: bool) -> anyhow::Result<()> {
    let Machine { threads, device, .. } = set_up(&arguments.training.machine)?;
    let (job, images) = plan(arguments, threads)?;
    let Pretrained { weights, .. } = pretrain(&job, images, &device, &mut TrainingProgress::new(quiet)?)?;
    let report = write_report(&job.run.out)?;
    print_text(&format!(
        "wrote {weights} and {report}\nnext: convnext reconstruct IMAGE --weights {weights} --out pictures\n      \
         convnext finetune --data LABELLED --init {weights} --out classifier",
        weights = weights.display(),
        report = report.display(),
    ))
}

/// From what was typed to what will be run, and on what.
fn plan(arguments: PretrainArguments, threads: usize) -> anyhow::Result<(PretrainJob, Dataset)> {
    let PretrainArguments { data, init, mask_ratio, encoder, decoder_depth, decoder_width, training } =
        arguments;
    training.memory.check(training.machine.precision)?;
    let init = init.map(|weights| weights.file()).transpose()?;
    let metadata = init.as_deref().map(read_metadata).transpose()?;
    let start = init.as_deref().zip(metadata.as_ref().map(|metadata| metadata.kind.backbone()));
    let backbone = training.backbone(start)?;
    let images = open_unlabelled(&data)?;
    let situation = Situation {
        model: &backbone,
        origin: Origin::of(metadata.as_ref().map(|metadata| &metadata.kind)),
        head_only: false,
        images: images.len(),
        class_sizes: &[],
        image_size: training.image_size,
    };
    let mut recipe = PretrainRecipe::choose(&training.recipe, &training.settings, &situation)?;

    let mut model = match metadata.as_ref().map(|metadata| &metadata.kind) {
        Some(WeightKind::Fcmae { fcmae }) => FcmaeConfig { encoder: backbone, ..fcmae.clone() },
        _ => FcmaeConfig {
            mask_ratio: recipe.masking.ratio,
            normalize_target: recipe.masking.normalize_target,
            ..FcmaeConfig::new(backbone)
        },
    };
    model.mask_ratio = mask_ratio.unwrap_or(model.mask_ratio);
    model.encoder_kind = encoder.map_or(model.encoder_kind, EncoderKind::from);
    model.decoder = DecoderConfig {
        depth: decoder_depth.unwrap_or(model.decoder.depth),
        width: decoder_width.unwrap_or(model.decoder.width),
        ..model.decoder
    };

    let of_weights = metadata.map(|metadata| metadata.preprocessing.image_size);
    let size = &mut recipe.masking.image_size;
    *size = training.image_size.or(of_weights.filter(|_| !training.recipe_knows_size())).unwrap_or(*size);
    recipe.masking.ratio = model.mask_ratio;
    recipe.masking.normalize_target = model.normalize_target;
    let patch = model.encoder.patch_size();
    training.keep_reasons(&mut recipe.reasons);
    training.adjust(&mut recipe.training, &mut recipe.masking.image_size, patch);
    Ok((PretrainJob { run: training.settings(data, init, threads)?, model, recipe }, images))
}
