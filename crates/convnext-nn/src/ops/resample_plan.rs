//! Resampling of maps: each axis by a matrix, so that its transpose is the exact gradient (docs/facts.md, "F.
//! Segmentation"; PyTorch's rules for a given size).

use std::ops::Range;

/// The rule by which output cells are made of input cells, the same along both axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resampling {
    /// Bilinear interpolation between cell centres (`align_corners=False`), without antialiasing.
    Bilinear,
    /// The cell in which the upper left corner of an output cell falls, in f32 (PyTorch's `nearest`).
    Nearest,
    /// The mean over the cells of a bin; bins overlap or repeat where the output does not divide the input.
    AdaptiveAverage,
    /// A kernel of three taps over bilinearly interpolated cells, with zeros beyond their ends. The input has three values in
    /// place of each cell, its products with the taps. Of maps, its rows are in the order (image, cell, y, x): the 3 x 3
    /// products of a cell lie together.
    BilinearTaps,
}

/// Taps of the kernel of [`Resampling::BilinearTaps`].
pub(crate) const TAPS: usize = 3;

/// The settings of a resampling of rows of dense maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResamplePlan {
    /// Images of the batch.
    pub images: usize,
    /// Height and width of the input maps, each at least 1.
    pub input: [usize; 2],
    /// Height and width of the output maps.
    pub output: [usize; 2],
    /// The rule.
    pub rule: Resampling,
}

impl Resampling {
    /// The input cells of one output cell of an axis, with their weights, which sum up to 1, or to 1 for each tap.
    pub(crate) fn weights(self, cell: usize, input: usize, output: usize) -> Vec<(usize, f32)> {
        match self {
            Self::Bilinear => {
                let (near, fraction) = bilinear(cell, input, output);
                vec![(near, 1.0 - fraction), ((near + 1).min(input - 1), fraction)]
            }
            Self::Nearest => vec![(nearest(cell, input, output), 1.0)],
            Self::AdaptiveAverage => {
                let bin = adaptive_bin(cell, input, output);
                let weight = 1.0 / bin.len() as f32;
                bin.map(|index| (index, weight)).collect()
            }
            Self::BilinearTaps => {
                let of_tap = |tap: usize| {
                    let neighbour = (cell + tap).checked_sub(1).filter(|&neighbour| neighbour < output);
                    let cells = neighbour.map(|at| Self::Bilinear.weights(at, input / TAPS, output));
                    cells.into_iter().flatten().map(move |(index, weight)| (TAPS * index + tap, weight))
                };
                (0..TAPS).flat_map(of_tap).collect()
            }
        }
    }

    /// The matrix of an axis, `[output, input]`, row-major.
    pub fn matrix(self, input: usize, output: usize) -> Vec<f32> {
        let mut matrix = vec![0.0; output * input];
        for cell in 0..output {
            for (index, weight) in self.weights(cell, input, output) {
                matrix[cell * input + index] += weight;
            }
        }
        matrix
    }
}

/// The lower of the two cells that bilinear interpolation reads, and the weight of the other, in f32 as in PyTorch.
fn bilinear(cell: usize, input: usize, output: usize) -> (usize, f32) {
    let scale = input as f32 / output as f32;
    let place = ((cell as f32 + 0.5) * scale - 0.5).max(0.0);
    let near = (place as usize).min(input - 1);
    (near, (place - near as f32).min(1.0))
}

/// The cell that PyTorch's `nearest` copies: in f32, which differs from integers for some sizes.
fn nearest(cell: usize, input: usize, output: usize) -> usize {
    let scale = input as f32 / output as f32;
    ((cell as f32 * scale) as usize).min(input - 1)
}

/// The bin of an adaptive average pool.
fn adaptive_bin(cell: usize, input: usize, output: usize) -> Range<usize> {
    cell * input / output..((cell + 1) * input).div_ceil(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_overlap_and_repeat() {
        let bins = |input, output| (0..output).map(|i| adaptive_bin(i, input, output)).collect::<Vec<_>>();
        assert_eq!(bins(5, 3), [0..2, 1..4, 3..5]);
        assert_eq!(bins(4, 6), [0..1, 0..2, 1..2, 2..3, 2..4, 3..4]);
        assert_eq!(bins(1, 2), [0..1, 0..1]);
    }

    #[test]
    fn nearest_is_computed_in_f32() {
        let cells: Vec<usize> = (0..25).map(|cell| nearest(cell, 13, 25)).collect();
        assert_eq!(cells, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12]);
        // In integers 41 * 2 / 82 is 1; in f32 PyTorch finds the same as here.
        assert_eq!(nearest(41, 2, 82), (41.0_f32 * (2.0_f32 / 82.0)) as usize);
    }

    /// The products of each cell with three taps, interpolated, are what the taps make of the interpolated cells.
    #[test]
    fn taps_after_interpolation_are_taps_before_it() {
        let (taps, cells, output) = ([0.5_f32, -2.0, 3.0], [1.0_f32, 4.0, -2.0], 7);
        let of_matrix = |rule: Resampling, values: &[f32]| -> Vec<f32> {
            let matrix = rule.matrix(values.len(), output);
            let row = |row: &[f32]| row.iter().zip(values).map(|(weight, value)| weight * value).sum();
            matrix.chunks_exact(values.len()).map(row).collect()
        };
        let resized = of_matrix(Resampling::Bilinear, &cells);
        let products: Vec<f32> = cells.iter().flat_map(|cell| taps.map(|tap| cell * tap)).collect();
        for (at, found) in of_matrix(Resampling::BilinearTaps, &products).into_iter().enumerate() {
            let neighbour = |tap: usize| (at + tap).checked_sub(1).and_then(|at| resized.get(at));
            let expected: f32 =
                (0..TAPS).map(|tap| neighbour(tap).map_or(0.0, |cell| cell * taps[tap])).sum();
            assert!((found - expected).abs() < 1e-5, "{at}: {found}, {expected}");
        }
    }

    #[test]
    fn the_weights_of_a_cell_sum_up_to_one() {
        for rule in [Resampling::Bilinear, Resampling::Nearest, Resampling::AdaptiveAverage] {
            for (input, output) in [(1, 1), (1, 6), (4, 6), (7, 3), (5, 13), (33, 2)] {
                for row in rule.matrix(input, output).chunks_exact(input) {
                    assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{rule:?} {input} {output}");
                }
            }
        }
    }
}
