//! Random erasing in timm's pixel mode (docs/facts.md, "Mixup/CutMix/RandomErasing").

use std::ops::Range;

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::error::DataError;

/// Fills a random rectangle of a normalised image with noise: every value of every channel is drawn from
/// the normal distribution with mean 0 and standard deviation 1.
///
/// The rectangle takes between 0.02 and a third of the area, with equal probability; the logarithm of
/// height / width is uniform between ln 0.3 and -ln 0.3. (timm's `RandomErasing`, mode `pixel`, count 1.)
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomErasing {
    /// Probability that an image gets a rectangle, in [0, 1].
    pub probability: f64,
}

impl RandomErasing {
    /// Changes the values of an image, of shape `[channels, height, width]`.
    pub fn apply(&self, values: &mut [f32], height: usize, width: usize, rng: &mut impl rand::Rng) {
        if rng.random::<f64>() >= self.probability {
            return;
        }
        let Some((rows, columns)) = rectangle(height, width, rng) else { return };
        for channel in values.chunks_exact_mut(height * width) {
            for row in rows.clone() {
                let start = row * width;
                for value in &mut channel[start + columns.start..start + columns.end] {
                    *value = StandardNormal.sample(rng);
                }
            }
        }
    }

    /// Checks the probability against its range.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] when it is none.
    pub fn validate(&self) -> Result<(), DataError> {
        let probable = (0.0..=1.0).contains(&self.probability);
        DataError::check(probable, "probability of erasing", self.probability, "between 0 and 1")
    }
}

/// Rows and columns of a rectangle; `None` when ten draws in a row do not fit into the image.
fn rectangle(height: usize, width: usize, rng: &mut impl rand::Rng) -> Option<(Range<usize>, Range<usize>)> {
    const TRIES: usize = 10;
    const AREA: [f64; 2] = [0.02, 1.0 / 3.0];
    const RATIO: f64 = 0.3;
    for _ in 0..TRIES {
        let mut between = |least: f64, most: f64| least + (most - least) * rng.random::<f64>();
        let area = between(AREA[0], AREA[1]) * (height * width) as f64;
        let ratio = between(RATIO.ln(), -RATIO.ln()).exp();
        // Halves go to the even neighbour, as in Python.
        let side = |square: f64| square.sqrt().round_ties_even() as usize;
        let (rows, columns) = (side(area * ratio), side(area / ratio));
        if rows < height && columns < width {
            let top = rng.random_range(0..=height - rows);
            let left = rng.random_range(0..=width - columns);
            return Some((top..top + rows, left..left + columns));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use convnext_core::{Purpose, Seed};

    use super::*;
    use crate::transforms::distributions::Reference;

    #[test]
    fn rectangles_are_those_of_timm() {
        for (height, width) in [(224, 224), (32, 32), (20, 50)] {
            let mut reference = Reference::read(&format!("erasing {height}x{width}"));
            let mut rng = Seed(1).stream(Purpose::Augmentation, 0, height as u64);
            for _ in 0..10_000 {
                let drawn = rectangle(height, width, &mut rng);
                reference.add("fits", f64::from(u8::from(drawn.is_some())));
                let Some((rows, columns)) = drawn else { continue };
                let (h, w) = (rows.len() as f64, columns.len() as f64);
                reference.add("area", h * w / (height * width) as f64);
                reference.add("log ratio", (h / w).ln());
                reference.add("top", rows.start as f64 / (height - rows.len()) as f64);
                reference.add("left", columns.start as f64 / (width - columns.len()) as f64);
            }
            reference.check();
        }
    }

    #[test]
    fn noise_has_mean_0_and_deviation_1_and_stays_in_its_rectangle() {
        const SIDE: usize = 16;
        let erasing = RandomErasing { probability: 0.25 };
        let mut rng = Seed(2).stream(Purpose::Augmentation, 0, 0);
        let (mut erased, mut noise) = (0, Vec::new());
        for _ in 0..10_000 {
            let mut values = vec![100.0_f32; 3 * SIDE * SIDE];
            erasing.apply(&mut values, SIDE, SIDE, &mut rng);
            let changed = |colour: usize| -> Vec<usize> {
                let of = &values[colour * SIDE * SIDE..][..SIDE * SIDE];
                (0..of.len()).filter(|&index| of[index] != 100.0).collect()
            };
            assert!(changed(0) == changed(1) && changed(1) == changed(2));
            erased += usize::from(!changed(0).is_empty());
            noise.extend(values.into_iter().filter(|&value| value != 100.0).map(f64::from));
        }
        // Four standard errors: of a share, of a mean and of a variance of normal values.
        assert!((erased as f64 / 1e4 - 0.25).abs() < 4.0 * (0.25_f64 * 0.75 / 1e4).sqrt(), "{erased}");
        let count = noise.len() as f64;
        let mean = noise.iter().sum::<f64>() / count;
        let variance = noise.iter().map(|value| value * value).sum::<f64>() / count;
        assert!(mean.abs() < 4.0 / count.sqrt(), "{mean}");
        assert!((variance - 1.0).abs() < 4.0 * (2.0 / count).sqrt(), "{variance}");
    }

    #[test]
    fn tiny_images_and_impossible_probabilities_do_no_harm() {
        let mut rng = Seed(3).stream(Purpose::Augmentation, 0, 0);
        for (height, width) in [(1, 1), (1, 9), (2, 2)] {
            for _ in 0..100 {
                let mut values = vec![0.0; 3 * height * width];
                RandomErasing { probability: 1.0 }.apply(&mut values, height, width, &mut rng);
            }
        }
        for probability in [-0.1, 1.1, f64::NAN] {
            let error = RandomErasing { probability }.validate().unwrap_err().to_string();
            assert!(error.contains("probability of erasing"), "{error}");
        }
    }
}
