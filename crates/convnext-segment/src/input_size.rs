//! Size of an image when it goes into a network.

use convnext_core::{ConfigError, Fit, Geometry, ImageSize};

/// Size of the network's input for an image at a scale, without padding, for a network that takes sides of at least so many
/// pixels.
///
/// # Errors
/// [`ConfigError::OutOfRange`] for a centre crop, which leaves pixels without a class, and [`ConfigError::TooLittleLeft`] for a
/// scale that makes an image too small that would not be without it.
pub(crate) fn input_size(
    geometry: Geometry,
    image: ImageSize,
    scale: f64,
    least: usize,
) -> Result<ImageSize, ConfigError> {
    let input = scaled_size(geometry, image, scale)?;
    let is_enough = |input: ImageSize| {
        let ImageSize { height, width } = geometry.padded(input);
        height.min(width) >= least
    };
    if is_enough(input) || !is_enough(scaled_size(geometry, image, 1.0)?) {
        return Ok(input);
    }
    let ImageSize { height, width } = input;
    Err(ConfigError::TooLittleLeft { setting: "scale", value: scale, height, width, minimum: least })
}

/// Size of the network's input for an image, without padding; a scale is a factor on the bounds of the geometry.
///
/// # Errors
/// [`ConfigError::OutOfRange`] for a centre crop, which leaves pixels without a class.
fn scaled_size(geometry: Geometry, image: ImageSize, scale: f64) -> Result<ImageSize, ConfigError> {
    let scaled = |side: usize| ((side as f64 * scale + 0.5) as usize).max(1);
    let both = |size: ImageSize| ImageSize { height: scaled(size.height), width: scaled(size.width) };
    match geometry {
        Geometry::None { .. } => Ok(both(image)),
        Geometry::Warp { size } => Ok(both(size)),
        Geometry::Fit(Fit { long, short, pad }) => {
            Ok(Fit { long: scaled(long), short: scaled(short), pad }.resized(image))
        }
        Geometry::CentreCrop { .. } => Err(ConfigError::OutOfRange {
            what: "preprocessing of a segmentation",
            found: geometry.to_string(),
            expected: "one that keeps the whole image; choose another rule of resizing",
        }),
    }
}
