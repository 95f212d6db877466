//! `convnext evaluate`

mod multi_label;
mod page;

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use convnext::Classifier;
use convnext::core::{ImageSize, Preprocessing, Seed, counted};
use convnext::data::{Dataset, OnCorrupt, Split, open_part, open_parts};
use convnext::multilabel::MultiLabelTask;
use convnext::train::{
    ClassResult, ClassScores, EvalLoaderConfig, Evaluation, Features, LabelSubset, Metric, ValidationResult,
    classify_by_neighbours, evaluate, load_backbone, read_metadata,
};
use serde::Serialize;

use self::page::Measured;
use super::class_names::{self, ClassNameArguments};
use super::finetune::check_share_is_used;
use super::output::{print_json, print_text, table};
use super::parts::{MeasuredPart, SplitName};
use super::progress::image_bar;
use super::values::{self, DecodeArguments, MachineArguments};
use super::weights::Weights;
use super::{Machine, set_up};

/// Share of each class that is asked about where the data has no such part, as `finetune` holds it out by default.
const HELD_OUT: f64 = 0.2;

/// Measure a classifier on labelled images: top-1, top-5, loss, and precision, recall and F1 of each class; of several labels mean average precision
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
The images are those of --split or, without it, val/CLASS/* (or test/CLASS/* where there is no val) if there is such a
part, and CLASS/* otherwise. What is printed says which part it was.
If `finetune` held a part of CLASS/* out, name the same --val-fraction and --seed to measure on that part.

Examples:
  convnext evaluate --data labelled --weights runs/classifier/weights.safetensors
  convnext evaluate --data labelled --weights runs/classifier/weights.safetensors --image-size 288
  convnext evaluate --data labelled --weights runs/classifier/weights.safetensors --split test --html test.html
  convnext evaluate --data labelled --weights runs/pretrained/weights.safetensors --knn
  convnext evaluate --data photos --weights model_best.pth.tar --class-names names.txt
  convnext evaluate --data flat --val-fraction 0.2 --seed 0 --weights weights.safetensors --json"
)]
pub(crate) struct EvaluateArguments {
    /// Labelled images: a folder, a .tar or a .tar.gz
    #[arg(long, value_name = "PATH")]
    data: PathBuf,
    /// CSV file with the columns path, label and perhaps split, instead of folders as classes; of a multi-label classifier
    /// labels are lists such as boat;sea
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Weights of a classifier, with --knn of any kind: a file or folder, hf:ORG/NAME[@REVISION] or a released checkpoint
    #[arg(long, value_name = "WEIGHTS")]
    weights: Weights,
    /// Measure on this part of the data [default: validation, or test where there is none]
    #[arg(long, value_name = "PART", conflicts_with = "val_fraction")]
    split: Option<SplitName>,
    #[command(flatten)]
    class_names: ClassNameArguments,
    /// Measure on this share of each class, as `finetune` held it out of data that has no part to measure on
    #[arg(long, value_name = "F", value_parser = values::share)]
    val_fraction: Option<f64>,
    /// Seed of that choice
    #[arg(long, value_name = "N", default_value_t = 0, requires = "val_fraction")]
    seed: u64,
    /// Classify by the nearest training images instead of by a head: judges pre-trained features without training
    #[arg(long, conflicts_with = "class_names")]
    knn: bool,
    /// Training images that vote for a class
    #[arg(long, value_name = "K", value_parser = values::count, default_value_t = 20, requires = "knn")]
    neighbours: usize,
    /// Size of the images in pixels: a side, or height and width as in 224x320, if not as trained [default: that of the weights]
    #[arg(long, value_name = "N|HxW", value_parser = values::image_size)]
    image_size: Option<ImageSize>,
    /// Images that go through the model together, where they are of one size
    #[arg(long, value_name = "N", value_parser = values::count, default_value_t = 32)]
    batch_size: usize,
    #[command(flatten)]
    machine: MachineArguments,
    #[command(flatten)]
    decoding: DecodeArguments,
    /// Write a page with scores of each class, confusion and predictions
    #[arg(long, value_name = "FILE.html")]
    html: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &EvaluateArguments, quiet: bool) -> anyhow::Result<()> {
    let measured = if arguments.knn {
        by_neighbours(arguments, quiet)?
    } else if arguments.is_multi_label()? {
        multi_label::evaluate(arguments, quiet)?
    } else {
        by_head(arguments, quiet)?
    };
    if let Some(path) = &arguments.html {
        page::write(path, arguments, &measured)?;
    }
    let Measured { part, text, result, .. } = measured;
    if arguments.json {
        return print_json(&Answer { part, measured: result });
    }
    print_text(&format!("{text}\nmeasured on {}", part.in_words()))?;
    match &arguments.html {
        Some(path) => print_text(&format!("page: {}", path.display())),
        None => Ok(()),
    }
}

/// JSON output of `convnext evaluate`.
#[derive(Serialize)]
struct Answer {
    part: MeasuredPart,
    #[serde(flatten)]
    measured: ValidationResult,
}

/// Evaluates the classifier by its own head.
fn by_head(arguments: &EvaluateArguments, quiet: bool) -> anyhow::Result<Measured> {
    let Machine { threads, device, precision } = set_up(&arguments.machine)?;
    let classifier = Classifier::load_on(&arguments.weights.file()?, &device)?.with_precision(precision);
    let classifier = arguments.class_names.give(classifier)?;
    let (part, dataset) = match arguments.val_fraction {
        None => {
            let asked = arguments.split.map(Split::from);
            let part = open_part(&arguments.data, arguments.labels.as_deref(), asked)?;
            (MeasuredPart::of(&part), part.images)
        }
        Some(fraction) => {
            let data = arguments.choice(fraction).open(&arguments.data, Seed(arguments.seed))?;
            check_share_is_used(Some(fraction), &data, &arguments.data)?;
            (MeasuredPart::of_validation(&data), data.validation)
        }
    };
    let outputs = classifier.model().config().classes;
    let names = match classifier.classes() {
        none if none.is_empty() => {
            class_names::in_order(dataset.classes(), outputs, &arguments.data, arguments.weights.text())?
        }
        names => names.clone(),
    };
    let preprocessing = arguments.preprocessing(classifier.preprocessing().clone());
    let bar = image_bar(quiet, dataset.len());
    let result = evaluate(
        classifier.model(),
        &names,
        &dataset,
        &preprocessing,
        &arguments.reading(threads),
        |images| bar.set_position(images as u64),
    )?;
    bar.finish_and_clear();
    classified(arguments, part, (&dataset, preprocessing), result)
}

/// A classification with what is said and shown of it.
fn classified(
    arguments: &EvaluateArguments,
    part: MeasuredPart,
    (dataset, preprocessing): (&Dataset, Preprocessing),
    result: Evaluation,
) -> anyhow::Result<Measured> {
    let shown = result.mistakes.iter().chain(&result.samples).map(|shown| (shown.sample, &shown.image));
    let images = page::seen(arguments, (dataset, &preprocessing), shown)?;
    Ok(Measured { part, text: describe(&result), result: result.into(), images, preprocessing })
}

/// Evaluates a k-nearest-neighbour classifier on the embeddings of the training part.
fn by_neighbours(arguments: &EvaluateArguments, quiet: bool) -> anyhow::Result<Measured> {
    let Machine { threads, device, precision } = set_up(&arguments.machine)?;
    let (model, metadata) = load_backbone(&arguments.weights.file()?, &device)?;
    let model = model.with_precision(precision);
    let (train, part, validation) = arguments.neighbours_and_asked()?;
    let bar = image_bar(quiet, train.len() + validation.len());
    let preprocessing = arguments.preprocessing(metadata.preprocessing);
    let reading = arguments.reading(threads);
    let look = |images: &Dataset, before: usize| {
        Features::of(&model, images, &preprocessing, &reading, |done| {
            bar.set_position((before + done) as u64);
        })
    };
    let (known, asked) = (look(&train, 0)?, look(&validation, train.len())?);
    bar.finish_and_clear();
    let known = (&known, train.classes());
    let result = classify_by_neighbours(known, (&asked, &validation), arguments.neighbours)?;
    classified(arguments, part, (&validation, preprocessing), result)
}

impl EvaluateArguments {
    fn is_multi_label(&self) -> anyhow::Result<bool> {
        Ok(read_metadata(&self.weights.file()?)?.task.is::<MultiLabelTask>())
    }

    fn choice(&self, validation_fraction: f64) -> LabelSubset {
        LabelSubset { file: self.labels.clone(), validation_fraction, ..LabelSubset::default() }
    }

    /// The training images that vote, and the images that they are asked about.
    fn neighbours_and_asked(&self) -> anyhow::Result<(Dataset, MeasuredPart, Dataset)> {
        let fraction = self.val_fraction.unwrap_or(HELD_OUT);
        let (data, test) = open_parts(&self.data, self.labels.as_deref(), fraction, Seed(self.seed))?;
        check_share_is_used(self.val_fraction, &data, &self.data)?;
        let asked = self.split.map(Split::from);
        if asked.is_none() || asked == data.validation_split {
            return Ok((data.train.clone(), MeasuredPart::of_validation(&data), data.validation));
        }
        match test.filter(|test| test.split == asked) {
            Some(test) => Ok((data.train, MeasuredPart::of(&test), test.images)),
            None => bail!(
                "{} has no such part to ask the neighbours about; leave --split out, or name a part beside the training images",
                self.data.display()
            ),
        }
    }

    /// As the weights say, or for another size.
    fn preprocessing(&self, of_weights: Preprocessing) -> Preprocessing {
        match self.image_size {
            Some(size) => of_weights.at_size(size),
            None => of_weights,
        }
    }

    fn reading(&self, threads: usize) -> EvalLoaderConfig {
        EvalLoaderConfig {
            batch_size: self.batch_size,
            threads,
            orientation: self.decoding.orientation(),
            on_corrupt: OnCorrupt::Fail,
        }
    }
}

fn describe(result: &Evaluation) -> String {
    let row = |class: &ClassResult| {
        let counts = [class.images, class.predicted, class.correct].map(|count| count.to_string());
        [vec![class.label.clone()], counts.into(), percents(class.scores)].concat()
    };
    let mut rows: Vec<Vec<String>> = result.classes.iter().map(row).collect();
    let without_counts = ["macro average", "", "", ""].map(str::to_owned).to_vec();
    rows.push([without_counts, percents(result.macro_average)].concat());
    let heads = ["class", "images", "predicted", "correct", "precision", "recall", "F1"];
    let classes = table(&heads, 1, rows);
    let metrics: Vec<String> = result.metrics().iter().map(Metric::to_string).collect();
    format!("{classes}\n\n{}: {}", counted(result.images, "image", "images"), metrics.join(", "))
}

/// Precision, recall and F1 in percent; a dash where there is none.
fn percents(scores: ClassScores) -> Vec<String> {
    [scores.precision, scores.recall, scores.f1].map(percent).to_vec()
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.2} %", 100.0 * share))
}
