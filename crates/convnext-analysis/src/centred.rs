//! Features, centred over the images.

use nalgebra::DMatrix;

/// Features `[images, width]` less the mean of each column. A constant column becomes exactly 0, which its mean would
/// miss by rounding.
pub(crate) fn centred(features: &[f32], width: usize) -> DMatrix<f64> {
    let images = features.len() / width.max(1);
    let mut matrix =
        DMatrix::from_row_iterator(images, width, features.iter().map(|&value| f64::from(value)));
    for mut column in matrix.column_iter_mut() {
        let first = column.iter().next().copied().unwrap_or(0.0);
        let is_constant = column.iter().all(|&value| value == first);
        let mean = if is_constant { first } else { column.mean() };
        column.add_scalar_mut(-mean);
    }
    matrix
}
