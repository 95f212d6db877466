//! Serialised form of [`crate::Preprocessing`] in weight files and configurations.
//!
//! Images of one size have `image_size` and `crop`, where `null` warps, as they always had. Others have `fit` or `none`
//! in their place.

use serde::{Deserialize, Deserializer, Serialize};

use crate::geometry::{Fit, Geometry};
use crate::image_size::ImageSize;
use crate::interpolation::Interpolation;
use crate::value_range::ValueRange;

/// [`crate::Preprocessing`] in a file, with the geometry among the other keys.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredPreprocessing {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image_size: Option<ImageSize>,
    /// `None` is not there, `Some(None)` is `null`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "with_null")]
    crop: Option<Option<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fit: Option<Fit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    none: Option<Unresized>,
    pub(crate) mean: Vec<f32>,
    pub(crate) std: Vec<f32>,
    #[serde(default, skip_serializing_if = "Interpolation::is_bicubic")]
    pub(crate) interpolation: Interpolation,
    #[serde(default, skip_serializing_if = "ValueRange::is_unstated")]
    pub(crate) range: ValueRange,
}

/// [`Geometry::None`].
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unresized {
    pad: usize,
}

/// A key that is there, perhaps with `null`.
fn with_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<f64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl StoredPreprocessing {
    /// The geometry that the keys mean.
    ///
    /// # Errors
    /// A sentence when they are those of no geometry or of several.
    pub(crate) fn geometry(&self) -> Result<Geometry, &'static str> {
        Ok(match (self.image_size, self.crop, self.fit, self.none) {
            (Some(size), Some(Some(crop)), None, None) => Geometry::CentreCrop { size, crop },
            (Some(size), _, None, None) => Geometry::Warp { size },
            (None, None, Some(fit), None) => Geometry::Fit(fit),
            (None, None, None, Some(Unresized { pad })) => Geometry::None { pad },
            (None, Some(_), ..) => return Err("crop needs an image_size and goes with neither fit nor none"),
            _ => return Err("one of image_size, fit and none must be there, and no two of them"),
        })
    }

    /// The keys of a geometry beside the other values.
    pub(crate) fn new(
        geometry: Geometry,
        mean: Vec<f32>,
        std: Vec<f32>,
        interpolation: Interpolation,
        range: ValueRange,
    ) -> Self {
        let (image_size, crop, fit, none) = match geometry {
            Geometry::CentreCrop { size, crop } => (Some(size), Some(Some(crop)), None, None),
            Geometry::Warp { size } => (Some(size), Some(None), None, None),
            Geometry::Fit(fit) => (None, None, Some(fit), None),
            Geometry::None { pad } => (None, None, None, Some(Unresized { pad })),
        };
        Self { image_size, crop, fit, none, mean, std, interpolation, range }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocessing::Preprocessing;

    const STATISTICS: &str = r#""mean":[0.449],"std":[0.226]"#;

    fn with(geometry: Geometry) -> Preprocessing {
        Preprocessing { geometry, ..Preprocessing::for_size(32, 1) }
    }

    #[test]
    fn every_geometry_has_its_keys() {
        let (square, wide) = (ImageSize::square(32), ImageSize::from([32, 48]));
        let fit = Fit { long: 1333, short: 800, pad: 32 };
        for (geometry, keys) in [
            (Geometry::Warp { size: square }, r#""image_size":32,"crop":null"#),
            (Geometry::CentreCrop { size: square, crop: 0.875 }, r#""image_size":32,"crop":0.875"#),
            (Geometry::CentreCrop { size: wide, crop: 0.9 }, r#""image_size":[32,48],"crop":0.9"#),
            (Geometry::Fit(fit), r#""fit":{"long":1333,"short":800,"pad":32}"#),
            (Geometry::None { pad: 32 }, r#""none":{"pad":32}"#),
        ] {
            let text = format!("{{{keys},{STATISTICS}}}");
            assert_eq!(serde_json::to_string(&with(geometry)).unwrap(), text);
            assert_eq!(serde_json::from_str::<Preprocessing>(&text).unwrap(), with(geometry), "{text}");
        }
    }

    #[test]
    fn files_without_crop_warp() {
        let text = format!(r#"{{"image_size":32,{STATISTICS}}}"#);
        let found: Preprocessing = serde_json::from_str(&text).unwrap();
        assert_eq!(found, with(Geometry::Warp { size: ImageSize::square(32) }));
    }

    #[test]
    fn other_keys_and_mixtures_are_refused() {
        for (keys, words) in [
            ("", "one of image_size, fit and none"),
            (r#""image_size":32,"none":{"pad":1},"#, "no two of them"),
            (r#""fit":{"long":9,"short":9,"pad":1},"none":{"pad":1},"#, "no two of them"),
            (r#""crop":0.875,"none":{"pad":1},"#, "crop needs an image_size"),
            (r#""crop":null,"fit":{"long":9,"short":9,"pad":1},"#, "crop needs an image_size"),
            (r#""fit":{"long":9,"short":9},"#, "pad"),
            (r#""fit":{"long":9,"short":9,"pad":1,"x":1},"#, "unknown field"),
            (r#""none":{},"#, "pad"),
            (r#""image_size":"32","#, "[height, width]"),
            (r#""image_size":32,"crops":0.8,"#, "unknown field"),
        ] {
            let text = format!("{{{keys}{STATISTICS}}}");
            let message = serde_json::from_str::<Preprocessing>(&text).unwrap_err().to_string();
            assert!(message.contains(words), "{text}: {message}");
        }
    }
}
