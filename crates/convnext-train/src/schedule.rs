//! The learning rate of every step (facts C1: cosine with linear warm-up, evaluated per step).

use std::f64::consts::PI;

/// Linear from 0 to `peak` over the warm-up, then half a cosine down to `minimum`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Highest learning rate.
    pub peak: f64,
    /// Learning rate that the cosine runs towards.
    pub minimum: f64,
    /// Steps of the warm-up; fractions count.
    pub warmup_steps: f64,
    /// Steps of the whole run.
    pub total_steps: usize,
}

impl Schedule {
    /// The learning rate of step `step`, counted from 0.
    pub fn learning_rate(&self, step: usize) -> f64 {
        let step = step as f64;
        if step < self.warmup_steps {
            return self.peak * step / self.warmup_steps;
        }
        let rest = self.total_steps as f64 - self.warmup_steps;
        let progress = if rest > 0.0 { ((step - self.warmup_steps) / rest).min(1.0) } else { 1.0 };
        self.minimum + (self.peak - self.minimum) * 0.5 * (1.0 + (PI * progress).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(step: usize, expected: f64) {
        let schedule = Schedule { peak: 1.0, minimum: 0.1, warmup_steps: 10.0, total_steps: 110 };
        let found = schedule.learning_rate(step);
        assert!((found - expected).abs() < 1e-12, "step {step}: {found}, expected {expected}");
    }

    #[test]
    fn the_curve_has_its_corners() {
        check(0, 0.0);
        check(5, 0.5);
        check(10, 1.0);
        check(60, 0.55);
        check(110, 0.1);
        check(35, 0.1 + 0.9 * 0.5 * (1.0 + (PI * 0.25).cos()));
    }

    #[test]
    fn without_warm_up_it_starts_at_the_peak() {
        let schedule = Schedule { peak: 2.0, minimum: 0.0, warmup_steps: 0.0, total_steps: 1 };
        assert_eq!(schedule.learning_rate(0), 2.0);
    }
}
