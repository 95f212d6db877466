//! The reference implementation of RoIAlign: the cells of all bins one by one, as weighted rows of the maps.
//!
//! Notation: N images, H x W their maps, R regions, P bins of each, C channels.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{DType, Shape, TensorData};
use convnext_kernels::RegionWeights;

use crate::ops::kernels::RoiAlignKernels;
use crate::ops::reference::scatter_add;
use crate::ops::reference_kernels::Reference;
use crate::ops::roi_align_plan::RoiAlignPlan;

impl<B: Backend> RoiAlignKernels<B> for Reference {
    fn supports(_plan: &RoiAlignPlan, _dtype: DType) -> bool {
        true
    }

    fn forward(rows: FloatTensor<B>, plan: &RoiAlignPlan) -> FloatTensor<B> {
        let shape = Shape::new([plan.rows(), rows.shape()[1]]);
        let zeros = B::float_zeros(shape, &rows.device(), rows.dtype().into());
        terms::<B>(&rows, plan).into_iter().fold(zeros, |sum, (cells, weights)| {
            B::float_add(sum, B::float_mul(B::float_select(rows.clone(), 0, cells), weights))
        })
    }

    fn backward(dout: FloatTensor<B>, plan: &RoiAlignPlan) -> FloatTensor<B> {
        let [height, width] = plan.input;
        let shape = Shape::new([plan.images * height * width, dout.shape()[1]]);
        let zeros = B::float_zeros(shape, &dout.device(), dout.dtype().into());
        terms::<B>(&dout, plan).into_iter().fold(zeros, |sum, (cells, weights)| {
            scatter_add::<B>(sum, cells, B::float_mul(dout.clone(), weights))
        })
    }
}

/// A row of the maps for each bin, `[R P]`, and its weight, `[R P, 1]`.
type Term<B> = (IntTensor<B>, FloatTensor<B>);

/// The terms whose sum is the output, on the device and in the element type of a tensor. Bins with fewer terms than others
/// have weights of 0.
fn terms<B: Backend>(like: &FloatTensor<B>, plan: &RoiAlignPlan) -> Vec<Term<B>> {
    let bins: Vec<Vec<(usize, f32)>> =
        plan.regions.iter().flat_map(|region| bins_of(region, plan.input)).collect();
    let (count, terms) = (bins.len(), bins.iter().map(Vec::len).max().unwrap_or(0));
    let term = |index: usize| {
        let of_bin = |bin: &Vec<(usize, f32)>| bin.get(index).copied().unwrap_or((0, 0.0));
        let (cells, weights): (Vec<i32>, Vec<f32>) =
            bins.iter().map(of_bin).map(|(cell, weight)| (cell as i32, weight)).unzip();
        let weights = TensorData::new(weights, [count, 1]).convert_dtype(like.dtype());
        let cells = B::int_from_data(TensorData::new(cells, [count]), &like.device());
        (cells, B::float_from_data(weights, &like.device()))
    };
    (0..terms).map(term).collect()
}

/// The rows of the maps of each bin of a region, with their weights.
fn bins_of(region: &RegionWeights, [height, width]: [usize; 2]) -> Vec<Vec<(usize, f32)>> {
    let [vertical, horizontal] = &region.axes;
    let bin = |line: usize, column: usize| {
        let of_line = |&(y, weight): &(usize, f32)| {
            let row = (region.image * height + y) * width;
            horizontal.of(column).iter().map(move |(x, factor)| (row + x, weight * factor))
        };
        vertical.of(line).iter().flat_map(of_line).collect()
    };
    let columns = horizontal.outputs();
    (0..vertical.outputs() * columns).map(|place| bin(place / columns, place % columns)).collect()
}
