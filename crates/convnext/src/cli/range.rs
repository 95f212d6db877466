//! `--range`: which values of images with more than 8 bit are black and white.

use anyhow::bail;
use convnext::core::{Limits, are_sensible};
use convnext::data::RangeChoice;

/// One of the values of `--range`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum RangeName {
    Data,
    Dtype,
    Limits(Limits),
}

/// One value, as it is typed.
pub(crate) fn range(text: &str) -> Result<RangeName, String> {
    match text {
        "data" => return Ok(RangeName::Data),
        "dtype" => return Ok(RangeName::Dtype),
        _ => {}
    }
    let numbers: Result<Vec<f64>, _> = text.split(',').map(|number| number.trim().parse()).collect();
    match numbers.as_deref() {
        Ok(&[least, most]) if are_sensible(&[least, most]) => Ok(RangeName::Limits([least, most])),
        _ => {
            Err("expected MIN,MAX, two finite numbers of which the first is lower, or data, or dtype".into())
        }
    }
}

/// Combines the values of `--range` into one choice; `None` without values.
///
/// # Errors
/// When a word stands beside other values.
pub(crate) fn range_choice(names: &[RangeName]) -> anyhow::Result<Option<RangeChoice>> {
    let limits = |name: &RangeName| match name {
        RangeName::Limits(limits) => Some(*limits),
        RangeName::Data | RangeName::Dtype => None,
    };
    Ok(match names {
        [] => None,
        [RangeName::Data] => Some(RangeChoice::Data),
        [RangeName::Dtype] => Some(RangeChoice::Dtype),
        names => match names.iter().map(limits).collect() {
            Some(limits) => Some(RangeChoice::Limits(limits)),
            None => bail!("--range data and --range dtype stand for all channels; give one of them alone"),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_checked() {
        let ranges = ["5", "1,1", "2,1", "nan,1", "0,inf", "0,1,2", "type", ""];
        assert!(ranges.iter().all(|text| range(text).is_err()));
        assert_eq!(range("-100,2.5"), Ok(RangeName::Limits([-100.0, 2.5])));
    }

    #[test]
    fn words_stand_alone() {
        let limits = RangeName::Limits([0.0, 1.0]);
        assert_eq!(range_choice(&[]).unwrap(), None);
        assert_eq!(range_choice(&[RangeName::Data]).unwrap(), Some(RangeChoice::Data));
        assert_eq!(range_choice(&[limits, limits]).unwrap(), Some(RangeChoice::Limits(vec![[0.0, 1.0]; 2])));
        assert!(range_choice(&[limits, RangeName::Dtype]).is_err());
    }
}
