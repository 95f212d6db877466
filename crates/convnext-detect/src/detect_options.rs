//! Options of looking for objects.

use convnext_core::ConfigError;

use crate::regions::post_processing::DetectionRule;
use crate::regions::proposals::ProposalRule;
use crate::regions::suppression::Suppression;
use crate::tiles::Tiles;

/// How objects are looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectOptions {
    /// Proposals that the box head looks at, at most.
    pub proposals: usize,
    /// Boxes must have a higher score, in 0 to 1, before suppression: soft ones lower some below it.
    pub score: f64,
    /// What becomes of boxes that lie on better ones.
    pub suppression: Suppression,
    /// Objects of an image at most.
    pub at_most: usize,
    /// Parts of the image that are looked at one by one, besides the whole; `None` looks at the whole alone.
    pub tiles: Option<Tiles>,
}

impl Default for DetectOptions {
    /// As evaluation looks at images: a score of 0.05, 100 objects, hard suppression, the whole image.
    fn default() -> Self {
        let DetectionRule { score, at_most, .. } = DetectionRule::EVALUATION;
        let proposals = ProposalRule::INFERENCE.at_most;
        Self { proposals, score, suppression: Suppression::Hard, at_most, tiles: None }
    }
}

impl DetectOptions {
    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] with the first value that does not fit.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = |ok: bool, what, found: String, expected| match ok {
            true => Ok(()),
            false => Err(ConfigError::OutOfRange { what, found, expected }),
        };
        check(
            (1..=10_000).contains(&self.proposals),
            "proposals",
            self.proposals.to_string(),
            "from 1 to 10000",
        )?;
        check((0.0..1.0).contains(&self.score), "score", self.score.to_string(), "in [0, 1)")?;
        check(self.at_most > 0, "number of objects", "0".to_owned(), "at least 1")?;
        check(
            self.tiles.is_none() || self.suppression == Suppression::Hard,
            "suppression with tiles",
            self.suppression.to_string(),
            "hard, because what is found twice in tiles is merged; give --nms hard",
        )?;
        self.tiles.map_or(Ok(()), |tiles| tiles.validate())
    }

    pub(crate) fn rule(&self) -> DetectionRule {
        let (score, suppression, at_most) = (self.score, self.suppression.rule(), self.at_most);
        DetectionRule { score, suppression, at_most, ..DetectionRule::EVALUATION }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_with_soft_suppression_are_refused_with_the_flag_that_helps() {
        let tiles = Some(Tiles { side: 64, overlap: Tiles::OVERLAP });
        let hard = DetectOptions { tiles, ..DetectOptions::default() };
        assert_eq!(hard.validate(), Ok(()));
        let soft = DetectOptions { suppression: Suppression::SoftLinear, ..hard };
        let message = soft.validate().unwrap_err().to_string();
        assert!(message.contains("soft-linear") && message.contains("give --nms hard"), "{message}");
    }
}
