//! Mixup and CutMix: batches whose images are mixed in pairs (docs/facts.md, "Mixup/CutMix/RandomErasing").

use std::ops::Range;

use rand::RngExt;
use rand_distr::{Beta, Distribution};
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::loading::image_batch::{ImageBatch, LabelMix};
use crate::loading::source::Batch;

/// Mixes the images of a batch in pairs, all with the same weight: the first with the last, the second
/// with the last but one. The middle image of an odd batch is mixed with itself, so it stays.
///
/// *Mixup* adds the two images, weighted by w and 1 - w. *CutMix* replaces a box of the image by that of its
/// partner. Here w is drawn from Beta(a, a) for a batch, and the area of the box is the share 1 - w before
/// it is cut off at the borders. (timm's `Mixup`, mode `batch`, in version 0.3.2.)
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mixing {
    /// a of Mixup, at least 0. 0 switches it off.
    pub mixup: f64,
    /// a of CutMix, at least 0. 0 switches it off.
    pub cutmix: f64,
    /// Probability that a batch is mixed, in [0, 1].
    pub probability: f64,
    /// Probability of CutMix instead of Mixup where both are on, in [0, 1].
    pub switch_probability: f64,
}

/// The mix of one batch.
#[derive(Debug, Clone, PartialEq)]
enum Mix {
    Mixup { lam: f32 },
    CutMix { rows: Range<usize>, columns: Range<usize> },
}

impl Mixing {
    /// Mixes a batch, or leaves it as it is, and says so in [`ImageBatch::mix`].
    pub fn apply(&self, batch: &mut ImageBatch, rng: &mut impl rand::Rng) {
        let (height, width) = (batch.height, batch.width);
        let Some(mix) = self.draw(height, width, rng) else { return };
        let image = batch.channels * height * width;
        let images = batch.len();
        // The images of the first half, and their partners from the last image on.
        let (first, rest) = batch.images.split_at_mut(images / 2 * image);
        let pairs = first.chunks_exact_mut(image).zip(rest.rchunks_exact_mut(image));
        let lam = match mix {
            Mix::Mixup { lam } => {
                for (one, other) in pairs {
                    blend(one, other, lam);
                }
                lam
            }
            Mix::CutMix { rows, columns } => {
                for (one, other) in pairs {
                    for start in (0..batch.channels).flat_map(|c| rows.clone().map(move |y| c * height + y)) {
                        let part = start * width + columns.start..start * width + columns.end;
                        one[part.clone()].swap_with_slice(&mut other[part]);
                    }
                }
                1.0 - (rows.len() * columns.len()) as f32 / (height * width) as f32
            }
        };
        batch.mix = Some(LabelMix { lam });
    }

    fn draw(&self, height: usize, width: usize, rng: &mut impl rand::Rng) -> Option<Mix> {
        if rng.random::<f64>() >= self.probability {
            return None;
        }
        let switched = rng.random::<f64>() < self.switch_probability;
        let cut = self.cutmix > 0.0 && (self.mixup == 0.0 || switched);
        let alpha = if cut { self.cutmix } else { self.mixup };
        // Only an alpha that `validate` refuses has no distribution.
        let lam = Beta::new(alpha, alpha).ok()?.sample(rng);
        if !cut {
            return Some(Mix::Mixup { lam: lam as f32 });
        }
        let side_share = (1.0 - lam).sqrt();
        let mut span = |side: usize| {
            let half = (side as f64 * side_share) as usize / 2;
            let centre = rng.random_range(0..side);
            centre.saturating_sub(half)..(centre + half).min(side)
        };
        let rows = span(height);
        Some(Mix::CutMix { rows, columns: span(width) })
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] with the first value that does not fit.
    pub fn validate(&self) -> Result<(), DataError> {
        for (what, alpha) in [("mixup", self.mixup), ("cutmix", self.cutmix)] {
            DataError::check(alpha.is_finite() && alpha >= 0.0, what, alpha, "at least 0 and finite")?;
        }
        let something = self.mixup > 0.0 || self.cutmix > 0.0;
        let advice = "above 0 for one of them; leave mixing out to have neither";
        DataError::check(something, "mixing", "mixup 0 and cutmix 0", advice)?;
        for (what, probability) in [
            ("probability of mixing", self.probability),
            ("probability of switching to CutMix", self.switch_probability),
        ] {
            let probable = (0.0..=1.0).contains(&probability);
            DataError::check(probable, what, probability, "between 0 and 1")?;
        }
        Ok(())
    }
}

/// Mixes two images with each other.
fn blend(one: &mut [f32], other: &mut [f32], lam: f32) {
    let rest = 1.0 - lam;
    for (a, b) in one.iter_mut().zip(other) {
        (*a, *b) = (*a * lam + *b * rest, *b * lam + *a * rest);
    }
}

#[cfg(test)]
mod tests;
