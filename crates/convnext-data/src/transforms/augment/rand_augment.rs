//! RandAugment in timm's variant, the one that the official fine-tuning uses (docs/facts.md, "RandAugment").

use std::{fmt, str::FromStr};

use rand::RngExt;
use rand_distr::{Distribution, Normal};
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::pixels::image::Image;
use crate::transforms::augment::Operation;

/// A few [`Operation`]s an image, drawn from fifteen with equal probability, with replacement, and each
/// carried out with probability 0.5.
///
/// Written as timm writes it: `rand-m9-mstd0.5-inc1`, with `-n3` for three operations instead of two.
/// Without `m` the magnitude is 10, without `mstd` it does not vary. `inc1` stands for the operations
/// whose effect grows with the magnitude; there are no others here.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RandAugment {
    /// Mean strength of an operation, 0 to 10.
    pub magnitude: u8,
    /// Standard deviation of the strength, at least 0. The strength drawn is kept within 0 to 10.
    pub magnitude_std: f64,
    /// Operations drawn for each image, 1 to 15.
    pub operations: usize,
}

/// The strongest level of an operation.
const MAX_LEVEL: f64 = 10.0;

/// The fraction of the drawn operations that are carried out.
const APPLIED: f64 = 0.5;

/// The operations at a fraction of the strongest level, in [0, 1], and a sign, 1 or -1 (timm's
/// `_RAND_INCREASING_TRANSFORMS` and `LEVEL_TO_ARG`, in their order).
const OPERATIONS: [fn(f64, f64) -> Operation; 15] = [
    |_, _| Operation::AutoContrast,
    |_, _| Operation::Equalize,
    |_, _| Operation::Invert,
    |share, sign| Operation::Rotate(sign * (share * 30.0)),
    |share, _| Operation::Posterize(4 - (share * 4.0) as u32),
    |share, _| Operation::Solarize(256 - (share * 256.0) as u16),
    |share, _| Operation::SolarizeAdd((share * 110.0) as u8),
    |share, sign| Operation::Color(enhancement(share, sign)),
    |share, sign| Operation::Contrast(enhancement(share, sign)),
    |share, sign| Operation::Brightness(enhancement(share, sign)),
    |share, sign| Operation::Sharpness(enhancement(share, sign)),
    |share, sign| Operation::ShearX(sign * (share * 0.3)),
    |share, sign| Operation::ShearY(sign * (share * 0.3)),
    |share, sign| Operation::TranslateX(sign * (share * 0.45)),
    |share, sign| Operation::TranslateY(sign * (share * 0.45)),
];

fn enhancement(share: f64, sign: f64) -> f64 {
    (1.0 + sign * (share * 0.9)).max(0.1)
}

impl RandAugment {
    /// The changed image. Pixels that come from outside the image get the colour `fill`.
    ///
    /// # Panics
    /// When the image has other than three channels.
    pub fn apply(&self, image: Image, fill: [u8; 3], rng: &mut impl rand::Rng) -> Image {
        self.draw_all(rng).into_iter().fold(image, |image, operation| operation.apply(image, fill))
    }

    /// The operations of one image that are carried out, in their order.
    pub(crate) fn draw_all(&self, rng: &mut impl rand::Rng) -> Vec<Operation> {
        (0..self.operations).filter_map(|_| self.draw(rng)).collect()
    }

    /// An operation, or none in half of the cases.
    fn draw(&self, rng: &mut impl rand::Rng) -> Option<Operation> {
        let operation = OPERATIONS[rng.random_range(0..OPERATIONS.len())];
        if rng.random::<f64>() >= APPLIED {
            return None;
        }
        let mean = f64::from(self.magnitude);
        let level = match Normal::new(mean, self.magnitude_std) {
            Ok(normal) => normal.sample(rng).clamp(0.0, MAX_LEVEL),
            // Only a standard deviation that `validate` refuses.
            Err(_) => mean,
        };
        let sign = if rng.random::<f64>() < 0.5 { -1.0 } else { 1.0 };
        Some(operation(level / MAX_LEVEL, sign))
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] with the first value that does not fit.
    pub fn validate(&self) -> Result<(), DataError> {
        DataError::check(self.magnitude <= 10, "RandAugment's magnitude m", self.magnitude, "at most 10")?;
        let spread = (0.0..=100.0).contains(&self.magnitude_std);
        DataError::check(spread, "RandAugment's mstd", self.magnitude_std, "between 0 and 100")?;
        let few = (1..=OPERATIONS.len()).contains(&self.operations);
        DataError::check(few, "RandAugment's number of operations n", self.operations, "between 1 and 15")
    }
}

impl FromStr for RandAugment {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        let refuse = || DataError::OutOfRange {
            what: "RandAugment",
            found: format!("'{text}'"),
            expected:
                "'rand' and then, with dashes between them and each at most once, m and a whole number \
                       (magnitude, 0 to 10), n and a whole number (operations, 1 to 15), mstd and a number \
                       (standard deviation of the magnitude), and inc1, which is required, as in \
                       rand-m9-mstd0.5-inc1"
                    .into(),
        };
        let (mut magnitude, mut magnitude_std, mut operations, mut increasing) = (None, None, None, None);
        let mut parts = text.split('-');
        if parts.next() != Some("rand") {
            return Err(refuse());
        }
        for part in parts {
            let (name, value) = part.split_at(part.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(0));
            let seen_before = match name {
                "m" => magnitude.replace(value.parse().map_err(|_| refuse())?).is_some(),
                "mstd" => magnitude_std.replace(value.parse().map_err(|_| refuse())?).is_some(),
                "n" => operations.replace(value.parse().map_err(|_| refuse())?).is_some(),
                "inc" if value == "1" => increasing.replace(()).is_some(),
                _ => return Err(refuse()),
            };
            if seen_before {
                return Err(refuse());
            }
        }
        increasing.ok_or_else(refuse)?;
        let parsed = Self {
            magnitude: magnitude.unwrap_or(10),
            magnitude_std: magnitude_std.unwrap_or(0.0),
            operations: operations.unwrap_or(2),
        };
        parsed.validate()?;
        Ok(parsed)
    }
}

impl fmt::Display for RandAugment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rand-m{}", self.magnitude)?;
        if self.operations != 2 {
            write!(f, "-n{}", self.operations)?;
        }
        write!(f, "-mstd{}-inc1", self.magnitude_std)
    }
}

impl TryFrom<String> for RandAugment {
    type Error = DataError;

    fn try_from(text: String) -> Result<Self, DataError> {
        text.parse()
    }
}

impl From<RandAugment> for String {
    fn from(rand_augment: RandAugment) -> Self {
        rand_augment.to_string()
    }
}

#[cfg(test)]
mod tests;
