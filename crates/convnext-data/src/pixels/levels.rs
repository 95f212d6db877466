//! The levels of an image, of 8 or of 16 bit.

use std::sync::OnceLock;

/// The levels of an image.
#[derive(Clone)]
pub(crate) enum Levels {
    /// Of 255.
    Eight(Vec<u8>),
    /// Of 65535, and rounded to 8 bit as soon as somebody asks for these.
    Sixteen(Vec<u16>, OnceLock<Vec<u8>>),
}

impl From<Vec<u8>> for Levels {
    fn from(levels: Vec<u8>) -> Self {
        Self::Eight(levels)
    }
}

impl From<Vec<u16>> for Levels {
    fn from(levels: Vec<u16>) -> Self {
        Self::Sixteen(levels, OnceLock::new())
    }
}

impl Levels {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Eight(levels) => levels.len(),
            Self::Sixteen(levels, _) => levels.len(),
        }
    }

    /// The memory of the levels.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Eight(levels) => levels,
            Self::Sixteen(levels, _) => bytemuck::cast_slice(levels),
        }
    }
}

/// Levels of 65535 as levels of 255.
pub(crate) fn in_eight_bit(levels: &[u16]) -> Vec<u8> {
    levels.iter().map(|&level| ((u32::from(level) + 128) / 257) as u8).collect()
}
