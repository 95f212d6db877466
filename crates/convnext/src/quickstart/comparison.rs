//! Results of a quickstart: pre-training against training from scratch, over seeds.

use convnext_study::Spread;
use serde::{Deserialize, Serialize};

/// Labels of each class that fine-tuning may use.
pub const LABELS_PER_CLASS: usize = 10;

/// Name of the results in a quickstart's folder.
pub const COMPARISON_FILE: &str = "comparison.json";

/// Two ways to a classifier, side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Labels of each class that both sides used.
    pub labels_per_class: usize,
    /// Each seed's results.
    pub seeds: Vec<SeedResult>,
    /// Top-1 after pre-training and fine-tuning.
    pub from_fcmae: Spread,
    /// Top-1 after training from scratch.
    pub from_scratch: Spread,
    /// The first less the second, seed by seed.
    pub difference: Spread,
    /// Seconds of training in all.
    pub seconds: f64,
}

/// One seed's results on the test images, as shares in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SeedResult {
    /// The seed of pre-training, choice of labels, and fine-tuning.
    pub seed: u64,
    /// Top-1 after pre-training and fine-tuning.
    pub from_fcmae: f64,
    /// Top-1 after training from scratch on the same labels.
    pub from_scratch: f64,
}

impl Comparison {
    pub(super) fn new(seeds: Vec<SeedResult>, seconds: f64) -> Self {
        let spread = |value: fn(&SeedResult) -> f64| Spread::of(seeds.iter().map(value));
        Self {
            labels_per_class: LABELS_PER_CLASS,
            from_fcmae: spread(|result| result.from_fcmae),
            from_scratch: spread(|result| result.from_scratch),
            difference: spread(SeedResult::difference),
            seeds,
            seconds,
        }
    }

    /// The result in one sentence: which side is ahead, and whether by more than the standard deviation across
    /// seeds.
    pub fn verdict(&self) -> String {
        let Self { seeds, difference, .. } = self;
        let percent = |spread: &Spread| format!("{:.2} %", 100.0 * spread.mean);
        let ahead = seeds.iter().filter(|result| result.difference() > 0.0).count();
        let points = format!("{:+.2} points", 100.0 * difference.mean);
        let judgement = match difference.deviation {
            None => "one seed decides nothing".to_owned(),
            Some(deviation) => {
                let spread = format!("the standard deviation across seeds, {:.2} points", 100.0 * deviation);
                match difference.mean {
                    mean if mean > deviation => format!("more than {spread}: pre-training helps here"),
                    mean if mean < -deviation => format!("by more than {spread}: pre-training hurts here"),
                    _ => format!("not more than {spread}: no clear difference"),
                }
            }
        };
        format!(
            "with {} labels a class, {} from FCMAE against {} from scratch: {points}, ahead in {ahead} of {}; \
             {judgement}",
            self.labels_per_class,
            percent(&self.from_fcmae),
            percent(&self.from_scratch),
            seeds.len(),
        )
    }
}

impl SeedResult {
    /// Top-1 with FCMAE pre-training minus top-1 from scratch.
    pub fn difference(&self) -> f64 {
        self.from_fcmae - self.from_scratch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_taken_seed_by_seed() {
        let result = |seed, from_fcmae, from_scratch| SeedResult { seed, from_fcmae, from_scratch };
        let comparison = Comparison::new(vec![result(0, 0.9, 0.8), result(1, 0.7, 0.65)], 1.0);
        let close = |found: f64, expected: f64| (found - expected).abs() < 1e-12;
        assert!(close(comparison.difference.mean, 0.075));
        assert!(close(comparison.difference.deviation.unwrap(), 0.05 / 2.0_f64.sqrt()));
        assert!(close(comparison.from_fcmae.mean, 0.8) && close(comparison.from_scratch.mean, 0.725));
        assert_eq!(Comparison::new(vec![result(0, 1.0, 0.0)], 1.0).difference.deviation, None);
    }

    #[test]
    fn the_verdict_is_honest() {
        let verdict = |pairs: &[(f64, f64)]| {
            let result = |(seed, &(from_fcmae, from_scratch))| SeedResult { seed, from_fcmae, from_scratch };
            Comparison::new((0..).zip(pairs).map(result).collect(), 1.0).verdict()
        };
        assert!(verdict(&[(0.9, 0.8), (0.9, 0.79)]).contains("+10.50 points, ahead in 2 of 2; more than"));
        assert!(verdict(&[(0.9, 0.8), (0.8, 0.9)]).contains("no clear difference"));
        assert!(verdict(&[(0.8, 0.9), (0.8, 0.91)]).contains("ahead in 0 of 2; by more than"));
        assert!(verdict(&[(0.8, 0.9), (0.8, 0.91)]).contains("hurts"));
        assert!(verdict(&[(0.9, 0.8)]).contains("one seed decides nothing"));
    }
}
