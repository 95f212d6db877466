//! Ranges of a recipe's numbers.

use convnext_core::ConfigError;

use crate::error::TrainError;

/// Refuses a value outside of its range.
///
/// # Errors
/// [`TrainError::Config`] with the value and what was expected.
pub fn check_range(
    ok: bool,
    what: &'static str,
    found: f64,
    expected: &'static str,
) -> Result<(), TrainError> {
    if ok { Ok(()) } else { Err(ConfigError::OutOfRange { what, found: found.to_string(), expected }.into()) }
}

/// A number that turns something off when it is 0.
pub(super) fn is_on(value: f64) -> Option<f64> {
    Some(value).filter(|&value| value != 0.0)
}
