//! The reference implementation of the block (paper Figure 5): parts of `reference.rs` and `response_reference.rs` in
//! their order.
//!
//! Notation: N images, R rows of one image, S = N * R rows, C channels, E = 4C.

use std::f64::consts::SQRT_2;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{Shape, TensorData};

use crate::ops::block_plan::{
    BlockParameters, BlockPlan, LayerScaleParameters, Placement, ResponseParameters,
};
use crate::ops::reference::{convolve_sites, layer_norm_reference, linear_reference};
use crate::ops::response_reference::{batch_norm_by_batch, response_reference};

/// One block on rows `[S, C]`, to rows of the same shape.
pub(crate) fn block_reference<B: Backend>(
    rows: FloatTensor<B>,
    parameters: BlockParameters<B>,
    placement: Placement<B>,
    plan: &BlockPlan,
) -> FloatTensor<B> {
    let [.., output] = block_layers_reference::<B>(rows, parameters, placement, plan);
    output
}

/// The layers of one block: after the depthwise convolution `[S, C]`, expanded after GELU and normalised `[S, E]`, and the
/// output `[S, C]`.
pub(crate) fn block_layers_reference<B: Backend>(
    rows: FloatTensor<B>,
    parameters: BlockParameters<B>,
    placement: Placement<B>,
    plan: &BlockPlan,
) -> [FloatTensor<B>; 4] {
    let depthwise = depthwise::<B>(rows.clone(), &parameters, placement.clone(), plan);
    let expanded = expanded::<B>(depthwise.clone(), &parameters);
    let response = parameters.response.clone();
    let normalised = response_reference::<B>(expanded.clone(), response, placement, plan);
    let output = output::<B>(rows, normalised.clone(), parameters, plan);
    [depthwise, expanded, normalised, output]
}

/// One block whose batch norm is by the statistics of this batch, and these: mean and unbiased variance, each `[E]`.
/// Blocks without a batch norm have none.
pub(crate) fn block_reference_by_batch<B: Backend>(
    rows: FloatTensor<B>,
    parameters: BlockParameters<B>,
    placement: Placement<B>,
    plan: &BlockPlan,
) -> (FloatTensor<B>, Option<[FloatTensor<B>; 2]>) {
    let ResponseParameters::BatchNorm { weight, bias, .. } = parameters.response.clone() else {
        return (block_reference::<B>(rows, parameters, placement, plan), None);
    };
    let depthwise = depthwise::<B>(rows.clone(), &parameters, placement, plan);
    let hidden = expanded::<B>(depthwise, &parameters);
    let (hidden, statistics) = batch_norm_by_batch::<B>(hidden, weight, bias);
    (output::<B>(rows, hidden, parameters, plan), Some(statistics))
}

/// The depthwise convolution, `[S, C]` to `[S, C]`.
fn depthwise<B: Backend>(
    rows: FloatTensor<B>,
    parameters: &BlockParameters<B>,
    placement: Placement<B>,
    plan: &BlockPlan,
) -> FloatTensor<B> {
    let (p, channels) = (parameters.clone(), rows.shape()[1]);
    convolve_sites::<B>(rows, (p.depthwise_weight, Some(p.depthwise_bias)), channels, placement, &plan.sites)
}

/// The hidden channels after GELU, of the depthwise convolution's output: `[S, C]` to `[S, E]`.
fn expanded<B: Backend>(depthwise: FloatTensor<B>, parameters: &BlockParameters<B>) -> FloatTensor<B> {
    let p = parameters.clone();
    let normed = layer_norm_reference::<B>(depthwise, p.norm_weight, p.norm_bias);
    gelu_reference::<B>(linear_reference::<B>(normed, p.expand_weight, p.expand_bias))
}

/// The block's output by its input `[S, C]` and the normalised hidden channels `[S, E]`.
fn output<B: Backend>(
    rows: FloatTensor<B>,
    hidden: FloatTensor<B>,
    parameters: BlockParameters<B>,
    plan: &BlockPlan,
) -> FloatTensor<B> {
    let p = parameters;
    let branch = linear_reference::<B>(hidden, p.project_weight, p.project_bias);
    let branch = match p.layer_scale {
        LayerScaleParameters::Absent => branch,
        LayerScaleParameters::Present { gamma } => {
            let channels = gamma.shape()[0];
            B::float_mul(branch, B::float_reshape(gamma, Shape::new([1, channels])))
        }
    };
    let branch = match &plan.drop_path_scales {
        None => branch,
        Some(scales) => scale_images::<B>(branch, scales),
    };
    B::float_add(rows, branch)
}

/// The exact GELU, with erf. Not Burn's own: its gradient is that of the tanh approximation unless a backend
/// overrides it, which Burn's GPU backends do not, and gradients are off by 5e-4.
fn gelu_reference<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let erf = B::float_erf(B::float_div_scalar(x.clone(), SQRT_2.into()));
    B::float_mul(B::float_mul_scalar(x, 0.5_f64.into()), B::float_add_scalar(erf, 1.0_f64.into()))
}

/// Multiplies the rows of each image by its factor: `[S, C]` to `[S, C]`.
fn scale_images<B: Backend>(rows: FloatTensor<B>, scales: &[f32]) -> FloatTensor<B> {
    let shape = rows.shape();
    let images = scales.len();
    let data = TensorData::new(scales.to_vec(), [images, 1, 1]).convert_dtype(rows.dtype());
    let factors = B::float_from_data(data, &rows.device());
    let x = B::float_reshape(rows, Shape::new([images, shape[0] / images, shape[1]]));
    B::float_reshape(B::float_mul(x, factors), shape)
}
