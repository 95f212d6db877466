//! Bilinear interpolation of rows of pixels in memory, a few rows at a time: PyTorch's `interpolate` with
//! `align_corners=False` (docs/facts.md, "F. Segmentation").

/// The two places that a pixel lies between along one axis, and the share of the second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Between {
    pub(crate) first: usize,
    pub(crate) second: usize,
    pub(crate) share: f32,
}

/// The place of one of `target` pixels among `source` places.
pub(crate) fn between(source: usize, target: usize, pixel: usize) -> Between {
    let scale = source as f32 / target as f32;
    let at = ((pixel as f32 + 0.5) * scale - 0.5).max(0.0);
    let first = (at as usize).min(source - 1);
    Between { first, second: (first + 1).min(source - 1), share: at - first as f32 }
}

/// The places of all of `target` pixels.
pub(crate) fn axis(source: usize, target: usize) -> Vec<Between> {
    (0..target).map(|pixel| between(source, target, pixel)).collect()
}

/// `out = (1 - share) first + share second`.
pub(crate) fn blend(first: &[f32], second: &[f32], share: f32, out: &mut [f32]) {
    for ((out, first), second) in out.iter_mut().zip(first).zip(second) {
        *out = (1.0 - share) * first + share * second;
    }
}

/// Adds a row, `[places, values]`, in another width to `out`, `[columns, values]`.
pub(crate) fn add_stretched(row: &[f32], columns: &[Between], values: usize, out: &mut [f32]) {
    for (out, column) in out.chunks_exact_mut(values).zip(columns) {
        let [first, second] = [column.first, column.second].map(|place| &row[place * values..][..values]);
        let share = column.share;
        for ((out, first), second) in out.iter_mut().zip(first).zip(second) {
            *out += (1.0 - share) * first + share * second;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_lie_where_pytorch_has_them() {
        let at = |source, target| -> Vec<f32> {
            axis(source, target).iter().map(|place| place.first as f32 + place.share).collect()
        };
        assert_eq!(at(2, 4), [0.0, 0.25, 0.75, 1.25]);
        assert_eq!(at(4, 2), [0.5, 2.5]);
        assert_eq!(at(3, 3), [0.0, 1.0, 2.0]);
        assert_eq!(between(2, 4, 3), Between { first: 1, second: 1, share: 0.25 });
    }

    #[test]
    fn a_row_is_stretched_value_by_value() {
        let mut out = vec![1.0; 8];
        add_stretched(&[0.0, 10.0, 4.0, 20.0], &axis(2, 4), 2, &mut out);
        assert_eq!(out, [1.0, 11.0, 2.0, 13.5, 4.0, 18.5, 5.0, 21.0]);
        let mut blended = [0.0; 2];
        blend(&[0.0, 4.0], &[2.0, 8.0], 0.25, &mut blended);
        assert_eq!(blended, [0.5, 5.0]);
    }
}
