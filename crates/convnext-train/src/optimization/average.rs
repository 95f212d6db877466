//! A moving average of all parameters that learn (facts D1).

use std::collections::BTreeMap;

use burn::module::Module;
use burn::prelude::*;
use convnext_nn::{for_each_parameter, replace_parameters};

use crate::optimization::parameter_rules::ParameterRules;

/// Exponential moving average of a model's parameters: after every optimiser step
/// `average = decay * average + (1 - decay) * parameter`, with a constant decay, starting as a copy.
///
/// It covers what gradients change. What is frozen, a [`convnext_nn::ModelState`], such as running statistics or another
/// network, and a [`convnext_nn::Counter`] stand in the averaged model as they stand in the model itself, as buffers do in
/// PyTorch's `AveragedModel`. An average of what is frozen would take its memory once more, and drift from it by roundings.
#[derive(Debug, Clone)]
pub struct MovingAverage {
    decay: f64,
    values: BTreeMap<String, Tensor<1>>,
}

impl MovingAverage {
    /// Starts as a copy of what learns of `model` by these rules.
    pub fn new<M: Module>(model: &M, decay: f64, rules: &ParameterRules) -> Self {
        let mut values = BTreeMap::new();
        for_each_parameter(model, |parameter| {
            let name = parameter.name();
            if !parameter.is_state && !rules.of(&name, &parameter.shape).frozen {
                values.insert(name, parameter.values());
            }
        });
        Self { decay, values }
    }

    /// Takes the parameters after a step into account.
    pub fn update<M: Module>(&mut self, model: &M) {
        for_each_parameter(model, |parameter| {
            let name = parameter.name();
            if let Some(average) = self.values.remove(&name) {
                let new = parameter.values() * (1.0 - self.decay);
                self.values.insert(name, average * self.decay + new);
            }
        });
    }

    /// `true` if there is an average of the parameter with this name.
    pub(crate) fn covers(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The averages by name.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&String, &Tensor<1>)> {
        self.values.iter()
    }

    /// Takes up the average of a parameter.
    pub(crate) fn restore(&mut self, name: &str, values: Tensor<1>) {
        self.values.insert(name.to_owned(), values);
    }

    /// `model` with the averages in the place of its parameters.
    pub fn apply<M: Module>(&self, model: M) -> M {
        replace_parameters(model, |parameter| self.values.get(&parameter.name()).cloned())
    }
}

#[cfg(test)]
mod tests {
    use convnext_core::{ModelConfig, Seed, find_model};
    use convnext_nn::{ConvNext, tensor_values};

    use super::*;
    use crate::optimization::frozen_stages::FrozenStages;
    use crate::recipe::pretrain_recipe::PretrainRecipe;

    fn rules() -> ParameterRules {
        ParameterRules::of_recipe(&PretrainRecipe::load("plain", &[]).unwrap().training)
    }

    #[test]
    fn the_average_follows_the_rule() {
        let config = ModelConfig { classes: 2, ..find_model("micro").unwrap().config() };
        let model = ConvNext::new(&config, Seed(0), &Device::flex().autodiff()).unwrap();
        let with_bias = |model: &ConvNext, value: f32| {
            replace_parameters(model.clone(), |parameter| {
                (parameter.name() == "head.bias").then(|| Tensor::full([2], value, &parameter.device.inner()))
            })
        };
        let mut average = MovingAverage::new(&with_bias(&model, 1.0), 0.75, &rules());
        average.update(&with_bias(&model, 2.0));
        average.update(&with_bias(&model, 4.0));
        let averaged = average.apply(model);
        // 0.75 (0.75 x 1 + 0.25 x 2) + 0.25 x 4
        assert_eq!(tensor_values(averaged.head.unwrap().bias.val()), [1.9375, 1.9375]);
    }

    /// Bug: roundings moved the average of what was frozen, of which there was a second copy.
    #[test]
    fn what_is_frozen_stays_in_the_averaged_model_bit_for_bit() {
        let config = ModelConfig { classes: 2, ..find_model("micro").unwrap().config() };
        let model = ConvNext::new(&config, Seed(0), &Device::flex().autodiff()).unwrap();
        let mut average = MovingAverage::new(&model, 0.999, &rules().with_frozen(FrozenStages(4)));
        let covered: Vec<&String> = average.values().map(|(name, _)| name).collect();
        assert_eq!(covered, ["head.bias", "head.weight", "norm.bias", "norm.weight"]);
        for _ in 0..3 {
            average.update(&model);
        }
        let bits = |model: &ConvNext| -> Vec<u32> {
            let kernel = model.backbone.stages[1][0].pwconv1.weight.val();
            tensor_values(kernel).into_iter().map(f32::to_bits).collect()
        };
        assert_eq!(bits(&average.apply(model.clone())), bits(&model));
    }
}
