//! The reference implementation of our operations on rows in tensor operations: it runs on every backend without
//! kernels, and kernels are tested against it. Written on primitives, because it must also run under a nested
//! automatic differentiation of any backend. The block is put together in `block_reference.rs`.
//!
//! Notation: N images, S rows, C channels, P sites of all maps.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::ops::{ConvOptions, IndexingUpdateOp};
use burn::tensor::{Shape, Slice};
use convnext_core::DEPTHWISE_KERNEL_SIZE;
use convnext_kernels::Sites;

use crate::ops::block_plan::Placement;

/// Epsilon of LayerNorm's variance, of GRN's mean norm and of a target patch's variance ("A. Architecture"
/// and "C4. Loss" in `docs/facts.md`).
pub(crate) const EPSILON: f64 = 1e-6;

/// Added to the variance of a batch norm (docs/facts.md, "F. Segmentation").
pub const BATCH_NORM_EPSILON: f64 = 1e-5;

/// 7x7 convolution over the maps of kept sites, `[S, I]` to `[S, O]`: scatter into maps, convolve, gather. A site that is
/// not kept counts as zero. The weight is `[O, I / groups, 7, 7]`.
pub(crate) fn convolve_sites<B: Backend>(
    rows: FloatTensor<B>,
    (weight, bias): (FloatTensor<B>, Option<FloatTensor<B>>),
    groups: usize,
    placement: Placement<B>,
    sites: &Sites,
) -> FloatTensor<B> {
    let (inputs, outputs) = (rows.shape()[1], weight.shape()[0]);
    let (images, height, width) = (sites.images(), sites.height(), sites.width());
    let count = images * height * width;
    let map = match &placement {
        Placement::Dense => rows,
        Placement::Kept { positions } => {
            let zeros = B::float_zeros(Shape::new([count, inputs]), &rows.device(), rows.dtype().into());
            scatter_add::<B>(zeros, positions.clone(), rows)
        }
    };
    let map = B::float_reshape(map, Shape::new([images, height, width, inputs]));
    let map = B::float_permute(map, &[0, 3, 1, 2]);
    let options = ConvOptions::new([1, 1], [DEPTHWISE_KERNEL_SIZE / 2; 2], [1, 1], groups);
    let map = B::conv2d(map, weight, bias, options);
    let map = B::float_reshape(B::float_permute(map, &[0, 2, 3, 1]), Shape::new([count, outputs]));
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

#[cfg(test)]
mod tests {
    use burn::backend::Flex;
    use burn::backend::tensor::Device;
    use burn::tensor::TensorData;

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
