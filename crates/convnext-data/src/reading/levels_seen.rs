//! Check, while images are decoded, that their values fit the range that they are scaled by.
//!
//! A range comes from a flag, from weights or from other images. Where it does not fit, everything becomes black or white,
//! and a model sees nothing.

use std::sync::{Mutex, PoisonError};

use crate::pixels::image::Image;

/// Levels of 256 below which too little is left of the data.
pub const MIN_LEVELS: usize = 64;

/// Levels that are told apart: those of 8 bit.
const LEVELS: usize = 256;

/// Images after which little contrast is no matter of a single image.
const ENOUGH: usize = 8;

/// The fraction of values at either end that does not count as used, because broken pixels and frames lie
/// there.
const ENDS: f64 = 0.01;

/// The fraction of values in black or white from which the range cuts off what matters.
const CUT_OFF: f64 = 0.75;

/// Histogram of the levels of the images so far.
#[derive(Debug, Default)]
pub(crate) struct LevelsSeen(Mutex<Counts>);

#[derive(Debug)]
struct Counts {
    images: usize,
    of_level: [u64; LEVELS],
}

impl Default for Counts {
    fn default() -> Self {
        Self { images: 0, of_level: [0; LEVELS] }
    }
}

impl LevelsSeen {
    /// Counts an image that was scaled by a range. Once enough were seen, what is wrong with the range, as text.
    pub(crate) fn add(&self, image: &Image) -> Option<String> {
        // A thread that panicked has left sums that are still sums.
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.images >= ENOUGH {
            return None;
        }
        counts.images += 1;
        image.bytes().iter().for_each(|&level| counts.of_level[usize::from(level)] += 1);
        if counts.images == ENOUGH { counts.finding() } else { None }
    }
}

impl Counts {
    fn finding(&self) -> Option<String> {
        let all: u64 = self.of_level.iter().sum();
        let share = |count: u64| count as f64 / all.max(1) as f64;
        let cut_off = share(self.of_level[0] + self.of_level[LEVELS - 1]);
        let levels = self.used();
        if cut_off > CUT_OFF {
            return Some(format!("{:.0} % of the values lie at its limits or outside", 100.0 * cut_off));
        }
        (levels < MIN_LEVELS).then(|| format!("nearly all values lie within {levels} of its 256 levels"))
    }

    /// Levels between the lowest and the highest that matter, without black and white, where all lies that a sensor could
    /// not tell.
    fn used(&self) -> usize {
        let between = &self.of_level[1..LEVELS - 1];
        let few = (between.iter().sum::<u64>() as f64 * ENDS) as u64;
        let low = first_above(few, between.iter()).unwrap_or(0);
        let high = first_above(few, between.iter().rev()).unwrap_or(0);
        LEVELS.saturating_sub(2 + low + high)
    }
}

/// The place at which counts add up to more than a few.
fn first_above<'a>(few: u64, mut counts: impl Iterator<Item = &'a u64>) -> Option<usize> {
    let mut sum = 0;
    counts.position(|count| {
        sum += count;
        sum > few
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The warning for images whose pixels have these levels in turn.
    fn said(levels: &[u8]) -> Option<String> {
        let seen = LevelsSeen::default();
        let image = || {
            let bytes = levels.iter().copied().cycle().take(400).collect();
            Image::new(20, 20, 1, bytes).unwrap()
        };
        let mut said: Vec<String> = (0..3 * ENOUGH).filter_map(|_| seen.add(&image())).collect();
        assert!(said.len() < 2, "{said:?}");
        said.pop()
    }

    #[test]
    fn ranges_that_do_not_fit_are_told_once() {
        assert!(said(&[0, 255, 255, 255]).unwrap().starts_with("100 %"));
        assert!(said(&[10, 12, 14]).unwrap().contains("5 of its 256 levels"));
        assert_eq!(said(&[10, 60, 120]), None);
        let with_frame: Vec<u8> =
            [0, 0, 255].into_iter().chain((0..600_u16).map(|i| 40 + (i % 5) as u8)).collect();
        assert!(said(&with_frame).unwrap().contains("5 of its 256"), "broken pixels count for nothing");
    }

    #[test]
    fn few_images_say_nothing() {
        let seen = LevelsSeen::default();
        let flat = Image::new(4, 4, 1, vec![7; 16]).unwrap();
        assert!((1..ENOUGH).all(|_| seen.add(&flat).is_none()));
    }
}
