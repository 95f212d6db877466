//! Random brightness, contrast and saturation, as torchvision defines them.

use rand::{RngExt, seq::SliceRandom};
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::pixels::image::Image;
use crate::transforms::augment::Operation;

/// Changes brightness, contrast and saturation by random factors, in random order.
///
/// A strength s gives factors between max(0, 1 - s) and 1 + s, all with equal probability; 0 leaves that
/// property alone. timm's `color_jitter=0.4` is a strength of 0.4 for all three. (torchvision's
/// `ColorJitter` without a hue, on images of Pillow.)
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColorJitter {
    /// Strength for the brightness, at least 0.
    pub brightness: f64,
    /// Strength for the contrast, at least 0.
    pub contrast: f64,
    /// Strength for the saturation, at least 0.
    pub saturation: f64,
}

impl ColorJitter {
    /// The changed image.
    ///
    /// # Panics
    /// When the image has other than three channels.
    pub fn apply(&self, image: Image, rng: &mut impl rand::Rng) -> Image {
        // No operation moves pixels, so there is nothing to fill.
        self.draw(rng).into_iter().fold(image, |image, operation| operation.apply(image, [0; 3]))
    }

    /// The operations of one image, in their order.
    pub(crate) fn draw(&self, rng: &mut impl rand::Rng) -> Vec<Operation> {
        let mut factor = |strength: f64| {
            let least = (1.0 - strength).max(0.0);
            least + (1.0 + strength - least) * rng.random::<f64>()
        };
        let operations = [
            (self.brightness, Operation::Brightness(factor(self.brightness))),
            (self.contrast, Operation::Contrast(factor(self.contrast))),
            (self.saturation, Operation::Color(factor(self.saturation))),
        ];
        let wanted = operations.into_iter().filter(|&(strength, _)| strength > 0.0);
        let mut operations: Vec<Operation> = wanted.map(|(_, operation)| operation).collect();
        operations.shuffle(rng);
        operations
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] with the first value that does not fit.
    pub fn validate(&self) -> Result<(), DataError> {
        for (what, strength) in [
            ("colour jitter of the brightness", self.brightness),
            ("colour jitter of the contrast", self.contrast),
            ("colour jitter of the saturation", self.saturation),
        ] {
            let sensible = strength.is_finite() && strength >= 0.0;
            DataError::check(sensible, what, strength, "at least 0 and finite")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use convnext_core::{Purpose, Seed};

    use super::*;
    use crate::transforms::distributions::Reference;

    #[test]
    fn factors_and_order_are_those_of_torchvision() {
        let jitter = ColorJitter { brightness: 0.4, contrast: 0.2, saturation: 1.5 };
        let mut rng = Seed(4).stream(Purpose::Augmentation, 0, 0);
        let mut reference = Reference::read("color_jitter");
        for _ in 0..10_000 {
            for (position, operation) in jitter.draw(&mut rng).into_iter().enumerate() {
                let (name, factor) = match operation {
                    Operation::Brightness(factor) => ("brightness", factor),
                    Operation::Contrast(factor) => ("contrast", factor),
                    Operation::Color(factor) => ("saturation", factor),
                    other => panic!("{other:?}"),
                };
                reference.add(&format!("{name} factor"), factor);
                reference.add(&format!("{name} at {position}"), 1.0);
                for other in (0..3).filter(|&other| other != position) {
                    reference.add(&format!("{name} at {other}"), 0.0);
                }
            }
        }
        reference.check();
    }

    #[test]
    fn a_strength_of_0_leaves_alone() {
        let jitter = ColorJitter { brightness: 0.0, contrast: 0.4, saturation: 0.0 };
        let mut rng = Seed(4).stream(Purpose::Augmentation, 0, 0);
        assert!(matches!(jitter.draw(&mut rng)[..], [Operation::Contrast(_)]));
        jitter.validate().unwrap();
        for wrong in [-0.1, f64::NAN, f64::INFINITY] {
            let error = ColorJitter { saturation: wrong, ..jitter }.validate().unwrap_err().to_string();
            assert!(error.contains("saturation") && error.contains("at least 0"), "{error}");
        }
    }
}
