//! Binds the names of a weight file to the parameters of a model.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::prelude::*;
use convnext_core::{Seed, WeightKind, WeightMetadata};
use convnext_io::{IoError, NamedArray, WeightFile, check_names, read_header, read_weights, write_weights};
use convnext_nn::{ConvNext, Fcmae, for_each_parameter, parameter_shapes, replace_parameters, tensor_values};

use crate::TrainError;

/// Writes all parameters of a model under their official names.
///
/// # Errors
/// [`IoError::Write`] when the file cannot be written.
pub fn save_weights<M: Module>(path: &Path, model: &M, metadata: &WeightMetadata) -> Result<(), TrainError> {
    let mut arrays = Vec::new();
    for_each_parameter(model, |parameter| {
        let values = tensor_values(parameter.values());
        arrays.push(NamedArray::from_f32(parameter.name, parameter.shape, &values));
    });
    Ok(write_weights(path, &arrays, metadata)?)
}

/// Reads a classifier.
///
/// # Errors
/// [`TrainError::WrongKind`] for an autoencoder, [`TrainError::Weights`] for tensors that do not fit
/// the file's own configuration, [`TrainError::Io`] for a file that cannot be read.
pub fn load_classifier(path: &Path, device: &Device) -> Result<(ConvNext, WeightMetadata), TrainError> {
    let WeightFile { arrays, metadata } = read_weights(path)?;
    let WeightKind::Classifier { model: config } = &metadata.kind else {
        return Err(TrainError::WrongKind {
            path: path.to_owned(),
            found: "a pre-trained autoencoder without classes",
            needed: "a classifier",
            advice: "fine-tune it first: convnext finetune --init WEIGHTS",
        });
    };
    let model = ConvNext::new(config, Seed::default(), device)?;
    let model = bind(model, &arrays).map_err(|source| misfit(path, source))?;
    Ok((model, metadata))
}

/// Reads a masked autoencoder.
///
/// # Errors
/// As [`load_classifier`], with the kinds exchanged.
pub fn load_fcmae(path: &Path, device: &Device) -> Result<(Fcmae, WeightMetadata), TrainError> {
    let WeightFile { arrays, metadata } = read_weights(path)?;
    let WeightKind::Fcmae { fcmae: config } = &metadata.kind else {
        return Err(TrainError::WrongKind {
            path: path.to_owned(),
            found: "a classifier",
            needed: "a masked autoencoder with its decoder",
            advice: "use the weights that convnext pretrain wrote",
        });
    };
    let model = Fcmae::new(config, Seed::default(), device)?;
    let model = bind(model, &arrays).map_err(|source| misfit(path, source))?;
    Ok((model, metadata))
}

/// Starts `model` from a weight file of either kind. The backbone must be complete and fit; final
/// norm, head and decoder may stay fresh.
///
/// # Errors
/// [`TrainError::Weights`] for tensors that do not fit, [`TrainError::Io`] for a file that cannot be
/// read.
pub fn start_from<M: Module>(model: M, path: &Path) -> Result<M, TrainError> {
    start_backbone(model, read_weights(path)?.arrays).map_err(|source| misfit(path, source))
}

/// What a weight file says about itself, without reading its tensors.
///
/// # Errors
/// [`TrainError::Io`] when the file cannot be read or says nothing.
pub fn read_metadata(path: &Path) -> Result<WeightMetadata, TrainError> {
    let header = read_header(path)?;
    header.metadata.ok_or_else(|| TrainError::Io(IoError::Foreign { path: path.to_owned() }))
}

/// Parts that a run may start without: they are fresh if absent, and ignored if not needed.
const OPTIONAL_PARTS: [&str; 6] = ["norm.", "head.", "mask_token", "proj.", "decoder.", "pred."];

/// Gives the backbone of `model` the values of `arrays`, whether either is a classifier (names as in
/// `stages.0...`) or an autoencoder (`encoder.stages.0...`). Final norm, head and decoder are taken
/// where name and shape agree and otherwise stay as they are.
///
/// # Errors
/// [`IoError::Mismatch`] with every tensor of the backbone that is missing, unexpected or misshapen.
fn start_backbone<M: Module>(model: M, arrays: BTreeMap<String, NamedArray>) -> Result<M, IoError> {
    let bare = |name: &str| name.strip_prefix("encoder.").unwrap_or(name).to_owned();
    let is_optional = |name: &str| OPTIONAL_PARTS.iter().any(|part| name.starts_with(part));
    let wanted: BTreeMap<String, Vec<usize>> =
        parameter_shapes(&model).into_iter().map(|(name, shape)| (bare(&name), shape)).collect();
    let arrays: BTreeMap<String, NamedArray> = arrays
        .into_iter()
        .map(|(name, array)| (bare(&name), array))
        .filter(|(name, array)| !is_optional(name) || wanted.get(name) == Some(&array.shape))
        .collect();
    let expected: Vec<(String, Vec<usize>)> = wanted.into_iter().collect();
    check_names(&expected, &arrays, &OPTIONAL_PARTS)?;
    assign(model, |name| arrays.get(&bare(name)))
}

/// Gives every parameter of `model` its array: strict in both directions.
fn bind<M: Module>(model: M, arrays: &BTreeMap<String, NamedArray>) -> Result<M, IoError> {
    check_names(&parameter_shapes(&model), arrays, &[])?;
    assign(model, |name| arrays.get(name))
}

/// Replaces every parameter for which an array is found.
fn assign<'a, M: Module>(model: M, find: impl Fn(&str) -> Option<&'a NamedArray>) -> Result<M, IoError> {
    let mut failure = None;
    let model = replace_parameters(model, |parameter| {
        let array = find(&parameter.name)?;
        match array.to_f32() {
            Ok(values) => {
                let count = values.len();
                Some(Tensor::from_data(TensorData::new(values, [count]), &parameter.device.inner()))
            }
            Err(error) => {
                failure.get_or_insert(error);
                None
            }
        }
    });
    failure.map_or(Ok(model), Err)
}

fn misfit(path: &Path, source: IoError) -> TrainError {
    TrainError::Weights { path: path.to_owned(), source }
}
