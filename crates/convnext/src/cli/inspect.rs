//! `convnext inspect`

use clap::Args;
use convnext::core::{WeightKind, WeightMetadata};
use convnext::io::{TensorInfo, read_header};
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
Any safetensors or PyTorch weight file can be inspected, one of another program too.

Examples:
  convnext inspect runs/classifier/weights.safetensors
  convnext inspect weights.safetensors --json"
)]
pub(crate) struct InspectArguments {
    /// A safetensors, .pt, .pth or .bin file, hf:ORG/NAME[@REVISION] or a released checkpoint
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
    metadata: Option<WeightMetadata>,
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
    let parameters = header.tensors.iter().map(|tensor| tensor.shape.iter().product::<usize>()).sum();
    let tensors = header
        .tensors
        .into_iter()
        .map(|TensorInfo { name, dtype, shape, .. }| Tensor { name, dtype, shape })
        .collect();
    let contents = Contents {
        bytes: header.size,
        parameters,
        foreign: header.foreign,
        metadata: header.metadata,
        tensors,
    };
    if arguments.json { print_json(&contents) } else { print_text(&describe(&contents)) }
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
            format!("written by another program; inferred from its shapes:\n{}", describe_metadata(metadata))
        }
        Some(metadata) => describe_metadata(metadata),
    };
    format!(
        "{about}\n{} values in {} tensors, {} bytes\n\n{tensors}",
        thousands(contents.parameters as u64),
        contents.tensors.len(),
        thousands(contents.bytes)
    )
}

fn describe_metadata(metadata: &WeightMetadata) -> String {
    let backbone = metadata.kind.backbone();
    let kind = match &metadata.kind {
        WeightKind::Classifier { model } => format!("classifier {} of {} classes", model.name, model.classes),
        WeightKind::Fcmae { fcmae } => format!(
            "masked autoencoder {} with a decoder of {} block(s) of {} channels, mask ratio {}",
            fcmae.encoder.name, fcmae.decoder.depth, fcmae.decoder.width, fcmae.mask_ratio
        ),
    };
    let crop = match metadata.preprocessing.crop {
        Some(crop) => format!("centre crop {crop}"),
        None => "warped".to_owned(),
    };
    let mut text = format!(
        "{kind}\ndepths {:?}, widths {:?}, stem stride {}\nimages of {} px and {} channel(s), {crop}",
        backbone.depths,
        backbone.widths,
        backbone.stem_stride,
        metadata.preprocessing.image_size,
        backbone.input_channels
    );
    let range = &metadata.preprocessing.range;
    if !range.is_unstated() {
        text.push_str(&format!("\nvalues from black to white: {}", range.in_words()));
    }
    match metadata.classes.0.as_slice() {
        [] => {}
        [first @ .., _] if first.len() >= MOST_CLASSES => {
            text.push_str(&format!("\nclasses: {}, ...", first[..MOST_CLASSES].join(", ")));
        }
        all => text.push_str(&format!("\nclasses: {}", all.join(", "))),
    }
    if let Some(claim) = metadata.recipe.lines().find_map(|line| line.strip_prefix("claim = ")) {
        text.push_str(&format!("\nrecipe: {}", claim.trim_matches('"')));
    }
    text
}
