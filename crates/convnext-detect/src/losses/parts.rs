//! What the losses are made of.

use burn::prelude::*;
use burn::tensor::activation::log_sigmoid;
use burn::tensor::{DType, Element};

/// The sum of all values, `[1]`. Dimension by dimension, so that the order of additions never depends on
/// threads.
pub(crate) fn sum(values: Tensor<2>) -> Tensor<1> {
    values.sum_dim(1).sum_dim(0).reshape([1])
}

/// A loss of 0 that is still one of `outputs`, so that its gradient is 0 and not missing.
pub(crate) fn nothing(outputs: Tensor<2>) -> Tensor<1> {
    // One row is enough; a part of nothing would have no gradient.
    let outputs = if outputs.dims()[0] > 1 { outputs.narrow(0, 0, 1) } else { outputs };
    sum(outputs) * 0.0
}

/// A sum divided by a number. Burn's gradient of a division by a number is rounded to f32, that of a product
/// is not.
pub(crate) fn divide(sum: Tensor<1>, divisor: usize) -> Tensor<1> {
    sum * (1.0 / divisor as f64)
}

/// The sum of the binary cross-entropies of logits, `[1]`.
///
/// # Shapes
/// - logits: `[rows, columns]`
/// - wanted: `rows * columns`, `true` for 1
pub(crate) fn binary_cross_entropy(logits: Tensor<2>, wanted: impl Iterator<Item = bool>) -> Tensor<1> {
    let signs: Vec<f32> = wanted.map(|wanted| if wanted { 1.0 } else { -1.0 }).collect();
    // The probability of either answer is the sigmoid of the logit or of its opposite.
    let signs = constant(signs, &logits);
    sum(log_sigmoid(logits * signs)).neg()
}

/// The sum of the absolute differences of rows of four from their targets, `[1]`.
///
/// # Shapes
/// - deltas: `[rows, 4]`
pub(crate) fn absolute_difference(deltas: Tensor<2>, targets: Vec<[f64; 4]>) -> Tensor<1> {
    let targets = constant(targets.into_flattened(), &deltas);
    sum((deltas - targets).abs())
}

/// Values of the shape and type of a tensor.
fn constant<E: Element>(values: Vec<E>, like: &Tensor<2>) -> Tensor<2> {
    let data = TensorData::new(values, like.dims()).convert_dtype(like.dtype());
    Tensor::from_data(data, (&like.device(), like.dtype()))
}

/// Indices of rows.
pub(crate) fn indices(of: Vec<usize>, device: &Device) -> Tensor<1, Int> {
    let indices: Vec<i64> = of.into_iter().map(|index| index as i64).collect();
    let count = indices.len();
    Tensor::from_data(TensorData::new(indices, [count]), (device, DType::I64))
}
