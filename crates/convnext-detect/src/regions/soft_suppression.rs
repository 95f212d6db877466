//! Soft suppression: a box that overlaps a better one loses score instead of being dropped (Bodla et al.
//! 2017).
//!
//! Follows `softnms_cpu` of mmcv (`mmcv/ops/csrc/pytorch/cpu/nms.cpp`, Apache-2.0) with offset 0, down to the
//! exchanges that decide which of equal scores comes first.

use convnext_core::BoundingBox;

/// How much of its score a box keeps beside a better one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decay {
    /// `1 - overlap` from an overlap of the threshold on.
    Linear {
        /// Intersection over union.
        threshold: f64,
    },
    /// `exp(-overlap² / sigma)`.
    Gaussian {
        /// Width of the curve.
        sigma: f64,
    },
}

impl Decay {
    /// The factor at an intersection over union.
    fn factor(self, overlap: f64) -> f64 {
        match self {
            Self::Linear { threshold } if overlap >= threshold => 1.0 - overlap,
            Self::Linear { .. } => 1.0,
            Self::Gaussian { sigma } => (-(overlap * overlap) / sigma).exp(),
        }
    }
}

/// A box that is still there, and what is known of it.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    at: usize,
    bounds: BoundingBox,
    score: f64,
}

/// Indices of the boxes with what is left of their scores, by descending score. Boxes whose score falls below
/// `min_score` beside a better box are dropped; the best box is kept whatever its score.
pub fn suppress_softly(
    boxes: &[BoundingBox],
    scores: &[f64],
    decay: Decay,
    min_score: f64,
) -> Vec<(usize, f64)> {
    let all = boxes.iter().zip(scores).enumerate();
    let mut candidates: Vec<Candidate> =
        all.map(|(at, (&bounds, &score))| Candidate { at, bounds, score }).collect();
    let mut picked = 0;
    while picked < candidates.len() {
        let mut best = picked;
        for at in picked + 1..candidates.len() {
            if candidates[best].score < candidates[at].score {
                best = at;
            }
        }
        candidates.swap(picked, best);
        let better = candidates[picked].bounds;
        picked += 1;
        let mut at = picked;
        while at < candidates.len() {
            let candidate = &mut candidates[at];
            candidate.score *= decay.factor(candidate.bounds.intersection_over_union(&better));
            if candidate.score < min_score {
                candidates.swap_remove(at);
            } else {
                at += 1;
            }
        }
    }
    candidates.into_iter().map(|candidate| (candidate.at, candidate.score)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_boxes_lose_score() {
        let boxes = [[0.0, 10.0], [0.0, 5.0], [20.0, 30.0]].map(|[left, right]| BoundingBox {
            left,
            top: 0.0,
            right,
            bottom: 10.0,
        });
        let scores = [0.8, 0.6, 0.5];
        let linear = Decay::Linear { threshold: 0.5 };
        assert_eq!(suppress_softly(&boxes, &scores, linear, 1e-3), [(0, 0.8), (2, 0.5), (1, 0.3)]);
        assert_eq!(suppress_softly(&boxes, &scores, linear, 0.4), [(0, 0.8), (2, 0.5)]);
        assert_eq!(suppress_softly(&boxes, &scores, Decay::Linear { threshold: 0.6 }, 1e-3)[1], (1, 0.6));
        let gaussian = suppress_softly(&boxes, &scores, Decay::Gaussian { sigma: 0.5 }, 1e-3);
        assert_eq!(gaussian[2], (1, 0.6 * (-0.5_f64).exp()));
        assert_eq!(suppress_softly(&boxes[..1], &[1e-6], linear, 1e-3), [(0, 1e-6)]);
        assert_eq!(suppress_softly(&[], &[], linear, 1e-3), []);
    }
}
