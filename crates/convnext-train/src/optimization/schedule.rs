//! The learning rate of every step.
//!
//! Cosine with a linear warm-up from 0 is the release's (facts C1). Poly and milestones are those of
//! OpenMMLab's trainings, which Tables 6 and 7 of the paper use (facts E and F), and so is a warm-up that starts above
//! 0: [`mmcv/runner/hooks/lr_updater.py`](https://github.com/open-mmlab/mmcv/blob/0087cac1492ada6781c9e3ee56d8b6d2631f95d7/mmcv/runner/hooks/lr_updater.py)
//! (Apache 2.0), with `by_epoch=False`. What differs, and why:
//!
//! - cosine begins after the warm-up, as the release's does, and not with the first step;
//! - mmengine, the later code, lets poly begin after the warm-up, and its `LinearLR` until step `end` reaches the
//!   peak at step `end - 1`. mmcv's rule is the one of the published results.

use std::f64::consts::PI;
use std::fmt;

/// Linear to `peak` over the warm-up, and down a curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Highest learning rate.
    pub peak: f64,
    /// Learning rate that the curve runs towards and never falls below.
    pub minimum: f64,
    /// Steps of the warm-up; fractions count, but a warm-up shorter than one step is none: the first step would learn
    /// nothing, and it may be the only one.
    pub warmup_steps: f64,
    /// Share of the curve's rate that the first step of the warm-up has: mmcv's `warmup_ratio`.
    pub warmup_start: f64,
    /// Steps of the whole run.
    pub total_steps: usize,
    /// Decay curve of the rate.
    pub curve: RateCurve,
}

/// Decay curve of a learning rate.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum RateCurve {
    /// Half a cosine, from the end of the warm-up to the end of the run.
    #[default]
    Cosine,
    /// `(1 - step / total)^power`, from the first step on.
    Poly {
        /// 1 is a straight line.
        power: f64,
    },
    /// The peak, times `factor` for each milestone that was reached.
    Milestones {
        /// Steps, from the first one of the run.
        steps: Vec<usize>,
        /// PyTorch's `gamma`.
        factor: f64,
    },
}

impl Schedule {
    /// The learning rate of step `step`, counted from 0.
    pub fn learning_rate(&self, step: usize) -> f64 {
        let on_curve = self.on_curve(step);
        let (time, warmup) = (step as f64, self.warmup());
        if time >= warmup {
            return on_curve;
        }
        // mmcv's `1 - (1 - t / W) * (1 - ratio)`, sorted so that a start of 0 changes no bit of the first term.
        on_curve * time / warmup * (1.0 - self.warmup_start) + on_curve * self.warmup_start
    }

    /// Steps of the warm-up that are made.
    fn warmup(&self) -> f64 {
        if self.warmup_steps < 1.0 { 0.0 } else { self.warmup_steps }
    }

    /// The rate as it would be without a warm-up.
    fn on_curve(&self, step: usize) -> f64 {
        let (time, total, warmup) = (step as f64, self.total_steps as f64, self.warmup());
        match &self.curve {
            RateCurve::Cosine if time < warmup => self.peak,
            RateCurve::Cosine => {
                let rest = total - warmup;
                let progress = if rest > 0.0 { ((time - warmup) / rest).min(1.0) } else { 1.0 };
                self.minimum + (self.peak - self.minimum) * 0.5 * (1.0 + (PI * progress).cos())
            }
            RateCurve::Poly { power } => {
                let left = (1.0 - time / total).max(0.0);
                self.minimum + (self.peak - self.minimum) * left.powf(*power)
            }
            RateCurve::Milestones { steps, factor } => {
                let reached = steps.iter().filter(|&&milestone| milestone <= step).count();
                (self.peak * factor.powi(reached as i32)).max(self.minimum)
            }
        }
    }
}

impl fmt::Display for Schedule {
    /// Such as `learning rate 1.0e-3 at most, warm-up of 12 steps, cosine to 1.0e-6`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "learning rate {:.1e} at most", self.peak)?;
        if self.warmup() > 0.0 {
            write!(formatter, ", warm-up of {} steps", (10.0 * self.warmup()).round() / 10.0)?;
        }
        let end = if self.minimum == 0.0 { "0".to_owned() } else { format!("{:.1e}", self.minimum) };
        match &self.curve {
            RateCurve::Cosine => write!(formatter, ", cosine to {end}"),
            RateCurve::Poly { power } => write!(formatter, ", poly of power {power} to {end}"),
            RateCurve::Milestones { steps, factor } => {
                write!(formatter, ", times {factor} at the steps {steps:?}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(warmup_steps: f64, warmup_start: f64) -> Schedule {
        let curve = RateCurve::Cosine;
        Schedule { peak: 1.0, minimum: 0.1, warmup_steps, warmup_start, total_steps: 110, curve }
    }

    fn check(schedule: &Schedule, expected: &[(usize, f64)]) {
        for &(step, expected) in expected {
            let found = schedule.learning_rate(step);
            let error = (found - expected).abs();
            assert!(error <= 1e-12 * schedule.peak, "step {step}: {found}, expected {expected}");
        }
    }

    #[test]
    fn the_curve_has_its_corners() {
        let quarter = 0.1 + 0.9 * 0.5 * (1.0 + (PI * 0.25).cos());
        let expected = [(0, 0.0), (5, 0.5), (10, 1.0), (35, quarter), (60, 0.55), (110, 0.1)];
        check(&cosine(10.0, 0.0), &expected);
    }

    #[test]
    fn it_is_said_in_words() {
        let words = "learning rate 1.0e0 at most, warm-up of 10 steps, cosine to 1.0e-1";
        assert_eq!(cosine(10.0, 0.0).to_string(), words);
        let curve = RateCurve::Milestones { steps: vec![60, 80], factor: 0.1 };
        let milestones = Schedule { curve, ..cosine(0.0, 0.0) };
        assert_eq!(milestones.to_string(), "learning rate 1.0e0 at most, times 0.1 at the steps [60, 80]");
        let poly = Schedule { minimum: 0.0, curve: RateCurve::Poly { power: 2.0 }, ..milestones };
        assert_eq!(poly.to_string(), "learning rate 1.0e0 at most, poly of power 2 to 0");
    }

    #[test]
    fn without_warm_up_it_starts_at_the_peak() {
        let schedule = Schedule { peak: 2.0, minimum: 0.0, total_steps: 1, ..cosine(0.0, 0.0) };
        assert_eq!(schedule.learning_rate(0), 2.0);
    }

    /// Bug: the only step of a training was within its warm-up, and so had a rate of 0.
    #[test]
    fn a_warm_up_shorter_than_a_step_is_none() {
        let poly = RateCurve::Poly { power: 1.0 };
        for curve in [RateCurve::Cosine, poly] {
            let short = Schedule { total_steps: 1, curve, ..cosine(0.2, 0.0) };
            check(&short, &[(0, 1.0)]);
            assert!(!short.to_string().contains("warm-up"), "{short}");
        }
        assert_eq!(cosine(0.99, 0.5).learning_rate(7), cosine(0.0, 0.5).learning_rate(7));
        check(&cosine(1.0, 0.0), &[(0, 0.0), (1, 1.0)]);
        assert!(cosine(1.0, 0.0).to_string().contains("warm-up of 1 steps"));
    }

    /// Rates of runs that began before there was more than a cosine must not change in a single bit.
    #[test]
    fn a_cosine_from_zero_has_the_bits_of_the_formula_before() {
        for (peak, minimum, warmup, total) in [
            (8e-4, 1e-6, 0.0, 977),
            (2.4e-3, 0.0, 40.0 * 7.3, 5840),
            (3.2e-3, 1e-6, 12.7, 101),
            (1e-3, 0.0, 9.0, 9),
        ] {
            let curve = RateCurve::Cosine;
            let schedule = Schedule {
                peak,
                minimum,
                warmup_steps: warmup,
                warmup_start: 0.0,
                total_steps: total,
                curve,
            };
            for step in 0..=total {
                let time = step as f64;
                let before = if time < warmup {
                    peak * time / warmup
                } else {
                    let rest = total as f64 - warmup;
                    let progress = if rest > 0.0 { ((time - warmup) / rest).min(1.0) } else { 1.0 };
                    minimum + (peak - minimum) * 0.5 * (1.0 + (PI * progress).cos())
                };
                assert_eq!(
                    schedule.learning_rate(step).to_bits(),
                    before.to_bits(),
                    "step {step} of {total}"
                );
            }
        }
    }

    /// mmcv's warm-up: `regular * (1 - (1 - t / W) * (1 - ratio))`; PyTorch's `LinearLR`, the same with other words:
    /// `peak * (start_factor + (1 - start_factor) * t / total_iters)`.
    #[test]
    fn a_warm_up_may_start_above_zero() {
        // ratio 0.1, W 10: 1 - 0.9 = 0.1; 1 - 0.5 * 0.9 = 0.55; 1 - 0.1 * 0.9 = 0.91.
        check(&cosine(10.0, 0.1), &[(0, 0.1), (5, 0.55), (9, 0.91), (10, 1.0), (60, 0.55)]);
        check(&cosine(10.0, 1.0), &[(0, 1.0), (5, 1.0), (10, 1.0)]);
        // mmdet's start_factor 0.001 until step 1000: total_iters is 999, at step 500 0.001 + 0.999 * 500 / 999 = 0.501.
        let detection = Schedule { total_steps: 90_000, ..cosine(999.0, 0.001) };
        check(&detection, &[(0, 0.001), (500, 0.501), (999, 1.0)]);
    }

    /// mmseg's `poly`: `(base - min) * (1 - t / T)^power + min`, and mmcv's warm-up over it.
    #[test]
    fn poly_is_that_of_mmseg() {
        let poly = |power, minimum, warmup_steps| {
            let (warmup_start, curve) = (1e-6, RateCurve::Poly { power });
            Schedule { peak: 1e-4, minimum, warmup_steps, warmup_start, total_steps: 160_000, curve }
        };
        // (1 - 750 / 160000) * (1 - 0.5 * (1 - 1e-6)) = 0.9953125 * 0.5000005; 1 - 1500 / 160000 = 0.990625.
        let first = 1e-4 * 0.9953125 * 0.5000005;
        let expected = [(0, 1e-10), (750, first), (1500, 0.990625e-4), (80_000, 0.5e-4), (160_000, 0.0)];
        check(&poly(1.0, 0.0, 1500.0), &expected);
        // Half way: (1e-4 - 2e-5) * 0.5^2 + 2e-5 = 4e-5; after three quarters 8e-5 / 16 + 2e-5 = 2.5e-5.
        let expected = [(0, 1e-4), (80_000, 4e-5), (120_000, 2.5e-5), (160_000, 2e-5), (200_000, 2e-5)];
        check(&poly(2.0, 2e-5, 0.0), &expected);
        // mmseg's usual 0.9: 0.25^0.9 = 2^-1.8.
        check(&poly(0.9, 0.0, 0.0), &[(120_000, 1e-4 * 2.0_f64.powf(-1.8))]);
    }

    /// PyTorch's `MultiStepLR`: `base * gamma^(milestones reached)`, and mmcv's `max(lr, min_lr)`.
    #[test]
    fn milestones_are_those_of_mmdet() {
        // 36 epochs of 100 steps, milestones 27 and 33, a tenth each time; warm-up of 10 steps from 0.001.
        let curve = RateCurve::Milestones { steps: vec![2700, 3300], factor: 0.1 };
        let schedule = Schedule {
            peak: 1e-4,
            minimum: 0.0,
            warmup_steps: 10.0,
            warmup_start: 0.001,
            total_steps: 3600,
            curve,
        };
        let corners = [(0, 1e-7), (5, 0.5005e-4), (10, 1e-4), (2699, 1e-4), (2700, 1e-5), (3299, 1e-5)];
        check(&schedule, &corners);
        check(&schedule, &[(3300, 1e-6), (3599, 1e-6)]);
        let bounded = Schedule { minimum: 5e-6, ..schedule };
        check(&bounded, &[(2700, 1e-5), (3300, 5e-6)]);
    }

    #[test]
    fn a_milestone_within_the_warm_up_counts() {
        // 1 * 0.5 after the milestone, times t / W.
        let curve = RateCurve::Milestones { steps: vec![4], factor: 0.5 };
        let schedule = Schedule { minimum: 0.0, curve, ..cosine(8.0, 0.0) };
        check(&schedule, &[(2, 0.25), (4, 0.25), (6, 0.375), (8, 0.5)]);
    }
}
