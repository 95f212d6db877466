//! Rows selected by index, forward and backward (PyTorch's `index_select` on dimension 0): the pixels of a
//! site, the four sites that downsampling merges, the tokens that a decoder sees, the patches that it
//! predicts.
//!
//! Notation: R source rows, P indices, C values of a row.

use crate::buffer::Buffer;
use crate::parallel::{self, TASK_VALUES};
use crate::profile::{Kernel, timed};
use crate::split::add_to;

/// The rows with these indices: `[R, C]` to `[P, C]`.
///
/// # Panics
/// When an index is out of range.
pub fn gather_rows(rows: &[f32], columns: usize, indices: &[i32]) -> Buffer {
    let mut out = Buffer::take(indices.len() * columns);
    let rows_per_task = task_rows(columns);
    parallel::for_each(
        out.chunks_mut(rows_per_task * columns).zip(indices.chunks(rows_per_task)),
        |(out, indices)| {
            timed(Kernel::Gather, || {
                for (out, &index) in out.chunks_exact_mut(columns).zip(indices) {
                    out.copy_from_slice(&rows[index as usize * columns..][..columns]);
                }
            });
        },
    );
    out
}

/// The gradient of the `count` rows of [`gather_rows`] for an output gradient `[P, C]`, a `scatter_add`. The
/// gradients of a row that was selected several times are added in the order of the indices.
///
/// # Panics
/// When an index is out of range, or there is not a gradient for each index.
pub fn gather_rows_backward(dout: &[f32], columns: usize, indices: &[i32], count: usize) -> Buffer {
    assert_eq!(dout.len(), indices.len() * columns, "there is a gradient for each index");
    let picks = Picks::new(indices, count);
    let mut drows = Buffer::take(count * columns);
    let rows_per_task = task_rows(columns);
    parallel::for_each(drows.chunks_mut(rows_per_task * columns).enumerate(), |(index, drows)| {
        timed(Kernel::Gather, || {
            for (row, drow) in (index * rows_per_task..).zip(drows.chunks_exact_mut(columns)) {
                match picks.of(row) {
                    [] => drow.fill(0.0),
                    [first, others @ ..] => {
                        let gradient = |pick: u32| &dout[pick as usize * columns..][..columns];
                        drow.copy_from_slice(gradient(*first));
                        others.iter().for_each(|&pick| add_to(drow, gradient(pick)));
                    }
                }
            }
        });
    });
    drows
}

fn task_rows(columns: usize) -> usize {
    (TASK_VALUES / columns.max(1)).max(1)
}

/// The positions in the index list at which each row is selected, in order (a CSR list).
struct Picks {
    /// Begin of each row's positions, and the end of the last one's.
    begins: Vec<u32>,
    picks: Vec<u32>,
}

impl Picks {
    fn new(indices: &[i32], rows: usize) -> Self {
        let mut begins = vec![0_u32; rows + 1];
        for &index in indices {
            begins[index as usize + 1] += 1;
        }
        for row in 0..rows {
            begins[row + 1] += begins[row];
        }
        let mut next = begins.clone();
        let mut picks = vec![0; indices.len()];
        for (pick, &index) in (0..).zip(indices) {
            let place = &mut next[index as usize];
            picks[*place as usize] = pick;
            *place += 1;
        }
        Self { begins, picks }
    }

    fn of(&self, row: usize) -> &[u32] {
        &self.picks[self.begins[row] as usize..self.begins[row + 1] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_selected_and_their_gradients_scattered() {
        let rows = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let indices = [2, 0, 2, 2];
        assert_eq!(gather_rows(&rows, 2, &indices)[..], [5.0, 6.0, 1.0, 2.0, 5.0, 6.0, 5.0, 6.0]);
        let dout = [1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 100.0, 200.0];
        assert_eq!(gather_rows_backward(&dout, 2, &indices, 3)[..], [3.0, 4.0, 0.0, 0.0, 111.0, 222.0]);
        assert!(gather_rows(&rows, 2, &[]).is_empty());
    }

    #[test]
    fn several_tasks_equal_one() {
        let columns = 3;
        let count = 4 * TASK_VALUES / columns;
        let rows: Vec<f32> = (0..count * columns).map(|place| place as f32).collect();
        let reversed: Vec<i32> = (0..count as i32).rev().collect();
        let found = gather_rows(&rows, columns, &reversed);
        assert_eq!(found[..3], rows[(count - 1) * columns..]);
        assert_eq!(gather_rows_backward(&found, columns, &reversed, count)[..], rows);
    }
}
