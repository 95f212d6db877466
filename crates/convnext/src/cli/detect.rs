//! `convnext detect`

mod answer;
mod files;

use std::path::PathBuf;

use burn::tensor::Device;
use clap::Args;
use convnext::Detector;
use convnext::core::ResizeRule;
use convnext::data::{Decoding, open_images};
use convnext::detect::DetectOptions;

use self::answer::{Answer, FoundObject};
use self::files::OutFiles;
use super::answers::Answers;
use super::class_names::ClassNameArguments;
use super::detection_inference::DetectionInferenceArguments;
use super::left_out::leave_out;
use super::machine::{Machine, set_up};
use super::out_folder::{OverwriteArgument, check_apart};
use super::output::{print_json, print_text};
use super::progress::image_bar;
use super::read_files::ReadFiles;
use super::values::{self, DecodeArguments, MachineArguments};
use super::weights::Weights;

/// Find the objects in images: their classes, boxes and masks
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
The folder of --out gets results.json, COCO's results with masks in RLE (run lengths); image_id is the place of an image \
among those that were given, from 1 on, and category_id that of a class among those of the weights. With --overlay it \
gets NAME.png as well: the image with boxes and masks. In folders and archives, images that cannot be read or are too \
small for the network are left out with a warning (not with --strict).

Examples:
  convnext detect cells.png --weights runs/nuclei/weights.safetensors --out found --overlay
  convnext detect photos --weights weights.safetensors --out found --score 0.3 --json > answers.json
  convnext detect photos --weights weights.safetensors --out found --csv objects.csv
  convnext detect aerial.tif --weights weights.safetensors --out found --tile 1024 --overlap 0.2 --max 2000"
)]
pub(crate) struct DetectArguments {
    /// Images, or folders and archives of images
    #[arg(required = true, value_name = "IMAGE|FOLDER")]
    images: Vec<PathBuf>,
    /// Weights of a detector: a file or folder, hf:ORG/NAME[@REVISION]
    #[arg(long, value_name = "WEIGHTS")]
    weights: Weights,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    overwrite: OverwriteArgument,
    #[command(flatten)]
    class_names: ClassNameArguments,
    /// Tell of objects with at least this score, from 0 to below 1
    #[arg(long, value_name = "S", value_parser = values::share_or_zero, default_value_t = 0.5)]
    score: f64,
    #[command(flatten)]
    inference: DetectionInferenceArguments,
    /// Size of the network's input: none (that of the image), short:N or fit:LONGxSHORT [default: that of the weights]
    #[arg(long, value_name = "RULE")]
    resize: Option<ResizeRule>,
    /// Write NAME.png: the image with boxes and masks
    #[arg(long)]
    overlay: bool,
    /// Fail at the first image of a folder or archive that cannot be read or is too small, instead of leaving it out
    #[arg(long)]
    strict: bool,
    /// Print JSON: of each image its size, and class, score, box and pixels of each object
    #[arg(long)]
    json: bool,
    /// Write a table of all objects as well
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    #[command(flatten)]
    machine: MachineArguments,
    #[command(flatten)]
    decoding: DecodeArguments,
}

pub(crate) fn run(arguments: &DetectArguments, quiet: bool) -> anyhow::Result<()> {
    let DetectArguments { out, json, .. } = arguments;
    let Machine { device, precision, .. } = set_up(&arguments.machine)?;
    check_apart(out, &arguments.images)?;
    let detector = load(arguments, &device)?.with_precision(precision);
    arguments.overwrite.make(out, "--out")?;
    let images = open_images(&arguments.images)?;
    let reading = arguments.decoding.reading(&arguments.images, 1, 1, arguments.strict);
    let decoding = Decoding::of(detector.preprocessing(), reading.orientation);
    let (bar, mut answers) = (image_bar(quiet, images.len()), Answers::new(*json));
    if let Some(table) = &arguments.csv {
        let read = ReadFiles {
            weights: &arguments.weights.file()?,
            sources: &arguments.images,
            images: &images,
            texts: arguments.class_names.file().into_iter().collect(),
        };
        read.check(table)?;
    }
    let mut files = OutFiles::new(out, arguments.csv.as_deref(), arguments.overlay)?;
    for sample in 0..images.len() {
        let name = images.name(sample);
        let found = images.image(sample, &decoding).map_err(anyhow::Error::from).and_then(|image| {
            let mut found = detector.detect(&image)?;
            found.retain(|found| found.score >= arguments.score);
            Ok((image, found))
        });
        match found {
            Ok((image, found)) => {
                if arguments.overlay {
                    files.write_overlay(&images.file_name(sample), &detector.overlay(&image, &found))?;
                }
                let objects: Vec<FoundObject> = found
                    .iter()
                    .map(|found| FoundObject::new(found, &detector.class_name(found.class)))
                    .collect();
                let answer = Answer::new(&name, image.size(), objects);
                files.write(sample, &answer, &found)?;
                answers.add(answer, |answer| bar.suspend(|| print_text(&answer.in_words())))?;
            }
            Err(error) => leave_out((&images, sample), error, reading.on_corrupt, "searched")?,
        }
        bar.set_position(sample as u64 + 1);
    }
    bar.finish_and_clear();
    let answers = answers.finish(images.len())?;
    files.finish()?;
    answers.map_or(Ok(()), |answers| print_json(&answers))
}

/// The detector, with what the arguments say in place of what the weights say.
fn load(arguments: &DetectArguments, device: &Device) -> anyhow::Result<Detector> {
    let mut detector = Detector::load_on(&arguments.weights.file()?, device)?;
    if let Some(classes) = arguments.class_names.read(detector.model().config().classes)? {
        detector = detector.with_classes(classes)?;
    }
    if let Some(rule) = arguments.resize {
        detector = detector.with_resize(rule)?;
    }
    // Softly suppressed scores fall: what is told of in the end is chosen by what is left of them.
    let of_weights = *detector.options();
    // What tiles merge has its score already.
    let options = arguments.inference.options(of_weights)?;
    let score = match options.tiles {
        None => of_weights.score.min(arguments.score),
        Some(_) => arguments.score,
    };
    Ok(detector.with_options(DetectOptions { score, ..options })?)
}
