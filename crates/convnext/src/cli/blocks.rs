//! Arguments about the blocks of a model: what stands in the place of GRN, and LayerScale.

use std::path::Path;
use std::str::FromStr;

use clap::Args;
use convnext::core::{ConfigError, LAYER_SCALE_INIT, ModelConfig, ResponseNorm};
use convnext::train::TrainError;

/// Arguments about the blocks of a model.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct BlockArguments {
    /// What stands after the GELU of every block: grn, a variant of it (grn-average, grn-l1, grn-standardised, grn-sum,
    /// grn-no-residual, grn-no-norm, grn-no-pool, which the paper finds unstable, identity), lrn, bn, ln, se, cbam, or none;
    /// it starts fresh where the weights have something else [default: that of the weights, or of the model]
    #[arg(long, value_name = "NAME")]
    response_norm: Option<ResponseNormName>,
    /// LayerScale at the end of every block: on starts at 1e-6, or at 1 in weights that learned without it, a number starts
    /// there [default: that of the weights, or of the model]
    #[arg(long, value_name = "on|off|VALUE")]
    layer_scale: Option<LayerScale>,
}

/// Arguments about the blocks of a model that is always fresh.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct FreshBlockArguments {
    /// Normalisation of the hidden channels of every block: grn, a variant of it (grn-average, grn-l1, grn-standardised,
    /// grn-sum, grn-no-residual, grn-no-norm, grn-no-pool, identity), lrn, bn, ln, se, cbam, or none [default: that of the
    /// model]
    #[arg(long, value_name = "NAME")]
    response_norm: Option<ResponseNormName>,
    /// LayerScale at the end of every block: on starts at 1e-6, a number starts there [default: that of the model]
    #[arg(long, value_name = "on|off|VALUE")]
    layer_scale: Option<LayerScale>,
}

impl From<FreshBlockArguments> for BlockArguments {
    fn from(FreshBlockArguments { response_norm, layer_scale }: FreshBlockArguments) -> Self {
        Self { response_norm, layer_scale }
    }
}

/// Initial value of LayerScale in weights that learned without it: their branches go on as they are. With the usual value the
/// network would begin as the identity.
const ADDED_LAYER_SCALE: f64 = 1.0;

/// A response norm by name, or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResponseNormName(Option<ResponseNorm>);

impl FromStr for ResponseNormName {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        ResponseNorm::find(text).map(Self)
    }
}

/// LayerScale as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum LayerScale {
    Off,
    On,
    /// With this initial value.
    From(f64),
}

impl FromStr for LayerScale {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "on" => Ok(Self::On),
            _ => text
                .parse()
                .ok()
                .filter(|value: &f64| value.is_finite() && *value > 0.0)
                .map(Self::From)
                .ok_or_else(|| "expected on, off, or a positive number to start at, such as 1e-6".to_owned()),
        }
    }
}

impl BlockArguments {
    /// A fresh model with what was asked for.
    pub(crate) fn of_fresh(self, model: ModelConfig) -> ModelConfig {
        ModelConfig {
            response_norm: self.response_norm.map_or(model.response_norm, |ResponseNormName(norm)| norm),
            layer_scale: match self.layer_scale {
                None => model.layer_scale,
                Some(LayerScale::Off) => None,
                Some(LayerScale::On) => Some(LAYER_SCALE_INIT),
                Some(LayerScale::From(value)) => Some(value),
            },
            ..model
        }
    }

    /// The model of weights with what was asked for.
    ///
    /// # Errors
    /// [`TrainError::LayerScale`] for an initial value when the weights have LayerScale.
    pub(crate) fn of_weights(self, path: &Path, found: ModelConfig) -> Result<ModelConfig, TrainError> {
        let model = self.of_fresh(found.clone());
        let layer_scale = match (self.layer_scale, found.layer_scale) {
            (Some(LayerScale::From(asked)), Some(value)) if asked != value => {
                return Err(TrainError::LayerScale { path: path.to_owned(), asked });
            }
            (Some(LayerScale::On), Some(value)) => Some(value),
            (Some(LayerScale::On), None) => Some(ADDED_LAYER_SCALE),
            _ => model.layer_scale,
        };
        Ok(ModelConfig { layer_scale, ..model })
    }

    /// `true` if something else than GRN may have been asked for.
    pub(crate) fn changes_response_norm(self) -> bool {
        self.response_norm.is_some()
    }

    /// `true` if LayerScale, or none, was asked for.
    pub(crate) fn changes_layer_scale(self) -> bool {
        self.layer_scale.is_some()
    }
}

/// An argument and its value as it is typed.
type BlockArgument = (&'static str, String);

/// The arguments that a model's blocks stand for, whatever it starts from.
pub(crate) fn arguments_of_blocks(model: &ModelConfig) -> [BlockArgument; 2] {
    // The value, because `on` starts at another one in weights.
    [norm_argument(model), scale_argument(model.layer_scale.map(|value| format!("{value:?}")))]
}

/// The arguments that change the blocks of other weights as those of `from` were changed into those of a model.
pub(crate) fn arguments_of_changed_blocks(from: &ModelConfig, model: &ModelConfig) -> Vec<BlockArgument> {
    let norm = (from.response_norm != model.response_norm).then(|| norm_argument(model));
    // Other weights may have learned factors, which `on` lets go on.
    let on_or_value = |value| if value == ADDED_LAYER_SCALE { "on".to_owned() } else { format!("{value:?}") };
    let is_other = from.layer_scale.is_some() != model.layer_scale.is_some();
    let scale = is_other.then(|| scale_argument(model.layer_scale.map(on_or_value)));
    norm.into_iter().chain(scale).collect()
}

fn norm_argument(model: &ModelConfig) -> BlockArgument {
    let name = model.response_norm.map_or(ResponseNorm::NONE, ResponseNorm::name);
    ("--response-norm", name.to_owned())
}

fn scale_argument(value: Option<String>) -> BlockArgument {
    ("--layer-scale", value.unwrap_or_else(|| "off".to_owned()))
}

#[cfg(test)]
mod tests {
    use convnext::core::find_model;

    use super::*;

    fn arguments(norm: &str, scale: &str) -> BlockArguments {
        BlockArguments {
            response_norm: Some(norm.parse().unwrap()),
            layer_scale: Some(scale.parse().unwrap()),
        }
    }

    #[test]
    fn a_model_and_its_arguments_belong_together() {
        let plain = find_model("micro").unwrap().config();
        for norm in ["none", "grn", "grn-l1", "se"] {
            for scale in ["off", "1e-6", "0.5", "1.0"] {
                let model = arguments(norm, scale).of_fresh(plain.clone());
                let found = arguments_of_blocks(&model).map(|(_, value)| value);
                assert_eq!(found, [norm, scale]);
            }
        }
        assert_eq!(BlockArguments::default().of_fresh(plain.clone()), plain);
        assert_eq!(arguments("grn", "on").of_fresh(plain.clone()).layer_scale, Some(LAYER_SCALE_INIT));
    }

    #[test]
    fn what_a_run_changed_is_asked_for_and_nothing_else() {
        let plain = find_model("micro").unwrap().config();
        for (norm, scale, expected) in [
            ("grn", "off", &[][..]),
            ("se", "off", &["se"]),
            ("grn", "0.5", &["0.5"]),
            // As the weights' own, or at 1 where they have none.
            ("none", "1", &["none", "on"]),
        ] {
            let model = arguments(norm, scale).of_fresh(plain.clone());
            let found = arguments_of_changed_blocks(&plain, &model);
            assert!(found.iter().map(|(_, value)| value).eq(expected), "{found:?}");
        }
        let scaled = ModelConfig { layer_scale: Some(0.1), ..plain.clone() };
        assert_eq!(arguments_of_changed_blocks(&scaled, &plain), [("--layer-scale", "off".to_owned())]);
    }

    #[test]
    fn added_factors_leave_what_was_learned_as_it_is() {
        let found = find_model("micro").unwrap().config();
        let of = |scale: &str| arguments("grn", scale).of_weights(Path::new("w.safetensors"), found.clone());
        assert_eq!(of("on").unwrap().layer_scale, Some(1.0));
        assert_eq!(of("1e-6").unwrap().layer_scale, Some(1e-6));
    }

    #[test]
    fn learned_factors_have_no_initial_value() {
        let found = ModelConfig { layer_scale: Some(0.5), ..find_model("micro").unwrap().config() };
        let of = |scale: &str| arguments("grn", scale).of_weights(Path::new("w.safetensors"), found.clone());
        assert_eq!(of("on").unwrap().layer_scale, Some(0.5));
        assert_eq!(of("0.5").unwrap().layer_scale, Some(0.5));
        assert_eq!(of("off").unwrap().layer_scale, None);
        let error = of("1").unwrap_err().to_string();
        assert!(error.contains("w.safetensors") && error.contains("--layer-scale on"), "{error}");
        for bad in ["0", "-1", "inf", "yes"] {
            assert!(bad.parse::<LayerScale>().is_err(), "{bad}");
        }
    }
}
