//! `convnext finetune`

use std::path::PathBuf;

use clap::Args;
use convnext::train::{FinetuneJob, FinetuneRecipe, Finetuned, Start, finetune, read_metadata};
use convnext::write_report;

use super::output::print_text;
use super::progress::TrainingProgress;
use super::values::{self, TrainingArguments};
use super::{Machine, set_up};

/// Train a classifier, from pre-trained weights or from scratch
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
The data is train/CLASS/* and val/CLASS/* (or test), or CLASS/* which is split by --val-fraction and --seed.

Examples:
  convnext finetune --data labelled --init runs/pretrained/weights.safetensors --out runs/classifier
  convnext finetune --data labelled --model atto --epochs 100 --out runs/scratch
  convnext finetune --data labelled --init pretrained.safetensors --labels-per-class 10 --out runs/few
  convnext finetune --data labelled --init pretrained.safetensors --set training.ema=0.999 \\
      --set from_weights.layer_decay.rate=0.9 --set from_weights.layer_decay.count=single --out runs/slow-stem"
)]
pub(crate) struct FinetuneArguments {
    /// Labelled images: a folder, a .tar or a .tar.gz
    #[arg(long, value_name = "PATH")]
    data: PathBuf,
    /// Weights to start from, or `none` to train from scratch
    #[arg(long, value_name = "WEIGHTS|none", default_value = "none")]
    init: PathBuf,
    /// CSV file with the columns path, label and perhaps split, instead of folders as classes
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Use only so many labelled images of each class, chosen by the seed
    #[arg(long, value_name = "N", value_parser = values::count)]
    labels_per_class: Option<usize>,
    /// Share of each class held out for validation when the data has no such part
    #[arg(long, value_name = "F", value_parser = values::share, default_value_t = 0.2)]
    val_fraction: f64,
    #[command(flatten)]
    training: TrainingArguments,
}

pub(crate) fn run(arguments: FinetuneArguments, quiet: bool) -> anyhow::Result<()> {
    let Machine { threads, device, .. } = set_up(&arguments.training.machine)?;
    let job = plan(arguments, threads)?;
    let Finetuned { weights, summary, held_out } =
        finetune(&job, &device, &mut TrainingProgress::new(quiet)?)?;
    let report = write_report(&job.run.out)?;
    if let Some(top1) = summary.last.validation.get("validation_top1") {
        print_text(&format!("validation top-1 {:.2} %", 100.0 * top1))?;
    }
    // Without these two, `evaluate` would look at training images as well.
    let same_part = match held_out {
        true => format!(" --val-fraction {} --seed {}", job.validation_fraction, job.run.seed.0),
        false => String::new(),
    };
    print_text(&format!(
        "wrote {weights} and {report}\nnext: convnext evaluate --data {data}{same_part} --weights {weights}\n      \
         convnext classify IMAGE --weights {weights}",
        weights = weights.display(),
        report = report.display(),
        data = job.run.data.display(),
    ))
}

/// From what was typed to what will be run.
fn plan(arguments: FinetuneArguments, threads: usize) -> anyhow::Result<FinetuneJob> {
    let FinetuneArguments { data, init, labels, labels_per_class, val_fraction, training } = arguments;
    training.memory.check(training.machine.precision)?;
    let init = (init.as_os_str() != "none").then_some(init);
    let metadata = init.as_deref().map(read_metadata).transpose()?;
    let start = init.as_deref().zip(metadata.as_ref().map(|metadata| metadata.kind.backbone()));
    let model = training.backbone(start)?;
    let begin = if init.is_some() { Start::Weights } else { Start::Scratch };
    let mut recipe = FinetuneRecipe::load(&training.recipe, &training.settings, begin)?;
    let of_weights = metadata.map(|metadata| metadata.preprocessing.image_size);
    recipe.regularization.image_size =
        training.image_size.or(of_weights).unwrap_or(recipe.regularization.image_size);
    training.adjust(&mut recipe.training);
    Ok(FinetuneJob {
        run: training.settings(data, init, threads),
        labels,
        validation_fraction: val_fraction,
        labels_per_class,
        model,
        recipe,
    })
}
