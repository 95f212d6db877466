//! Our operations in ordinary tensor operations: the default bodies of every backend, and the reference
//! that kernels are compared with. Written on primitives, because it must also run on a nested
//! automatic differentiation of any backend.
//!
//! Notation: N images, R rows of one image, S = N * R rows, C channels, H x W the map.

use std::f64::consts::SQRT_2;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::ops::{ConvOptions, IndexingUpdateOp};
use burn::tensor::{Shape, Slice, TensorData};
use convnext_kernels::{PatchedImages, Sites};

use crate::ops::block_plan::{BlockParameters, BlockPlan, GrnParameters, LayerScaleParameters, Placement};
use crate::ops::patch_loss::PatchLossPlan;

/// Added to the variance in LayerNorm, to the mean response in GRN and to the variance of a target patch
/// (facts A1, A3, C4).
pub(crate) const EPSILON: f64 = 1e-6;

/// Added under the root of GRN's norm, so that its derivative at an all-zero channel is 0 and not
/// undefined. Far below what f32 resolves beside any real response.
const TINY: f64 = 1e-30;

/// One block on rows `[S, C]`, as [`crate::ops::block::BlockBackend::block`].
pub(crate) fn block_in_tensor_operations<B: Backend>(
    rows: FloatTensor<B>,
    parameters: BlockParameters<B>,
    placement: Placement<B>,
    plan: &BlockPlan,
) -> FloatTensor<B> {
    let sites = &plan.sites;
    let p = parameters;
    let branch = depthwise::<B>(rows.clone(), p.depthwise_weight, p.depthwise_bias, placement, sites);
    let branch = layer_norm_in_tensor_operations::<B>(branch, p.norm_weight, p.norm_bias);
    let branch = linear_in_tensor_operations::<B>(branch, p.expand_weight, p.expand_bias);
    let branch = gelu_in_tensor_operations::<B>(branch);
    let branch = match p.grn {
        GrnParameters::Absent => branch,
        GrnParameters::Present { gamma, beta } => {
            global_response_norm::<B>(branch, gamma, beta, sites.images())
        }
    };
    let branch = linear_in_tensor_operations::<B>(branch, p.project_weight, p.project_bias);
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

/// Depthwise 7x7 convolution at kept sites, `[S, C]` to `[S, C]`: scatter into maps, convolve, gather.
fn depthwise<B: Backend>(
    rows: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    placement: Placement<B>,
    sites: &Sites,
) -> FloatTensor<B> {
    let channels = rows.shape()[1];
    let (images, height, width) = (sites.images(), sites.height(), sites.width());
    let places = Shape::new([images * height * width, channels]);
    let map = match &placement {
        Placement::Dense => rows,
        Placement::Kept { positions } => {
            let zeros = B::float_zeros(places.clone(), &rows.device(), rows.dtype().into());
            put_rows::<B>(zeros, positions.clone(), rows)
        }
    };
    let map = B::float_reshape(map, Shape::new([images, height, width, channels]));
    let map = B::float_permute(map, &[0, 3, 1, 2]);
    let options = ConvOptions::new([1, 1], [3, 3], [1, 1], channels);
    let map = B::conv2d(map, weight, Some(bias), options);
    let map = B::float_reshape(B::float_permute(map, &[0, 2, 3, 1]), places);
    match placement {
        Placement::Dense => map,
        Placement::Kept { positions } => take_rows::<B>(map, positions),
    }
}

/// Rows that one operation adds at their places. Burn lets a graphics card go through them in one loop, and
/// Mesa's software driver ends every loop after 65,535 rounds without a word.
const MOST_PUT: usize = 1 << 15;

/// `into` with rows added at their places: `[P, C]` and `[S, C]` to `[P, C]`.
pub(crate) fn put_rows<B: Backend>(
    into: FloatTensor<B>,
    places: IntTensor<B>,
    rows: FloatTensor<B>,
) -> FloatTensor<B> {
    pieces(places.shape()[0]).fold(into, |into, piece| {
        let places = B::int_slice(places.clone(), &[piece]);
        let rows = B::float_slice(rows.clone(), &[piece]);
        B::float_select_assign(into, 0, places, rows, IndexingUpdateOp::Add)
    })
}

/// The rows at these places, `[P, C]` to `[S, C]`. Its derivative puts them back, so it is cut like
/// [`put_rows`].
fn take_rows<B: Backend>(from: FloatTensor<B>, places: IntTensor<B>) -> FloatTensor<B> {
    let take = |piece| B::float_select(from.clone(), 0, B::int_slice(places.clone(), &[piece]));
    B::float_cat(pieces(places.shape()[0]).map(take).collect(), 0)
}

/// Cuts so many rows.
fn pieces(rows: usize) -> impl Iterator<Item = Slice> {
    (0..rows).step_by(MOST_PUT).map(move |begin| (begin..rows.min(begin + MOST_PUT)).into())
}

/// LayerNorm over the channels of each row, biased variance: `[S, C]` to `[S, C]`.
pub(crate) fn layer_norm_in_tensor_operations<B: Backend>(
    rows: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
) -> FloatTensor<B> {
    let row = Shape::new([1, rows.shape()[1]]);
    let centred = B::float_sub(rows.clone(), B::float_mean_dim(rows, 1));
    let variance = B::float_mean_dim(B::float_mul(centred.clone(), centred.clone()), 1);
    let deviation = B::float_sqrt(B::float_add_scalar(variance, EPSILON.into()));
    let normalised = B::float_div(centred, deviation);
    B::float_add(B::float_mul(normalised, B::float_reshape(weight, row.clone())), B::float_reshape(bias, row))
}

/// `rows W^T + b`: `[S, in]` to `[S, out]`, with PyTorch's weight `[out, in]`.
pub(crate) fn linear_in_tensor_operations<B: Backend>(
    rows: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
) -> FloatTensor<B> {
    let outputs = bias.shape()[0];
    let weight = weight_matrix::<B>(weight);
    let product = B::float_matmul(rows, B::float_swap_dims(weight, 0, 1));
    B::float_add(product, B::float_reshape(bias, Shape::new([1, outputs])))
}

/// A weight of any rank, `[O, ...]`, as `[O, I]`.
pub(crate) fn weight_matrix<B: Backend>(weight: FloatTensor<B>) -> FloatTensor<B> {
    let shape = weight.shape();
    let outputs = shape[0];
    B::float_reshape(weight, Shape::new([outputs, shape.num_elements() / outputs.max(1)]))
}

/// The exact GELU, with erf. Not Burn's own: that is derived by the formula with tanh wherever a backend has
/// nothing better, which graphics cards have not, and gradients are off by 5e-4.
fn gelu_in_tensor_operations<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let erf = B::float_erf(B::float_div_scalar(x.clone(), SQRT_2.into()));
    B::float_mul(B::float_mul_scalar(x, 0.5_f64.into()), B::float_add_scalar(erf, 1.0_f64.into()))
}

/// Global Response Normalization over the rows of each image (paper equations 1 to 3, Algorithm 1):
/// `gamma * X * N(G(X)) + beta + X`, `[S, 4C]` to `[S, 4C]`.
///
/// `G` is the L2 norm of a channel over the kept sites of one image, never over the batch; `N`
/// divides it by the mean over channels (the printed sum times the channel count, footnote 1).
fn global_response_norm<B: Backend>(
    rows: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    images: usize,
) -> FloatTensor<B> {
    let shape = rows.shape();
    let channels = shape[1];
    let x = B::float_reshape(rows, Shape::new([images, shape[0] / images, channels]));
    let one_row = Shape::new([1, 1, channels]);
    let squares = B::float_sum_dim(B::float_mul(x.clone(), x.clone()), 1);
    let response = B::float_sqrt(B::float_add_scalar(squares, TINY.into()));
    let mean = B::float_add_scalar(B::float_mean_dim(response.clone(), 2), EPSILON.into());
    let normalised = B::float_div(response, mean);
    let scaled = B::float_mul(normalised, B::float_reshape(gamma, one_row.clone()));
    let scale = B::float_add_scalar(scaled, 1.0_f64.into());
    let y = B::float_add(B::float_mul(x, scale), B::float_reshape(beta, one_row));
    B::float_reshape(y, shape)
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

/// The errors `[R, V]` of predicted patches and the mean of their squares `[1]`, as
/// [`crate::ops::patch_loss::DifferentiablePatchLoss::patch_errors`].
pub(crate) fn patch_errors_in_tensor_operations<B: Backend>(
    predictions: FloatTensor<B>,
    images: FloatTensor<B>,
    patches: IntTensor<B>,
    plan: PatchLossPlan,
) -> [FloatTensor<B>; 2] {
    let PatchedImages { channels, height, width, patch } = plan.images;
    let (count, values) = (images.shape()[0], patch * patch * channels);
    let (rows, columns) = (height / patch, width / patch);
    let cut = B::float_reshape(images, Shape::new([count, channels, rows, patch, columns, patch]));
    let cut = B::float_permute(cut, &[0, 2, 4, 3, 5, 1]);
    let targets = B::float_reshape(cut, Shape::new([count * rows * columns, values]));
    let targets = B::float_select(targets, 0, patches);
    let targets = if plan.normalize { normalize_patches::<B>(targets) } else { targets };
    let errors = B::float_sub(predictions, targets);
    let number = errors.shape().num_elements();
    // Summed dimension by dimension: the order of additions then never depends on threads.
    let squares = B::float_mul(errors.clone(), errors.clone());
    let sum = B::float_reshape(B::float_sum_dim(B::float_sum_dim(squares, 1), 0), Shape::new([1]));
    [errors, B::float_div_scalar(sum, (number as f64).into())]
}

/// Each row less its mean, over the root of its unbiased variance + 1e-6 (facts C4).
fn normalize_patches<B: Backend>(patches: FloatTensor<B>) -> FloatTensor<B> {
    let values = patches.shape()[1];
    let centred = B::float_sub(patches.clone(), B::float_mean_dim(patches, 1));
    let squares = B::float_sum_dim(B::float_mul(centred.clone(), centred.clone()), 1);
    let variance = B::float_div_scalar(squares, ((values - 1) as f64).into());
    B::float_div(centred, B::float_sqrt(B::float_add_scalar(variance, EPSILON.into())))
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;
    use burn::backend::tensor::Device;

    use super::*;

    /// Ones with these rows added at these places, and what is then taken from there.
    fn put_and_take<B: Backend>(places: &[i32], rows: &[f32], device: &Device<B>) -> [FloatTensor<B>; 2] {
        let count = rows.len();
        let tensor = |values: Vec<f32>| B::float_from_data(TensorData::new(values, [count, 1]), device);
        let places = B::int_from_data(TensorData::new(places.to_vec(), [count]), device);
        let put = put_rows::<B>(tensor(vec![1.0; count]), places.clone(), tensor(rows.to_vec()));
        [put.clone(), take_rows::<B>(put, places)]
    }

    #[test]
    fn rows_are_put_and_taken_in_several_pieces_as_in_one() {
        let count = 2 * MOST_PUT + 5;
        let rows: Vec<f32> = (0..count).map(|row| row as f32).collect();
        let places: Vec<i32> = (0..count as i32).rev().collect();
        let [put, taken] = put_and_take::<Flex>(&places, &rows, &Default::default());
        let expected: Vec<f32> = rows.iter().map(|row| row + 1.0).collect();
        assert_eq!(taken.as_slice::<f32>(), Some(&expected[..]));
        let expected: Vec<f32> = expected.into_iter().rev().collect();
        assert_eq!(put.as_slice::<f32>(), Some(&expected[..]));
    }
}
