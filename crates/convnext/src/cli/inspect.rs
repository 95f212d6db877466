//! `convnext inspect`

use clap::Args;
use convnext::TASKS;
use convnext::core::{
    ConfigError, Cost, Interpolation, Preprocessing, WeightMetadata, imagenet_mean, imagenet_std,
};
use convnext::io::{Origin, TRAINING_PREFIX, TensorInfo, read_header};
use serde::Serialize;

use super::output::{print_json, print_text, table, thousands};
use super::weights::Weights;

/// Classes that are listed; with --json all are.
const MOST_CLASSES: usize = 30;

/// Show what is in a weight file
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Any safetensors or PyTorch weight file can be inspected, one of another program too, and a folder of weights.

Examples:
  convnext inspect runs/classifier/weights.safetensors
  convnext inspect weights.safetensors --json"
)]
pub(crate) struct InspectArguments {
    /// A safetensors, .pt, .pth or .bin file, a folder of one, hf:ORG/NAME[@REVISION] or a released checkpoint
    #[arg(value_name = "WEIGHTS")]
    weights: Weights,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Contents {
    bytes: u64,
    parameters: usize,
    /// Written by another program: the metadata is inferred from the shapes.
    foreign: bool,
    /// Origin of tensors under the names of another program, with those that were left out.
    origin: Option<Origin>,
    metadata: Option<WeightMetadata>,
    /// Of one image as the metadata says it is prepared.
    cost: Option<Cost>,
    /// Number of tensors of the training, beside those of the model in a checkpoint.
    of_training: usize,
    tensors: Vec<Tensor>,
}

#[derive(Debug, Serialize)]
struct Tensor {
    name: String,
    dtype: String,
    shape: Vec<usize>,
}

pub(crate) fn run(arguments: &InspectArguments) -> anyhow::Result<()> {
    let header = read_header(&arguments.weights.file()?)?;
    let all = header.tensors.len();
    let is_of_model = |tensor: &TensorInfo| !tensor.name.starts_with(TRAINING_PREFIX);
    let tensors: Vec<TensorInfo> = header.tensors.into_iter().filter(is_of_model).collect();
    let parameters = tensors.iter().map(|tensor| tensor.shape.iter().product::<usize>()).sum();
    let of_training = all - tensors.len();
    let tensors = tensors
        .into_iter()
        .map(|TensorInfo { name, dtype, shape, .. }| Tensor { name, dtype, shape })
        .collect();
    let contents = Contents {
        bytes: header.size,
        parameters,
        foreign: header.foreign,
        origin: header.origin,
        cost: header.metadata.as_ref().and_then(|metadata| cost(metadata).ok()),
        metadata: header.metadata,
        of_training,
        tensors,
    };
    if arguments.json { print_json(&contents) } else { print_text(&describe(&contents)) }
}

/// Compute cost of one image, if the task is known.
fn cost(metadata: &WeightMetadata) -> Result<Cost, ConfigError> {
    let size = metadata.preprocessing.fixed_size()?;
    metadata.task_of(TASKS)?.cost(&metadata.convnext()?, size)
}

fn describe(contents: &Contents) -> String {
    let row = |tensor: &Tensor| {
        let shape: Vec<String> = tensor.shape.iter().map(ToString::to_string).collect();
        vec![tensor.name.clone(), tensor.dtype.clone(), shape.join(" x ")]
    };
    let tensors = table(&["tensor", "type", "shape"], 2, contents.tensors.iter().map(row).collect());
    let about = match &contents.metadata {
        None => {
            "written by another program: no ConvNeXt under the names of any program that is known".to_owned()
        }
        Some(metadata) if contents.foreign => {
            let origin = contents.origin.as_ref().map(describe_origin).unwrap_or_default();
            format!(
                "written by another program, with the {origin}; inferred from its shapes:\n{}",
                describe_metadata(metadata)
            )
        }
        Some(metadata) => match &contents.origin {
            Some(origin) => {
                format!("{}, with our metadata:\n{}", describe_origin(origin), describe_metadata(metadata))
            }
            None => describe_metadata(metadata),
        },
    };
    let cost = contents.cost.map(|cost| {
        let Cost { macs, flops, .. } = cost;
        format!("\n{} multiply-adds an image, {} FLOPs", thousands(macs), thousands(flops))
    });
    let cost = cost.unwrap_or_default();
    let of_training = match contents.of_training {
        0 => String::new(),
        count => format!(", besides {count} of the training"),
    };
    format!(
        "{about}{cost}\n{} values in {} tensors{of_training}, {} bytes\n\n{tensors}",
        thousands(contents.parameters as u64),
        contents.tensors.len(),
        thousands(contents.bytes)
    )
}

fn describe_origin(origin: &Origin) -> String {
    let mut text = format!("names of {}", origin.program);
    if !origin.prefix.is_empty() {
        text.push_str(&format!(" under {}", origin.prefix.trim_end_matches('.')));
    }
    if origin.average {
        text.push_str(", averages over the training (EMA)");
    }
    if !origin.other_models.is_empty() {
        let others: Vec<&str> = origin.other_models.iter().map(|name| name.trim_end_matches('.')).collect();
        text.push_str(&format!(", not those under {}", others.join(", ")));
    }
    if let Some(kind) = &origin.other_detector {
        text.push_str(&format!(", of {kind}, whose heads are not known here"));
    }
    if !origin.left_out.is_empty() {
        text.push_str(&format!(", without {} tensors of other parts", origin.left_out.len()));
    }
    text
}

/// A line with the first classes, if there are any.
fn describe_classes(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [first @ .., _] if first.len() >= MOST_CLASSES => {
            format!("\nclasses: {}, ...", first[..MOST_CLASSES].join(", "))
        }
        all => format!("\nclasses: {}", all.join(", ")),
    }
}

fn describe_metadata(metadata: &WeightMetadata) -> String {
    // Of another program's network, or of a version to come, the tensors can be shown all the same.
    let (backbone, task) = match metadata.convnext().and_then(|model| Ok((model, metadata.task_of(TASKS)?))) {
        Ok(known) => known,
        Err(error) => {
            let (backbone, task) = (metadata.backbone.kind(), metadata.task.kind());
            return format!(
                "a network '{backbone}' for the task '{task}', which cannot be used here: {error}"
            );
        }
    };
    let kind = task.describe(&backbone);
    let filter = match metadata.preprocessing.interpolation {
        Interpolation::Bicubic => String::new(),
        other => format!(", {} filter", other.name()),
    };
    let blocks = backbone.block_differences().map(|differences| format!("\nblocks with {differences}"));
    let mut text = format!(
        "{kind}{}\ndepths {:?}, widths {:?}, stem stride {}\nimages {}{filter}, {} channel(s)",
        blocks.unwrap_or_default(),
        backbone.depths,
        backbone.widths,
        backbone.stem_stride,
        metadata.preprocessing.geometry,
        backbone.input_channels
    );
    let Preprocessing { mean, std, range, .. } = &metadata.preprocessing;
    if (mean, std) != (&imagenet_mean(mean.len()), &imagenet_std(std.len())) {
        text.push_str(&format!("\nmean {mean:?}, standard deviation {std:?}"));
    }
    if !range.is_unstated() {
        text.push_str(&format!("\nvalues from black to white: {range}"));
    }
    text.push_str(&describe_classes(&task.class_names().0));
    if let Some(claim) = metadata.recipe.lines().find_map(|line| line.strip_prefix("claim = ")) {
        text.push_str(&format!("\nrecipe: {}", claim.trim_matches('"')));
    }
    text
}
