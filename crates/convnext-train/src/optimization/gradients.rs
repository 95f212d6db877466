//! Gradients by parameter name: summed over batches, measured, clipped.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::prelude::*;
use burn::tensor::Gradients;
use convnext_nn::{for_each_parameter, tensor_values};

/// The flat gradient of every parameter that has one. Ordered by name, so that sums over all of them
/// are always made in the same order.
#[derive(Debug, Clone, Default)]
pub struct NamedGradients {
    values: BTreeMap<String, Tensor<1>>,
}

impl NamedGradients {
    /// The gradients of a model after a backward pass.
    pub fn of<M: Module>(model: &M, gradients: &Gradients) -> Self {
        let mut values = BTreeMap::new();
        for_each_parameter(model, |parameter| {
            if let Some(gradient) = parameter.gradient(gradients) {
                values.insert(parameter.name(), gradient);
            }
        });
        Self { values }
    }

    /// The gradient of one parameter.
    pub fn get(&self, name: &str) -> Option<&Tensor<1>> {
        self.values.get(name)
    }

    /// Moves the gradient of one parameter out.
    pub(crate) fn take(&mut self, name: &str) -> Option<Tensor<1>> {
        self.values.remove(name)
    }

    /// Adds the gradients of another batch.
    pub fn add(&mut self, other: Self) {
        for (name, gradient) in other.values {
            let sum = match self.values.remove(&name) {
                Some(sum) => sum + gradient,
                None => gradient,
            };
            self.values.insert(name, sum);
        }
    }

    /// Lets go of the gradients of other parameters.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.values.retain(|name, _| keep(name));
    }

    /// Multiplies all gradients by `factor`.
    pub fn scale(&mut self, factor: f64) {
        for gradient in self.values.values_mut() {
            *gradient = gradient.clone() * factor;
        }
    }

    /// The L2 norm over all gradients together, summed in f64.
    pub fn norm(&self) -> f64 {
        let squares = |gradient: &Tensor<1>| -> f64 {
            tensor_values(gradient.clone()).into_iter().map(|value| f64::from(value).powi(2)).sum()
        };
        self.values.values().map(squares).sum::<f64>().sqrt()
    }

    /// Scales all gradients so that their common norm is at most `largest`, as PyTorch's
    /// `clip_grad_norm_` does.
    pub fn clip(&mut self, largest: f64) {
        let factor = largest / (self.norm() + 1e-6);
        if factor < 1.0 {
            self.scale(factor);
        }
    }
}

impl FromIterator<(String, Tensor<1>)> for NamedGradients {
    fn from_iter<I: IntoIterator<Item = (String, Tensor<1>)>>(list: I) -> Self {
        Self { values: list.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradients(list: &[(&str, &[f32])]) -> NamedGradients {
        let device = Device::flex();
        let tensor = |values: &[f32]| Tensor::from_floats(values, &device);
        NamedGradients {
            values: list.iter().map(|(name, values)| ((*name).to_owned(), tensor(values))).collect(),
        }
    }

    fn values(gradients: &NamedGradients, name: &str) -> Vec<f32> {
        tensor_values(gradients.get(name).unwrap().clone())
    }

    #[test]
    fn sums_take_every_name() {
        let mut sum = gradients(&[("a", &[1.0, 2.0]), ("b", &[3.0])]);
        sum.add(gradients(&[("a", &[10.0, 20.0]), ("c", &[5.0])]));
        sum.scale(0.5);
        assert_eq!(values(&sum, "a"), [5.5, 11.0]);
        assert_eq!(values(&sum, "b"), [1.5]);
        assert_eq!(values(&sum, "c"), [2.5]);
    }

    #[test]
    fn clipping_looks_at_all_gradients_together() {
        let mut clipped = gradients(&[("a", &[3.0]), ("b", &[0.0, 4.0])]);
        assert!((clipped.norm() - 5.0).abs() < 1e-12);
        clipped.clip(10.0);
        assert_eq!(values(&clipped, "a"), [3.0]);
        clipped.clip(1.0);
        assert!((clipped.norm() - 1.0).abs() < 1e-5);
        assert!((values(&clipped, "b")[1] - 0.8).abs() < 1e-5);
    }
}
