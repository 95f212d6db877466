//! `convnext segment`

mod answer;
mod files;

use std::path::PathBuf;

use anyhow::bail;
use burn::tensor::Device;
use clap::Args;
use convnext::Segmenter;
use convnext::data::{Decoding, Image, open_images};

use self::answer::Answer;
use self::files::{OutFiles, Place};
use super::answers::Answers;
use super::class_names::ClassNameArguments;
use super::left_out::leave_out;
use super::machine::{Machine, set_up};
use super::out_folder::{OverwriteArgument, check_apart};
use super::output::{print_json, print_text};
use super::progress::image_bar;
use super::segmentation_inference::InferenceArguments;
use super::values::{DecodeArguments, MachineArguments};
use super::weights::Weights;

/// Tell the class of every pixel of images
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
For each image NAME the folder of --out gets NAME.png: a number for each pixel, with a palette of colours. The classes \
and their colours are those of the weights. In folders and archives, images that cannot be read or are too \
small for the network are left out with a warning (not with --strict).

Examples:
  convnext segment street.jpg --weights runs/streets/weights.safetensors --out segmented
  convnext segment photos --weights weights.safetensors --out segmented --overlay
  convnext segment aerial.tif --weights weights.safetensors --out segmented --mode slide --crop 512 --stride 341
  convnext segment street.jpg --weights weights.safetensors --out segmented --scales 0.75,1,1.25 --flip
  convnext segment street.jpg --weights weights.safetensors --out segmented --resize short:512 --logits
  convnext segment photos --weights weights.safetensors --out segmented --json --polygons > answers.json"
)]
pub(crate) struct SegmentArguments {
    /// Images, or folders and archives of images
    #[arg(required = true, value_name = "IMAGE|FOLDER")]
    images: Vec<PathBuf>,
    /// Weights of a segmentation network: a file or folder, hf:ORG/NAME[@REVISION] or a released checkpoint
    #[arg(long, value_name = "WEIGHTS")]
    weights: Weights,
    /// Folder for the label maps
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    overwrite: OverwriteArgument,
    #[command(flatten)]
    class_names: ClassNameArguments,
    #[command(flatten)]
    inference: InferenceArguments,
    /// Write NAME-overlay.png as well: the image with the colours of its classes
    #[arg(long)]
    overlay: bool,
    /// Write NAME.safetensors as well: the logits [classes, height, width] at the size of the network's input
    #[arg(long)]
    logits: bool,
    /// Fail at the first image of a folder or archive that cannot be read or is too small, instead of leaving it out
    #[arg(long)]
    strict: bool,
    /// Print JSON: of each image its size, and the pixels of each class
    #[arg(long)]
    json: bool,
    /// Print the outlines of the areas of each class as well
    #[arg(long, requires = "json")]
    polygons: bool,
    #[command(flatten)]
    machine: MachineArguments,
    #[command(flatten)]
    decoding: DecodeArguments,
}

pub(crate) fn run(arguments: &SegmentArguments, quiet: bool) -> anyhow::Result<()> {
    let SegmentArguments { inference, out, json, .. } = arguments;
    if arguments.logits && inference.has_several_looks() {
        bail!("--logits are those of one look at an image; leave --scales and --flip out");
    }
    let Machine { device, precision, .. } = set_up(&arguments.machine)?;
    check_apart(out, &arguments.images)?;
    let segmenter = load(arguments, &device)?.with_precision(precision);
    arguments.overwrite.make(out, "--out")?;
    let images = open_images(&arguments.images)?;
    let reading = arguments.decoding.reading(&arguments.images, 1, 1, arguments.strict);
    let decoding = Decoding::of(segmenter.preprocessing(), reading.orientation);
    let (bar, mut files) = (image_bar(quiet, images.len()), OutFiles::new(out));
    let mut answers = Answers::new(*json);
    for sample in 0..images.len() {
        let name = images.name(sample);
        let answered = images.image(sample, &decoding).map_err(anyhow::Error::from).and_then(|image| {
            let place = files.next(&images.file_name(sample), arguments.overlay);
            answer(&segmenter, &image, (&name, &place), arguments)
        });
        match answered {
            Ok(answer) => answers.add(answer, |answer| bar.suspend(|| print_text(&answer.in_words())))?,
            Err(error) => leave_out((&images, sample), error, reading.on_corrupt, "segmented")?,
        }
        bar.set_position(sample as u64 + 1);
    }
    bar.finish_and_clear();
    match (answers.finish(images.len())?, arguments.polygons) {
        (None, _) => Ok(()),
        (Some(answers), false) => print_json(&answers),
        // Indented, an outline would take three lines for each corner.
        (Some(answers), true) => print_text(&serde_json::to_string(&answers)?),
    }
}

/// The network, with what the arguments say in place of what the weights say.
fn load(arguments: &SegmentArguments, device: &Device) -> anyhow::Result<Segmenter> {
    let mut segmenter = Segmenter::load_on(&arguments.weights.file()?, device)?;
    if let Some(classes) = arguments.class_names.read(segmenter.model().config().classes)? {
        segmenter = segmenter.with_classes(classes)?;
    }
    if let Some(rule) = arguments.inference.resize {
        segmenter = segmenter.with_resize(rule)?;
    }
    let options = arguments.inference.options(segmenter.options().clone())?;
    Ok(segmenter.with_options(options)?)
}

/// Segments an image and writes what was asked for.
fn answer(
    segmenter: &Segmenter,
    image: &Image,
    (name, place): (&str, &Place),
    arguments: &SegmentArguments,
) -> anyhow::Result<Answer> {
    let segmentation = segmenter.segment(image)?;
    place.write_labels(&segmentation.labels, segmenter.palette())?;
    if arguments.overlay {
        place.write_overlay(&segmenter.overlay(image, &segmentation)?)?;
    }
    if arguments.logits {
        place.write_logits(segmenter, image)?;
    }
    Ok(Answer::new(name, segmentation, arguments.polygons))
}
