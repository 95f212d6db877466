//! `convnext classify`

use std::path::{Path, PathBuf};

use clap::Args;
use convnext::data::Picture;
use convnext::{Classifier, Prediction};
use serde::Serialize;

use super::output::{print_json, print_text};
use super::pictures::Pictures;
use super::values::{self, MachineArguments, PictureArguments};
use super::{Machine, set_up};

/// Pictures that go through the model together.
const BATCH: usize = 16;

/// Say what is in pictures
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Examples:
  convnext classify cat.jpg dog.png --weights runs/classifier/weights.safetensors
  convnext classify photos --weights weights.safetensors --top-k 1 --csv answers.csv
  convnext classify cat.jpg --weights weights.safetensors --top-k 1000 --json"
)]
pub(crate) struct ClassifyArguments {
    /// Pictures, or folders and archives of pictures
    #[arg(required = true, value_name = "IMAGE|FOLDER")]
    images: Vec<PathBuf>,
    /// Weights of a classifier
    #[arg(long, value_name = "WEIGHTS")]
    weights: PathBuf,
    /// Classes to list for each picture; the class count or more lists all
    #[arg(long, value_name = "K", value_parser = values::count, default_value_t = 5)]
    top_k: usize,
    /// Print JSON
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Write a table to this file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    #[command(flatten)]
    machine: MachineArguments,
    #[command(flatten)]
    pictures: PictureArguments,
}

/// The answer about one picture.
#[derive(Debug, Serialize)]
struct Answer {
    image: String,
    predictions: Vec<Prediction>,
}

pub(crate) fn run(arguments: &ClassifyArguments) -> anyhow::Result<()> {
    let Machine { device, precision, .. } = set_up(&arguments.machine)?;
    let classifier = Classifier::load_on(&arguments.weights, &device)?.with_precision(precision);
    let channels = classifier.preprocessing().channels();
    let pictures = Pictures::find(&arguments.images, channels, arguments.pictures.orientation())?;
    let mut answers = Answers { classifier, top_k: arguments.top_k, waiting: Vec::new(), done: Vec::new() };
    for read in pictures.read() {
        let (name, picture) = read?;
        answers.add(name, picture)?;
    }
    let answers = answers.finish()?;
    match &arguments.csv {
        Some(path) => write_csv(path, &answers),
        None if arguments.json => print_json(&answers),
        None => print_text(&describe(&answers)),
    }
}

/// Collects pictures into batches and the answers about them.
struct Answers {
    classifier: Classifier,
    top_k: usize,
    waiting: Vec<(String, Picture)>,
    done: Vec<Answer>,
}

impl Answers {
    fn add(&mut self, name: String, picture: Picture) -> anyhow::Result<()> {
        self.waiting.push((name, picture));
        if self.waiting.len() == BATCH { self.classify() } else { Ok(()) }
    }

    fn classify(&mut self) -> anyhow::Result<()> {
        let (names, pictures): (Vec<String>, Vec<Picture>) = self.waiting.drain(..).unzip();
        for (image, mut predictions) in names.into_iter().zip(self.classifier.classify(&pictures)?) {
            predictions.truncate(self.top_k);
            self.done.push(Answer { image, predictions });
        }
        Ok(())
    }

    fn finish(mut self) -> anyhow::Result<Vec<Answer>> {
        self.classify()?;
        Ok(self.done)
    }
}

fn describe(answers: &[Answer]) -> String {
    let line = |p: &Prediction| format!("  {:6.2} %  {}", 100.0 * p.probability, p.label);
    let block = |answer: &Answer| {
        let lines: Vec<String> = answer.predictions.iter().map(line).collect();
        format!("{}\n{}", answer.image, lines.join("\n"))
    };
    answers.iter().map(block).collect::<Vec<_>>().join("\n")
}

fn write_csv(path: &Path, answers: &[Answer]) -> anyhow::Result<()> {
    let cannot = |error: csv::Error| {
        anyhow::anyhow!(
            "cannot write {}: {error}; check that its folder exists and may be written",
            path.display()
        )
    };
    let mut writer = csv::Writer::from_path(path).map_err(cannot)?;
    writer.write_record(["image", "rank", "label", "index", "probability", "logit"]).map_err(cannot)?;
    for answer in answers {
        for (rank, p) in (1..).zip(&answer.predictions) {
            let record =
                (&answer.image, rank, &p.label, p.index, p.probability.to_string(), p.logit.to_string());
            writer.serialize::<(&String, usize, &String, usize, String, String)>(record).map_err(cannot)?;
        }
    }
    writer.flush().map_err(|error| cannot(error.into()))
}
