//! Row blocks of a layer that has rows on both sides.

use crate::parallel;
use crate::split::add_to;

/// Row blocks of a call, so that all cores have work, and the rows of one: minimum and maximum.
const ROW_BLOCKS: usize = 8;
const BLOCK_ROWS: [usize; 2] = [32, 256];

/// Rows of a row block.
pub(crate) fn row_block_rows(rows: usize) -> usize {
    rows.div_ceil(ROW_BLOCKS).clamp(BLOCK_ROWS[0], BLOCK_ROWS[1])
}

/// The column sums of rows `[R, columns]`, such as the gradient of a bias: partial sums of row blocks, added in order.
///
/// # Panics
/// When the sizes do not fit each other.
pub fn column_sums(values: &[f32], columns: usize) -> Vec<f32> {
    assert!(columns > 0 && values.len().is_multiple_of(columns), "the rows are [R, columns]");
    let partial = parallel::map(values.chunks(BLOCK_ROWS[1] * columns), |values| {
        let mut sums = vec![0.0; columns];
        values.chunks_exact(columns).for_each(|row| add_to(&mut sums, row));
        sums
    });
    let mut sums = vec![0.0; columns];
    partial.iter().for_each(|partial| add_to(&mut sums, partial));
    sums
}
