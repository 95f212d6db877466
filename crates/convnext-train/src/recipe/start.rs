//! Settings that depend on the start of a supervised training: from weights or from scratch.

use serde::{Deserialize, Serialize};

use super::ranges::check_range;
use super::reading::recipe_error;
use crate::error::TrainError;
use crate::optimization::layer_decay::LayerCount;

/// Settings of supervised training from weights only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FromWeightsRecipe {
    /// Factor on the fresh head.
    pub head_init: f64,
    /// Layer-wise decay of the learning rate; `None` lets all layers learn alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_decay: Option<LayerDecayRecipe>,
}

/// Settings of supervised training from scratch only. Rate and warm-up take the place of those in `training`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FromScratchRecipe {
    /// Factor on the fresh head.
    pub head_init: f64,
    /// As [`crate::TrainingRecipe::learning_rate`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// As [`crate::TrainingRecipe::base_learning_rate`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_learning_rate: Option<f64>,
    /// As [`crate::TrainingRecipe::warmup_epochs`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup_epochs: Option<f64>,
    /// As [`crate::TrainingRecipe::warmup_steps`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup_steps: Option<f64>,
}

/// Layer-wise decay of the learning rate when fine-tuning from weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerDecayRecipe {
    /// Rate of a layer over that of the layer after it, in (0, 1].
    pub rate: f64,
    /// Counting of layers.
    pub count: LayerCount,
}

impl FromScratchRecipe {
    /// Refuses two warm-ups or rates, of which one would be passed over.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] with their keys.
    pub(super) fn validate(&self, choice: &str) -> Result<(), TrainError> {
        let rates = [self.learning_rate, self.base_learning_rate];
        check_alternatives(rates, [self.warmup_epochs, self.warmup_steps], choice)
    }
}

/// Refuses two rates or two warm-ups of a start from scratch, of which one would be passed over: absolute and base rate, epochs
/// and steps.
pub(super) fn check_alternatives(
    rates: [Option<f64>; 2],
    warm_ups: [Option<f64>; 2],
    choice: &str,
) -> Result<(), TrainError> {
    let pairs =
        [(rates, "learning_rate and base_learning_rate"), (warm_ups, "warmup_epochs and warmup_steps")];
    match pairs.into_iter().find(|(values, _)| values.iter().all(Option::is_some)) {
        Some((_, keys)) => {
            Err(recipe_error(choice, format!("[from_scratch] has {keys}; leave one of them out")))
        }
        None => Ok(()),
    }
}

impl LayerDecayRecipe {
    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`TrainError::Config`] with the first value that does not fit.
    pub fn validate(&self) -> Result<(), TrainError> {
        let Self { rate, count } = *self;
        check_range(rate > 0.0 && rate <= 1.0, "layer decay rate", rate, "above 0 and at most 1")?;
        match count {
            LayerCount::Single | LayerCount::Group => Ok(()),
            LayerCount::LayerWise(layers) | LayerCount::StageWise(layers) => {
                let fits = layers >= LayerCount::FEWEST;
                check_range(fits, "layers of layer decay", layers as f64, "at least one for each stage")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::finetune_recipe::FinetuneRecipe;
    use crate::recipe::init_from::InitFrom;

    fn load(settings: &[&str]) -> Result<FinetuneRecipe, String> {
        let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
        FinetuneRecipe::load("plain", &settings, InitFrom::Pretrained).map_err(|error| error.to_string())
    }

    #[test]
    fn layers_are_counted_in_four_ways() {
        for (text, count) in [
            ("single", LayerCount::Single),
            ("\"group\"", LayerCount::Group),
            ("{ layer_wise = 12 }", LayerCount::LayerWise(12)),
            ("{ stage_wise = 6 }", LayerCount::StageWise(6)),
        ] {
            let count_setting = format!("from_weights.layer_decay.count={text}");
            let recipe = load(&["from_weights.layer_decay.rate=0.9", &count_setting]).unwrap();
            assert_eq!(recipe.layer_decay(true), Some(LayerDecayRecipe { rate: 0.9, count }));
            let written = toml::to_string(&recipe).unwrap();
            assert_eq!(toml::from_str::<FinetuneRecipe>(&written).unwrap(), recipe, "{written}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let layers = |value: &str| load(&[&format!("from_weights.layer_decay={value}")]).unwrap_err();
        let message = layers("{ rate = 0.9, count = { layer_wise = 3 } }");
        assert!(message.contains("layers of layer decay is 3, but must be at least one"), "{message}");
        let message = layers("{ rate = 1.5, count = \"single\" }");
        assert!(message.contains("layer decay rate is 1.5"), "{message}");
        assert!(layers("{ rate = 0.9, count = \"double\" }").contains("double"));
    }

    #[test]
    fn a_start_from_scratch_has_one_warm_up_and_one_rate() {
        let both = "from_scratch={ head_init = 1.0, warmup_epochs = 1, warmup_steps = 9 }";
        let message = load(&[both]).unwrap_err();
        assert!(message.contains("[from_scratch] has warmup_epochs and warmup_steps"), "{message}");
        let both = "from_scratch={ head_init = 1.0, learning_rate = 1e-5, base_learning_rate = 1e-2 }";
        let message = load(&[both]).unwrap_err();
        assert!(message.contains("[from_scratch] has learning_rate and base_learning_rate"), "{message}");
    }
}
