//! Numbers of a table, with as many digits as they are worth.

use crate::study::{PaperValue, ShownMetric};

impl ShownMetric {
    /// A value of this metric, in the scale of the table.
    pub fn in_words(&self, value: f64) -> String {
        format!("{value:.0$}", self.decimals(value))
    }

    /// Decimals of a number of the size of `value`: three digits at least of what is below 1000, and two decimals of percents.
    pub(crate) fn decimals(&self, value: f64) -> usize {
        match value.abs() {
            _ if self.percent => 2,
            1000.0.. => 0,
            10.0.. => 1,
            small if small < 0.1 && small > 0.0 => (2.0 - small.log10().floor()).min(9.0) as usize,
            _ => 3,
        }
    }
}

impl PaperValue {
    /// As the paper prints it, with one decimal at least.
    pub fn in_words(&self) -> String {
        match self {
            Self::Number(value) => format!("{value:.0$}", printed_decimals(*value)),
            Self::Words(words) => words.clone(),
        }
    }
}

/// Decimals with which a number stands in the file of a study, at least one.
pub(crate) fn printed_decimals(value: f64) -> usize {
    value.to_string().split_once('.').map_or(1, |(_, decimals)| decimals.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_they_are_worth() {
        let metric = |percent| ShownMetric {
            name: String::new(),
            label: String::new(),
            percent,
            compare: false,
            over: None,
        };
        for (value, expected) in [
            (1300.4, "1300"),
            (61.26, "61.3"),
            (0.49, "0.490"),
            (0.01234, "0.0123"),
            (0.0, "0.000"),
            (-0.02, "-0.0200"),
        ] {
            assert_eq!(metric(false).in_words(value), expected);
        }
        assert_eq!(metric(true).in_words(0.049), "0.05");
        for (value, expected) in [(84.6, "84.6"), (85.0, "85.0"), (0.163, "0.163")] {
            assert_eq!(PaperValue::Number(value).in_words(), expected);
        }
    }
}
