//! Optimiser rules of each parameter: the task's to say.

use convnext_core::{BlockParameter, WeightDecay};

use crate::optimization::frozen_stages::FrozenStages;
use crate::optimization::layer_decay::LayerDecay;
use crate::recipe::training::TrainingRecipe;

/// Optimiser rule of one parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParameterRule {
    /// Factor on the learning rate.
    pub rate_scale: f64,
    /// `true` if weight decay applies to it.
    pub decays: bool,
    /// `true` if it keeps its value: no step, no decay, no moments, and its gradient does not count where all
    /// are clipped together.
    pub frozen: bool,
}

/// The rule of every parameter, by its official name and its shape.
pub struct ParameterRules(Box<Rule>);

type Rule = dyn Fn(&str, &[usize]) -> ParameterRule + Send + Sync;

impl ParameterRules {
    /// Any rule.
    pub fn new(rule: impl Fn(&str, &[usize]) -> ParameterRule + Send + Sync + 'static) -> Self {
        Self(Box::new(rule))
    }

    /// All parameters learn alike, and those decay that [`decays`] names.
    pub fn of_recipe(recipe: &TrainingRecipe) -> Self {
        let all = recipe.decay_grn_and_mask_token;
        Self::new(move |name, shape| ParameterRule {
            rate_scale: 1.0,
            decays: decays(name, shape, all),
            frozen: false,
        })
    }

    /// These rules, changed by name.
    pub fn changed(
        self,
        change: impl Fn(&str, ParameterRule) -> ParameterRule + Send + Sync + 'static,
    ) -> Self {
        Self::new(move |name, shape| change(name, self.of(name, shape)))
    }

    /// Early layers learn more slowly; `None` changes nothing.
    pub fn with_layer_decay(self, layers: Option<LayerDecay>) -> Self {
        let Some(layers) = layers else { return self };
        self.changed(move |name, rule| ParameterRule {
            rate_scale: rule.rate_scale * layers.scale(name),
            ..rule
        })
    }

    /// The first stages of the backbone learn nothing.
    pub fn with_frozen(self, stages: FrozenStages) -> Self {
        self.changed(move |name, rule| ParameterRule { frozen: rule.frozen || stages.contains(name), ..rule })
    }

    /// The rule of one parameter.
    pub fn of(&self, name: &str, shape: &[usize]) -> ParameterRule {
        (self.0)(name, shape)
    }
}

/// `true` for parameters that weight decay applies to: in blocks as their table says, elsewhere none of one
/// dimension and no bias; GRN's parameters and mask tokens only with `decay_grn_and_mask_token` (facts C1,
/// D2: the release decays them in pre-training by accident of their shapes, its author advises against it).
pub fn decays(name: &str, shape: &[usize], decay_grn_and_mask_token: bool) -> bool {
    match BlockParameter::of_name(name).map(|parameter| parameter.layout().decay) {
        Some(WeightDecay::Always) => true,
        Some(WeightDecay::Never) => false,
        Some(WeightDecay::ByRecipe) => decay_grn_and_mask_token,
        None if is_mask_token(name) => decay_grn_and_mask_token,
        None => shape.len() > 1 && !name.ends_with(".bias"),
    }
}

/// `true` for what stands at removed patches: in a decoder, on its skip connections, or in an encoder.
fn is_mask_token(name: &str) -> bool {
    name == "encoder_token" || name.rsplit('.').next() == Some("mask_token")
}

#[cfg(test)]
mod tests {
    use convnext_core::find_model;

    use super::*;
    use crate::optimization::layer_decay::LayerCount;
    use crate::recipe::pretrain_recipe::PretrainRecipe;

    #[test]
    fn only_weight_matrices_decay() {
        for (name, shape, expected) in [
            ("stages.0.0.pwconv1.weight", &[64, 16][..], true),
            ("stages.0.0.dwconv.weight", &[16, 1, 7, 7], true),
            ("stages.0.0.grn.gamma", &[1, 1, 1, 64], false),
            ("stages.0.0.grn.beta", &[1, 1, 1, 64], false),
            ("stages.0.0.norm.weight", &[16], false),
            ("stages.0.0.gamma", &[16], false),
            ("head.bias", &[10], false),
            ("mask_token", &[1, 128, 1, 1], false),
            ("encoder_token", &[1, 16, 1, 1], false),
            ("decoder.skips.0.mask_token", &[1, 64, 1, 1], false),
            ("decoder.steps.0.conv1.bn.weight", &[128], false),
            ("decoder.blocks.0.mlp.fc1.weight", &[512, 128], true),
            ("pred.weight", &[192, 128, 1, 1], true),
        ] {
            assert_eq!(decays(name, shape, false), expected, "{name}");
        }
        assert!(decays("stages.0.0.grn.gamma", &[1, 1, 1, 64], true));
        assert!(decays("mask_token", &[1, 128, 1, 1], true));
        assert!(!decays("stages.0.0.norm.weight", &[16], true));
    }

    fn rules(settings: &[&str]) -> ParameterRules {
        let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
        ParameterRules::of_recipe(&PretrainRecipe::load("plain", &settings).unwrap().training)
    }

    const GAMMA: (&str, &[usize]) = ("stages.0.0.grn.gamma", &[1, 1, 1, 64]);

    #[test]
    fn a_recipe_lets_all_learn_alike() {
        let of = |settings: &[&str]| rules(settings).of(GAMMA.0, GAMMA.1);
        assert_eq!(of(&[]), ParameterRule { rate_scale: 1.0, decays: false, frozen: false });
        assert!(of(&["training.decay_grn_and_mask_token=true"]).decays);
    }

    #[test]
    fn layer_decay_and_frozen_stages_change_what_they_are_for() {
        let model = find_model("atto").unwrap().config();
        let layers = LayerDecay::new(LayerCount::Single, 0.9, &model);
        let rules = rules(&[]).with_layer_decay(Some(layers.clone())).with_frozen(FrozenStages(1));
        let kernel = "stages.1.0.pwconv1.weight";
        for (name, frozen) in [(GAMMA.0, true), (kernel, false), ("head.weight", false)] {
            let rate_scale = layers.scale(name);
            let decays = decays(name, &[4, 4], false);
            assert_eq!(rules.of(name, &[4, 4]), ParameterRule { rate_scale, decays, frozen }, "{name}");
        }
    }

    #[test]
    fn a_task_may_say_something_else_by_name() {
        let twice = |name: &str, rule: ParameterRule| match name {
            "head.weight" => ParameterRule { rate_scale: 2.0 * rule.rate_scale, ..rule },
            _ => rule,
        };
        let rules = rules(&[]).with_layer_decay(None).changed(twice);
        assert_eq!(rules.of("head.weight", &[4, 4]).rate_scale, 2.0);
        assert_eq!(rules.of("norm.weight", &[4]).rate_scale, 1.0);
    }
}
