//! The boxes of an image that a loss is taken over: a fixed number at random, not more than a share of them
//! on objects.
//!
//! As `RandomSampler` of mmdet 3.3 (Apache-2.0) counts; the choice itself comes from the run's seed.

use rand::Rng;
use rand::seq::SliceRandom;

use crate::regions::assigner::Match;

/// Number of boxes of an image, and the share of those on objects.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SamplingRule {
    /// Boxes, if there are so many.
    pub count: usize,
    /// Boxes on objects are at most this share, rounded down; background fills the rest.
    pub positive_share: f64,
}

impl SamplingRule {
    /// The rule of anchors.
    pub const ANCHORS: Self = Self { count: 256, positive_share: 0.5 };

    /// The rule of the box head's regions.
    pub const REGIONS: Self = Self { count: 512, positive_share: 0.25 };
}

/// Chosen boxes, both lists in ascending order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    /// Box and its object.
    pub positives: Vec<(usize, usize)>,
    /// Boxes of background.
    pub negatives: Vec<usize>,
}

/// A random choice of boxes, none taken twice.
pub fn sample(matches: &[Match], rule: SamplingRule, stream: &mut impl Rng) -> Sample {
    let mut positives = Vec::new();
    let mut negatives = Vec::new();
    for (at, found) in matches.iter().enumerate() {
        match found {
            Match::Object(object) => positives.push((at, *object)),
            Match::Background => negatives.push(at),
            Match::Ignored => {}
        }
    }
    let positives = choose(positives, (rule.count as f64 * rule.positive_share) as usize, stream);
    let negatives = choose(negatives, rule.count.saturating_sub(positives.len()), stream);
    Sample { positives, negatives }
}

/// At most `count` of the candidates, in their order.
fn choose<T: Copy + Ord>(mut candidates: Vec<T>, count: usize, stream: &mut impl Rng) -> Vec<T> {
    if candidates.len() <= count {
        return candidates;
    }
    let (chosen, _) = candidates.partial_shuffle(stream, count);
    let mut chosen = chosen.to_vec();
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use convnext_core::{Purpose, Seed};

    use super::*;

    fn matches(objects: usize, background: usize) -> Vec<Match> {
        let of_objects = (0..objects).map(|at| Match::Object(at % 3));
        of_objects.chain(vec![Match::Ignored; 5]).chain(vec![Match::Background; background]).collect()
    }

    fn draw(matches: &[Match], sample_number: u64) -> Sample {
        let rule = SamplingRule { count: 10, positive_share: 0.25 };
        sample(matches, rule, &mut Seed(1).stream(Purpose::AnchorSample, 2, sample_number))
    }

    #[test]
    fn background_fills_what_objects_leave() {
        let counts = |found: &Sample| (found.positives.len(), found.negatives.len());
        assert_eq!(counts(&draw(&matches(50, 50), 0)), (2, 8));
        assert_eq!(counts(&draw(&matches(1, 50), 0)), (1, 9));
        assert_eq!(counts(&draw(&matches(0, 50), 0)), (0, 10));
        assert_eq!(counts(&draw(&matches(50, 3), 0)), (2, 3));
        assert_eq!(counts(&draw(&matches(0, 0), 0)), (0, 0));
    }

    #[test]
    fn a_choice_belongs_to_its_stream_and_reaches_all_boxes() {
        let matches = matches(30, 30);
        assert_eq!(draw(&matches, 3), draw(&matches, 3));
        assert_ne!(draw(&matches, 3), draw(&matches, 4));
        let mut taken = vec![0; matches.len()];
        for number in 0..400 {
            let Sample { positives, negatives } = draw(&matches, number);
            assert!(positives.is_sorted() && negatives.is_sorted());
            for (at, object) in positives {
                assert_eq!(matches[at], Match::Object(object));
                taken[at] += 1;
            }
            negatives.into_iter().for_each(|at| taken[at] += 1);
        }
        // Each of 30 candidates is expected in 26.7 choices of two, and in 106.7 of eight.
        assert!(taken[..30].iter().all(|&times| (8..=50).contains(&times)), "{taken:?}");
        assert_eq!(taken[30..35], [0; 5]);
        assert!(taken[35..].iter().all(|&times| (70..=145).contains(&times)), "{taken:?}");
    }
}
