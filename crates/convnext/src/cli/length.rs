//! Arguments about the length of a training.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use convnext::train::Length;

use super::values::count;

/// Arguments about the length of a training, and about what it would cost.
#[derive(Debug, Args)]
pub(crate) struct LengthArguments {
    /// Epochs; the whole schedule is rescaled
    #[arg(long, value_name = "N", value_parser = count, conflicts_with = "steps")]
    pub(crate) epochs: Option<usize>,
    /// Optimiser steps; the whole schedule is rescaled
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) steps: Option<usize>,
    /// About the time that the training may take, such as 90s, 20m or 1h30m: a few steps, a validation and a checkpoint are
    /// timed, and the length becomes what fits, a tenth being left; the whole schedule is rescaled, and config.toml says the
    /// length
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with_all = ["epochs", "steps", "quick", "extend"])]
    pub(crate) budget: Option<Duration>,
    /// Early stopping: end after so many validations without a better monitored metric (in pre-training, after so many
    /// epochs without a lower mean train loss)
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) patience: Option<usize>,
    /// Print the plan with its memory and, from a few timed steps, its duration; write nothing
    #[arg(long, conflicts_with = "resume")]
    pub(crate) dry_run: bool,
}

impl LengthArguments {
    /// The length, if it is given as a number.
    pub(crate) fn length(&self) -> Option<Length> {
        let epochs = self.epochs.map(|epochs| Length::Epochs(epochs as f64));
        epochs.or(self.steps.map(Length::Steps))
    }

    /// `true` if the length is not the recipe's.
    pub(crate) fn is_given(&self) -> bool {
        self.budget.is_some() || self.length().is_some()
    }
}

/// A time above 0, with its unit.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err("expected a time above 0 with its unit, such as 90s, 20m, 3h or 1h30m".into()),
    }
}

/// A time in minutes; fractions count, and 0 is always.
pub(super) fn minutes(text: &str) -> Result<Duration, String> {
    let expected = || "expected a number of minutes, 0 or above".to_owned();
    let minutes = f64::from_str(text).map_err(|_| expected())?;
    Duration::try_from_secs_f64(60.0 * minutes).map_err(|_| expected())
}

/// The same above 0.
pub(super) fn minutes_above_zero(text: &str) -> Result<Duration, String> {
    let time = minutes(text).ok().filter(|time| !time.is_zero());
    time.ok_or_else(|| "expected a number of minutes above 0".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit() {
        for (text, seconds) in
            [("90s", 90), ("20m", 1200), ("3h", 10_800), ("1h30m", 5400), ("1h 30min", 5400)]
        {
            assert_eq!(time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "20", "0s", "-5m", "soon", "5 light years"] {
            assert!(time(text).is_err_and(|error| error.contains("20m")), "{text}");
        }
    }

    #[test]
    fn minutes_have_fractions() {
        assert_eq!(minutes("0.5"), Ok(Duration::from_secs(30)));
        assert_eq!(minutes_above_zero("0.5"), minutes("0.5"));
        assert!(minutes("0").is_ok() && minutes_above_zero("0").is_err());
        assert!(
            ["-1", "soon"].iter().all(|text| minutes(text).is_err() && minutes_above_zero(text).is_err())
        );
    }
}
