//! Value range of image files: the values that are black and white.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;

/// The lowest and the highest value of a channel: they become 0 and 1, what lies outside is clipped.
pub type Limits = [f64; 2];

/// Mapping of the values of image files to [0, 1].
///
/// It matters for files whose samples have more than 8 bit, which are here called *deep*: sensors count to 4095 or to
/// a few hundred, so that nearly nothing is left where 65535 is taken for white.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValueRange {
    /// No range is stated, as in all weights for 8-bit images. Deep samples are rounded to 8 bit by the whole range of
    /// their type.
    #[default]
    Unstated,
    /// The whole range of each file's type: 65535 for 16 bit, 1 for floats.
    Dtype,
    /// These values of deep files, for each channel or once for all. Files of 8 bit count as already scaled.
    Deep(Vec<Limits>),
    /// These values of files of 8 bit, for each channel or once for all. Deep files are rounded to 8 bit before.
    #[serde(rename = "8-bit")]
    EightBit(Vec<Limits>),
}

impl ValueRange {
    /// `true` if no range is stated.
    pub fn is_unstated(&self) -> bool {
        *self == Self::Unstated
    }

    /// The limits of each channel, for this number of channels; `None` where none are stated.
    pub fn limits(&self, channels: usize) -> Option<Vec<Limits>> {
        match self {
            Self::Unstated | Self::Dtype => None,
            Self::Deep(limits) | Self::EightBit(limits) => {
                Some(limits.iter().copied().cycle().take(channels).collect())
            }
        }
    }

    /// Checks the values against each other and against the number of channels.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] for values that are not finite or do not rise, and for another number of channels.
    pub fn validate(&self, channels: usize) -> Result<(), ConfigError> {
        let (Self::Deep(limits) | Self::EightBit(limits)) = self else { return Ok(()) };
        let refuse =
            |found: String, expected| Err(ConfigError::OutOfRange { what: "value range", found, expected });
        if limits.len() != 1 && limits.len() != channels {
            let found = format!("given for {} of {channels} channels", limits.len());
            return refuse(found, "given once for all channels, or for each of them");
        }
        match limits.iter().find(|limits| !are_sensible(limits)) {
            Some([least, most]) => {
                refuse(format!("{least},{most}"), "two finite numbers, the lower one first")
            }
            None => Ok(()),
        }
    }
}

/// As text, such as `0 to 4095`.
impl fmt::Display for ValueRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unstated => f.write_str("not stated"),
            Self::Dtype => f.write_str("the whole range of each file's type"),
            Self::Deep(limits) => f.write_str(&format_limits(limits)),
            Self::EightBit(limits) => write!(f, "{} of 8-bit files", format_limits(limits)),
        }
    }
}

/// `true` if both limits are finite and the first is the lower one.
pub fn are_sensible([least, most]: &Limits) -> bool {
    least < most && (most - least).is_finite()
}

/// Limits as text, such as `0 to 4095`: once where all channels have the same.
pub fn format_limits(limits: &[Limits]) -> String {
    let one = |[least, most]: &Limits| format!("{} to {}", rounded(*least), rounded(*most));
    match limits {
        [first, rest @ ..] if rest.iter().all(|other| other == first) => one(first),
        _ => limits.iter().map(one).collect::<Vec<_>>().join(", "),
    }
}

/// A value in at most six digits, unless it is a whole number.
fn rounded(value: f64) -> f64 {
    if value.fract() == 0.0 { value } else { format!("{value:.5e}").parse().unwrap_or(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_survive_json_and_are_short() {
        for (range, text) in [
            (ValueRange::Dtype, r#""dtype""#),
            (ValueRange::Deep(vec![[0.0, 4095.0]]), r#"{"deep":[[0.0,4095.0]]}"#),
            (ValueRange::EightBit(vec![[3.0, 90.0]]), r#"{"8-bit":[[3.0,90.0]]}"#),
        ] {
            assert_eq!(serde_json::to_string(&range).unwrap(), text);
            assert_eq!(serde_json::from_str::<ValueRange>(text).unwrap(), range);
        }
    }

    #[test]
    fn ranges_without_sense_are_refused() {
        let check = |limits: &[Limits], channels| ValueRange::Deep(limits.to_vec()).validate(channels);
        assert_eq!(check(&[[0.0, 1.0]], 5), Ok(()));
        assert_eq!(check(&[[-5.0, 1.0], [0.0, 2.0]], 2), Ok(()));
        for bad in [[1.0, 1.0], [2.0, 1.0], [f64::NAN, 1.0], [0.0, f64::INFINITY], [f64::MIN, f64::MAX]] {
            let message = check(&[bad], 1).unwrap_err().to_string();
            assert!(message.contains("value range is"), "{message}");
        }
        let message = check(&[[0.0, 1.0]; 2], 3).unwrap_err().to_string();
        assert!(message.contains("2 of 3 channels"), "{message}");
        assert!(check(&[], 3).is_err());
    }

    #[test]
    fn limits_are_shown_once_where_all_channels_share_them() {
        assert_eq!(format_limits(&[[0.0, 4095.0]; 3]), "0 to 4095");
        assert_eq!(format_limits(&[[0.0, 4095.0], [-0.123_456_789, 1.0]]), "0 to 4095, -0.123457 to 1");
    }
}
