//! The pyramid pooling module: the last stage's map pooled to a few cells and projected (PSPNet; mmsegmentation's `PPM`).
//! The bottleneck behind it resizes the cells to the map beside which they stand.

use convnext_core::POOL_SCALES;
use convnext_nn::{ConvNorm, FeatureMaps, ModelError, NormStatistics, adaptive_average_pool};

/// The pooled and projected maps: of 1, 2, 3 and 6 cells along each side, with the head's width of channels.
///
/// # Errors
/// [`ModelError::OneValue`] when a single image trains: its map of one cell has no variance.
pub(crate) fn pool_pyramid(
    maps: &FeatureMaps,
    projections: &[ConvNorm],
    statistics: &mut NormStatistics,
) -> Result<Vec<FeatureMaps>, ModelError> {
    let pool = |(scale, projection): (usize, &ConvNorm)| {
        projection.forward(&adaptive_average_pool(maps.clone(), scale, scale), statistics)
    };
    POOL_SCALES.into_iter().zip(projections).map(pool).collect()
}
