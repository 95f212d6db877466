//! Rows picked by their index, forward and backward: the pixels under a site, the four sites that
//! downsampling joins, the tokens that a decoder sees, the patches that it predicts.
//!
//! Letters: R rows to pick from, P picks, C values of a row.

use crate::buffer::Buffer;
use crate::parallel;
use crate::pieces::add_to;
use crate::profile::{Kernel, timed};

/// Values that a thread copies at a time.
const PIECE_VALUES: usize = 1 << 14;

/// The rows with these indices: `[R, C]` to `[P, C]`.
///
/// # Panics
/// When an index is not that of a row.
pub fn gather_rows(rows: &[f32], columns: usize, indices: &[i32]) -> Buffer {
    let mut out = Buffer::take(indices.len() * columns);
    let piece = piece_rows(columns);
    parallel::for_each(out.chunks_mut(piece * columns).zip(indices.chunks(piece)), |(out, indices)| {
        timed(Kernel::Gather, || {
            for (out, &index) in out.chunks_exact_mut(columns).zip(indices) {
                out.copy_from_slice(&rows[index as usize * columns..][..columns]);
            }
        });
    });
    out
}

/// The gradient of the `count` rows of [`gather_rows`] for an output gradient `[P, C]`. What a row got
/// back from several picks is added in the order of the picks.
///
/// # Panics
/// When an index is not that of a row, or there is not a gradient for each pick.
pub fn gather_rows_backward(dout: &[f32], columns: usize, indices: &[i32], count: usize) -> Buffer {
    assert_eq!(dout.len(), indices.len() * columns, "there is a gradient for each pick");
    let picks = Picks::new(indices, count);
    let mut drows = Buffer::take(count * columns);
    let piece = piece_rows(columns);
    parallel::for_each(drows.chunks_mut(piece * columns).enumerate(), |(index, drows)| {
        timed(Kernel::Gather, || {
            for (row, drow) in (index * piece..).zip(drows.chunks_exact_mut(columns)) {
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

fn piece_rows(columns: usize) -> usize {
    (PIECE_VALUES / columns.max(1)).max(1)
}

/// The picks of each row, in order.
struct Picks {
    /// Where the picks of a row begin, and where those of the last one end.
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
    fn rows_are_picked_and_their_gradients_come_back() {
        let rows = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let indices = [2, 0, 2, 2];
        assert_eq!(gather_rows(&rows, 2, &indices)[..], [5.0, 6.0, 1.0, 2.0, 5.0, 6.0, 5.0, 6.0]);
        let dout = [1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 100.0, 200.0];
        assert_eq!(gather_rows_backward(&dout, 2, &indices, 3)[..], [3.0, 4.0, 0.0, 0.0, 111.0, 222.0]);
        assert!(gather_rows(&rows, 2, &[]).is_empty());
    }

    #[test]
    fn long_lists_are_cut_without_a_seam() {
        let columns = 3;
        let count = 4 * PIECE_VALUES / columns;
        let rows: Vec<f32> = (0..count * columns).map(|place| place as f32).collect();
        let turned: Vec<i32> = (0..count as i32).rev().collect();
        let found = gather_rows(&rows, columns, &turned);
        assert_eq!(found[..3], rows[(count - 1) * columns..]);
        assert_eq!(gather_rows_backward(&found, columns, &turned, count)[..], rows);
    }
}
