//! `convnext export`

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::bail;
use clap::Args;
use convnext::TASKS;
use convnext::core::{DetectionTask, ImageSize, SegmentationTask};
use convnext::detect::{DetectOptions, Suppression, Tiles, detect_options_of, write_detection_onnx};
use convnext::io::read_weights;
use convnext::onnx::{OnnxBatch, OnnxOptions, OnnxOutput, write_onnx};
use convnext::segment::write_segmentation_onnx;

use super::output::print_text;
use super::values;
use super::weights::Weights;

/// Write a network as ONNX, for other runtimes
#[derive(Debug, Args)]
#[command(after_help = "\
Input: images [batch, channels, height, width], normalised as the file's metadata says (mean, std, image_size, crop), which \
also names the classes. Output: logits [batch, classes], of a segmentation network [batch, classes, height, width], or with \
--features the maps stage1 to stage4. A detector takes one image and outputs what it finds, best first: boxes [n, 4] (left, \
top, right, bottom in pixels of the input), scores [n], labels [n] and, if it has masks, masks [n, 28, 28], each the \
probabilities within its box. It looks at the whole image, also where it was learned in tiles. Of an autoencoder the encoder \
is exported, with --features. Models above 2 GB keep their weights in a second file, OUT.data.

Examples:
  convnext export --weights runs/classifier/weights.safetensors --out classifier.onnx
  convnext export --weights tiny.fcmae_ft_in1k --out tiny.onnx --image-size 288 --batch 1
  convnext export --weights runs/pretrained/weights.safetensors --out backbone.onnx --features
  convnext export --weights runs/segmentation --out segmentation.onnx --image-size 512x1024
  convnext export --weights runs/nuclei --out detector.onnx --image-size 256 --score 0.3")]
pub(crate) struct ExportArguments {
    /// Weights of any kind: a file or folder, hf:ORG/NAME[@REVISION] or a released checkpoint
    #[arg(long, value_name = "WEIGHTS")]
    weights: Weights,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Size of the images in pixels: a side, or height and width as in 224x320 [default: that of the weights]
    #[arg(long, value_name = "N|HxW", value_parser = values::image_size)]
    image_size: Option<ImageSize>,
    /// Images that the network takes at once; a detector takes one
    #[arg(long, value_name = "dynamic|N", value_parser = batch, default_value = "dynamic")]
    batch: OnnxBatch,
    /// Output the feature maps of the four stages instead of logits
    #[arg(long)]
    features: bool,
    /// Of a detector: output objects with a higher score than this, from 0 to below 1 [default: 0.05, as evaluation takes]
    #[arg(long, value_name = "S", value_parser = values::share_or_zero, conflicts_with = "features")]
    score: Option<f64>,
    /// Of a detector: what becomes of boxes that lie on better ones; ONNX has only hard [default: that of the weights' recipe]
    #[arg(long, value_name = "RULE", conflicts_with = "features")]
    nms: Option<Suppression>,
    /// Of a detector: objects at most [default: 100]
    #[arg(long, value_name = "N", value_parser = values::count, conflicts_with = "features")]
    max: Option<usize>,
}

impl ExportArguments {
    /// How a detector looks for objects: as asked for, and for the rest as its weights say.
    fn detect_options(&self, of_weights: DetectOptions) -> DetectOptions {
        DetectOptions {
            score: self.score.unwrap_or(of_weights.score),
            suppression: self.nms.unwrap_or(of_weights.suppression),
            at_most: self.max.unwrap_or(of_weights.at_most),
            // The file takes the whole image, as `warn_of_tiles` says.
            tiles: None,
            ..of_weights
        }
    }
}

fn batch(text: &str) -> Result<OnnxBatch, String> {
    let most = OnnxBatch::MOST;
    match (text, usize::from_str(text)) {
        ("dynamic", _) => Ok(OnnxBatch::Dynamic),
        (_, Ok(count)) if (1..=most).contains(&count) => Ok(OnnxBatch::Fixed(count)),
        _ => Err(format!("expected a whole number from 1 to {most}, or dynamic")),
    }
}

pub(crate) fn run(arguments: &ExportArguments) -> anyhow::Result<()> {
    check_extension(&arguments.out)?;
    let file = arguments.weights.file()?;
    let weights = read_weights(&file)?;
    weights.check_finite(&file)?;
    let is_detector = weights.metadata.task.is::<DetectionTask>();
    if !is_detector && (arguments.score.is_some() || arguments.nms.is_some() || arguments.max.is_some()) {
        bail!(
            "--score, --nms and --max are for detectors, but the weights are for the task '{}'",
            weights.metadata.task.kind()
        );
    }
    let options = OnnxOptions {
        image_size: arguments.image_size,
        batch: arguments.batch,
        output: if arguments.features { OnnxOutput::Features } else { OnnxOutput::Logits },
    };
    let written = match (options.output, weights.metadata.class_count()) {
        (OnnxOutput::Logits, 1..) if weights.metadata.task.is::<SegmentationTask>() => {
            write_segmentation_onnx(&arguments.out, weights, &options)?
        }
        (OnnxOutput::Logits, 1..) if is_detector => {
            let of_weights = detect_options_of(&weights.metadata);
            warn_of_tiles(of_weights.tiles);
            let detect = arguments.detect_options(of_weights);
            write_detection_onnx(&arguments.out, weights, &options, &detect)?
        }
        _ => write_onnx(&arguments.out, &weights, TASKS, &options)?,
    };
    let lines: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
    print_text(&lines.join("\n"))
}

/// Warns of the tiles in which a detector looks for objects, if it does: its file has none.
fn warn_of_tiles(tiles: Option<Tiles>) {
    if let Some(Tiles { side, .. }) = tiles {
        log::warn!(
            "the weights were learned in tiles of {side} px, in which detect and evaluate look for objects as well; the file looks \
             at the whole of its input (--image-size) alone: cut large images into tiles before, and merge what is found in them"
        );
    }
}

/// Refuses a file that would not be known for what it is.
fn check_extension(out: &Path) -> anyhow::Result<()> {
    if out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx")) {
        return Ok(());
    }
    bail!(
        "{} does not end in .onnx, and ONNX is all that is exported: give --out {}; `convnext convert` writes .safetensors, \
         .pt, .pth and .bin",
        out.display(),
        out.with_extension("onnx").display()
    )
}
