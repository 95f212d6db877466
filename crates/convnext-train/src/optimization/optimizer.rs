//! AdamW over named parameters.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::Tensor;
use convnext_nn::kernels::AdamWStep;
use convnext_nn::ops::adamw::adamw;
use convnext_nn::replace_parameters;

use crate::optimization::gradients::NamedGradients;
use crate::optimization::parameter_rules::{ParameterRule, ParameterRules};
use crate::recipe::training::TrainingRecipe;

/// PyTorch's epsilon.
const EPSILON: f64 = 1e-8;

/// AdamW with PyTorch's semantics: decoupled decay, bias-corrected moments, epsilon outside the root.
///
/// The state is kept by parameter name. Which parameters decay, how fast each learns and which do not learn at all is
/// what [`ParameterRules`] say; the arithmetic is [`convnext_nn::ops::adamw`].
pub struct AdamW {
    betas: [f64; 2],
    weight_decay: f64,
    rules: ParameterRules,
    states: BTreeMap<String, ParameterState>,
}

/// Optimiser state of a parameter.
#[derive(Debug, Clone)]
pub(crate) struct ParameterState {
    /// Steps that it has made.
    pub(crate) time: usize,
    /// The running means of its gradient and of the gradient's square, flat.
    pub(crate) moments: [Tensor<1>; 2],
}

impl AdamW {
    /// An optimiser without state.
    pub fn new(recipe: &TrainingRecipe, rules: ParameterRules) -> Self {
        let TrainingRecipe { betas, weight_decay, .. } = *recipe;
        Self { betas, weight_decay, rules, states: BTreeMap::new() }
    }

    /// Rules of the parameters.
    pub fn rules(&self) -> &ParameterRules {
        &self.rules
    }

    /// One step of every parameter that has a gradient and is not frozen.
    pub fn step<M: Module>(&mut self, model: M, gradients: &NamedGradients, learning_rate: f64) -> M {
        replace_parameters(model, |parameter| {
            let name = parameter.name();
            let ParameterRule { rate_scale, decays, frozen } = self.rules.of(&name, &parameter.shape);
            let gradient = gradients.get(&name).filter(|_| !frozen)?.clone();
            let zeros = || gradient.zeros_like();
            let ParameterState { time, moments } = (self.states.remove(&name))
                .unwrap_or_else(|| ParameterState { time: 0, moments: [zeros(), zeros()] });
            let step = AdamWStep {
                step: time + 1,
                learning_rate: learning_rate * rate_scale,
                betas: self.betas,
                epsilon: EPSILON,
                weight_decay: if decays { self.weight_decay } else { 0.0 },
            };
            let (values, moments) = adamw(parameter.take_values(), gradient, moments, step);
            self.states.insert(name, ParameterState { time: time + 1, moments });
            Some(values)
        })
    }

    /// Optimiser state of each parameter, by name.
    pub(crate) fn states(&self) -> impl Iterator<Item = (&String, &ParameterState)> {
        self.states.iter()
    }

    /// Takes up the state of a parameter.
    pub(crate) fn restore(&mut self, name: &str, state: ParameterState) {
        self.states.insert(name.to_owned(), state);
    }
}

#[cfg(test)]
mod tests {
    use burn::prelude::*;
    use convnext_core::{ModelConfig, Seed, find_model};
    use convnext_nn::{ConvNext, DropPath, for_each_parameter, tensor_values};

    use super::*;
    use crate::optimization::frozen_stages::FrozenStages;
    use crate::optimization::layer_decay::{LayerCount, LayerDecay};
    use crate::recipe::finetune_recipe::FinetuneRecipe;
    use crate::recipe::init_from::InitFrom;

    /// The rule of PyTorch's documentation, in f64.
    fn adamw(mut value: f64, gradients: &[f64], rate: f64, decay: f64, betas: [f64; 2]) -> f64 {
        let (mut first, mut second) = (0.0, 0.0);
        for (step, gradient) in (1..).zip(gradients) {
            value *= 1.0 - rate * decay;
            first = betas[0] * first + (1.0 - betas[0]) * gradient;
            second = betas[1] * second + (1.0 - betas[1]) * gradient * gradient;
            let corrected = first / (1.0 - betas[0].powi(step));
            let root = (second / (1.0 - betas[1].powi(step))).sqrt();
            value -= rate * corrected / (root + 1e-8);
        }
        value
    }

    #[test]
    fn three_steps_follow_pytorchs_rule() {
        check_three_steps(None);
    }

    #[test]
    fn early_layers_follow_it_more_slowly() {
        check_three_steps(Some(0.5));
    }

    fn config() -> ModelConfig {
        let micro = find_model("micro").unwrap().config();
        ModelConfig { classes: 3, stem_stride: 1, depths: [1; 4], ..micro }
    }

    /// Without layer decay, or with one of this rate.
    fn check_three_steps(rate: Option<f64>) {
        let device = Device::flex().autodiff();
        let config = config();
        let mut model = ConvNext::new(&config, Seed(1), &device).unwrap();
        let recipe = FinetuneRecipe::load("plain", &[], InitFrom::Pretrained).unwrap().training;
        let layers = rate.map(|rate| LayerDecay::new(LayerCount::Single, rate, &config));
        let rules = ParameterRules::of_recipe(&recipe).with_layer_decay(layers.clone());
        let mut optimizer = AdamW::new(&recipe, rules);
        let watched = ["stages.1.0.pwconv2.weight", "head.bias", "stages.0.0.grn.beta"];
        let value_of = |model: &ConvNext, wanted: &str| {
            let mut found = f64::NAN;
            for_each_parameter(model, |parameter| {
                if parameter.name() == wanted {
                    found = f64::from(tensor_values(parameter.values())[0]);
                }
            });
            found
        };
        let start = watched.map(|name| value_of(&model, name));
        let mut seen = [const { Vec::new() }; 3];
        for step in 0..3 {
            let images = Tensor::<4>::full([2, 3, 8, 8], 0.3 + 0.2 * f64::from(step), &device);
            let logits = model.forward(images, &DropPath::none()).unwrap();
            let gradients = (logits.clone() * logits.sub_scalar(1.0)).sum().backward();
            for_each_parameter(&model, |parameter| {
                if let Some(place) = watched.iter().position(|name| *name == parameter.name()) {
                    let gradient = parameter.gradient(&gradients).unwrap();
                    seen[place].push(f64::from(tensor_values(gradient)[0]));
                }
            });
            let gradients = NamedGradients::of(&model, &gradients);
            model = optimizer.step(model, &gradients, 1e-2);
        }
        for (place, name) in watched.iter().enumerate() {
            let decay = if name.ends_with("weight") { recipe.weight_decay } else { 0.0 };
            let rate = 1e-2 * layers.as_ref().map_or(1.0, |layers| layers.scale(name));
            let expected = adamw(start[place], &seen[place], rate, decay, recipe.betas);
            let found = value_of(&model, name);
            assert!((found - expected).abs() < 1e-6, "{name}: {found}, expected {expected}");
            assert!((found - start[place]).abs() > 0.1 * rate, "{name} did not move");
        }
    }

    /// The bits of every parameter after three steps along the same gradients, and which of them have a state.
    fn after_three_steps(
        rules: impl Fn(ParameterRules) -> ParameterRules,
    ) -> BTreeMap<String, (Vec<u32>, bool)> {
        let device = Device::flex().autodiff();
        let mut model = ConvNext::new(&config(), Seed(1), &device).unwrap();
        let recipe = FinetuneRecipe::load("plain", &[], InitFrom::Pretrained).unwrap().training;
        let mut optimizer = AdamW::new(&recipe, rules(ParameterRules::of_recipe(&recipe)));
        let logits = model.forward(Tensor::full([2, 3, 8, 8], 0.3, &device), &DropPath::none()).unwrap();
        let gradients = (logits.clone() * logits.sub_scalar(1.0)).sum().backward();
        let gradients = NamedGradients::of(&model, &gradients);
        for rate in [1e-2, 2e-2, 1e-2] {
            model = optimizer.step(model, &gradients, rate);
        }
        let mut found = BTreeMap::new();
        for_each_parameter(&model, |parameter| {
            let bits = tensor_values(parameter.values()).into_iter().map(f32::to_bits).collect();
            let has_state = optimizer.states().any(|(name, _)| *name == parameter.name());
            found.insert(parameter.name(), (bits, has_state));
        });
        found
    }

    #[test]
    fn what_is_frozen_stays_and_the_rest_moves_as_before() {
        let start: BTreeMap<String, Vec<u32>> = {
            let model = ConvNext::new(&config(), Seed(1), &Device::flex()).unwrap();
            let mut found = BTreeMap::new();
            for_each_parameter(&model, |parameter| {
                let bits = tensor_values(parameter.values()).into_iter().map(f32::to_bits).collect();
                found.insert(parameter.name(), bits);
            });
            found
        };
        let free = after_three_steps(|rules| rules);
        let stages = FrozenStages(2);
        let frozen = after_three_steps(|rules| rules.with_frozen(stages));
        assert_eq!(frozen.keys().filter(|name| stages.contains(name)).count(), 4 + 10 + 4 + 10);
        for (name, (bits, has_state)) in &frozen {
            if stages.contains(name) {
                assert_eq!((bits, *has_state), (&start[name], false), "{name}");
                assert!(free[name].1, "{name} has a state where it is free");
            } else {
                assert_eq!((bits, *has_state), (&free[name].0, true), "{name}");
            }
        }
        assert_ne!(free["stages.0.0.pwconv1.weight"].0, start["stages.0.0.pwconv1.weight"]);
    }
}
