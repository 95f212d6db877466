//! Weights for other programs: their names, their shapes, and the files that they look for.

mod config_files;
mod detection;
mod segmentation;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use self::config_files::{PackageFiles, refuse};
pub(crate) use self::config_files::{SHORTEST_EDGE, TRANSFORMERS_WARP_FROM};

use convnext_core::{
    BlockParameter as P, ClassNames, ConfigError, DetectionTask, FcmaeTask, ModelConfig, SegmentationTask,
    TaskMetadata, WeightMetadata,
};
use serde_json::Value;

use crate::array::NamedArray;
use crate::error::IoError;
use crate::naming::{Naming, without_encoder};
use crate::replace_file::replace_file;
use crate::safetensors_file::write_weights;
use crate::torch_file::write_torch_file;
use crate::weight_file::WeightFile;

/// The one file name that timm and transformers look for in a folder.
const WEIGHTS_IN_FOLDER: &str = "model.safetensors";

/// Writes a model under the names and with the shapes of another program (docs/facts.md, "Official dense
/// `.pt`", "timm names", "HF names"), and returns what was written.
///
/// `out` decides the form:
/// - `.safetensors`: the tensors, with our metadata, so that class names and preprocessing come back with them;
/// - `.pt`, `.pth` or `.bin`: as `torch.save` writes them, under the key `model` with official names, of a segmentation
///   network or a detector `state_dict`, else bare;
/// - any other name is a folder for timm (`timm.create_model("local-dir:FOLDER", pretrained=True)`) or transformers
///   (`AutoModelForImageClassification.from_pretrained("FOLDER")`, `AutoModelForSemanticSegmentation` for UperNet), with
///   configuration and preprocessing.
///
/// `task` is that of the weights, as [`WeightMetadata::task_of`] reads it. Of an autoencoder the encoder is written, as the
/// released `fcmae` files hold it. A segmentation network is written whole, counters included, for transformers or under the
/// names and with the shapes of mmsegmentation 1.x (official), and a detector under those of MMDetection 3.x (official); timm
/// has none. Other tasks that do not tell classes apart have no place in these
/// programs. For timm and transformers, whose classifiers always end with a norm, an encoder gets one that changes nothing.
///
/// # Errors
/// [`IoError::NotConvertible`] when the other program has no such model, form or preprocessing, [`IoError::InvalidArray`] for arrays
/// that contradict themselves or hold integers, [`IoError::Write`] with the path.
pub fn write_converted(
    out: &Path,
    weights: &WeightFile,
    task: &dyn TaskMetadata,
    naming: Naming,
) -> Result<Vec<PathBuf>, IoError> {
    let refused = |error: ConfigError| refuse(error.to_string());
    let model = weights.metadata.convnext().map_err(refused)?;
    let extension = out.extension().and_then(|extension| extension.to_str());
    if naming == Naming::Official && !matches!(extension, Some("safetensors" | "pt" | "pth" | "bin")) {
        return Err(refuse(
            "the official code reads files; end the name with .pt or .safetensors".to_owned(),
        ));
    }
    check_shape(&model, naming)?;
    let is_segmentation = weights.metadata.task.is::<SegmentationTask>();
    let is_detection = weights.metadata.task.is::<DetectionTask>();
    let (arrays, metadata) = match (is_segmentation, is_detection) {
        (true, _) => (segmentation::tensors(weights, naming)?, weights.metadata.clone()),
        (_, true) => (detection::tensors(weights, naming)?, weights.metadata.clone()),
        _ => (tensors(weights, &model, naming), metadata_for(weights, task, &model)?),
    };
    arrays.iter().try_for_each(NamedArray::check_kind)?;
    match extension {
        Some("safetensors") => write_weights(out, &arrays, &metadata)?,
        Some("pt" | "pth" | "bin") => {
            let key = if is_segmentation || is_detection { "state_dict" } else { "model" };
            write_torch_file(out, &arrays, (naming == Naming::Official).then_some(key))?;
        }
        _ => {
            let files = match is_segmentation {
                true => segmentation::files(&metadata, &model)?,
                false => package_files(&metadata, task, &model, naming)?,
            };
            return write_folder(out, &arrays, &metadata, &files);
        }
    }
    Ok(vec![out.to_owned()])
}

/// The files that a package looks for beside the tensors of a classifier or an encoder.
fn package_files(
    metadata: &WeightMetadata,
    task: &dyn TaskMetadata,
    model: &ModelConfig,
    naming: Naming,
) -> Result<PackageFiles, IoError> {
    let size = config_files::stated_size(&metadata.preprocessing, naming)?;
    Ok(match naming {
        Naming::Official => Vec::new(),
        Naming::Timm => vec![("config.json", config_files::timm(metadata, task, model, size))],
        Naming::HuggingFace => vec![
            ("config.json", config_files::transformers(task, model, size)),
            ("preprocessor_config.json", config_files::image_processor(metadata, size)),
        ],
    })
}

/// The metadata of the classifier or encoder that another program gets.
fn metadata_for(
    weights: &WeightFile,
    task: &dyn TaskMetadata,
    model: &ModelConfig,
) -> Result<WeightMetadata, IoError> {
    if task.activation().is_some() {
        let is_known = |name: &&String| Naming::Official.of_official(name, model.has_grn()).is_some();
        return match weights.arrays.keys().find(|name| !is_known(name)) {
            Some(other) => {
                Err(refuse(format!("no classifier of other programs has a tensor such as '{other}'")))
            }
            None => Ok(weights.metadata.clone()),
        };
    }
    if weights.metadata.task.is::<FcmaeTask>() {
        let WeightMetadata { preprocessing, recipe, .. } = weights.metadata.clone();
        let encoder = WeightMetadata::of_classifier(model, ClassNames::default(), preprocessing);
        return Ok(encoder.with_recipe(recipe));
    }
    let kind = weights.metadata.task.kind();
    Err(refuse(format!("weights for the task '{kind}' have no place in other programs")))
}

/// Programs by what `--to` calls them.
const PROGRAMS: [(&str, Naming); 3] =
    [("timm", Naming::Timm), ("hf", Naming::HuggingFace), ("official", Naming::Official)];

/// Why another program cannot build a model (docs/facts.md, "Macro structure", "timm names", "HF names"): no
/// file for it could ever be loaded there.
fn obstacle(model: &ModelConfig, naming: Naming) -> Option<Cow<'static, str>> {
    if let Some(other) = model.alternative() {
        let words = other.in_words();
        return Some(format!("these weights have {words} ({}) in the place of GRN", other.name()).into());
    }
    let has_both = model.has_grn() && model.layer_scale.is_some();
    let why = match naming {
        Naming::Timm if model.stem_stride == 2 => Some(
            "timm halves the maps of a stem of 2 pixels once more, so that it has no model of these weights",
        ),
        Naming::HuggingFace if has_both => Some("transformers has no model with both GRN and LayerScale"),
        Naming::Official if model.stem_stride != 4 => {
            Some("the official code has stems of 4 pixels only, and these weights another one")
        }
        Naming::Official if has_both => Some("the official code has no model with both GRN and LayerScale"),
        _ => None,
    };
    why.map(Cow::Borrowed)
}

/// Refuses what the other program has no shape for, and names those that have one.
fn check_shape(model: &ModelConfig, naming: Naming) -> Result<(), IoError> {
    let Some(why) = obstacle(model, naming) else { return Ok(()) };
    let others = PROGRAMS.into_iter().filter(|(_, other)| obstacle(model, *other).is_none());
    let others: Vec<String> = others.map(|(name, _)| format!("--to {name}")).collect();
    let advice = match others.is_empty() {
        true if model.alternative().is_some() => {
            "no other program has such blocks, so use them with this one".to_owned()
        }
        true => "no other program has one either, so write ONNX: convnext export".to_owned(),
        false => format!("convert them {}", others.join(" or ")),
    };
    Err(refuse(format!("{why}; {advice}")))
}

fn write_folder(
    folder: &Path,
    arrays: &[NamedArray],
    metadata: &WeightMetadata,
    files: &[(&str, Value)],
) -> Result<Vec<PathBuf>, IoError> {
    let failed = |path: &Path, source| IoError::Write { path: path.to_owned(), source };
    fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
    let weights = folder.join(WEIGHTS_IN_FOLDER);
    write_weights(&weights, arrays, metadata)?;
    let mut written = vec![weights];
    for (name, value) in files {
        let path = folder.join(name);
        replace_file(&path, |file| Ok(serde_json::to_writer_pretty(file, value)?))
            .map_err(|source| failed(&path, source))?;
        written.push(path);
    }
    Ok(written)
}

/// The tensors of the backbone, and of final norm and head where they are.
fn tensors(weights: &WeightFile, model: &ModelConfig, naming: Naming) -> Vec<NamedArray> {
    let mut arrays: BTreeMap<&str, NamedArray> =
        weights.arrays.iter().map(|(name, array)| (without_encoder(name), array.clone())).collect();
    if naming != Naming::Official && !arrays.contains_key("norm.weight") {
        let width = model.last_width();
        arrays.insert("norm.weight", NamedArray::from_f32("norm.weight", [width], &vec![1.0; width]));
        arrays.insert("norm.bias", NamedArray::from_f32("norm.bias", [width], &vec![0.0; width]));
    }
    let convolutions = naming == Naming::Timm && config_files::timm_multiplies_by_convolutions(model);
    let convert = |(name, array): (&str, NamedArray)| {
        Some(NamedArray {
            name: naming.of_official(name, model.has_grn())?,
            shape: match (naming, P::of_name(name), array.shape.as_slice()) {
                (Naming::Timm, Some(P::GrnGamma | P::GrnBeta), [1, 1, 1, count]) => vec![*count],
                (_, Some(P::ExpandWeight | P::ProjectWeight), &[outputs, inputs]) if convolutions => {
                    vec![outputs, inputs, 1, 1]
                }
                (.., shape) => shape.to_vec(),
            },
            ..array
        })
    };
    arrays.into_iter().filter_map(convert).collect()
}

#[cfg(test)]
mod tests;
