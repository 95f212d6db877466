//! From weights to a file: what is refused, and the header.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use convnext_core::{
    ConfigError, FcmaeTask, ImageSize, ModelConfig, TaskKind, TensorShape, WeightMetadata, backbone_tensors,
};
use convnext_io::{ArraySource, IoError, NamedArray, WeightFile, check_shapes};

use crate::error::OnnxError;
use crate::file::ModelFile;
use crate::graph_builder::GraphBuilder;
use crate::messages::{Dimension, Entry, Model, OperatorSet};
use crate::network;
use crate::options::{OnnxBatch, OnnxOptions, OnnxOutput};
use crate::part::{Features, Logits, OnnxPart, StageMaps};
use crate::part_output::PartOutput;
use crate::properties;

/// End of the name of the second file, which holds the weights of a model that is too large for one.
const DATA_SUFFIX: &str = ".data";

/// The version of the operators: the first with LayerNormalization, and of the format that came with it (ONNX 1.12).
const OPERATOR_SET: i64 = 17;
const IR_VERSION: i64 = 8;

/// Most bytes of a file with the weights in it. Protocol buffers end at 2 GiB; this leaves room for what runtimes add.
const MAX_FILE_BYTES: u64 = 2_000_000_000;

/// The first tensor of every backbone, behind what stands in front of the names of all of them.
const STEM: &str = "downsample_layers.0.0.weight";

/// Prefix of the names of a backbone's tensors.
const BACKBONE: [&str; 2] = ["downsample_layers.", "stages."];

/// Writes an ONNX file and returns the files written, it first.
///
/// The input is `images` `[batch, channels, height, width]`, normalised as the file's properties
/// (`metadata_props`) say: `image_size`, `crop`, `mean`, `std`, `range` where the weights state one, `class_names` and
/// `activation` in JSON, where a size is a side or `[height, width]`, and `model`, `interpolation` and `preprocessing` as
/// text. Outputs are those of [`OnnxOutput`]; the task of the
/// weights, one of these kinds, says how logits become probabilities, and names the classes.
/// All numbers are `f32`, whatever the weights were.
/// Operators are those of opset 17; initializers have the official names and shapes of PyTorch.
///
/// If it would have more than 2 GB, the weights go to a second file beside it, whose name has `.data` added. The
/// first refers to the second by name, so they are moved together and not renamed. Each file is whole at any moment,
/// as [`convnext_io::replace_file`] describes; the second is replaced before the first. Equal input gives equal bytes.
///
/// ```no_run
/// use std::path::Path;
///
/// use convnext_core::CORE_TASKS;
/// use convnext_io::read_weights;
/// use convnext_onnx::{OnnxOptions, write_onnx};
///
/// let weights = read_weights(Path::new("atto.safetensors"))?;
/// write_onnx(Path::new("atto.onnx"), &weights, &CORE_TASKS, &OnnxOptions::of(&weights.metadata))?;
/// # Ok::<(), convnext_onnx::OnnxError>(())
/// ```
///
/// # Errors
/// Before anything is written: [`OnnxError::NoLogits`] when logits are asked of weights without a head or of another task,
/// [`OnnxError::ResponseNorm`] for blocks with an alternative to GRN, [`OnnxError::CannotExport`] when image size or batch do not
/// fit, or images have no one size, and as [`OnnxError::Io`]
/// [`IoError::Mismatch`] when the tensors are not those of the model, [`IoError::InvalidArray`] when one contradicts
/// itself or holds integers. Then [`IoError::Write`].
pub fn write_onnx(
    path: &Path,
    weights: &WeightFile,
    tasks: &[TaskKind],
    options: &OnnxOptions,
) -> Result<Vec<PathBuf>, OnnxError> {
    write_limited(path, weights, tasks, options, MAX_FILE_BYTES)
}

/// [`write_onnx`] with something else behind the backbone; what the options say of the output does not count.
///
/// # Errors
/// Those of [`write_onnx`].
pub fn write_part(
    path: &Path,
    weights: &WeightFile,
    part: &dyn OnnxPart,
    options: &OnnxOptions,
) -> Result<Vec<PathBuf>, OnnxError> {
    write_file(path, model_file(path, weights, part, options)?, MAX_FILE_BYTES)
}

/// [`write_onnx`] with at most so many bytes in one file.
pub(crate) fn write_limited(
    path: &Path,
    weights: &WeightFile,
    tasks: &[TaskKind],
    options: &OnnxOptions,
    largest: u64,
) -> Result<Vec<PathBuf>, OnnxError> {
    let file = match options.output {
        OnnxOutput::Features => model_file(path, weights, &Features, options)?,
        OnnxOutput::Logits => model_file(path, weights, &logits(&weights.metadata, tasks)?, options)?,
    };
    write_file(path, file, largest)
}

fn write_file(path: &Path, file: ModelFile<'_>, largest: u64) -> Result<Vec<PathBuf>, OnnxError> {
    if file.write_whole(path, largest)? {
        return Ok(vec![path.to_owned()]);
    }
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| IoError::Write {
        path: path.to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidFilename, "the name must be valid Unicode"),
    })?;
    let name = format!("{name}{DATA_SUFFIX}");
    let data = path.with_file_name(&name);
    file.write_apart(path, &data, &name)?;
    Ok(vec![path.to_owned(), data])
}

fn model_file<'a>(
    path: &Path,
    weights: &'a WeightFile,
    part: &dyn OnnxPart,
    options: &OnnxOptions,
) -> Result<ModelFile<'a>, OnnxError> {
    let metadata = &weights.metadata;
    let cannot = |source| OnnxError::CannotExport { source };
    let cannot_write =
        |error: serde_json::Error| IoError::Write { path: path.to_owned(), source: error.into() };
    let model = metadata.convnext().map_err(cannot)?;
    if let Some(norm) = model.alternative() {
        return Err(OnnxError::ResponseNorm { norm });
    }
    let size = check_options(metadata, options).map_err(cannot)?;
    let padded = part.padded(size);
    let maps = model.stage_sizes(padded.height, padded.width).map_err(cannot)?;
    let prefix = weights.arrays.keys().find_map(|name| name.strip_suffix(STEM)).unwrap_or_default();
    let arrays = arrays(weights, prefix, &model, part)?;

    let batch = match options.batch {
        OnnxBatch::Dynamic => Dimension::named("batch"),
        OnnxBatch::Fixed(images) => Dimension::fixed(images),
    };
    let mut builder = GraphBuilder::default();
    let images = network::padding(&mut builder, [padded.height - size.height, padded.width - size.width]);
    let names = network::backbone(&mut builder, images, prefix, &model);
    part.append(&mut builder, &StageMaps { names, sizes: maps, image: size });
    let mut graph = builder.graph;
    graph.name = model.name.clone();
    let input = PartOutput::of_images(network::IMAGES, &[model.input_channels, size.height, size.width]);
    graph.input = vec![input.value(&batch)];
    graph.output = part.outputs(&model, maps).iter().map(|output| output.value(&batch)).collect();
    let preprocessing = properties::preprocessing(metadata, options);
    let properties = properties::properties(&model, &preprocessing, part).map_err(cannot_write)?;
    Ok(ModelFile { model: header(part.description(), properties), graph, weights: arrays })
}

/// The model without its graph.
fn header(description: String, properties: Vec<Entry>) -> Model {
    Model {
        ir_version: IR_VERSION,
        opset_import: vec![OperatorSet { domain: Some(String::new()), version: OPERATOR_SET }],
        producer_name: "convnext".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: description,
        metadata_props: properties,
        graph: None,
    }
}

/// What stands behind the backbone of weights whose outputs are about the classes of images.
fn logits(metadata: &WeightMetadata, tasks: &[TaskKind]) -> Result<Logits, OnnxError> {
    let without = |what: &str| Err(OnnxError::NoLogits { what: what.to_owned() });
    if metadata.class_count() == 0 {
        let is_autoencoder = metadata.task.is::<FcmaeTask>();
        return without(if is_autoencoder { "an autoencoder" } else { "an encoder without a head" });
    }
    let task = metadata.task_of(tasks).map_err(|source| OnnxError::CannotExport { source })?;
    match task.activation() {
        Some(activation) => Ok(Logits { classes: task.class_names(), activation }),
        None => without(&format!("a network for the task '{}'", metadata.task.kind())),
    }
}

/// The size of the images, if everything is in its range.
fn check_options(metadata: &WeightMetadata, options: &OnnxOptions) -> Result<ImageSize, ConfigError> {
    metadata.validate()?;
    let preprocessing = properties::preprocessing(metadata, options);
    preprocessing.validate()?;
    let size = preprocessing.fixed_size()?;
    match options.batch {
        OnnxBatch::Fixed(images) if !(1..=OnnxBatch::MOST).contains(&images) => {
            let (found, expected) = (images.to_string(), OnnxBatch::RANGE);
            Err(ConfigError::OutOfRange { what: "batch", found, expected })
        }
        _ => Ok(size),
    }
}

/// The tensors that are needed, in the order of the model: those of the backbone, whose names have this prefix, and
/// those of the part behind it. What is neither needed nor left out on purpose does not belong to the model.
fn arrays<'a>(
    weights: &'a WeightFile,
    prefix: &str,
    model: &ModelConfig,
    part: &dyn OnnxPart,
) -> Result<Vec<&'a NamedArray>, IoError> {
    let is_of_backbone = |name: &str| {
        name.strip_prefix(prefix).is_some_and(|bare| BACKBONE.iter().any(|start| bare.starts_with(start)))
    };
    let found = weights.arrays.iter().filter(|(name, _)| is_of_backbone(name) || !part.ignores(name));
    let found: BTreeMap<&str, &[usize]> =
        found.map(|(name, array)| (name.as_str(), array.shape.as_slice())).collect();
    let shapes: Vec<TensorShape> =
        backbone_tensors(prefix, model).into_iter().chain(part.tensors(model)).collect();
    check_shapes(&shapes, &found, &[])?;
    let arrays: Vec<&NamedArray> = shapes.iter().filter_map(|(name, _)| weights.arrays.get(name)).collect();
    arrays.iter().try_for_each(|array| array.check().and_then(|()| array.check_float()))?;
    Ok(arrays)
}
