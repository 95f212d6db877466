//! Gradients of a model as one vector, as ranks add them up.

use std::ops::Range;

use burn::module::Module;
use burn::prelude::*;
use convnext_nn::{for_each_parameter, tensor_values};

use crate::optimization::gradients::NamedGradients;

/// Value of a gradient that is not there. It leaves every other value as it is when it is added, 0 and -0 included.
const NOTHING: f32 = -0.0;

/// Places of the gradients of a model's parameters in one vector, the same on all ranks: by name, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct GradientLayout {
    tensors: Vec<(String, Range<usize>)>,
    values: usize,
    /// Tracks no gradients.
    device: Device,
}

impl GradientLayout {
    /// The layout of the parameters that learn.
    pub(crate) fn new<M: Module>(model: &M, learns: impl Fn(&str) -> bool) -> Self {
        let (mut lengths, mut device) = (Vec::new(), Device::default());
        for_each_parameter(model, |parameter| {
            let name = parameter.name();
            device = parameter.device.clone().inner();
            if !parameter.is_state && learns(&name) {
                lengths.push((name, parameter.shape.iter().product::<usize>()));
            }
        });
        lengths.sort();
        let mut values = 0;
        let place = |(name, length)| {
            values += length;
            (name, values - length..values)
        };
        let tensors = lengths.into_iter().map(place).collect();
        Self { tensors, values, device }
    }

    /// Values of all gradients together.
    pub(crate) fn values(&self) -> usize {
        self.values
    }

    /// Number of parameters.
    pub(crate) fn tensors(&self) -> usize {
        self.tensors.len()
    }

    /// The device of the gradients.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// Places of the parameters that these gradients do not have, rising.
    pub(crate) fn missing(&self, gradients: &NamedGradients) -> Vec<usize> {
        let names = self.tensors.iter().enumerate();
        names.filter(|(_, (name, _))| gradients.get(name).is_none()).map(|(place, _)| place).collect()
    }

    /// The vector without any gradient.
    pub(crate) fn nothing(&self) -> Vec<f32> {
        vec![NOTHING; self.values]
    }

    /// The gradients as one vector.
    pub(crate) fn flatten(&self, mut gradients: NamedGradients) -> Vec<f32> {
        let mut flat = self.nothing();
        for (name, range) in &self.tensors {
            if let Some(gradient) = gradients.take(name) {
                flat[range.clone()].copy_from_slice(&tensor_values(gradient));
            }
        }
        flat
    }

    /// The gradients of a vector, of those parameters that have one.
    pub(crate) fn named(&self, flat: &[f32], is_present: &[bool]) -> NamedGradients {
        let present = self.tensors.iter().zip(is_present).filter(|(_, is_present)| **is_present);
        let tensor = |range: &Range<usize>| {
            Tensor::from_data(TensorData::new(flat[range.clone()].to_vec(), [range.len()]), &self.device)
        };
        present.map(|((name, range), _)| (name.clone(), tensor(range))).collect()
    }
}
