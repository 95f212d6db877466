//! Serialised form of a model's blocks in weight files, those of earlier versions included.
//!
//! `grn` and `layer_scale` are switches, as they always were; `response_norm` names what stands in the place of GRN, and
//! `layer_scale_init` an initial value that is not the usual one, so that files of plain models are what they were.
//! In the first layout a model held values of its training as well: `drop_path` and `head_init_scale`, which nobody
//! needs to use the weights, and LayerScale as its initial value. They are read; what a training was is in the recipe
//! beside them.

use serde::{Deserialize, Serialize};

use crate::block_parameter_rules::LAYER_SCALE_INIT;
use crate::error::ConfigError;
use crate::limits::STAGES;
use crate::response_norm::ResponseNorm;

/// [`crate::ModelConfig`] as files of any age hold it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredModel {
    pub(crate) name: String,
    pub(crate) depths: [usize; STAGES],
    pub(crate) widths: [usize; STAGES],
    pub(crate) grn: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) response_norm: Option<ResponseNorm>,
    #[serde(default)]
    pub(crate) layer_scale: StoredScale,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) layer_scale_init: Option<f64>,
    pub(crate) classes: usize,
    pub(crate) input_channels: usize,
    pub(crate) stem_stride: usize,
    #[serde(default, rename = "drop_path", skip_serializing)]
    pub(crate) _drop_path: Option<f64>,
    #[serde(default, rename = "head_init_scale", skip_serializing)]
    pub(crate) _head_init_scale: Option<f64>,
}

/// [`crate::DecoderConfig`] as files of any age hold it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredDecoder {
    #[serde(default, skip_serializing_if = "StoredDecoderKind::is_convnext")]
    pub(crate) kind: StoredDecoderKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) heads: Option<usize>,
    pub(crate) depth: usize,
    pub(crate) width: usize,
    pub(crate) grn: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) response_norm: Option<ResponseNorm>,
    pub(crate) layer_scale: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) layer_scale_init: Option<f64>,
}

/// The kind of a decoder by name; files of the paper's decoder do not tell it.
#[derive(Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StoredDecoderKind {
    #[default]
    #[serde(rename = "convnext")]
    ConvNext,
    #[serde(rename = "unet")]
    UNet,
    #[serde(rename = "unet-no-skip")]
    UNetNoSkip,
    Transformer,
}

impl StoredDecoderKind {
    fn is_convnext(&self) -> bool {
        *self == Self::ConvNext
    }
}

/// The normalisation by the switch of GRN and the name of another one.
///
/// # Errors
/// [`ConfigError::Contradiction`] when the switch says another one than the name.
pub(crate) fn norm_of(grn: bool, name: Option<ResponseNorm>) -> Result<Option<ResponseNorm>, ConfigError> {
    match name {
        None => Ok(grn.then_some(ResponseNorm::Grn)),
        Some(norm) if grn == (norm == ResponseNorm::Grn) => Ok(name),
        Some(norm) => {
            Err(contradiction(format!("grn: {grn}"), format!("response_norm: \"{}\"", norm.name())))
        }
    }
}

fn contradiction(first: String, second: String) -> ConfigError {
    ConfigError::Contradiction { first, second }
}

/// The switch of GRN, and the name of another normalisation.
pub(crate) fn stored_norm(norm: Option<ResponseNorm>) -> (bool, Option<ResponseNorm>) {
    (norm == Some(ResponseNorm::Grn), norm.filter(|&norm| norm != ResponseNorm::Grn))
}

/// LayerScale as a switch, or as its initial value or `null`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum StoredScale {
    Switch(bool),
    Initial(Option<f64>),
}

impl Default for StoredScale {
    fn default() -> Self {
        Self::Switch(false)
    }
}

impl StoredScale {
    /// The switch, and an initial value that is not the usual one.
    pub(crate) fn of(initial: Option<f64>) -> (Self, Option<f64>) {
        (Self::Switch(initial.is_some()), initial.filter(|&value| value != LAYER_SCALE_INIT))
    }

    /// Its initial value, of which the key `layer_scale_init` beside it may tell.
    ///
    /// # Errors
    /// [`ConfigError::Contradiction`] when that key tells a value where there is no LayerScale, or another value.
    pub(crate) fn initial(&self, beside: Option<f64>) -> Result<Option<f64>, ConfigError> {
        let (initial, text) = match *self {
            Self::Switch(on) => {
                (on.then_some(beside.unwrap_or(LAYER_SCALE_INIT)), format!("layer_scale: {on}"))
            }
            Self::Initial(Some(value)) => (Some(value), format!("layer_scale: {value:?}")),
            Self::Initial(None) => (None, "layer_scale: null".to_owned()),
        };
        match beside {
            Some(value) if initial != beside => {
                Err(contradiction(text, format!("layer_scale_init: {value:?}")))
            }
            _ => Ok(initial),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ResponseNorm;
    use crate::config::ModelConfig;
    use crate::decoder_config::DecoderConfig;

    fn model(grn: &str, layer_scale: &str) -> Result<ModelConfig, String> {
        let text = format!(
            r#"{{"name":"micro","depths":[1,1,2,1],"widths":[16,32,64,128],{grn},{layer_scale},"classes":2,
            "input_channels":3,"stem_stride":4}}"#
        );
        serde_json::from_str(&text).map_err(|error| error.to_string())
    }

    fn decoder(grn: &str, layer_scale: &str) -> Result<DecoderConfig, String> {
        let text = format!(r#"{{"depth":1,"width":128,{grn},{layer_scale}}}"#);
        serde_json::from_str(&text).map_err(|error| error.to_string())
    }

    /// Blocks of a model and of a decoder, which are the same for the same text.
    fn blocks(grn: &str, layer_scale: &str) -> Result<(Option<&'static str>, Option<f64>), String> {
        let found = model(grn, layer_scale)
            .map(|model| (model.response_norm.map(ResponseNorm::name), model.layer_scale));
        let of_decoder = decoder(grn, layer_scale)
            .map(|decoder| (decoder.response_norm.map(ResponseNorm::name), decoder.layer_scale));
        let without_place = |message: &String| message.split(" at line ").next().unwrap().to_owned();
        assert_eq!(
            found.as_ref().map_err(without_place),
            of_decoder.as_ref().map_err(without_place),
            "{grn} {layer_scale}"
        );
        found
    }

    const OFF: &str = r#""layer_scale":false"#;

    #[test]
    fn settings_that_agree_are_read() {
        for (grn, expected) in [
            (r#""grn":true"#, Some("grn")),
            (r#""grn":false"#, None),
            (r#""grn":true,"response_norm":"grn""#, Some("grn")),
            (r#""grn":false,"response_norm":"identity""#, Some("identity")),
        ] {
            assert_eq!(blocks(grn, OFF), Ok((expected, None)), "{grn}");
        }
        for (layer_scale, expected) in [
            (r#""layer_scale":true"#, Some(1e-6)),
            (r#""layer_scale":true,"layer_scale_init":0.5"#, Some(0.5)),
            (r#""layer_scale":true,"layer_scale_init":1e-6"#, Some(1e-6)),
        ] {
            assert_eq!(blocks(r#""grn":false"#, layer_scale), Ok((None, expected)), "{layer_scale}");
        }
        // A decoder never had its initial value there.
        let old = model(r#""grn":false"#, r#""layer_scale":0.5,"layer_scale_init":0.5"#);
        assert_eq!(old.unwrap().layer_scale, Some(0.5));
    }

    #[test]
    fn of_settings_that_contradict_each_other_none_is_dropped() {
        for (grn, norm) in [("true", "identity"), ("false", "grn")] {
            let text = format!(r#""grn":{grn},"response_norm":"{norm}""#);
            let message = blocks(&text, OFF).unwrap_err();
            let words = format!("`grn: {grn}` and `response_norm: \"{norm}\"`");
            assert!(message.contains(&words), "{message}");
        }
        let message = blocks(r#""grn":true"#, &format!(r#"{OFF},"layer_scale_init":0.5"#)).unwrap_err();
        assert!(message.contains("`layer_scale: false` and `layer_scale_init: 0.5`"), "{message}");
        for (old, shown) in [("1e-6", "1e-6"), ("null", "null")] {
            let text = format!(r#""layer_scale":{old},"layer_scale_init":0.5"#);
            let message = model(r#""grn":true"#, &text).unwrap_err();
            assert!(message.contains(&format!("`layer_scale: {shown}` and")), "{message}");
        }
    }
}
