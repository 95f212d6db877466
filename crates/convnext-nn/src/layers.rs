//! The layers with parameters, in PyTorch's layouts and under its names.

use std::f64::consts::SQRT_2;

use burn::module::Param;
use burn::prelude::*;
use convnext_kernels::Precision;

use crate::ops::layer_norm::layer_norm;
use crate::ops::linear::linear;
use crate::ops::linear_plan::LinearPlan;
use crate::parameters::Scope;

/// LayerNorm over the channels of each row (epsilon 1e-6, biased variance).
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Scale, `[channels]`, starts at 1.
    pub weight: Param<Tensor<1>>,
    /// Shift, `[channels]`, starts at 0.
    pub bias: Param<Tensor<1>>,
}

impl LayerNorm {
    /// A freshly initialised layer for `channels` channels.
    pub fn new(channels: usize, scope: &Scope) -> Self {
        Self { weight: scope.constant([channels], 1.0), bias: scope.constant([channels], 0.0) }
    }

    /// Normalises each row.
    ///
    /// # Shapes
    /// - rows, output: `[rows, channels]`
    pub fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        layer_norm(rows, self.weight.val(), self.bias.val())
    }
}

/// A linear layer with PyTorch's weight.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[out, in]`.
    pub weight: Param<Tensor<2>>,
    /// `[out]`, starts at 0.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    plan: LinearPlan,
}

impl Linear {
    /// A freshly initialised layer; `factor` scales its initial weight.
    pub fn new(inputs: usize, outputs: usize, factor: f64, scope: &Scope) -> Self {
        Self::of(scope.scaled_weight("weight", [outputs, inputs], factor), scope.constant([outputs], 0.0))
    }

    /// The layer of a weight `[out, in]` and a bias `[out]`.
    pub fn of(weight: Param<Tensor<2>>, bias: Param<Tensor<1>>) -> Self {
        Self { weight, bias, plan: LinearPlan::default() }
    }

    /// The same layer with this precision of its GEMM.
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { plan: LinearPlan::new(precision), ..self }
    }

    /// `rows W^T + b`.
    ///
    /// # Shapes
    /// - rows: `[rows, in]`
    /// - output: `[rows, out]`
    pub fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        linear(rows, self.weight.val(), self.bias.val(), &self.plan)
    }
}

/// The parameters of a convolution. The caller chooses the algorithm: over rows it is a gather and a GEMM.
#[derive(Module, Debug)]
pub struct Convolution {
    /// `[out, in / groups, height, width]`.
    pub weight: Param<Tensor<4>>,
    /// `[out]`, starts at 0.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    plan: LinearPlan,
}

impl Convolution {
    /// A freshly initialised convolution whose weight has this shape.
    pub fn new(shape: [usize; 4], scope: &Scope) -> Self {
        Self::of(scope.weight("weight", shape), scope.constant([shape[0]], 0.0))
    }

    /// The convolution of a weight `[out, in / groups, height, width]` and a bias `[out]`.
    pub fn of(weight: Param<Tensor<4>>, bias: Param<Tensor<1>>) -> Self {
        Self { weight, bias, plan: LinearPlan::default() }
    }

    /// The same layer with this precision of its GEMM.
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { plan: LinearPlan::new(precision), ..self }
    }

    /// A convolution whose stride is its kernel size, over rows in im2col layout: the inputs of a window in
    /// the order (channel, y, x).
    ///
    /// # Shapes
    /// - rows: `[rows, in * height * width]`
    /// - output: `[rows, out]`
    pub fn forward_patches(&self, rows: Tensor<2>) -> Tensor<2> {
        linear(rows, self.weight.val(), self.bias.val(), &self.plan)
    }

    /// The same for inputs in the order (y, x, channel), as in gathered rows.
    ///
    /// # Shapes
    /// - rows: `[rows, height * width * in]`
    /// - output: `[rows, out]`
    pub fn forward_gathered(&self, rows: Tensor<2>) -> Tensor<2> {
        linear(rows, self.weight.val().permute([0, 2, 3, 1]), self.bias.val(), &self.plan)
    }
}

/// The parameters of Global Response Normalization in the release's shape, with which it starts as the
/// identity. It is computed within the block ([`crate::ops::block`]): on the CPU by [`convnext_kernels::block_forward`], elsewhere
/// in `ops/response_reference.rs`.
#[derive(Module, Debug)]
pub struct Grn {
    /// Scale of the normalised response, `[1, 1, 1, 4C]`.
    pub gamma: Param<Tensor<4>>,
    /// Shift, `[1, 1, 1, 4C]`.
    pub beta: Param<Tensor<4>>,
}

/// GELU with erf and its exact gradient: Burn's own is exact on the CPU only (see `ops/block_reference.rs`).
pub(crate) fn exact_gelu<const D: usize>(values: Tensor<D>) -> Tensor<D> {
    let erf = (values.clone() / SQRT_2).erf();
    values * 0.5 * (erf + 1.0)
}
