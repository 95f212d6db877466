//! The reference implementation of our operations in tensor operations: it runs on every backend without
//! kernels, and kernels are tested against it. Written on primitives, because it must also run under a nested
//! automatic differentiation of any backend.
//!
//! Notation: N images, R rows of one image, S = N * R rows, C channels, H x W the map.

use std::f64::consts::SQRT_2;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::ops::{ConvOptions, IndexingUpdateOp};
use burn::tensor::{Shape, Slice, TensorData};
use convnext_core::DEPTHWISE_KERNEL_SIZE;
use convnext_kernels::Sites;

use crate::ops::block_plan::{
    BlockParameters, BlockPlan, GrnParameters, LayerScaleParameters, Placement, ResponseNorm,
};
#[cfg(test)]
use crate::ops::block_tests::mean_absolute_norm;

/// Epsilon of LayerNorm's variance, of GRN's mean norm and of a target patch's variance ("A. Architecture"
/// and "C4. Loss" in `docs/facts.md`).
pub(crate) const EPSILON: f64 = 1e-6;

/// Added under the root of GRN's norm, so that its derivative at an all-zero channel is 0 and not
/// undefined. Far below f32 rounding of any real norm.
const TINY: f64 = 1e-30;

/// One block on rows `[S, C]`, to rows of the same shape.
pub(crate) fn block_reference<B: Backend>(
    rows: FloatTensor<B>,
    parameters: BlockParameters<B>,
    placement: Placement<B>,
    plan: &BlockPlan,
) -> FloatTensor<B> {
    let sites = &plan.sites;
    let p = parameters;
    let branch = depthwise::<B>(rows.clone(), p.depthwise_weight, p.depthwise_bias, placement, sites);
    let branch = layer_norm_reference::<B>(branch, p.norm_weight, p.norm_bias);
    let branch = linear_reference::<B>(branch, p.expand_weight, p.expand_bias);
    let branch = gelu_reference::<B>(branch);
    let branch = match p.grn {
        GrnParameters::Absent => branch,
        GrnParameters::Present { gamma, beta } => match plan.response_norm {
            ResponseNorm::Grn => global_response_norm::<B>(branch, gamma, beta, sites.images()),
            #[cfg(test)]
            ResponseNorm::MeanAbsolute => mean_absolute_norm::<B>(branch, gamma, beta, sites.images()),
        },
    };
    let branch = linear_reference::<B>(branch, p.project_weight, p.project_bias);
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
pub(crate) fn depthwise<B: Backend>(
    rows: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    placement: Placement<B>,
    sites: &Sites,
) -> FloatTensor<B> {
    let channels = rows.shape()[1];
    let (images, height, width) = (sites.images(), sites.height(), sites.width());
    let shape = Shape::new([images * height * width, channels]);
    let map = match &placement {
        Placement::Dense => rows,
        Placement::Kept { positions } => {
            let zeros = B::float_zeros(shape.clone(), &rows.device(), rows.dtype().into());
            scatter_add::<B>(zeros, positions.clone(), rows)
        }
    };
    let map = B::float_reshape(map, Shape::new([images, height, width, channels]));
    let map = B::float_permute(map, &[0, 3, 1, 2]);
    let options = ConvOptions::new([1, 1], [DEPTHWISE_KERNEL_SIZE / 2; 2], [1, 1], channels);
    let map = B::conv2d(map, weight, Some(bias), options);
    let map = B::float_reshape(B::float_permute(map, &[0, 2, 3, 1]), shape);
    match placement {
        Placement::Dense => map,
        Placement::Kept { positions } => index_select::<B>(map, positions),
    }
}

/// Maximum rows of one scatter. Burn's GPU kernel iterates over them in one loop, and Mesa's software driver
/// silently ends every loop after 65,535 iterations.
const MAX_SCATTER_ROWS: usize = 1 << 15;

/// `into` with rows added at their indices: `[P, C]` and `[S, C]` to `[P, C]`.
pub(crate) fn scatter_add<B: Backend>(
    into: FloatTensor<B>,
    indices: IntTensor<B>,
    rows: FloatTensor<B>,
) -> FloatTensor<B> {
    row_chunks(indices.shape()[0]).fold(into, |into, chunk| {
        let indices = B::int_slice(indices.clone(), &[chunk]);
        let rows = B::float_slice(rows.clone(), &[chunk]);
        B::float_select_assign(into, 0, indices, rows, IndexingUpdateOp::Add)
    })
}

/// The rows at these indices, `[P, C]` to `[S, C]`. Its gradient is a scatter, so it is chunked like
/// [`scatter_add`].
fn index_select<B: Backend>(from: FloatTensor<B>, indices: IntTensor<B>) -> FloatTensor<B> {
    let select = |chunk| B::float_select(from.clone(), 0, B::int_slice(indices.clone(), &[chunk]));
    B::float_cat(row_chunks(indices.shape()[0]).map(select).collect(), 0)
}

/// Chunks of so many rows.
fn row_chunks(rows: usize) -> impl Iterator<Item = Slice> {
    (0..rows).step_by(MAX_SCATTER_ROWS).map(move |begin| (begin..rows.min(begin + MAX_SCATTER_ROWS)).into())
}

/// LayerNorm over the channels of each row, biased variance: `[S, C]` to `[S, C]`.
pub(crate) fn layer_norm_reference<B: Backend>(
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
pub(crate) fn linear_reference<B: Backend>(
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

/// The exact GELU, with erf. Not Burn's own: its gradient is that of the tanh approximation unless a backend
/// overrides it, which Burn's GPU backends do not, and gradients are off by 5e-4.
pub(crate) fn gelu_reference<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let erf = B::float_erf(B::float_div_scalar(x.clone(), SQRT_2.into()));
    B::float_mul(B::float_mul_scalar(x, 0.5_f64.into()), B::float_add_scalar(erf, 1.0_f64.into()))
}

/// Global Response Normalization over the rows of each image (paper equations 1 to 3, Algorithm 1):
/// `gamma * X * N(G(X)) + beta + X`, `[S, 4C]` to `[S, 4C]`.
///
/// `G` is the L2 norm of a channel over the kept sites of one image, never over the batch; `N`
/// divides it by the mean over channels (the printed sum times the channel count, footnote 1).
pub(crate) fn global_response_norm<B: Backend>(
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
pub(crate) fn scale_images<B: Backend>(rows: FloatTensor<B>, scales: &[f32]) -> FloatTensor<B> {
    let shape = rows.shape();
    let images = scales.len();
    let data = TensorData::new(scales.to_vec(), [images, 1, 1]).convert_dtype(rows.dtype());
    let factors = B::float_from_data(data, &rows.device());
    let x = B::float_reshape(rows, Shape::new([images, shape[0] / images, shape[1]]));
    B::float_reshape(B::float_mul(x, factors), shape)
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;
    use burn::backend::tensor::Device;

    use super::*;

    /// Ones with these rows added at these indices, and the rows selected from there.
    fn scatter_and_select<B: Backend>(
        indices: &[i32],
        rows: &[f32],
        device: &Device<B>,
    ) -> [FloatTensor<B>; 2] {
        let count = rows.len();
        let tensor = |values: Vec<f32>| B::float_from_data(TensorData::new(values, [count, 1]), device);
        let indices = B::int_from_data(TensorData::new(indices.to_vec(), [count]), device);
        let added = scatter_add::<B>(tensor(vec![1.0; count]), indices.clone(), tensor(rows.to_vec()));
        [added.clone(), index_select::<B>(added, indices)]
    }

    #[test]
    fn scatter_add_and_index_select_in_several_chunks_equal_one() {
        let count = 2 * MAX_SCATTER_ROWS + 5;
        let rows: Vec<f32> = (0..count).map(|row| row as f32).collect();
        let indices: Vec<i32> = (0..count as i32).rev().collect();
        let [added, selected] = scatter_and_select::<Flex>(&indices, &rows, &Default::default());
        let expected: Vec<f32> = rows.iter().map(|row| row + 1.0).collect();
        assert_eq!(selected.as_slice::<f32>(), Some(&expected[..]));
        let expected: Vec<f32> = expected.into_iter().rev().collect();
        assert_eq!(added.as_slice::<f32>(), Some(&expected[..]));
    }
}
