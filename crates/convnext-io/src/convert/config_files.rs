//! What timm and transformers want to know beside the tensors, in the JSON files that they look for (facts B4, B5, B7).

use std::collections::BTreeMap;

use convnext_core::{LAYER_SCALE_INIT, ModelConfig, WeightMetadata};
use serde_json::{Value, json};

/// Images from this size on are warped by `ConvNextImageProcessor`, smaller ones cropped.
pub(crate) const TRANSFORMERS_WARP_FROM: usize = 384;

/// The sizes whose pointwise layers are 1x1 convolutions in timm (facts B4).
const CONVOLUTIONS_IN_TIMM: [&str; 4] = ["atto", "femto", "pico", "nano"];

/// The name of the size without that of its family.
fn size_name(model: &ModelConfig) -> &str {
    model.name.strip_prefix("v1-").unwrap_or(&model.name)
}

/// `true` when timm multiplies by 1x1 convolutions in this model, whose weights have two more axes.
pub(super) fn timm_multiplies_by_convolutions(model: &ModelConfig) -> bool {
    CONVOLUTIONS_IN_TIMM.contains(&size_name(model))
}

/// timm's `config.json`. Sizes that timm does not have are stated as changes of Atto.
pub(super) fn timm(metadata: &WeightMetadata, model: &ModelConfig) -> Value {
    let preprocessing = &metadata.preprocessing;
    let family = if model.grn { "convnextv2" } else { "convnext" };
    let known = match size_name(model) {
        "micro" | "custom" => "atto",
        name => name,
    };
    let size = preprocessing.image_size;
    let sites = size / model.patch_size();
    let mut config = json!({
        "architecture": format!("{family}_{known}"),
        "num_classes": model.classes,
        "num_features": model.last_width(),
        "model_args": {
            "depths": model.depths,
            "dims": model.widths,
            "patch_size": model.stem_stride,
            "in_chans": model.input_channels,
            "use_grn": model.grn,
            "ls_init_value": model.layer_scale.then_some(LAYER_SCALE_INIT),
            "conv_mlp": timm_multiplies_by_convolutions(model),
        },
        "pretrained_cfg": {
            "num_classes": model.classes,
            "input_size": [model.input_channels, size, size],
            "pool_size": [sites, sites],
            "crop_pct": preprocessing.crop.unwrap_or(1.0),
            "crop_mode": if preprocessing.crop.is_some() { "center" } else { "squash" },
            "interpolation": preprocessing.interpolation.name(),
            "mean": preprocessing.mean,
            "std": preprocessing.std,
            "first_conv": "stem.0",
            "classifier": "head.fc",
        },
    });
    let names = metadata.class_names();
    if !names.is_empty() {
        config["label_names"] = json!(names);
    }
    config
}

/// transformers' `config.json`, with the epsilon of the official code for the final norm.
pub(super) fn transformers(metadata: &WeightMetadata, model: &ModelConfig) -> Value {
    let (class, model_type) = if model.grn { ("ConvNextV2", "convnextv2") } else { ("ConvNext", "convnext") };
    let architecture = if model.classes > 0 { "ForImageClassification" } else { "Model" };
    let names = metadata.class_names();
    let labels = || (0..model.classes).map(|index| (index, names.name(index)));
    let mut config = json!({
        "architectures": [format!("{class}{architecture}")],
        "model_type": model_type,
        "num_channels": model.input_channels,
        "patch_size": model.stem_stride,
        "num_stages": model.depths.len(),
        "depths": model.depths,
        "hidden_sizes": model.widths,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-6,
        "image_size": metadata.preprocessing.image_size,
    });
    if !model.grn {
        config["layer_scale_init_value"] = json!(if model.layer_scale { LAYER_SCALE_INIT } else { 0.0 });
    }
    if model.classes > 0 {
        config["id2label"] = json!(labels().collect::<BTreeMap<_, _>>());
        config["label2id"] = json!(labels().map(|(index, name)| (name, index)).collect::<BTreeMap<_, _>>());
    }
    config
}

/// transformers' `preprocessor_config.json`: that of ConvNeXt where it does the same, which warps from 384 pixels on and
/// crops below; else another processor that does.
pub(super) fn image_processor(metadata: &WeightMetadata) -> Value {
    let preprocessing = &metadata.preprocessing;
    let size = preprocessing.image_size;
    let mut processor = json!({
        "do_resize": true,
        "resample": preprocessing.interpolation.pillow_number(),
        "do_rescale": true,
        "rescale_factor": 1.0 / 255.0,
        "do_normalize": true,
        "image_mean": preprocessing.mean,
        "image_std": preprocessing.std,
    });
    let others = match preprocessing.crop {
        Some(crop) if size < TRANSFORMERS_WARP_FROM => json!({
            "image_processor_type": "ConvNextImageProcessor",
            "size": { "shortest_edge": size },
            "crop_pct": crop,
        }),
        None if size >= TRANSFORMERS_WARP_FROM => json!({
            "image_processor_type": "ConvNextImageProcessor",
            "size": { "shortest_edge": size },
            "crop_pct": 1.0,
        }),
        Some(crop) => json!({
            "image_processor_type": "BitImageProcessor",
            "size": { "shortest_edge": (size as f64 / crop).floor() as usize },
            "do_center_crop": true,
            "crop_size": { "height": size, "width": size },
        }),
        None => json!({
            "image_processor_type": "ViTImageProcessor",
            "size": { "height": size, "width": size },
        }),
    };
    for (key, value) in others.as_object().into_iter().flatten() {
        processor[key] = value.clone();
    }
    processor
}
