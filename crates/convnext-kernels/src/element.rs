//! The element type of linear layers as a parameter: f32 or bf16, on an instruction set.

use pulp::Arch;

use crate::bf16::columns::{PackColumns, pack_padded_columns};
use crate::bf16::gemm as bf16_gemm;
use crate::bf16::gemm::micro_tiles::Left;
use crate::bf16::implementation::Bf16;
use crate::bf16::packed::PackedBf16;
use crate::bf16::rows::{PackRows, pack_rows, padded, row_pairs};
use crate::bf16::storage::OnBf16x2;
use crate::blocking::Segment;
use crate::buffer::Buffer;
use crate::convolution::bf16::tap_weight_gradient_bf16;
use crate::convolution::taps::{TAPS, TapRows};
use crate::convolution::weight_gradient::tap_weight_gradient;
use crate::convolution::weights::{by_output, by_rotated_tap, pack_forward, pack_rotated};
use crate::dense_maps::DenseMaps;
use crate::gemm;
use crate::gemm::epilogue::Epilogue;
use crate::gemm::weight_gradient;
use crate::packed::{Matrix, Packed};
use crate::profile::{Kernel, timed};
use crate::registers::{INTERLEAVE, bf16x2_count};
use crate::storage::{Lane, OnExact, WithStorage};

/// An element type of the inputs of linear layers and of the activations between them: [`Arch`] is f32, and
/// [`Bf16`] is bf16. The sides of a weight gradient's GEMM, `[R, columns]`, are the f32 rows themselves, or
/// row-packed copies.
pub(crate) trait Element: Copy + Send + Sync {
    /// Activations are stored in.
    type Lane: Lane;
    /// A packed right side.
    type Packed: Sync;

    /// `true` if the sides of a weight gradient are row-packed: they hold row pairs of padded rows.
    const ROW_PACKS: bool;

    /// Packs a right side for epilogues that read no activations.
    fn pack(self, matrix: Matrix<'_>) -> Self::Packed;

    /// Packs a right side for epilogues that store activations.
    fn pack_for_activations(self, matrix: Matrix<'_>) -> Self::Packed;

    /// Inner dimension and columns.
    fn shape(right: &Self::Packed) -> [usize; 2];

    /// The rows, `[R, columns]`, as a left side, unless they are one.
    fn pack_left(self, rows: &[f32], columns: usize) -> Option<Buffer>;

    /// The rows, `[R, columns]`, as a side of a weight gradient, unless they are one. On all threads.
    fn pack_side(self, rows: &[f32], columns: usize) -> Option<Buffer>;

    /// Lets `write` write the rows of segments, `[R, columns]`, and stores them in `side`.
    fn write_side<T>(
        self,
        segments: &[Segment],
        columns: usize,
        side: &mut [Self::Lane],
        write: impl FnOnce(&mut [f32]) -> T,
    ) -> T;

    /// `left right`, given to `epilogue`.
    fn gemm(
        self,
        kernel: Kernel,
        left: &[Self::Lane],
        right: &Self::Packed,
        epilogue: &mut impl Epilogue<Self::Lane>,
    );

    /// `sums += left^T right` of so many columns each: the weight gradient of a linear layer. On all threads.
    fn gemm_tn_accumulate(self, sides: [&[Self::Lane]; 2], columns: [usize; 2], sums: &mut [f32]);

    /// Packs the right side of a 3x3 convolution with a weight `[O, C, 3, 3]`.
    fn pack_taps(self, weight: &[f32], outputs: usize) -> Self::Packed;

    /// Packs the right side of its input gradient.
    fn pack_rotated_taps(self, weight: &[f32], outputs: usize) -> Self::Packed;

    /// The rows of maps, `[R, channels]`, as [`Self::gemm_taps`] reads them, unless they are so. On all threads.
    fn pack_tap_rows(self, rows: &[f32], channels: usize) -> Option<Buffer>;

    /// [`Self::gemm`] of sites with their neighbours.
    fn gemm_taps(
        self,
        kernel: Kernel,
        left: TapRows<'_, Self::Lane>,
        right: &Self::Packed,
        epilogue: &mut impl Epilogue<Self::Lane>,
    );

    /// The weight gradient of a convolution, `[O, C, 3, 3]`. On all threads.
    fn tap_weight_gradient(self, maps: &DenseMaps, rows: Matrix<'_>, dout: Matrix<'_>) -> Buffer;

    /// Runs a kernel.
    fn run(self, work: impl WithStorage<Self::Lane>);
}

impl Element for Arch {
    type Lane = f32;
    type Packed = Packed;

    const ROW_PACKS: bool = false;

    fn pack(self, matrix: Matrix<'_>) -> Packed {
        Packed::new(self, matrix)
    }

    fn pack_for_activations(self, matrix: Matrix<'_>) -> Packed {
        Packed::new(self, matrix)
    }

    fn shape(right: &Packed) -> [usize; 2] {
        [right.inner, right.columns]
    }

    fn pack_left(self, _: &[f32], _: usize) -> Option<Buffer> {
        None
    }

    fn pack_side(self, _: &[f32], _: usize) -> Option<Buffer> {
        None
    }

    fn write_side<T>(
        self,
        _: &[Segment],
        _: usize,
        side: &mut [f32],
        write: impl FnOnce(&mut [f32]) -> T,
    ) -> T {
        write(side)
    }

    fn gemm(self, kernel: Kernel, left: &[f32], right: &Packed, epilogue: &mut impl Epilogue<f32>) {
        let left = Matrix::new(left, left.len() / right.inner.max(1), right.inner);
        gemm::gemm(self, kernel, left, right, epilogue);
    }

    fn gemm_tn_accumulate(self, [left, right]: [&[f32]; 2], columns: [usize; 2], sums: &mut [f32]) {
        let rows = left.len() / columns[0].max(1);
        let (left, right) = (Matrix::new(left, rows, columns[0]), Matrix::new(right, rows, columns[1]));
        weight_gradient::gemm_tn_accumulate(self, left, right, sums);
    }

    fn pack_taps(self, weight: &[f32], outputs: usize) -> Packed {
        pack_forward(self, weight, outputs)
    }

    fn pack_rotated_taps(self, weight: &[f32], outputs: usize) -> Packed {
        pack_rotated(self, weight, outputs)
    }

    fn pack_tap_rows(self, _: &[f32], _: usize) -> Option<Buffer> {
        None
    }

    fn gemm_taps(
        self,
        kernel: Kernel,
        left: TapRows<'_, f32>,
        right: &Packed,
        epilogue: &mut impl Epilogue<f32>,
    ) {
        gemm::gemm(self, kernel, left, right, epilogue);
    }

    fn tap_weight_gradient(self, maps: &DenseMaps, rows: Matrix<'_>, dout: Matrix<'_>) -> Buffer {
        tap_weight_gradient(self, maps, rows, dout)
    }

    fn run(self, work: impl WithStorage<f32>) {
        self.dispatch(OnExact(work));
    }
}

impl Element for Bf16 {
    type Lane = u32;
    type Packed = PackedBf16;

    const ROW_PACKS: bool = true;

    fn pack(self, matrix: Matrix<'_>) -> PackedBf16 {
        PackedBf16::new(self, matrix)
    }

    fn pack_for_activations(self, matrix: Matrix<'_>) -> PackedBf16 {
        PackedBf16::of_whole_interleaves(self, matrix)
    }

    fn shape(right: &PackedBf16) -> [usize; 2] {
        [right.inner, right.columns]
    }

    fn pack_left(self, rows: &[f32], columns: usize) -> Option<Buffer> {
        let mut left = Buffer::take(rows.len() / columns * bf16x2_count(columns));
        let bf16x2 = left.bf16x2_mut();
        timed(Kernel::Rounding, || self.dispatch(PackColumns { rows, columns, bf16x2 }));
        Some(left)
    }

    fn pack_side(self, rows: &[f32], columns: usize) -> Option<Buffer> {
        Some(pack_rows(self, rows, columns))
    }

    fn write_side<T>(
        self,
        segments: &[Segment],
        columns: usize,
        side: &mut [u32],
        write: impl FnOnce(&mut [f32]) -> T,
    ) -> T {
        let count: usize = segments.iter().map(|segment| segment.rows.len()).sum();
        let mut exact = Buffer::take(count * columns);
        let result = write(&mut exact);
        let (mut rest, mut to) = (&exact[..], side);
        for segment in segments {
            let (rows, after) = rest.split_at(segment.rows.len() * columns);
            let (bf16x2, after_bf16x2) = to.split_at_mut(row_pairs(segment.rows.len()) * padded(columns));
            timed(Kernel::Rounding, || self.dispatch(PackRows { rows, columns, bf16x2 }));
            (rest, to) = (after, after_bf16x2);
        }
        result
    }

    fn gemm(self, kernel: Kernel, left: &[u32], right: &PackedBf16, epilogue: &mut impl Epilogue<u32>) {
        let rows = 0..left.len() / bf16x2_count(right.inner).max(1);
        bf16_gemm::gemm(self, kernel, Left::Columns(left), rows, &bf16_gemm::Right::Packed(right), epilogue);
    }

    fn gemm_tn_accumulate(self, sides: [&[u32]; 2], columns: [usize; 2], sums: &mut [f32]) {
        bf16_gemm::gemm_tn_accumulate(self, sides, columns, sums);
    }

    fn pack_taps(self, weight: &[f32], outputs: usize) -> PackedBf16 {
        let channels = (weight.len() / outputs / TAPS).next_multiple_of(INTERLEAVE);
        let matrix = by_output(weight, outputs, channels);
        self.pack(Matrix::new(&matrix, outputs, TAPS * channels).transposed())
    }

    fn pack_rotated_taps(self, weight: &[f32], outputs: usize) -> PackedBf16 {
        let (inputs, channels) = (weight.len() / outputs / TAPS, outputs.next_multiple_of(INTERLEAVE));
        let matrix = by_rotated_tap(weight, outputs, channels);
        self.pack(Matrix::new(&matrix, TAPS * channels, inputs))
    }

    fn pack_tap_rows(self, rows: &[f32], channels: usize) -> Option<Buffer> {
        Some(pack_padded_columns(self, rows, channels))
    }

    fn gemm_taps(
        self,
        kernel: Kernel,
        left: TapRows<'_, u32>,
        right: &PackedBf16,
        epilogue: &mut impl Epilogue<u32>,
    ) {
        let rows = 0..left.sites.len();
        bf16_gemm::gemm(self, kernel, left, rows, &bf16_gemm::Right::Packed(right), epilogue);
    }

    fn tap_weight_gradient(self, maps: &DenseMaps, rows: Matrix<'_>, dout: Matrix<'_>) -> Buffer {
        tap_weight_gradient_bf16(self, maps, rows, dout)
    }

    fn run(self, work: impl WithStorage<u32>) {
        self.dispatch(OnBf16x2(work));
    }
}
