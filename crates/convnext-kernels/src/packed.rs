//! Matrices as products read them: the right side packed into panels of neighbouring columns, line after
//! line, so that a tile reads it from one place to the next.

use std::ops::Range;

use crate::buffer::Buffer;
use crate::parallel;
use crate::pieces::{pieces, wide};
use crate::profile::{Kernel, timed};

/// Most columns of a panel, and what their number is a multiple of.
const WIDEST: usize = 64;
const STEP: usize = 16;

/// Inner values that are summed up at a time: so few that a panel of them stays in the second cache.
pub(crate) const DEPTH: usize = 256;

/// A matrix that lies in a slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Whether `values` hold column after column.
    pub(crate) turned: bool,
}

impl<'a> Matrix<'a> {
    /// Row after row.
    pub(crate) fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "a matrix has as many values as its shape says");
        Self { values, rows, columns, turned: false }
    }

    pub(crate) fn transposed(self) -> Self {
        Self { rows: self.columns, columns: self.rows, turned: !self.turned, ..self }
    }
}

/// The right side of products.
#[derive(Debug)]
pub(crate) struct Packed {
    /// By pieces of the inner dimension, then by panels: `[inner, width]`, with zeros after the last column.
    values: Buffer,
    pub(crate) inner: usize,
    pub(crate) columns: usize,
}

impl Packed {
    /// Packs a matrix on all threads.
    pub(crate) fn new(matrix: Matrix<'_>) -> Self {
        let Matrix { values, rows: inner, columns, turned } = matrix;
        let padded = columns.next_multiple_of(STEP);
        let mut packed = Buffer::take(inner * padded);
        let panels: Vec<Panel> = Panel::all(columns).collect();
        let work = packed.chunks_mut((DEPTH * padded).max(1)).enumerate().flat_map(|(piece, packed)| {
            let depth = packed.len() / padded;
            let lines = piece * DEPTH..piece * DEPTH + depth;
            let parts = pieces(packed, panels.iter().map(|panel| wide(&panel.padded(), depth)));
            parts.into_iter().zip(&panels).map(move |(packed, panel)| (lines.clone(), panel, packed))
        });
        parallel::for_each(work, |(lines, panel, packed)| {
            timed(Kernel::Packing, || match turned {
                true => pack_turned(&values[wide(&panel.columns, inner)], inner, lines, panel, packed),
                false => pack(values, columns, lines, panel, packed),
            });
        });
        Self { values: packed, inner, columns }
    }

    /// The lines of a panel, `[lines, width]`. The lines are those of a piece.
    pub(crate) fn panel(&self, lines: &Range<usize>, panel: &Panel) -> &[f32] {
        let begin = lines.start * self.columns.next_multiple_of(STEP);
        &self.values[begin..][wide(&panel.padded(), lines.len())]
    }
}

/// Some columns of the right side.
pub(crate) struct Panel {
    pub(crate) columns: Range<usize>,
}

impl Panel {
    /// As few as possible, and then as equal as possible: with a narrow one the registers would wait for
    /// each other.
    pub(crate) fn all(columns: usize) -> impl Iterator<Item = Self> {
        let width = columns.div_ceil(columns.div_ceil(WIDEST).max(1)).next_multiple_of(STEP).max(STEP);
        (0..columns).step_by(width).map(move |begin| Self { columns: begin..columns.min(begin + width) })
    }

    /// With the zeros after the last column.
    pub(crate) fn padded(&self) -> Range<usize> {
        self.columns.start..self.columns.end.next_multiple_of(STEP)
    }
}

/// Packs a panel of a matrix that lies row after row.
fn pack(values: &[f32], columns: usize, lines: Range<usize>, panel: &Panel, packed: &mut [f32]) {
    for (line, packed) in lines.zip(packed.chunks_exact_mut(panel.padded().len())) {
        let (found, rest) = packed.split_at_mut(panel.columns.len());
        found.copy_from_slice(&values[line * columns..][panel.columns.clone()]);
        rest.fill(0.0);
    }
}

/// Packs a panel whose columns lie one after the other, `inner` values each.
fn pack_turned(values: &[f32], inner: usize, lines: Range<usize>, panel: &Panel, packed: &mut [f32]) {
    // A few cache lines of the source at a time, so that the next one is on its way.
    const LINES: usize = 64;
    let width = panel.padded().len();
    for (line, packed) in lines.step_by(LINES).zip(packed.chunks_mut(LINES * width)) {
        for (column, values) in values.chunks_exact(inner).enumerate() {
            for (packed, value) in packed.chunks_exact_mut(width).zip(&values[line..]) {
                packed[column] = *value;
            }
        }
        let count = panel.columns.len();
        packed.chunks_exact_mut(width).for_each(|packed| packed[count..].fill(0.0));
    }
}
