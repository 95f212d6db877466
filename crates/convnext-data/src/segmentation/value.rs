//! A value of a mask.

use std::fmt;

use serde::{Serialize, Serializer};

/// A value that pixels of a mask have: a number, or red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MaskValue {
    /// A number.
    Id(u16),
    /// Red, green and blue.
    Colour([u8; 3]),
}

impl MaskValue {
    /// The number that three equal channels stand for.
    pub(crate) fn grey(self) -> Option<u16> {
        match self {
            Self::Id(id) => Some(id),
            Self::Colour([red, green, blue]) => (red == green && green == blue).then_some(u16::from(red)),
        }
    }
}

impl fmt::Display for MaskValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Colour([red, green, blue]) => write!(f, "#{red:02x}{green:02x}{blue:02x}"),
        }
    }
}

impl Serialize for MaskValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Id(id) => serializer.serialize_u16(*id),
            Self::Colour(_) => serializer.collect_str(self),
        }
    }
}
