//! From which probability on a class counts as being in an image.

/// The probability from which on a class is an answer, in evaluation and wherever no other is asked for.
pub const THRESHOLD: f64 = 0.5;

/// The probability that a class is in an image.
pub(crate) fn probability(logit: f32) -> f64 {
    1.0 / (1.0 + (-f64::from(logit)).exp())
}

/// `true` if a class is an answer.
pub(crate) fn is_answer(logit: f32) -> bool {
    probability(logit) >= THRESHOLD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_counts_from_the_threshold_on() {
        let at_threshold = (THRESHOLD / (1.0 - THRESHOLD)).ln() as f32;
        assert!(is_answer(at_threshold) && is_answer(at_threshold + 0.01));
        assert!(!is_answer(at_threshold - 0.01));
    }
}
