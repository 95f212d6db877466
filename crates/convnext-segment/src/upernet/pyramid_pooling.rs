//! The pyramid pooling module: the last stage's map pooled to a few cells, projected, and stretched again beside it (PSPNet;
//! mmsegmentation's `PPM`).

use convnext_core::POOL_SCALES;
use convnext_nn::{
    ConvNormRelu, FeatureMaps, ModelError, NormStatistics, adaptive_average_pool, resize_bilinear,
};

/// The map with its pooled copies behind it: `[rows, C]` to `[rows, C + 4 * head width]`.
///
/// # Errors
/// [`ModelError::OneValue`] when a single image trains: its map of one cell has no variance.
pub(crate) fn pool_pyramid(
    maps: &FeatureMaps,
    projections: &[ConvNormRelu],
    statistics: &mut NormStatistics,
) -> Result<FeatureMaps, ModelError> {
    let mut pooled = Vec::with_capacity(POOL_SCALES.len());
    for (scale, projection) in POOL_SCALES.into_iter().zip(projections) {
        let cells = adaptive_average_pool(maps.clone(), scale, scale);
        let projected = projection.forward(&cells, statistics)?;
        pooled.push(resize_bilinear(projected, maps.height, maps.width));
    }
    Ok(maps.concatenate(&pooled))
}
