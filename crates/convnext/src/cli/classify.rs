//! `convnext classify`

use std::fs::File;
use std::path::{Path, PathBuf};

use clap::Args;
use convnext::data::open_images;
use convnext::{Classifier, Prediction};
use serde::Serialize;

use super::class_names::ClassNameArguments;
use super::output::{print_json, print_text};
use super::progress::image_bar;
use super::values::{self, DecodeArguments, MachineArguments};
use super::weights::Weights;
use super::{Machine, set_up};

/// Say what is in images
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
In folders and archives, images that cannot be read are left out with a warning (not with --strict); a file that was
named must be readable.

Examples:
  convnext classify cat.jpg dog.png --weights runs/classifier/weights.safetensors
  convnext classify cat.jpg --weights tiny.fcmae_ft_in22k_in1k_384
  convnext classify photos --weights weights.safetensors --top-k 1 --csv answers.csv
  convnext classify cat.jpg --weights weights.safetensors --top-k 1000 --json"
)]
pub(crate) struct ClassifyArguments {
    /// Images, or folders and archives of images
    #[arg(required = true, value_name = "IMAGE|FOLDER")]
    images: Vec<PathBuf>,
    /// Weights of a classifier: a file or folder, hf:ORG/NAME[@REVISION] or a released checkpoint
    #[arg(long, value_name = "WEIGHTS")]
    weights: Weights,
    #[command(flatten)]
    class_names: ClassNameArguments,
    /// Classes to list for each image; the class count or more lists all
    #[arg(long, value_name = "K", value_parser = values::count, default_value_t = 5)]
    top_k: usize,
    /// Images that go through the model together, where they are of one size
    #[arg(long, value_name = "N", value_parser = values::count, default_value_t = 16)]
    batch_size: usize,
    /// Fail at the first image of a folder or archive that cannot be read, instead of leaving it out
    #[arg(long)]
    strict: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Write a table to this file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    #[command(flatten)]
    machine: MachineArguments,
    #[command(flatten)]
    decoding: DecodeArguments,
}

/// The answer about one image.
#[derive(Debug, Serialize)]
struct Answer {
    image: String,
    predictions: Vec<Prediction>,
}

pub(crate) fn run(arguments: &ClassifyArguments, quiet: bool) -> anyhow::Result<()> {
    let Machine { device, precision, threads } = set_up(&arguments.machine)?;
    let classifier = Classifier::load_on(&arguments.weights.file()?, &device)?.with_precision(precision);
    let classifier = arguments.class_names.give(classifier)?;
    let images = open_images(&arguments.images)?;
    let reading =
        arguments.decoding.reading(&arguments.images, arguments.batch_size, threads, arguments.strict);
    let mut output = Output::begin(arguments)?;
    let bar = image_bar(quiet, images.len());
    let mut done = 0_u64;
    classifier.classify_all(&images, &reading, |image, mut predictions| {
        predictions.truncate(arguments.top_k);
        done += 1;
        bar.set_position(done);
        bar.suspend(|| output.add(Answer { image, predictions }))
    })?;
    bar.finish_and_clear();
    if done == 0 {
        anyhow::bail!("none of the {} images could be read; the warnings above say why", images.len());
    }
    output.end()
}

/// Destination of the answers, as they come.
enum Output {
    Text,
    /// One list, so only when all are there.
    Json(Vec<Answer>),
    Table(PathBuf, Box<csv::Writer<File>>),
}

impl Output {
    fn begin(arguments: &ClassifyArguments) -> anyhow::Result<Self> {
        match &arguments.csv {
            Some(path) => {
                let begun = csv::Writer::from_path(path).and_then(|mut writer| {
                    writer.write_record(["image", "rank", "label", "index", "probability", "logit"])?;
                    Ok(writer)
                });
                let writer = begun.map_err(|error| not_written(path, &error))?;
                Ok(Self::Table(path.clone(), Box::new(writer)))
            }
            None if arguments.json => Ok(Self::Json(Vec::new())),
            None => Ok(Self::Text),
        }
    }

    fn add(&mut self, answer: Answer) -> anyhow::Result<()> {
        match self {
            Self::Text => print_text(&describe(&answer)),
            Self::Json(answers) => {
                answers.push(answer);
                Ok(())
            }
            Self::Table(path, writer) => {
                write_rows(writer, &answer).map_err(|error| not_written(path, &error))
            }
        }
    }

    fn end(self) -> anyhow::Result<()> {
        match self {
            Self::Text => Ok(()),
            Self::Json(answers) => print_json(&answers),
            Self::Table(path, mut writer) => {
                writer.flush().map_err(|error| not_written(&path, &error.into()))
            }
        }
    }
}

fn describe(answer: &Answer) -> String {
    let line = |p: &Prediction| format!("  {:6.2} %  {}", 100.0 * p.probability, p.label);
    let lines: Vec<String> = answer.predictions.iter().map(line).collect();
    format!("{}\n{}", answer.image, lines.join("\n"))
}

fn write_rows(writer: &mut csv::Writer<File>, answer: &Answer) -> csv::Result<()> {
    for (rank, p) in (1..).zip(&answer.predictions) {
        let row = (&answer.image, rank, &p.label, p.index, p.probability.to_string(), p.logit.to_string());
        writer.serialize::<(&String, usize, &String, usize, String, String)>(row)?;
    }
    Ok(())
}

fn not_written(path: &Path, error: &csv::Error) -> anyhow::Error {
    anyhow::anyhow!(
        "cannot write {}: {error}; check that its folder exists and may be written",
        path.display()
    )
}
