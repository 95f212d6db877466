//! The regions of an image that the box and mask heads are trained on, and what they learn of them.

use convnext_core::BoundingBox;
use rand::Rng;

use crate::regions::assigner::{AssignmentRule, Match, assign};
use crate::regions::box_coder::BoxCoder;
use crate::regions::sampler::{Sample, SamplingRule, sample};
use crate::regions::training_objects::TrainingObject;

/// A region that the heads are trained on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampledRegion {
    /// Its box in pixels of the input.
    pub bounds: BoundingBox,
    /// The object in it; `None` for background.
    pub target: Option<RegionTarget>,
}

/// The object in a region.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RegionTarget {
    /// The object.
    pub object: TrainingObject,
    /// The deltas from the region to its box.
    pub deltas: [f64; 4],
}

/// Regions of an image, those with objects first. As in mmdet the boxes of the objects are regions too, in
/// front of the proposals. All choices come from `stream` ([`convnext_core::Purpose::RegionSample`]).
pub fn sample_regions(
    proposals: &[BoundingBox],
    objects: &[TrainingObject],
    rule: SamplingRule,
    stream: &mut impl Rng,
) -> Vec<SampledRegion> {
    let own: Vec<BoundingBox> = objects.iter().map(|object| object.bounds).collect();
    let mut matches: Vec<Match> = (0..objects.len()).map(Match::Object).collect();
    matches.extend(assign(proposals, &own, AssignmentRule::REGIONS));
    let bounds = |at: usize| own.get(at).copied().unwrap_or_else(|| proposals[at - own.len()]);

    let Sample { positives, negatives } = sample(&matches, rule, stream);
    let positive = |(at, object): (usize, usize)| {
        let (bounds, object) = (bounds(at), objects[object]);
        let deltas = BoxCoder::REGIONS.encode(&bounds, &object.bounds);
        SampledRegion { bounds, target: Some(RegionTarget { object, deltas }) }
    };
    let negative = |at: usize| SampledRegion { bounds: bounds(at), target: None };
    positives.into_iter().map(positive).chain(negatives.into_iter().map(negative)).collect()
}

#[cfg(test)]
mod tests {
    use convnext_core::{Purpose, Seed};

    use super::*;

    fn square(left: f64, side: f64) -> BoundingBox {
        BoundingBox { left, top: 0.0, right: left + side, bottom: side }
    }

    #[test]
    fn objects_are_regions_too() {
        let objects = [0.0, 50.0].map(|left| TrainingObject {
            instance: left as usize,
            class: 1,
            bounds: square(left, 20.0),
        });
        let proposals = [square(200.0, 9.0), square(52.0, 20.0), square(300.0, 9.0)];
        let mut stream = Seed(0).stream(Purpose::RegionSample, 0, 0);
        let found = sample_regions(&proposals, &objects, SamplingRule::REGIONS, &mut stream);
        let bounds: Vec<f64> = found.iter().map(|region| region.bounds.left).collect();
        assert_eq!(bounds, [0.0, 50.0, 52.0, 200.0, 300.0]);
        let instances: Vec<Option<usize>> =
            found.iter().map(|region| region.target.map(|target| target.object.instance)).collect();
        assert_eq!(instances, [Some(0), Some(50), Some(50), None, None]);
        assert_eq!(found[0].target.unwrap().deltas, [0.0; 4]);
        let deltas = found[2].target.unwrap().deltas;
        assert!((deltas[0] + 1.0).abs() < 1e-12 && deltas[1..] == [0.0; 3], "{deltas:?}");

        let few = SamplingRule { count: 2, positive_share: 0.5 };
        let found = sample_regions(&proposals, &objects, few, &mut stream);
        assert_eq!(found.iter().map(|region| region.target.is_some()).collect::<Vec<_>>(), [true, false]);
    }
}
