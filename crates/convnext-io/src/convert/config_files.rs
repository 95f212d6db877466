//! JSON files that timm and transformers look for beside the tensors (docs/facts.md, "timm names", "HF
//! names", "Preprocessing").

use std::collections::BTreeMap;

use convnext_core::{
    ClassNames, Geometry, ImageSize, ModelConfig, OutputActivation, Preprocessing, TaskMetadata,
    WeightMetadata,
};
use serde_json::{Value, json};

use crate::error::IoError;
use crate::naming::Naming;

/// Images from this size on are warped by `ConvNextImageProcessor`, smaller ones cropped.
pub(crate) const TRANSFORMERS_WARP_FROM: usize = 384;

/// Difference between this program and transformers in resizing by a shortest edge.
pub(crate) const SHORTEST_EDGE: &str = "transformers 4 refuses to segment by a shortest edge, and later versions round the other \
                                        side down, where it is rounded to the nearest pixel here";

/// The sizes whose pointwise layers are 1x1 convolutions in timm (docs/facts.md, "timm names").
const CONVOLUTIONS_IN_TIMM: [&str; 4] = ["atto", "femto", "pico", "nano"];

/// The names of JSON files and their content.
pub(super) type PackageFiles = Vec<(&'static str, Value)>;

/// The error for what another program does not have.
pub(super) fn refuse(why: String) -> IoError {
    IoError::NotConvertible { why }
}

/// The name of the size without that of its family.
fn size_name(model: &ModelConfig) -> &str {
    model.name.strip_prefix("v1-").unwrap_or(&model.name)
}

/// `true` when timm multiplies by 1x1 convolutions in this model, whose weights have two more axes.
pub(super) fn timm_multiplies_by_convolutions(model: &ModelConfig) -> bool {
    CONVOLUTIONS_IN_TIMM.contains(&size_name(model))
}

/// The size of the images that a configuration states.
///
/// # Errors
/// [`IoError::NotConvertible`] where the other program has no words for what is done to them.
pub(super) fn stated_size(preprocessing: &Preprocessing, naming: Naming) -> Result<ImageSize, IoError> {
    let refused = |why: &str| {
        let advice = "end the name with .safetensors, whose metadata keeps it, or with .pt";
        Err(refuse(format!("{why}; {advice}")))
    };
    match preprocessing.geometry {
        Geometry::CentreCrop { size, .. } if naming == Naming::HuggingFace && !size.is_square() => {
            refused("transformers cuts rectangles out of images in another way than these weights expect")
        }
        Geometry::CentreCrop { size, .. } | Geometry::Warp { size } => Ok(size),
        geometry @ (Geometry::Fit(_) | Geometry::None { .. }) => {
            refused(&format!("images are {geometry}, which the other program cannot be told"))
        }
    }
}

/// The fraction of a centre crop, if there is one.
fn crop(preprocessing: &Preprocessing) -> Option<f64> {
    match preprocessing.geometry {
        Geometry::CentreCrop { crop, .. } => Some(crop),
        Geometry::Warp { .. } | Geometry::Fit(_) | Geometry::None { .. } => None,
    }
}

/// timm's `config.json`. Sizes that timm does not have are stated as changes of Atto.
pub(super) fn timm(
    metadata: &WeightMetadata,
    task: &dyn TaskMetadata,
    model: &ModelConfig,
    size: ImageSize,
) -> Value {
    let family = if model.has_grn() { "convnextv2" } else { "convnext" };
    let known = match size_name(model) {
        "micro" | "custom" => "atto",
        name => name,
    };
    let mut config = json!({
        "architecture": format!("{family}_{known}"),
        "num_classes": model.classes,
        "num_features": model.last_width(),
        "model_args": {
            "depths": model.depths,
            "dims": model.widths,
            "patch_size": model.stem_stride,
            "in_chans": model.input_channels,
            "use_grn": model.has_grn(),
            "ls_init_value": model.layer_scale,
            "conv_mlp": timm_multiplies_by_convolutions(model),
        },
        "pretrained_cfg": pretrained_cfg(&metadata.preprocessing, model, size),
    });
    let names = task.class_names();
    if !names.is_empty() {
        config["label_names"] = json!(names);
    }
    config
}

/// The part of timm's `config.json` that says how weights are used.
fn pretrained_cfg(preprocessing: &Preprocessing, model: &ModelConfig, size: ImageSize) -> Value {
    let ImageSize { height, width } = size;
    let [rows, columns] = [height, width].map(|side| side / model.patch_size());
    let crop = crop(preprocessing);
    json!({
        "num_classes": model.classes,
        "input_size": [model.input_channels, height, width],
        "pool_size": [rows, columns],
        "crop_pct": crop.unwrap_or(1.0),
        "crop_mode": if crop.is_some() { "center" } else { "squash" },
        "interpolation": preprocessing.interpolation.name(),
        "mean": preprocessing.mean,
        "std": preprocessing.std,
        "first_conv": "stem.0",
        "classifier": "head.fc",
    })
}

/// transformers' `config.json`, with the epsilon of the official code for the final norm.
pub(super) fn transformers(task: &dyn TaskMetadata, model: &ModelConfig, size: ImageSize) -> Value {
    let class = if model.has_grn() { "ConvNextV2" } else { "ConvNext" };
    let architecture = if model.classes > 0 { "ForImageClassification" } else { "Model" };
    let mut config = transformers_backbone(model);
    config["architectures"] = json!([format!("{class}{architecture}")]);
    config["image_size"] = json!(size);
    if model.classes > 0 {
        config["problem_type"] = json!(match task.activation() {
            Some(OutputActivation::Sigmoid) => Some("multi_label_classification"),
            Some(OutputActivation::Softmax) => Some("single_label_classification"),
            None => None,
        });
        label(&mut config, &task.class_names(), model.classes);
    }
    config
}

/// transformers' words for a backbone alone.
pub(super) fn transformers_backbone(model: &ModelConfig) -> Value {
    let mut config = json!({
        "model_type": if model.has_grn() { "convnextv2" } else { "convnext" },
        "num_channels": model.input_channels,
        "patch_size": model.stem_stride,
        "num_stages": model.depths.len(),
        "depths": model.depths,
        "hidden_sizes": model.widths,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-6,
    });
    if !model.has_grn() {
        config["layer_scale_init_value"] = json!(model.layer_scale.unwrap_or(0.0));
    }
    config
}

/// Adds transformers' words for the classes.
pub(super) fn label(config: &mut Value, names: &ClassNames, classes: usize) {
    let labels = || (0..classes).map(|index| (index, names.name(index)));
    config["id2label"] = json!(labels().collect::<BTreeMap<_, _>>());
    config["label2id"] = json!(labels().map(|(index, name)| (name, index)).collect::<BTreeMap<_, _>>());
}

/// The part of transformers' `preprocessor_config.json` that is the same for every processor: filter and statistics.
pub(super) fn statistics(preprocessing: &Preprocessing) -> Value {
    json!({
        "do_resize": true,
        "resample": preprocessing.interpolation.pillow_number(),
        "do_rescale": true,
        "rescale_factor": 1.0 / 255.0,
        "do_normalize": true,
        "image_mean": preprocessing.mean,
        "image_std": preprocessing.std,
    })
}

/// transformers' `preprocessor_config.json`: that of ConvNeXt where it does the same, which warps from 384 pixels on and
/// crops below; else another processor that does.
pub(super) fn image_processor(metadata: &WeightMetadata, size: ImageSize) -> Value {
    let preprocessing = &metadata.preprocessing;
    let ImageSize { height, width } = size;
    let others = match crop(preprocessing) {
        Some(crop) if height < TRANSFORMERS_WARP_FROM => json!({
            "image_processor_type": "ConvNextImageProcessor",
            "size": { "shortest_edge": height },
            "crop_pct": crop,
        }),
        None if size.is_square() && height >= TRANSFORMERS_WARP_FROM => json!({
            "image_processor_type": "ConvNextImageProcessor",
            "size": { "shortest_edge": height },
            "crop_pct": 1.0,
        }),
        Some(crop) => json!({
            "image_processor_type": "BitImageProcessor",
            "size": { "shortest_edge": (height as f64 / crop).floor() as usize },
            "do_center_crop": true,
            "crop_size": { "height": height, "width": width },
        }),
        None => json!({
            "image_processor_type": "ViTImageProcessor",
            "size": { "height": height, "width": width },
        }),
    };
    merged(statistics(preprocessing), &others)
}

/// An object with the keys of another.
pub(super) fn merged(mut object: Value, other: &Value) -> Value {
    for (key, value) in other.as_object().into_iter().flatten() {
        object[key] = value.clone();
    }
    object
}
