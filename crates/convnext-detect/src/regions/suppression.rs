//! The rule for boxes that lie on better ones, as a user names it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::regions::post_processing::SuppressionRule;

/// Non-maximum suppression: what becomes of the score of a box that lies on a box of its class with a higher score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suppression {
    /// The box goes where the intersection over union is above 0.5.
    #[default]
    Hard,
    /// The score is multiplied by one minus the intersection over union, where that is at least 0.5 (soft-NMS, linear).
    SoftLinear,
    /// The score is multiplied by `exp(-IoU^2 / 0.5)` (soft-NMS, gaussian).
    SoftGaussian,
}

impl Suppression {
    /// The rule with its numbers.
    pub(crate) fn rule(self) -> SuppressionRule {
        match self {
            Self::Hard => SuppressionRule::HARD,
            Self::SoftLinear => SuppressionRule::SOFT_LINEAR,
            Self::SoftGaussian => SuppressionRule::SOFT_GAUSSIAN,
        }
    }

    const NAMES: [(&'static str, Self); 3] =
        [("hard", Self::Hard), ("soft-linear", Self::SoftLinear), ("soft-gaussian", Self::SoftGaussian)];
}

impl fmt::Display for Suppression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, rule)| rule == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

impl FromStr for Suppression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::NAMES.iter().find(|(name, _)| *name == text).map(|(_, rule)| *rule);
        found.ok_or_else(|| format!("it is '{text}'; give hard, soft-linear or soft-gaussian"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_they_are_written() {
        for (name, rule) in Suppression::NAMES {
            assert_eq!((name.parse(), rule.to_string()), (Ok(rule), name.to_owned()));
            assert_eq!(serde_json::to_string(&rule).unwrap(), format!("\"{name}\""));
        }
        assert!("soft".parse::<Suppression>().unwrap_err().contains("soft-linear"));
    }
}
