//! How configurations lie in weight files, those of earlier versions included.
//!
//! In the first layout a model's configuration held values of its training as well: `drop_path` and `head_init_scale`,
//! which nobody needs to use the weights, and LayerScale as its initial value. They are read and passed over; what a
//! training was is told by the recipe beside them.

use serde::{Deserialize, Serialize};

use crate::{DecoderConfig, EncoderKind, FcmaeConfig, FcmaeObjective, ModelConfig, STAGES, WeightKind};

/// [`ModelConfig`] as files of any age hold it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredModel {
    name: String,
    depths: [usize; STAGES],
    widths: [usize; STAGES],
    grn: bool,
    #[serde(default)]
    layer_scale: StoredScale,
    classes: usize,
    input_channels: usize,
    stem_stride: usize,
    #[serde(default, rename = "drop_path")]
    _drop_path: Option<f64>,
    #[serde(default, rename = "head_init_scale")]
    _head_init_scale: Option<f64>,
}

/// LayerScale as a switch, or as its initial value or `null`.
#[derive(Deserialize)]
#[serde(untagged)]
enum StoredScale {
    Switch(bool),
    Initial(Option<f64>),
}

impl Default for StoredScale {
    fn default() -> Self {
        Self::Switch(false)
    }
}

impl From<StoredModel> for ModelConfig {
    fn from(stored: StoredModel) -> Self {
        let StoredModel { name, depths, widths, grn, classes, input_channels, stem_stride, .. } = stored;
        let layer_scale = match stored.layer_scale {
            StoredScale::Switch(on) => on,
            StoredScale::Initial(value) => value.is_some(),
        };
        Self { name, depths, widths, grn, layer_scale, classes, input_channels, stem_stride }
    }
}

/// [`WeightKind`] in a file: an autoencoder's objective lies beside its architecture, where it always was.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum StoredKind {
    Classifier { model: ModelConfig },
    Fcmae { fcmae: StoredFcmae },
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredFcmae {
    encoder: ModelConfig,
    encoder_kind: EncoderKind,
    decoder: DecoderConfig,
    mask_ratio: f64,
    normalize_target: bool,
}

impl From<StoredKind> for WeightKind {
    fn from(stored: StoredKind) -> Self {
        match stored {
            StoredKind::Classifier { model } => Self::Classifier { model },
            StoredKind::Fcmae { fcmae } => {
                let StoredFcmae { encoder, encoder_kind, decoder, mask_ratio, normalize_target } = fcmae;
                Self::Fcmae {
                    fcmae: FcmaeConfig { encoder, encoder_kind, decoder },
                    objective: FcmaeObjective { mask_ratio, normalize_target },
                }
            }
        }
    }
}

impl From<WeightKind> for StoredKind {
    fn from(kind: WeightKind) -> Self {
        match kind {
            WeightKind::Classifier { model } => Self::Classifier { model },
            WeightKind::Fcmae { fcmae, objective } => {
                let FcmaeConfig { encoder, encoder_kind, decoder } = fcmae;
                let FcmaeObjective { mask_ratio, normalize_target } = objective;
                Self::Fcmae {
                    fcmae: StoredFcmae { encoder, encoder_kind, decoder, mask_ratio, normalize_target },
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{FcmaeObjective, WeightKind, WeightMetadata, find_model};

    /// The header of a file of the first layout.
    const OLD: &str = r#"{"kind":"fcmae","fcmae":{"encoder":{"name":"v1-micro","depths":[1,1,2,1],
        "widths":[16,32,64,128],"grn":false,"layer_scale":1e-6,"classes":0,"input_channels":3,"stem_stride":1,
        "drop_path":0.0,"head_init_scale":1.0},"encoder_kind":"sparse","decoder":{"depth":1,"width":128,"grn":false,
        "layer_scale":true},"mask_ratio":0.75,"normalize_target":false},"preprocessing":{"image_size":32,"crop":null,
        "mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]},"classes":[],"recipe":"claim = 'x'"}"#;

    #[test]
    fn files_of_the_first_layout_are_read() {
        let WeightMetadata { kind, .. } = serde_json::from_str(OLD).unwrap();
        let WeightKind::Fcmae { fcmae, objective } = kind else { panic!("{kind:?}") };
        assert_eq!(objective, FcmaeObjective { mask_ratio: 0.75, normalize_target: false });
        let mut expected = find_model("v1-micro").unwrap().config();
        (expected.classes, expected.stem_stride) = (0, 1);
        assert_eq!(fcmae.encoder, expected);
        let without = OLD.replace("1e-6", "null");
        let read: WeightMetadata = serde_json::from_str(&without).unwrap();
        assert!(!read.kind.backbone().layer_scale);
    }

    #[test]
    fn an_autoencoders_objective_is_a_record_in_its_place() {
        let read: WeightMetadata = serde_json::from_str(OLD).unwrap();
        let written = serde_json::to_value(&read).unwrap();
        assert_eq!(written["kind"], "fcmae");
        assert_eq!(written["fcmae"]["mask_ratio"], 0.75);
        assert_eq!(written["fcmae"]["normalize_target"], false);
        assert_eq!(written["fcmae"]["encoder"]["layer_scale"], true);
        assert!(written["fcmae"]["encoder"].get("drop_path").is_none());
        assert_eq!(serde_json::from_value::<WeightMetadata>(written).unwrap(), read);
    }

    #[test]
    fn unknown_keys_are_errors_still() {
        for (key, with) in [("drop_path", "drop_paths"), ("mask_ratio", "mask_ratios")] {
            assert!(serde_json::from_str::<WeightMetadata>(&OLD.replace(key, with)).is_err(), "{with}");
        }
    }
}
