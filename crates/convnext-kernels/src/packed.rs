//! The matrices of a GEMM: the right side packed into panels of neighbouring columns, row by row, so that a
//! micro-tile reads it sequentially.

use std::ops::Range;

use pulp::Arch;

use crate::buffer::Buffer;
use crate::parallel;
use crate::profile::{Kernel, timed};
use crate::split::{scaled, split_at_ranges};

/// What the columns of a panel (NR) are padded to a multiple of.
pub(crate) const NR_MULTIPLE: usize = 16;

/// NR, the columns of a panel, at most: as many as a micro-tile of the instruction set has, so that it reads a panel
/// from end to end.
fn max_nr(arch: Arch) -> usize {
    match arch {
        #[cfg(target_arch = "x86_64")]
        Arch::V4(_) => 64,
        _ => 16,
    }
}

/// Rows of a panel that are accumulated at a time: few enough that the panel stays in the L2 cache.
pub(crate) const KC: usize = 256;

/// A matrix view of a slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// `values` are column-major.
    pub(crate) transposed: bool,
}

impl<'a> Matrix<'a> {
    /// A row-major matrix.
    pub(crate) fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "a matrix has as many values as its shape says");
        Self { values, rows, columns, transposed: false }
    }

    pub(crate) fn transposed(self) -> Self {
        Self { rows: self.columns, columns: self.rows, transposed: !self.transposed, ..self }
    }
}

/// A packed right side.
#[derive(Debug, PartialEq)]
pub(crate) struct Packed {
    /// By KC blocks of the inner dimension, then by panels: `[kc, width]`, zero-padded after the last column.
    values: Buffer,
    pub(crate) inner: usize,
    pub(crate) columns: usize,
    /// NR, at most.
    max_nr: usize,
}

impl Packed {
    /// Packs a matrix on all threads, for the micro-tiles of an instruction set; others read it as well.
    pub(crate) fn new(arch: Arch, matrix: Matrix<'_>) -> Self {
        let Matrix { values, rows: inner, columns, transposed } = matrix;
        let padded = columns.next_multiple_of(NR_MULTIPLE);
        let mut packed = Buffer::take(inner * padded);
        let max_nr = max_nr(arch);
        let panels: Vec<Panel> = Panel::all(columns, max_nr).collect();
        let work = packed.chunks_mut((KC * padded).max(1)).enumerate().flat_map(|(block, packed)| {
            let kc = packed.len() / padded;
            let k_range = block * KC..block * KC + kc;
            let parts = split_at_ranges(packed, panels.iter().map(|panel| scaled(&panel.padded(), kc)));
            parts.into_iter().zip(&panels).map(move |(packed, panel)| (k_range.clone(), panel, packed))
        });
        parallel::for_each(work, |(k_range, panel, packed)| {
            timed(Kernel::Packing, || match transposed {
                true => {
                    pack_transposed(&values[scaled(&panel.columns, inner)], inner, k_range, panel, packed);
                }
                false => pack(values, columns, k_range, panel, packed),
            });
        });
        Self { values: packed, inner, columns, max_nr }
    }

    /// Lets `pack` write each panel, zeros after its last column included, on all threads.
    pub(crate) fn by_panel(
        arch: Arch,
        inner: usize,
        columns: usize,
        pack: impl Fn(&Panel, &mut PanelRows<'_>) + Sync,
    ) -> Self {
        let padded = columns.next_multiple_of(NR_MULTIPLE);
        let mut packed = Buffer::take(inner * padded);
        let max_nr = max_nr(arch);
        let mut panels: Vec<(Panel, PanelRows<'_>)> = Panel::all(columns, max_nr)
            .map(|panel| {
                let rows = PanelRows { blocks: Vec::new(), width: panel.padded().len() };
                (panel, rows)
            })
            .collect();
        for block in packed.chunks_mut((KC * padded).max(1)) {
            let kc = block.len() / padded;
            let ranges: Vec<_> = panels.iter().map(|(panel, _)| scaled(&panel.padded(), kc)).collect();
            for ((_, rows), part) in panels.iter_mut().zip(split_at_ranges(block, ranges)) {
                rows.blocks.push(part);
            }
        }
        parallel::for_each(panels, |(panel, mut rows)| timed(Kernel::Packing, || pack(&panel, &mut rows)));
        Self { values: packed, inner, columns, max_nr }
    }

    /// The columns of each panel.
    pub(crate) fn panels(&self) -> impl Iterator<Item = Panel> {
        Panel::all(self.columns, self.max_nr)
    }

    /// The rows of a panel, `[kc, width]`, for the range of one KC block.
    pub(crate) fn panel(&self, k_range: &Range<usize>, panel: &Panel) -> &[f32] {
        let begin = k_range.start * self.columns.next_multiple_of(NR_MULTIPLE);
        &self.values[begin..][scaled(&panel.padded(), k_range.len())]
    }
}

/// The rows of a panel, for packing.
pub(crate) struct PanelRows<'a> {
    /// By KC blocks: `[kc, width]`.
    blocks: Vec<&'a mut [f32]>,
    width: usize,
}

impl PanelRows<'_> {
    /// A row of the right side, padded.
    pub(crate) fn row(&mut self, k: usize) -> &mut [f32] {
        &mut self.blocks[k / KC][k % KC * self.width..][..self.width]
    }
}

/// The columns of a panel.
pub(crate) struct Panel {
    pub(crate) columns: Range<usize>,
}

impl Panel {
    /// As few panels as possible, and then as equal as possible: a narrow one has too few independent
    /// accumulators to hide the latency of a multiply-add.
    fn all(columns: usize, max_nr: usize) -> impl Iterator<Item = Self> {
        let width =
            columns.div_ceil(columns.div_ceil(max_nr).max(1)).next_multiple_of(NR_MULTIPLE).max(NR_MULTIPLE);
        (0..columns).step_by(width).map(move |begin| Self { columns: begin..columns.min(begin + width) })
    }

    /// The columns with their zero padding.
    pub(crate) fn padded(&self) -> Range<usize> {
        self.columns.start..self.columns.end.next_multiple_of(NR_MULTIPLE)
    }
}

/// Packs a panel of a row-major matrix.
fn pack(values: &[f32], columns: usize, k_range: Range<usize>, panel: &Panel, packed: &mut [f32]) {
    for (k, packed) in k_range.zip(packed.chunks_exact_mut(panel.padded().len())) {
        let (found, rest) = packed.split_at_mut(panel.columns.len());
        found.copy_from_slice(&values[k * columns..][panel.columns.clone()]);
        rest.fill(0.0);
    }
}

/// Packs a panel of a column-major matrix, `inner` values to a column.
fn pack_transposed(values: &[f32], inner: usize, k_range: Range<usize>, panel: &Panel, packed: &mut [f32]) {
    // A few cache lines of each source column at a time, so that the hardware prefetches the next ones.
    const K_STEP: usize = 64;
    let width = panel.padded().len();
    for (k, packed) in k_range.step_by(K_STEP).zip(packed.chunks_mut(K_STEP * width)) {
        for (column, values) in values.chunks_exact(inner).enumerate() {
            for (packed, value) in packed.chunks_exact_mut(width).zip(&values[k..]) {
                packed[column] = *value;
            }
        }
        let count = panel.columns.len();
        packed.chunks_exact_mut(width).for_each(|packed| packed[count..].fill(0.0));
    }
}
