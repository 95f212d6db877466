//! `convnext convert`

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, ValueEnum};
use convnext::TASKS;
use convnext::core::{OutputActivation, Tagged, WeightMetadata};
use convnext::io::{Naming, files_of, read_weights, write_converted};
use convnext::multilabel::MultiLabelTask;

use super::class_names::ClassNameArguments;
use super::out_folder::OverwriteArgument;
use super::output::print_text;
use super::weights::Weights;

/// Write weights under the names of another program
#[derive(Debug, Args)]
#[command(after_help = "\
OUT decides the form: .safetensors, or .pt, .pth and .bin as torch.save writes them; any other name is a folder that \
timm (timm.create_model(\"local-dir:OUT\", pretrained=True)) or transformers \
(AutoModelForImageClassification.from_pretrained(\"OUT\")) opens by itself. Of an autoencoder the encoder is written. A \
segmentation network is written for transformers (AutoModelForSemanticSegmentation), or to a file under the names of \
mmsegmentation and mmpretrain (--to official); a detector to a file under those of mmdetection (--to official).

Examples:
  convnext convert runs/classifier/weights.safetensors classifier-timm --to timm
  convnext convert runs/classifier/weights.safetensors classifier-hf --to hf
  convnext convert runs/pretrained/weights.safetensors encoder.pt --to official")]
pub(crate) struct ConvertArguments {
    /// Weights of this program, the official code, timm, transformers, torchvision, OpenMMLab or SparK: a file or folder,
    /// hf:ORG/NAME[@REVISION] or a released checkpoint
    #[arg(value_name = "IN")]
    weights: Weights,
    /// The file or folder to write
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Whose names and shapes the tensors get
    #[arg(long, value_name = "PROGRAM")]
    to: Program,
    #[command(flatten)]
    class_names: ClassNameArguments,
    #[command(flatten)]
    overwrite: OverwriteArgument,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Program {
    /// The code of the paper
    Official,
    /// pytorch-image-models
    Timm,
    /// Hugging Face transformers
    Hf,
}

pub(crate) fn run(arguments: &ConvertArguments) -> anyhow::Result<()> {
    let naming = match arguments.to {
        Program::Official => Naming::Official,
        Program::Timm => Naming::Timm,
        Program::Hf => Naming::HuggingFace,
    };
    let file = arguments.weights.file()?;
    let mut weights = read_weights(&file)?;
    weights.check_finite(&file)?;
    check_place(&file, &arguments.out)?;
    arguments.overwrite.check_new(&arguments.out, "another OUT")?;
    let given = arguments.class_names.read(weights.metadata.class_count())?;
    if let Some(classes) = given {
        weights.metadata = match weights.metadata.task.is::<MultiLabelTask>() {
            true => WeightMetadata { task: Tagged::new(&MultiLabelTask { classes }), ..weights.metadata },
            false => weights.metadata.with_class_names(classes),
        };
    }
    let task = weights.metadata.task_of(TASKS)?;
    if task.activation() == Some(OutputActivation::Sigmoid) && naming != Naming::HuggingFace {
        log::warn!(
            "no file of timm or the official code says that an image may have several classes: take the sigmoid of each \
             output, not the softmax of all"
        );
    }
    let range = &weights.metadata.preprocessing.range;
    if !range.is_unstated() {
        log::warn!(
            "no file of other programs says which values are black and white: scale images from {range} to 0 to 1 yourself"
        );
    }
    let written = write_converted(&arguments.out, &weights, task.as_ref(), naming)?;
    let lines: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
    print_text(&lines.join("\n"))
}

/// Refuses to write over the weights that are read, or into their folder, where files that describe them may stand.
fn check_place(file: &Path, out: &Path) -> anyhow::Result<()> {
    // What is not there yet cannot be overwritten.
    let Ok(place) = fs::canonicalize(out) else { return Ok(()) };
    let is_place = |path: &Path| fs::canonicalize(path).is_ok_and(|found| found == place);
    for read in files_of(file)? {
        // A file that is named alone lies in the current folder.
        let folder = read.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if is_place(&read) || is_place(folder) {
            bail!(
                "{} would be written over or beside the weights that are converted, {}, which may be lost by that; \
                 give another OUT",
                out.display(),
                file.display()
            );
        }
    }
    Ok(())
}
