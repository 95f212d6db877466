//! Settings of `config.json` for the computation itself, as far as no shape of a tensor shows them.

use convnext_core::POOL_SCALES;
use serde::Deserialize;
use serde_json::{Value, json};

/// Keys of timm's `model_args` that the tensors show, or that only a training needs.
const SHOWN_BY_TENSORS: [&str; 13] = [
    "num_classes",
    "in_chans",
    "depths",
    "dims",
    "use_grn",
    "ls_init_value",
    "patch_size",
    "conv_mlp",
    "drop_rate",
    "drop_path_rate",
    "head_init_scale",
    "pretrained",
    "pretrained_cfg",
];

/// Settings of transformers and timm for the computation of a ConvNeXt.
#[derive(Deserialize)]
pub(super) struct Computation {
    /// The activation, of transformers.
    hidden_act: Option<Value>,
    /// Pooling before the head, of timm.
    global_pool: Option<Value>,
    /// Cells along each side of the maps that UperNet pools to, of transformers.
    pool_scales: Option<Value>,
    /// The same of the backbone in a segmentation network of transformers.
    backbone_config: Option<BackboneComputation>,
    /// Arguments of timm's model, where they differ from the architecture.
    model_args: Option<Value>,
}

/// Settings of the backbone in a segmentation network.
#[derive(Deserialize)]
struct BackboneComputation {
    hidden_act: Option<Value>,
}

impl Computation {
    /// Names what is computed otherwise here, and how.
    pub(super) fn remarks(&self) -> Vec<String> {
        let arguments = self.model_args.as_ref().and_then(Value::as_object);
        let has_own_pool = arguments.is_some_and(|arguments| arguments.contains_key("global_pool"));
        let pool = self.global_pool.as_ref().filter(|_| !has_own_pool);
        let alone = [
            ("hidden_act", self.hidden_act.as_ref()),
            ("global_pool", pool),
            ("pool_scales", self.pool_scales.as_ref()),
        ];
        let alone = alone.into_iter().filter_map(|(key, value)| remark(key, key, value?));
        let activation = self.backbone_config.as_ref().and_then(|backbone| backbone.hidden_act.as_ref());
        let activation =
            activation.and_then(|value| remark("hidden_act", "backbone_config.hidden_act", value));
        let of_arguments = arguments
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| remark(key, &format!("model_args.{key}"), value));
        alone.chain(activation).chain(of_arguments).collect()
    }
}

/// Remark on what is done instead of `value`, if that is another thing; `shown` is the whole name of the key.
fn remark(key: &str, shown: &str, value: &Value) -> Option<String> {
    let (values, instead) = computed(key);
    if value.is_null() || SHOWN_BY_TENSORS.contains(&key) || values.contains(value) {
        return None;
    }
    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Some(format!("{shown} is {value}, which is not supported: {instead}"))
}

/// The values of a key that mean what is computed here, and this as text.
fn computed(key: &str) -> (Vec<Value>, &'static str) {
    match key {
        "hidden_act" => (vec![json!("gelu"), json!("gelu_python")], "GELU is used"),
        "act_layer" => (vec![json!("gelu")], "GELU is used"),
        "pool_scales" => (vec![json!(POOL_SCALES)], "maps of 1, 2, 3 and 6 cells a side are pooled"),
        "global_pool" => (vec![json!("avg"), json!("")], "global average pooling is used"),
        "norm_layer" => (vec![json!("layernorm"), json!("layernorm2d")], "LayerNorm is used"),
        "norm_eps" => (vec![json!(1e-6)], "norms use an epsilon of 1e-6"),
        "head_norm_first" => (vec![json!(false)], "the last norm comes after global average pooling"),
        "output_stride" => (vec![json!(32)], "every stage after the first downsamples by 2"),
        "kernel_sizes" => (vec![json!(7), json!([7, 7, 7, 7])], "7 x 7 kernels are used"),
        "stem_type" => (vec![json!("patch")], "the stem is a patchify convolution"),
        "conv_bias" => (vec![json!(true)], "convolutions have a bias"),
        _ => (Vec::new(), "the model is as in the paper"),
    }
}
