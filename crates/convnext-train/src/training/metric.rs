//! A number that was measured, and all that is needed to show it and to compare it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Prefix of a metric's name among the numbers of an epoch.
pub(crate) const VALIDATION_PREFIX: &str = "validation_";

/// Prefix before that one when the moving average of the weights was measured.
pub(crate) const AVERAGE_PREFIX: &str = "ema_";

/// One measure of a model, as data: nobody who shows it or compares it has to know its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Name in files, such as `top1`.
    pub name: String,
    /// Display name, such as `top-1`, where that is not its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its value; `None`, in files `null`, where there was no ground truth to compare with.
    pub value: Option<f64>,
    /// Direction of improvement: the better one of two values.
    pub direction: Direction,
    /// Unit of the value.
    #[serde(default)]
    pub unit: Unit,
}

/// Direction of improvement of a metric: the better one of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// The greater one, as of accuracies.
    #[serde(rename = "higher")]
    HigherIsBetter,
    /// The smaller one, as of losses.
    #[serde(rename = "lower")]
    LowerIsBetter,
}

/// Unit of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// A number without a unit.
    #[default]
    None,
    /// A share in [0, 1], shown in percent.
    Fraction,
}

impl Metric {
    /// A number without a unit. One that is not finite counts as not measured: JSON has no word for it.
    pub fn new(name: impl Into<String>, value: Option<f64>, direction: Direction) -> Self {
        let value = value.filter(|value| value.is_finite());
        Self { name: name.into(), label: None, value, direction, unit: Unit::None }
    }

    /// This metric as a fraction in [0, 1].
    #[must_use]
    pub fn fraction(self) -> Self {
        Self { unit: Unit::Fraction, ..self }
    }

    /// This metric with another display name.
    #[must_use]
    pub fn labelled(self, label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..self }
    }

    /// Its name in words.
    pub fn label(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.name)
    }

    /// Its key among the numbers of an epoch.
    pub fn key(&self) -> String {
        format!("{VALIDATION_PREFIX}{}", self.name)
    }

    /// Its key when the moving average of the weights was measured.
    pub fn averaged_key(&self) -> String {
        format!("{AVERAGE_PREFIX}{}", self.key())
    }

    /// Its value in words, such as `83.33 %`.
    pub fn value_in_words(&self) -> String {
        match (self.value, self.unit) {
            (None, _) => "not measured".to_owned(),
            (Some(value), Unit::None) => format!("{value:.4}"),
            (Some(value), Unit::Fraction) => format!("{:.2} %", 100.0 * value),
        }
    }
}

impl fmt::Display for Metric {
    /// Label and value, such as `top-1 83.33 %`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.label(), self.value_in_words())
    }
}

impl Direction {
    /// `true` if a value is better than another one; equal ones are not.
    pub fn is_better(self, new: f64, old: f64) -> bool {
        match self {
            Self::HigherIsBetter => new > old,
            Self::LowerIsBetter => new < old,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_says_how_it_is_shown() {
        let top1 =
            Metric::new("top1", Some(5.0 / 6.0), Direction::HigherIsBetter).fraction().labelled("top-1");
        assert_eq!(top1.to_string(), "top-1 83.33 %");
        assert_eq!(
            (top1.key(), top1.averaged_key()),
            ("validation_top1".into(), "ema_validation_top1".into())
        );
        let loss = Metric::new("loss", Some(0.25), Direction::LowerIsBetter);
        assert_eq!(loss.to_string(), "loss 0.2500");
    }

    #[test]
    fn what_was_not_measured_is_null() {
        for value in [None, Some(f64::NAN), Some(f64::INFINITY)] {
            let metric = Metric::new("miou", value, Direction::HigherIsBetter).fraction();
            let text = serde_json::to_string(&metric).unwrap();
            assert_eq!(text, r#"{"name":"miou","value":null,"direction":"higher","unit":"fraction"}"#);
            assert_eq!(serde_json::from_str::<Metric>(&text).unwrap(), metric);
            assert_eq!(metric.to_string(), "miou not measured");
        }
    }
}
