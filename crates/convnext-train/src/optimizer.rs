//! AdamW over named parameters.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::Tensor;
use convnext_nn::kernels::AdamWStep;
use convnext_nn::ops::adamw::adamw;
use convnext_nn::replace_parameters;

use crate::{LayerDecay, NamedGradients, TrainingRecipe};

/// PyTorch's epsilon.
const EPSILON: f64 = 1e-8;

/// `true` for parameters that weight decay applies to: none of one dimension and no bias; GRN's
/// parameters and the mask token only with `decay_grn_and_mask_token` (facts C1, D2: the release decays
/// them in pre-training by accident of their shapes, its author advises against it).
pub fn decays(name: &str, shape: &[usize], decay_grn_and_mask_token: bool) -> bool {
    let is_special = name.contains(".grn.") || name == "mask_token";
    shape.len() > 1 && !name.ends_with(".bias") && (decay_grn_and_mask_token || !is_special)
}

/// AdamW with PyTorch's semantics: decoupled decay, bias-corrected moments, epsilon outside the root.
///
/// The state is kept by parameter name. This type decides which parameters decay and how fast each
/// learns; the arithmetic is [`convnext_nn::ops::adamw`].
pub struct AdamW {
    betas: [f64; 2],
    weight_decay: f64,
    decay_grn_and_mask_token: bool,
    layer_decay: Option<LayerDecay>,
    states: BTreeMap<String, ParameterState>,
}

/// What the optimiser remembers of a parameter.
#[derive(Debug, Clone)]
pub(crate) struct ParameterState {
    /// Steps that it has made.
    pub(crate) time: usize,
    /// The running means of its gradient and of the gradient's square, flat.
    pub(crate) moments: [Tensor<1>; 2],
}

impl AdamW {
    /// An optimiser without state. With `layer_decay`, early layers learn more slowly.
    pub fn new(recipe: &TrainingRecipe, layer_decay: Option<LayerDecay>) -> Self {
        Self {
            betas: recipe.betas,
            weight_decay: recipe.weight_decay,
            decay_grn_and_mask_token: recipe.decay_grn_and_mask_token,
            layer_decay,
            states: BTreeMap::new(),
        }
    }

    /// One step of every parameter that has a gradient.
    pub fn step<M: Module>(&mut self, model: M, gradients: &NamedGradients, learning_rate: f64) -> M {
        replace_parameters(model, |parameter| {
            let gradient = gradients.get(&parameter.name)?.clone();
            let decays = decays(&parameter.name, &parameter.shape, self.decay_grn_and_mask_token);
            let scale = self.layer_decay.as_ref().map_or(1.0, |layers| layers.scale(&parameter.name));
            let zeros = || gradient.zeros_like();
            let ParameterState { time, moments } = (self.states.remove(&parameter.name))
                .unwrap_or_else(|| ParameterState { time: 0, moments: [zeros(), zeros()] });
            let step = AdamWStep {
                time: time + 1,
                learning_rate: learning_rate * scale,
                betas: self.betas,
                epsilon: EPSILON,
                weight_decay: if decays { self.weight_decay } else { 0.0 },
            };
            let name = parameter.name.clone();
            let (values, moments) = adamw(parameter.take_values(), gradient, moments, step);
            self.states.insert(name, ParameterState { time: time + 1, moments });
            Some(values)
        })
    }

    /// What is remembered of each parameter, by name.
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
    use crate::{FinetuneRecipe, LayerCount, Start};

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
            ("pred.weight", &[192, 128, 1, 1], true),
        ] {
            assert_eq!(decays(name, shape, false), expected, "{name}");
        }
        assert!(decays("stages.0.0.grn.gamma", &[1, 1, 1, 64], true));
        assert!(decays("mask_token", &[1, 128, 1, 1], true));
        assert!(!decays("stages.0.0.norm.weight", &[16], true));
    }

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

    /// Without layer decay, or with one of this rate.
    fn check_three_steps(rate: Option<f64>) {
        let device = Device::flex().autodiff();
        let config = ModelConfig {
            classes: 3,
            stem_stride: 1,
            depths: [1; 4],
            ..find_model("micro").unwrap().config()
        };
        let mut model = ConvNext::new(&config, Seed(1), &device).unwrap();
        let recipe = FinetuneRecipe::load("plain", &[], Start::Weights).unwrap().training;
        let layers = rate.map(|rate| LayerDecay::new(LayerCount::Single, rate, &config));
        let mut optimizer = AdamW::new(&recipe, layers.clone());
        let watched = ["stages.1.0.pwconv2.weight", "head.bias", "stages.0.0.grn.beta"];
        let value_of = |model: &ConvNext, wanted: &str| {
            let mut found = f64::NAN;
            for_each_parameter(model, |parameter| {
                if parameter.name == wanted {
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
                if let Some(place) = watched.iter().position(|name| *name == parameter.name) {
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
}
