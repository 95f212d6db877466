//! Binds the names of a weight file to the parameters of a model.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::prelude::*;
use convnext_core::{
    ClassNames, ClassificationTask, ENCODER_PREFIX, FcmaeObjective, FcmaeTask, Kind, ModelConfig, Seed,
    WeightMetadata, imagenet_1k_name,
};
use convnext_io::{
    IoError, NamedArray, WeightFile, check_names, fits, read_header, read_weights, write_weights,
};
use convnext_nn::{ConvNext, Fcmae, tensor_shapes};

use crate::block_change::{BlockChanges, ModelBlocks};
use crate::error::TrainError;
use crate::input_channels::{self, STEM};
use crate::model_arrays::{assign, check_finite, model_arrays};

/// Writes all parameters, states and counters of a model under their official names.
///
/// # Errors
/// [`TrainError::NotFinite`] with the first parameter that holds such a value, [`TrainError::Io`] when
/// the file cannot be written.
pub fn save_weights<M: Module>(path: &Path, model: &M, metadata: &WeightMetadata) -> Result<(), TrainError> {
    check_finite(model)?;
    Ok(write_weights(path, &model_arrays(model), metadata)?)
}

/// Reads a classifier.
///
/// # Errors
/// [`TrainError::WrongKind`] for an autoencoder, [`TrainError::Weights`] for tensors that do not fit
/// the file's own configuration, [`TrainError::Io`] for a file that cannot be read.
pub fn load_classifier(path: &Path, device: &Device) -> Result<(ConvNext, WeightMetadata), TrainError> {
    let file = read_weights(path)?;
    if file.metadata.class_count() == 0 || !file.metadata.task.is::<ClassificationTask>() {
        return Err(TrainError::WrongKind {
            path: path.to_owned(),
            found: in_words(&file.metadata),
            needed: "a classifier",
            advice: "fine-tune it first: convnext finetune --init WEIGHTS",
        });
    }
    with_head(file, path, device)
}

/// Describes, for an error message, the kind of model in a file that does not fit.
fn in_words(metadata: &WeightMetadata) -> String {
    match (metadata.task.kind(), metadata.class_count()) {
        (ClassificationTask::KIND | FcmaeTask::KIND, 0) => "a pre-trained network without classes".to_owned(),
        (ClassificationTask::KIND, _) => "a classifier".to_owned(),
        (other, _) => format!("a network for the task '{other}'"),
    }
}

/// The network of a file that has a head.
fn with_head(
    file: WeightFile,
    path: &Path,
    device: &Device,
) -> Result<(ConvNext, WeightMetadata), TrainError> {
    let model = ConvNext::new(&file.metadata.convnext()?, Seed::default(), device)?;
    let model = bind(model, &file.arrays).map_err(|source| misfit(path, source))?;
    Ok((model, file.metadata))
}

/// Reads the model of a weight file of one task, which `make` makes from what the file says about itself. `needed` is the
/// kind of model in words, and how to come by one.
///
/// # Errors
/// [`TrainError::WrongKind`] for a file of another task, [`TrainError::Weights`] for tensors that do not fit the file's own
/// configuration, [`TrainError::Io`] for a file that cannot be read, and what `make` returns.
pub fn load_model<T: Kind, M: Module>(
    path: &Path,
    [needed, advice]: [&'static str; 2],
    make: impl FnOnce(&WeightMetadata) -> Result<M, TrainError>,
) -> Result<(M, WeightMetadata), TrainError> {
    let WeightFile { arrays, metadata } = read_weights(path)?;
    if !metadata.task.is::<T>() {
        let found = in_words(&metadata);
        return Err(TrainError::WrongKind { path: path.to_owned(), found, needed, advice });
    }
    let model = make(&metadata)?;
    let model = bind(model, &arrays).map_err(|source| misfit(path, source))?;
    Ok((model, metadata))
}

/// Reads the backbone of a weight file of any kind, as a model without head.
///
/// # Errors
/// [`TrainError::Weights`] for tensors that do not fit the file's own configuration, [`TrainError::Io`] for a file
/// that cannot be read.
pub fn load_backbone(path: &Path, device: &Device) -> Result<(ConvNext, WeightMetadata), TrainError> {
    let metadata = read_metadata(path)?;
    let config = ModelConfig { classes: 0, ..metadata.convnext()? };
    let model = ConvNext::new(&config, Seed::default(), device)?;
    Ok((start_from(model, path, &|_| false)?, metadata))
}

/// Reads the network of a weight file of any kind: with its head where it tells classes of images apart, else the backbone.
///
/// # Errors
/// Those of [`load_backbone`].
pub fn load_network(path: &Path, device: &Device) -> Result<(ConvNext, WeightMetadata), TrainError> {
    // A segmentation network tells classes apart as well, but has no head on its pooled features.
    let has_head = read_header(path)?.tensors.iter().any(|tensor| tensor.name == HEAD);
    if has_head { with_head(read_weights(path)?, path, device) } else { load_backbone(path, device) }
}

/// Reads a masked autoencoder, and what it was trained for.
///
/// # Errors
/// As [`load_classifier`], with the kinds exchanged.
pub fn load_fcmae(
    path: &Path,
    device: &Device,
) -> Result<(Fcmae, FcmaeObjective, WeightMetadata), TrainError> {
    let WeightFile { arrays, metadata } = read_weights(path)?;
    if !metadata.task.is::<FcmaeTask>() {
        return Err(TrainError::WrongKind {
            path: path.to_owned(),
            found: in_words(&metadata),
            needed: "a masked autoencoder with its decoder",
            advice: "use the weights that convnext pretrain wrote",
        });
    }
    let task: FcmaeTask = metadata.task_as()?;
    let model = Fcmae::new(&task.config(&metadata.convnext()?), Seed::default(), device)?;
    let model = bind(model, &arrays).map_err(|source| misfit(path, source))?;
    Ok((model, task.objective(), metadata))
}

/// Starts `model` from a weight file of any kind. The backbone must be complete and fit. The other
/// parts are taken where they fit and stay fresh elsewhere; the head only if `keeps_head` says so of what the file says
/// about itself. Only tensors are compared: the model is that of [`read_metadata`], or has blocks with the same norm. Weights for colours are adapted to a model of other input channels, as in timm.
///
/// # Errors
/// [`TrainError::Weights`] for tensors that do not fit, [`TrainError::Io`] for a file that cannot be
/// read.
pub fn start_from<M: Module>(
    model: M,
    path: &Path,
    keeps_head: &dyn Fn(&WeightMetadata) -> bool,
) -> Result<M, TrainError> {
    let head = |metadata: &WeightMetadata| if keeps_head(metadata) { &[][..] } else { &["head."][..] };
    start_from_with(model, path, &StartParts { left_out: &head, fresh: &[], blocks: None })
}

/// The parts of a model that weights to start from do not give their values.
pub(crate) struct StartParts<'a> {
    /// Beginnings of the names of what is left out of weights that say this about themselves.
    pub(crate) left_out: &'a dyn Fn(&WeightMetadata) -> &'a [&'a str],
    /// Beginnings of the names of what may start fresh besides.
    pub(crate) fresh: &'a [&'a str],
    /// The model's blocks, if they may differ from those of the weights as [`BlockChanges`] has it.
    pub(crate) blocks: Option<ModelBlocks<'a>>,
}

/// [`start_from`] for a model of which these parts are left out or may start fresh.
pub(crate) fn start_from_with<M: Module>(
    model: M,
    path: &Path,
    parts: &StartParts<'_>,
) -> Result<M, TrainError> {
    let WeightFile { mut arrays, metadata } = read_weights(path)?;
    let left_out = (parts.left_out)(&metadata);
    arrays.retain(|name, _| !left_out.iter().any(|part| name.starts_with(part)));
    let shapes = tensor_shapes(&model);
    if let Some((_, shape)) = shapes.iter().find(|(name, _)| name.ends_with(STEM)) {
        input_channels::adapt(&mut arrays, shape[1], path)?;
    }
    let changes = parts.blocks.and_then(|blocks| BlockChanges::new(&metadata, blocks));
    let is_changed = |name: &str| changes.is_some_and(|changes| changes.concern(name));
    arrays.retain(|name, _| !is_changed(name));
    let changed = shapes.iter().map(|(name, _)| bare(name)).filter(|name| is_changed(name));
    let fresh: Vec<&str> = parts.fresh.iter().copied().chain(changed).collect();
    start_backbone(model, arrays, path, &fresh).map_err(|source| misfit(path, source))
}

/// The name of a tensor without what stands in front of it in an autoencoder's encoder.
fn bare(name: &str) -> &str {
    name.strip_prefix(ENCODER_PREFIX).unwrap_or(name)
}

/// Reads the metadata of a weight file, without reading its tensors.
///
/// # Errors
/// [`TrainError::Io`] when the file cannot be read, or its metadata makes no sense.
pub fn read_metadata(path: &Path) -> Result<WeightMetadata, TrainError> {
    let header = read_header(path)?;
    header.metadata.ok_or_else(|| IoError::unknown_model(path).into())
}

/// `true` if the classes of weights are those of data in the same order, whose folders may be called after
/// the synsets of ImageNet.
pub fn are_same_classes(of_weights: &ClassNames, of_data: &ClassNames) -> bool {
    let is_called =
        |(name, folder): (&String, &String)| name == folder || imagenet_1k_name(folder) == Some(name);
    of_weights.len() == of_data.len() && of_weights.0.iter().zip(&of_data.0).all(is_called)
}

/// The weight of the head of a classifier.
const HEAD: &str = "head.weight";

/// Prefixes of the names of a backbone's tensors.
const BACKBONE_PARTS: [&str; 2] = ["downsample_layers.", "stages."];

/// Parts that a run may start without.
const OPTIONAL_PARTS: [&str; 6] = ["norm.", "head.", "mask_token", "proj.", "decoder.", "pred."];

/// Gives `model` the values of `arrays`, whether either is a classifier (names as in `stages.0...`) or an
/// autoencoder (`encoder.stages.0...`). What stays fresh, and what is not used, is logged by name.
///
/// # Errors
/// [`IoError::Mismatch`] with every tensor of the backbone that is missing, unexpected or misshapen.
fn start_backbone<M: Module>(
    model: M,
    arrays: BTreeMap<String, NamedArray>,
    path: &Path,
    fresh: &[&str],
) -> Result<M, IoError> {
    let optional = [&OPTIONAL_PARTS, fresh].concat();
    let is_optional = |name: &str| optional.iter().any(|part| name.starts_with(part));
    let wanted: BTreeMap<String, Vec<usize>> =
        tensor_shapes(&model).into_iter().map(|(name, shape)| (bare(&name).to_owned(), shape)).collect();
    // What stands beside the backbone and is not wanted belongs to the task of the weights.
    let is_of_backbone = |name: &str| BACKBONE_PARTS.iter().any(|part| name.starts_with(part));
    let (arrays, unused): (BTreeMap<String, NamedArray>, BTreeMap<String, NamedArray>) = arrays
        .into_iter()
        .map(|(name, array)| (bare(&name).to_owned(), array))
        .partition(|(name, array)| match wanted.get(name) {
            Some(shape) => !is_optional(name) || fits(shape, &array.shape),
            None => is_of_backbone(name),
        });
    let expected: Vec<(String, Vec<usize>)> = wanted.into_iter().collect();
    check_names(&expected, &arrays, &optional)?;

    let names = |list: Vec<&String>| list.into_iter().cloned().collect::<Vec<_>>().join(", ");
    let fresh: Vec<&String> =
        expected.iter().map(|(name, _)| name).filter(|name| !arrays.contains_key(*name)).collect();
    // Of both sides, so of another shape: worth more than a quiet remark.
    let (misshapen, absent): (Vec<_>, Vec<_>) =
        fresh.into_iter().partition(|name| unused.contains_key(*name));
    if !misshapen.is_empty() {
        log::warn!("{}: of another shape, so these start fresh: {}", path.display(), names(misshapen));
    }
    if !absent.is_empty() {
        log::info!("{}: not there, so these start fresh: {}", path.display(), names(absent));
    }
    if !unused.is_empty() {
        log::info!("{}: not used: {}", path.display(), names(unused.keys().collect()));
    }
    assign(model, |name| arrays.get(bare(name)))
}

/// Gives every parameter of `model` its array: strict in both directions.
fn bind<M: Module>(model: M, arrays: &BTreeMap<String, NamedArray>) -> Result<M, IoError> {
    check_names(&tensor_shapes(&model), arrays, &[])?;
    assign(model, |name| arrays.get(name))
}

fn misfit(path: &Path, source: IoError) -> TrainError {
    TrainError::Weights { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
