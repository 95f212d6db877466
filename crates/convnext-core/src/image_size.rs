//! Height and width of an image.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::ConfigError;

/// Maximum height and width of the input of a model, in pixels.
pub const MAX_IMAGE_SIDE: usize = 16_384;

/// The range of a side in words, for messages: `from 1 to` [`MAX_IMAGE_SIDE`].
pub const SIDE_RANGE: &str = "from 1 to 16384";

/// What a size is in text, in words.
const SIZE_IN_TEXT: &str = "a whole number from 1 to 16384, or HEIGHTxWIDTH such as 224x320";

/// Height and width of an image in pixels.
///
/// In text it is `224` for a square and `224x320` otherwise, height first; in files a number for a square and
/// `[height, width]` otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ImageSize {
    /// From top to bottom.
    pub height: usize,
    /// From left to right.
    pub width: usize,
}

impl ImageSize {
    /// Equal sides.
    pub const fn square(side: usize) -> Self {
        Self { height: side, width: side }
    }

    /// `true` if both sides are equal.
    pub const fn is_square(self) -> bool {
        self.height == self.width
    }

    /// The shorter side.
    pub fn short_side(self) -> usize {
        self.height.min(self.width)
    }

    /// The longer side.
    pub fn long_side(self) -> usize {
        self.height.max(self.width)
    }

    /// Number of pixels.
    pub const fn pixels(self) -> usize {
        self.height * self.width
    }

    /// For messages: `224 px`, or `224 x 320 px`.
    pub fn with_unit(self) -> String {
        let Self { height, width } = self;
        if self.is_square() { format!("{height} px") } else { format!("{height} x {width} px") }
    }

    /// Checks both sides against their range.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] for a side of 0 pixels or of more than [`MAX_IMAGE_SIDE`].
    pub fn validate(self) -> Result<(), ConfigError> {
        if [self.height, self.width].iter().all(|side| (1..=MAX_IMAGE_SIDE).contains(side)) {
            return Ok(());
        }
        let (found, expected) = (self.to_string(), SIDE_RANGE);
        Err(ConfigError::OutOfRange { what: "image size", found, expected })
    }
}

impl From<usize> for ImageSize {
    fn from(side: usize) -> Self {
        Self::square(side)
    }
}

impl From<[usize; 2]> for ImageSize {
    /// Height and width.
    fn from([height, width]: [usize; 2]) -> Self {
        Self { height, width }
    }
}

impl fmt::Display for ImageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { height, width } = self;
        if self.is_square() { write!(f, "{height}") } else { write!(f, "{height}x{width}") }
    }
}

impl FromStr for ImageSize {
    type Err = ConfigError;

    /// Reads `224` or `224x320`.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let (height, width) = text.split_once('x').unwrap_or((text, text));
        let side = |text: &str| {
            text.parse().map_err(|_| ConfigError::OutOfRange {
                what: "image size",
                found: format!("'{text}'"),
                expected: SIZE_IN_TEXT,
            })
        };
        let size = Self { height: side(height)?, width: side(width)? };
        size.validate()?;
        Ok(size)
    }
}

impl Serialize for ImageSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_square() {
            self.height.serialize(serializer)
        } else {
            [self.height, self.width].serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for ImageSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

/// Reads a number or a pair, with a message that names both.
struct SizeVisitor;

impl<'de> Visitor<'de> for SizeVisitor {
    type Value = ImageSize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a side in pixels or [height, width]")
    }

    fn visit_u64<E: Error>(self, side: u64) -> Result<ImageSize, E> {
        let wrong = |_| E::invalid_value(Unexpected::Unsigned(side), &self);
        usize::try_from(side).map(ImageSize::square).map_err(wrong)
    }

    fn visit_i64<E: Error>(self, side: i64) -> Result<ImageSize, E> {
        let wrong = |_| E::invalid_value(Unexpected::Signed(side), &self);
        usize::try_from(side).map(ImageSize::square).map_err(wrong)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sides: A) -> Result<ImageSize, A::Error> {
        let mut next = |place| sides.next_element()?.ok_or_else(|| A::Error::invalid_length(place, &self));
        let size = ImageSize { height: next(0)?, width: next(1)? };
        match sides.next_element::<usize>()? {
            Some(_) => Err(A::Error::invalid_length(3, &self)),
            None => Ok(size),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: ImageSize = ImageSize { height: 224, width: 320 };

    #[test]
    fn sizes_survive_text_and_json() {
        for (size, text, json) in [(ImageSize::square(224), "224", "224"), (WIDE, "224x320", "[224,320]")] {
            assert_eq!((size.to_string().as_str(), text.parse()), (text, Ok(size)));
            assert_eq!(serde_json::to_string(&size).unwrap(), json);
            assert_eq!(serde_json::from_str::<ImageSize>(json).unwrap(), size);
        }
        assert_eq!("224x224".parse(), Ok(ImageSize::square(224)));
        assert_eq!(
            (WIDE.with_unit(), ImageSize::square(9).with_unit()),
            ("224 x 320 px".into(), "9 px".into())
        );
    }

    #[test]
    fn the_range_in_words_is_that_of_sides() {
        assert_eq!(SIDE_RANGE, format!("from 1 to {MAX_IMAGE_SIDE}"));
        assert_eq!(SIZE_IN_TEXT, format!("a whole number {SIDE_RANGE}, or HEIGHTxWIDTH such as {WIDE}"));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "x", "224x", "x224", "224x320x3", "1.5", "-1", "0", "224x0", "16385", "1x100000000"]
        {
            let message = text.parse::<ImageSize>().unwrap_err().to_string();
            assert!(message.contains("image size is") && message.contains("16384"), "{text}: {message}");
        }
        for json in ["-1", "1.5", "\"224\"", "[]", "[1]", "[1,2,3]", "[-1,2]", "null", "{}"] {
            assert!(serde_json::from_str::<ImageSize>(json).is_err(), "{json}");
        }
        let message = serde_json::from_str::<ImageSize>("true").unwrap_err().to_string();
        assert!(message.contains("[height, width]"), "{message}");
    }
}
