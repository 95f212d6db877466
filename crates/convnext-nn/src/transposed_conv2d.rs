//! A transposed convolution that doubles height and width: each cell becomes 2 x 2 cells, which do not overlap.

use burn::module::Param;
use burn::prelude::*;
use convnext_kernels::Precision;

use crate::feature_maps::FeatureMaps;
use crate::ops::gather::gather;
use crate::ops::linear::linear;
use crate::ops::linear_plan::LinearPlan;
use crate::site_map::index_tensor;

/// Cells that a cell becomes, downwards and to the right.
const FACTOR: usize = 2;

/// A transposed convolution with a kernel of 2 x 2 and a stride of 2, with PyTorch's weight: a linear layer from each cell to
/// its four.
#[derive(Module, Debug)]
pub struct TransposedConv2d {
    /// `[in, out, 2, 2]`.
    pub weight: Param<Tensor<4>>,
    /// `[out]`.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    precision: Precision,
}

impl TransposedConv2d {
    /// The layer of a weight `[in, out, 2, 2]` and a bias `[out]`.
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
        let [inputs, outputs, ..] = self.weight.val().dims();
        let cells = FACTOR * FACTOR * outputs;
        let weight = self.weight.val().permute([2, 3, 1, 0]).reshape([cells, inputs]);
        let bias = self.bias.val().reshape([1, outputs]).repeat_dim(0, FACTOR * FACTOR).reshape([cells]);
        let products = linear(maps.rows.clone(), weight, bias, &LinearPlan::new(self.precision));
        // A row has the four cells line by line. Cells of a line lie together already; lines go where they belong.
        let halves = products.reshape([images * height * width * FACTOR, FACTOR * outputs]);
        let lines = index_tensor(&line_order(images * height, width), &maps.rows.device());
        let rows = gather(halves, lines).reshape([images * height * width * FACTOR * FACTOR, outputs]);
        FeatureMaps { rows, images, height: FACTOR * height, width: FACTOR * width }
    }
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
