//! Size of an image when it goes into a network.

use convnext_core::{ConfigError, Fit, Geometry, ImageSize, ModelConfig};
use convnext_data::MaskError;

/// Checks that a network gets enough pixels of an image at each of these scales.
///
/// # Errors
/// [`MaskError::SmallImage`] with the name of the image.
pub(crate) fn check_image(
    (name, size): (impl FnOnce() -> String, ImageSize),
    (model, geometry): (&ModelConfig, Geometry),
    scales: &[f64],
) -> Result<(), MaskError> {
    let check = |&scale: &f64| {
        let input = geometry.padded(input_size(geometry, size, scale, model.patch_size())?);
        model.stage_sizes(input.height, input.width).map(drop)
    };
    let checked = scales.iter().try_for_each(check);
    checked.map_err(|source| MaskError::SmallImage { image: name(), size, source })
}

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

#[cfg(test)]
mod tests {
    use convnext_core::find_model;

    use super::*;

    #[test]
    fn images_are_checked_at_every_scale() {
        let model = find_model("micro").unwrap().config();
        let check = |geometry: Geometry, height: usize, scales: &[f64]| {
            let named = (|| "a.png".to_owned(), ImageSize { height, width: 64 });
            check_image(named, (&model, geometry), scales).map_err(|error| error.to_string())
        };
        let own = Geometry::None { pad: 1 };
        assert_eq!(check(own, 32, &[1.0, 2.0]), Ok(()));
        let message = check(own, 31, &[1.0]).unwrap_err();
        assert!(message.contains("a.png, of 31 x 64 px") && message.contains("at least 32"), "{message}");
        let message = check(own, 40, &[1.0, 0.5]).unwrap_err();
        assert!(message.contains("a.png") && message.contains("scale 0.5 leaves 20x32"), "{message}");
        for larger in [Geometry::None { pad: 32 }, Geometry::Fit(Fit { long: 512, short: 64, pad: 1 })] {
            assert_eq!(check(larger, 20, &[1.0]), Ok(()));
        }
    }
}
