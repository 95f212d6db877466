//! `convnext evaluate`

use std::path::PathBuf;

use clap::Args;
use convnext::Classifier;
use convnext::core::Seed;
use convnext::data::{open_for_evaluation, open_labelled};
use convnext::train::{ClassResult, Evaluation, Reading, evaluate};

use super::output::{print_json, print_text, table};
use super::progress::image_bar;
use super::values::{self, MachineArguments, PictureArguments};
use super::{Machine, set_up};

/// Measure a classifier on labelled images: top-1, top-5, loss, each class
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
The images are val/CLASS/* (or test/CLASS/*) if there is such a part, and CLASS/* otherwise.
If `finetune` held a part of CLASS/* out, name the same --val-fraction and --seed to measure on that part.

Examples:
  convnext evaluate --data labelled --weights runs/classifier/weights.safetensors
  convnext evaluate --data flat --val-fraction 0.2 --seed 0 --weights weights.safetensors --json"
)]
pub(crate) struct EvaluateArguments {
    /// Labelled images: a folder, a .tar or a .tar.gz
    #[arg(long, value_name = "PATH")]
    data: PathBuf,
    /// CSV file with the columns path, label and perhaps split, instead of folders as classes
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Weights of a classifier
    #[arg(long, value_name = "WEIGHTS")]
    weights: PathBuf,
    /// Measure on this share of each class, as `finetune` held it out
    #[arg(long, value_name = "F", value_parser = values::share)]
    val_fraction: Option<f64>,
    /// Seed of that choice
    #[arg(long, value_name = "N", default_value_t = 0, requires = "val_fraction")]
    seed: u64,
    /// Images that go through the model together
    #[arg(long, value_name = "N", value_parser = values::count, default_value_t = 32)]
    batch_size: usize,
    #[command(flatten)]
    machine: MachineArguments,
    #[command(flatten)]
    pictures: PictureArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &EvaluateArguments, quiet: bool) -> anyhow::Result<()> {
    let Machine { threads, device, precision } = set_up(&arguments.machine)?;
    let classifier = Classifier::load_on(&arguments.weights, &device)?.with_precision(precision);
    let labels = arguments.labels.as_deref();
    let dataset = match arguments.val_fraction {
        None => open_for_evaluation(&arguments.data, labels)?,
        Some(fraction) => open_labelled(&arguments.data, labels, fraction, Seed(arguments.seed))?.validation,
    };
    let reading =
        Reading { batch_size: arguments.batch_size, threads, orientation: arguments.pictures.orientation() };
    let bar = image_bar(quiet, dataset.len());
    let result = evaluate(
        classifier.model(),
        classifier.classes(),
        &dataset,
        classifier.preprocessing(),
        &reading,
        |images| bar.set_position(images as u64),
    )?;
    bar.finish_and_clear();
    if arguments.json { print_json(&result) } else { print_text(&describe(&result)) }
}

fn describe(result: &Evaluation) -> String {
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let row = |class: &ClassResult| {
        vec![
            class.label.clone(),
            class.images.to_string(),
            class.correct.to_string(),
            percent(class.accuracy),
        ]
    };
    let classes =
        table(&["class", "images", "correct", "accuracy"], 1, result.classes.iter().map(row).collect());
    format!(
        "{classes}\n\n{} images: top-1 {}, top-5 {}, loss {:.4}",
        result.images,
        percent(result.top1),
        percent(result.top5),
        result.loss
    )
}
