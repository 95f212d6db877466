//! Lazy initialisation of parameters, each from its own random stream, under its official name.

use burn::module::{Param, ParamId};
use burn::prelude::*;
use convnext_core::Seed;

/// Standard deviation of initial weights that no other rule is given for: those of backbones, of the paper's decoder and of
/// classifiers ("A6. Initialisation" in `docs/facts.md`). The published FCMAE code draws some layers with standard deviation 1
/// by accident; we do not.
const WEIGHT_STD: f64 = 0.02;

/// The path in the model of parameters to create.
///
/// A parameter is drawn at its first use, so a model of any size is built without memory, and one
/// that is loaded from a file is never drawn at all. The stream of a parameter depends on the run's
/// seed and its official name only.
#[derive(Debug, Clone)]
pub struct Scope<'a> {
    device: &'a Device,
    seed: Seed,
    path: String,
}

impl<'a> Scope<'a> {
    /// The scope of a whole model whose parameters are drawn from this seed.
    pub fn root(seed: Seed, device: &'a Device) -> Self {
        Self { device, seed, path: String::new() }
    }

    /// The scope one level down.
    pub fn at(&self, name: impl std::fmt::Display) -> Self {
        Self { path: self.name(name), ..self.clone() }
    }

    /// The path, as in official names; empty for the root.
    pub fn path(&self) -> &str {
        &self.path
    }

    fn name(&self, leaf: impl std::fmt::Display) -> String {
        if self.path.is_empty() { leaf.to_string() } else { format!("{}.{leaf}", self.path) }
    }

    /// A weight: normal, mean 0, standard deviation 0.02. The release truncates at 100 standard
    /// deviations, which no draw reaches.
    pub fn weight<const D: usize>(&self, leaf: &str, shape: [usize; D]) -> Param<Tensor<D>> {
        self.scaled_weight(leaf, shape, 1.0)
    }

    /// A weight multiplied by `factor`.
    pub fn scaled_weight<const D: usize>(
        &self,
        leaf: &str,
        shape: [usize; D],
        factor: f64,
    ) -> Param<Tensor<D>> {
        self.normal_weight(leaf, shape, WEIGHT_STD * factor)
    }

    /// A convolution's weight `[out, in, height, width]` by Kaiming's rule for ReLU over the outputs: normal, mean 0,
    /// variance 2 / (out * height * width) (mmcv's `ConvModule`).
    pub fn kaiming_weight(&self, leaf: &str, shape: [usize; 4]) -> Param<Tensor<4>> {
        let [outputs, _, height, width] = shape;
        self.normal_weight(leaf, shape, (2.0 / (outputs * height * width) as f64).sqrt())
    }

    /// A weight `[out, in, ...]` by Xavier's rule: uniform, variance 2 / (inputs + outputs), where both count the places of a
    /// kernel (mmcv's `xavier_init`).
    pub fn xavier_weight<const D: usize>(&self, leaf: &str, shape: [usize; D]) -> Param<Tensor<D>> {
        let kernel: usize = shape[2..].iter().product();
        let bound = (6.0 / ((shape[0] + shape[1]) * kernel) as f64).sqrt();
        let (seed, name) = (self.seed, self.name(leaf));
        self.parameter(shape, move |count| seed.initial_uniform(&name, count, bound))
    }

    /// A weight: normal, mean 0, with this standard deviation.
    pub fn normal_weight<const D: usize>(&self, leaf: &str, shape: [usize; D], std: f64) -> Param<Tensor<D>> {
        let (seed, name) = (self.seed, self.name(leaf));
        self.parameter(shape, move |count| seed.initial_values(&name, count, std))
    }

    /// A parameter with a constant initial value.
    pub fn constant<const D: usize>(&self, shape: [usize; D], value: f64) -> Param<Tensor<D>> {
        self.parameter(shape, move |count| vec![value as f32; count])
    }

    fn parameter<const D: usize>(
        &self,
        shape: [usize; D],
        values: impl FnOnce(usize) -> Vec<f32> + Send + Sync + 'static,
    ) -> Param<Tensor<D>> {
        let init = move |device: &Device, require_grad: bool| {
            let data = TensorData::new(values(shape.iter().product()), shape);
            Tensor::from_data(data, device).set_require_grad(require_grad)
        };
        Param::uninitialized(ParamId::new(), init, self.device.clone(), true, Shape::new(shape))
    }
}
