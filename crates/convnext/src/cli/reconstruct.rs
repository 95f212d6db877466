//! `convnext reconstruct`

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use convnext::core::{Mask, Seed};
use convnext::data::{Dataset, Decoding, FreeNames, open_images};
use convnext::{Reconstructor, read_mask};
use serde::Serialize;

use super::answers::Answers;
use super::left_out::leave_out;
use super::machine::{Machine, set_up};
use super::out_folder::{OverwriteArgument, check_apart};
use super::output::{print_json, print_text};
use super::values::{self, DecodeArguments, MachineArguments};
use super::weights::Weights;

/// Show what a pre-trained autoencoder sees behind the mask
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Each image written shows the original, what the encoder saw, and the reconstruction: greyscale of one \
channel, and of more than three channels the first three. In folders and archives, images that cannot be read are left \
out with a warning (not with --strict).

Examples:
  convnext reconstruct photo.jpg --weights runs/pretrained/weights.safetensors --out reconstructions
  convnext reconstruct photos --weights weights.safetensors --mask-ratio 0.75 --seed 3 --out reconstructions
  convnext reconstruct photo.jpg --weights weights.safetensors --mask kept.json --out reconstructions --json"
)]
pub(crate) struct ReconstructArguments {
    /// Images, or folders and archives of images
    #[arg(required = true, value_name = "IMAGE|FOLDER")]
    images: Vec<PathBuf>,
    /// Weights that `convnext pretrain` wrote: a file, a run folder or hf:ORG/NAME[@REVISION]
    #[arg(long, value_name = "WEIGHTS")]
    weights: Weights,
    /// Folder for the reconstructions
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    overwrite: OverwriteArgument,
    /// JSON file {"kept": [patch indices, row by row]} instead of random masks
    #[arg(long, value_name = "FILE", conflicts_with = "mask_ratio")]
    mask: Option<PathBuf>,
    /// Share of patches to remove [default: that of the pre-training]
    #[arg(long, value_name = "R", value_parser = values::share)]
    mask_ratio: Option<f64>,
    /// Seed of the masks
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Fail at the first image of a folder or archive that cannot be read, instead of leaving it out
    #[arg(long)]
    strict: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    machine: MachineArguments,
    #[command(flatten)]
    decoding: DecodeArguments,
}

/// The answer about one image.
#[derive(Debug, Serialize)]
struct Answer {
    image: String,
    loss: f32,
    kept: Vec<usize>,
    reconstruction: String,
}

pub(crate) fn run(arguments: &ReconstructArguments) -> anyhow::Result<()> {
    let Machine { device, precision, .. } = set_up(&arguments.machine)?;
    let reconstructor =
        Reconstructor::load_on(&arguments.weights.file()?, &device)?.with_precision(precision);
    let grid = reconstructor.grid()?;
    let ratio = arguments.mask_ratio.unwrap_or(reconstructor.objective().mask_ratio);
    let given = arguments.mask.as_deref().map(|path| read_mask(path, grid)).transpose()?;
    // A file that is named itself is not replaced, whatever the folder.
    let folders: Vec<&PathBuf> = arguments.images.iter().filter(|path| path.is_dir()).collect();
    check_apart(&arguments.out, &folders)?;
    arguments.overwrite.make(&arguments.out, "--out")?;
    let images = open_images(&arguments.images)?;
    let reading = arguments.decoding.reading(&arguments.images, 1, 1, arguments.strict);
    let decoding = Decoding::of(reconstructor.preprocessing(), reading.orientation);
    let mut names = FreeNames::default();
    let mut answers = Answers::new(arguments.json);
    for index in 0..images.len() {
        let image = match images.image(index, &decoding) {
            Ok(image) => image,
            Err(error) => {
                leave_out((&images, index), error.into(), reading.on_corrupt, "reconstructed")?;
                continue;
            }
        };
        let mask = match &given {
            Some(mask) => mask.clone(),
            None => Mask::random(grid, ratio, Seed(arguments.seed), 0, index as u64)?,
        };
        let result = reconstructor.reconstruct(&image, &mask)?;
        let target = names.path(&arguments.out, &png_name(&images.file_name(index)));
        check_is_no_input(&target, &images)?;
        result.panels.save_png(&target)?;
        let answer = Answer {
            image: images.name(index),
            loss: result.loss,
            kept: mask.kept().to_vec(),
            reconstruction: target.display().to_string(),
        };
        answers.add(answer, |Answer { image, loss, reconstruction, .. }| {
            print_text(&format!("{image}  loss {loss:.4}  {reconstruction}"))
        })?;
    }
    let answers = answers.finish(images.len())?;
    answers.map_or(Ok(()), |answers| print_json(&answers))
}

/// Refuses to write over an image that is read.
fn check_is_no_input(target: &Path, images: &Dataset) -> anyhow::Result<()> {
    if target.exists()
        && let Some(input) = all_names(images).find(|input| is_same_file(Path::new(input), target))
    {
        bail!("{input} would be overwritten; choose another --out");
    }
    Ok(())
}

fn all_names(images: &Dataset) -> impl Iterator<Item = String> {
    (0..images.len()).map(|index| images.name(index))
}

/// File name of the reconstruction of an image.
fn png_name(image: &str) -> String {
    Path::new(image).with_extension("png").display().to_string()
}

fn is_same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
