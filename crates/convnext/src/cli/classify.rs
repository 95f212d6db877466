//! `convnext classify`

mod answer;
mod copies;
mod names;
mod output;

use std::path::PathBuf;

use clap::Args;
use convnext::Classifier;
use convnext::data::open_images;

use self::answer::{Answer, Chosen};
use self::copies::Copies;
use self::output::Output;
use super::class_names::ClassNameArguments;
use super::machine::{Machine, set_up};
use super::out_folder::{OverwriteArgument, check_apart};
use super::progress::image_bar;
use super::read_files::ReadFiles;
use super::values::{self, DecodeArguments, MachineArguments};
use super::weights::Weights;

/// Say what is in images
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
In folders and archives, images that cannot be read are left out with a warning (not with --strict); a file that was \
named must be readable.
The answer about an image is its most probable class, or `unsure` below --threshold; of a multi-label classifier it is \
every class from --threshold on. --copy-to leaves the images where they are, and copies those with several classes into \
the folder of each.

Examples:
  convnext classify cat.jpg dog.png --weights runs/classifier/weights.safetensors
  convnext classify cat.jpg --weights tiny.fcmae_ft_in22k_in1k_384
  convnext classify photos --weights weights.safetensors --top-k 1 --csv answers.csv
  convnext classify photos --weights weights.safetensors --threshold 0.8 --copy-to sorted
  convnext classify cat.jpg --weights weights.safetensors --top-k 1000 --json",
    mut_arg("overwrite", |overwrite| overwrite.requires("copy_to"))
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
    /// Least probability of an answer; below it the answer is `unsure` [default: none; 0.5 for a multi-label classifier]
    #[arg(long, value_name = "P", value_parser = values::share)]
    threshold: Option<f64>,
    /// Copy each image into the folder DIR/CLASS of its answer, DIR/unsure included
    #[arg(long, value_name = "DIR")]
    copy_to: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteArgument,
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

pub(crate) fn run(arguments: &ClassifyArguments, quiet: bool) -> anyhow::Result<()> {
    let ClassifyArguments { copy_to, threshold, top_k, .. } = arguments;
    let Machine { device, precision, threads } = set_up(&arguments.machine)?;
    if let Some(folder) = copy_to {
        check_apart(folder, &arguments.images)?;
        arguments.overwrite.check(folder, "--copy-to")?;
    }
    let weights = arguments.weights.file()?;
    let classifier = Classifier::load_on(&weights, &device)?.with_precision(precision);
    let classifier = arguments.class_names.give(classifier)?;
    let is_multi_label = classifier.is_multi_label();
    let is_joined = is_multi_label && arguments.csv.is_some();
    names::check(classifier.classes(), threshold.is_some() || is_joined, is_joined)?;
    let images = open_images(&arguments.images)?;
    let reading =
        arguments.decoding.reading(&arguments.images, arguments.batch_size, threads, arguments.strict);
    let mut output = match &arguments.csv {
        Some(path) => {
            let texts = arguments.class_names.file().into_iter().collect();
            let (weights, sources) = (&*weights, &*arguments.images);
            ReadFiles { weights, sources, images: &images, texts }.check(path)?;
            Output::table(path)?
        }
        None if arguments.json => Output::Json(Vec::new()),
        None => Output::Text { with_labels: threshold.is_some() },
    };
    let names = || (0..classifier.classes().len()).map(|class| classifier.classes().name(class));
    let mut copies = copy_to.as_ref().map(|folder| Copies::new(folder, &images, names())).transpose()?;
    let bar = image_bar(quiet, images.len());
    let mut done = 0_u64;
    classifier.classify_all(&images, &reading, |image, mut predictions| {
        let chosen = Chosen::of(&predictions, is_multi_label, *threshold);
        predictions.truncate(*top_k);
        done += 1;
        bar.set_position(done);
        copies.as_mut().map_or(Ok(()), |copies| copies.add(&image, &chosen))?;
        bar.suspend(|| output.add(Answer { image, chosen, predictions }))
    })?;
    bar.finish_and_clear();
    if done == 0 {
        anyhow::bail!("none of the {} images could be read; the warnings above say why", images.len());
    }
    output.end()
}
