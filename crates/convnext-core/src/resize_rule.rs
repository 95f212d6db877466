//! Rule by which images get the size of the network's input in evaluation.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::geometry::{Fit, Geometry};
use crate::image_size::{ImageSize, MAX_IMAGE_SIDE};

/// Size of the network's input, as a user writes it: `none`, `short:512` or `fit:2048x512`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ResizeRule {
    /// That of the image.
    #[default]
    None,
    /// The shorter side becomes so many pixels, and the longer one follows.
    Short(usize),
    /// As large as both bounds allow, in the proportions of the image (mmsegmentation's `keep_ratio`).
    Fit {
        /// Bound of the longer side, in pixels.
        long: usize,
        /// Bound of the shorter side.
        short: usize,
    },
}

impl ResizeRule {
    /// The rule as a geometry of preprocessing, both sides padded to a multiple of `pad` pixels.
    pub fn geometry(self, pad: usize) -> Geometry {
        match self {
            Self::None => Geometry::None { pad },
            Self::Short(short) => Geometry::Fit(Fit { long: MAX_IMAGE_SIDE, short, pad }),
            Self::Fit { long, short } => Geometry::Fit(Fit { long, short, pad }),
        }
    }

    /// Checks both sides against their ranges.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] with the one that does not fit.
    pub fn validate(self) -> Result<(), ConfigError> {
        self.geometry(1).validate()
    }
}

impl fmt::Display for ResizeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Short(side) => write!(f, "short:{side}"),
            Self::Fit { long, short } => write!(f, "fit:{long}x{short}"),
        }
    }
}

impl FromStr for ResizeRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rule = match text.split_once(':') {
            None if text == "none" => Some(Self::None),
            Some(("short", side)) => side.parse().ok().map(Self::Short),
            Some(("fit", sides)) => {
                let size: Option<ImageSize> = sides.contains('x').then(|| sides.parse().ok()).flatten();
                size.map(|size| Self::Fit { long: size.height, short: size.width })
            }
            _ => None,
        };
        let rule =
            rule.ok_or_else(|| format!("it is '{text}'; give none, short:N or fit:LONGxSHORT, in pixels"))?;
        rule.validate().map_err(|error| error.to_string())?;
        Ok(rule)
    }
}

impl TryFrom<String> for ResizeRule {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ResizeRule> for String {
    fn from(rule: ResizeRule) -> Self {
        rule.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_they_are_written() {
        for (text, rule) in [
            ("none", ResizeRule::None),
            ("short:512", ResizeRule::Short(512)),
            ("fit:2048x512", ResizeRule::Fit { long: 2048, short: 512 }),
        ] {
            assert_eq!((text.parse(), rule.to_string()), (Ok(rule), text.to_owned()));
        }
        for text in ["", "512", "short:", "short:0", "fit:512", "fit:512x2048", "fit:0x0", "long:5"] {
            assert!(text.parse::<ResizeRule>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_rule_is_a_geometry() {
        let fit = ResizeRule::Fit { long: 2048, short: 512 }.geometry(1);
        assert_eq!(fit, Geometry::Fit(Fit { long: 2048, short: 512, pad: 1 }));
        let Geometry::Fit(short) = ResizeRule::Short(100).geometry(32) else { panic!("a fit") };
        assert_eq!(short.resized([200, 500].into()), [100, 250].into());
    }
}
