//! The type of the values of a file.

use std::fmt;

use convnext_core::Limits;
use serde::{Deserialize, Serialize};

/// The type of the values of a file, with its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SampleType {
    /// Whole numbers from 0 on.
    Unsigned(u8),
    /// Whole numbers of both signs.
    Signed(u8),
    /// Fractions.
    Float(u8),
}

impl SampleType {
    /// The type of nearly all images.
    pub const EIGHT_BIT: Self = Self::Unsigned(8);

    /// The whole range of the type; of fractions from 0 to 1, as programs mean them that know no other range.
    pub fn limits(self) -> Limits {
        match self {
            Self::Unsigned(bits) => [0.0, 2_f64.powi(bits.into()) - 1.0],
            Self::Signed(bits) => {
                let half = 2_f64.powi(i32::from(bits) - 1);
                [-half, half - 1.0]
            }
            Self::Float(_) => [0.0, 1.0],
        }
    }

    /// `true` if there is more to the values than 8 bit without a sign.
    pub fn is_deep(self) -> bool {
        !matches!(self, Self::Unsigned(bits) if bits <= 8)
    }
}

impl fmt::Display for SampleType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned(bits) => write!(f, "{bits}-bit"),
            Self::Signed(bits) => write!(f, "{bits}-bit signed"),
            Self::Float(bits) => write!(f, "{bits}-bit float"),
        }
    }
}
