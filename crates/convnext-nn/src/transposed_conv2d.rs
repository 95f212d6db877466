//! A transposed convolution that doubles height and width: each cell becomes 2 x 2 cells.

use burn::module::Param;
use burn::prelude::*;
use convnext_kernels::Precision;

use crate::feature_maps::FeatureMaps;
use crate::ops::convolution::convolution;
use crate::ops::convolution_plan::{ConvolutionPlan, Epilogue};
use crate::ops::gather::gather;
use crate::ops::linear::linear;
use crate::ops::linear_plan::LinearPlan;
use crate::ops::packing::PackingCache;
use crate::site_map::index_tensor;

/// Cells that a cell becomes, downwards and to the right.
const FACTOR: usize = 2;

/// The zero behind the taps of a kernel of 4 x 4.
const NO_TAP: usize = 4;

/// A transposed convolution with a stride of 2, with PyTorch's weight. With a kernel of 2 x 2 it is a linear layer from each
/// cell to its four, which do not overlap. With one of 4 x 4 and a padding of 1 each of the four sees a 2 x 2 neighbourhood,
/// so that it is a 3 x 3 convolution to all four, whose weight is 0 at the other cells: CPU kernels know that size.
#[derive(Module, Debug)]
pub struct TransposedConv2d {
    /// `[in, out, 2, 2]` or `[in, out, 4, 4]`.
    pub weight: Param<Tensor<4>>,
    /// `[out]`.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    precision: Precision,
}

impl TransposedConv2d {
    /// The layer of a weight `[in, out, 2, 2]` or `[in, out, 4, 4]` and a bias `[out]`.
    pub fn new(weight: Param<Tensor<4>>, bias: Param<Tensor<1>>) -> Self {
        Self { weight, bias, precision: Precision::default() }
    }

    /// The same layer with this precision of its products on the CPU.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The maps in twice their height and width.
    ///
    /// # Shapes
    /// - maps: rows `[images * height * width, in]`
    /// - output: rows `[images * 2 height * 2 width, out]`
    pub fn forward(&self, maps: &FeatureMaps) -> FeatureMaps {
        let &FeatureMaps { images, height, width, .. } = maps;
        let [inputs, outputs, side, _] = self.weight.lazy_shape().dims::<4>();
        let cells = FACTOR * FACTOR * outputs;
        let bias = self.bias.val().reshape([1, outputs]).repeat_dim(0, FACTOR * FACTOR).reshape([cells]);
        let products = if side == FACTOR {
            let weight = self.weight.val().permute([2, 3, 1, 0]).reshape([cells, inputs]);
            linear(maps.rows.clone(), weight, bias, &LinearPlan::new(self.precision))
        } else {
            let epilogue = Epilogue::Bias { bias: bias.into_dispatch() };
            convolution(maps.rows.clone(), overlapping(self.weight.val()), epilogue, self.plan(maps))
        };
        // A row has the four cells line by line. Cells of a line lie together already; lines go where they belong.
        let halves = products.reshape([images * height * width * FACTOR, FACTOR * outputs]);
        let lines = index_tensor(&line_order(images * height, width), &maps.rows.device());
        let rows = gather(halves, lines).reshape([images * height * width * FACTOR * FACTOR, outputs]);
        FeatureMaps { rows, images, height: FACTOR * height, width: FACTOR * width }
    }

    fn plan(&self, maps: &FeatureMaps) -> ConvolutionPlan {
        ConvolutionPlan {
            images: maps.images,
            input: maps.size(),
            kernel: [3; 2],
            padding: [1; 2],
            stride: [1; 2],
            precision: self.precision,
            packing: PackingCache::default(),
        }
    }
}

/// The weight of a 3 x 3 convolution to the four cells of each, `[4 out, in, 3, 3]`, in the order (y, x, channel).
///
/// Along an axis, the first of the two cells sees the cell before and its own through taps 3 and 1, the second its own and the
/// cell behind through taps 2 and 0.
fn overlapping(weight: Tensor<4>) -> Tensor<4> {
    let [inputs, outputs, ..] = weight.dims();
    let taps = index_tensor(&[3, 1, NO_TAP, NO_TAP, 2, 0], &weight.device());
    let spread = |weight: Tensor<4>, axis: usize| {
        let mut shape = weight.dims();
        shape[axis] = 1;
        let zeros = Tensor::zeros(shape, (&weight.device(), weight.dtype()));
        Tensor::cat(vec![weight, zeros], axis).select(axis, taps.clone())
    };
    let spread = spread(spread(weight, 2), 3).reshape([inputs, outputs, FACTOR, 3, FACTOR, 3]);
    spread.permute([2, 4, 1, 0, 3, 5]).reshape([FACTOR * FACTOR * outputs, inputs, 3, 3])
}

/// For each line of the output, the places in the order (line of the input, x, line of the cell) of its pairs of cells.
fn line_order(lines: usize, width: usize) -> Vec<usize> {
    let place = |line: usize, half: usize, x: usize| (line * width + x) * FACTOR + half;
    let of_line =
        |line: usize| (0..FACTOR).flat_map(move |half| (0..width).map(move |x| place(line, half, x)));
    (0..lines).flat_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_halves_of_cells_become_lines() {
        assert_eq!(line_order(2, 3), [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]);
    }
}
