//! A 3x3 convolution in bf16: its left side, and its weight gradient.

use crate::bf16::bf16x2::Bf16x2;
use crate::bf16::gemm::gemm_tn_accumulate;
use crate::bf16::gemm::micro_tiles::{LeftSide, MicroTiles, Sums, multiply_add};
use crate::bf16::implementation::Bf16;
use crate::bf16::rows::pack_rows;
use crate::buffer::Buffer;
use crate::convolution::taps::{TAPS, TapRows, sites, steps};
use crate::convolution::weights::{TASK_OUTPUTS, taps_last};
use crate::dense_maps::DenseMaps;
use crate::packed::Matrix;
use crate::parallel::{self, TASK_ROWS};
use crate::profile::{Kernel, timed};

/// Column-packed rows of whole interleave groups, so that each tap's lanes are those of its channels.
impl LeftSide for TapRows<'_, u32> {
    #[inline(always)]
    fn accumulate<B: Bf16x2, const V: usize, const M: usize>(
        self,
        ops: B,
        micro_tiles: &MicroTiles<'_, Self>,
        row: usize,
        at: usize,
        sums: &mut Sums<B, V, M>,
    ) {
        let (k_range, lanes) = (&micro_tiles.k_range, self.lanes());
        let mut begin = k_range.start;
        while begin < k_range.end {
            let tap = begin / lanes;
            let end = k_range.end.min((tap + 1) * lanes);
            let part = begin - tap * lanes..end - tap * lanes;
            let depth = part.len();
            // Not by a closure, so that the compiler sees all lengths and elides the bounds checks.
            let mut rows = [&[][..]; M];
            for (m, row_of_tap) in rows.iter_mut().enumerate() {
                *row_of_tap = &self.lanes_of(row + m, tap, &part)[..depth];
            }
            let factors = |inner: usize| move |row: usize| rows[row][inner];
            for inner in 0..depth {
                let panel = micro_tiles.panel_row::<B, V>(begin - k_range.start + inner, at);
                multiply_add(ops, sums, factors(inner), panel);
            }
            begin = end;
        }
    }
}

/// The weight gradient `[O, C, 3, 3]` for an input `[R, C]` and an output gradient `[R, O]`: a product of shifted rows for
/// each tap.
pub(crate) fn tap_weight_gradient_bf16(
    bf16: Bf16,
    maps: &DenseMaps,
    rows: Matrix<'_>,
    dout: Matrix<'_>,
) -> Buffer {
    let (inputs, outputs) = (rows.columns, dout.columns);
    let dout = pack_rows(bf16, dout.values, outputs);
    let mut sums = Buffer::take(TAPS * inputs * outputs);
    sums.fill(0.0);
    let mut shifted = Buffer::take(rows.values.len());
    for (tap, sums) in sums.chunks_exact_mut(inputs * outputs).enumerate() {
        shift_rows(maps, tap, rows, &mut shifted);
        let shifted = pack_rows(bf16, &shifted, inputs);
        gemm_tn_accumulate(bf16, [shifted.bf16x2(), dout.bf16x2()], [inputs, outputs], sums);
    }
    let mut weight = Buffer::take(outputs * inputs * TAPS);
    let tasks = weight.chunks_mut(TASK_OUTPUTS * inputs * TAPS).enumerate();
    parallel::for_each(tasks, |(task, weight)| {
        let mut rows: Vec<&mut [f32]> = weight.chunks_exact_mut(inputs * TAPS).collect();
        timed(Kernel::Packing, || taps_last(&sums, task * TASK_OUTPUTS, outputs, &mut rows));
    });
    weight
}

/// The neighbours of all rows at one tap, zeros where they lie outside of the map.
fn shift_rows(maps: &DenseMaps, tap: usize, rows: Matrix<'_>, shifted: &mut [f32]) {
    let (channels, step) = (rows.columns, steps(maps)[tap]);
    parallel::for_each(shifted.chunks_mut(TASK_ROWS * channels).enumerate(), |(task, shifted)| {
        timed(Kernel::Gather, || {
            let first = task * TASK_ROWS;
            let sites = sites(maps, first..first + shifted.len() / channels);
            for ((row, site), shifted) in (first..).zip(sites).zip(shifted.chunks_exact_mut(channels)) {
                match site.has(tap) {
                    true => {
                        let neighbour = row.wrapping_add_signed(step);
                        shifted.copy_from_slice(&rows.values[neighbour * channels..][..channels]);
                    }
                    false => shifted.fill(0.0),
                }
            }
        });
    });
}
