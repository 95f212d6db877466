//! Anchors, coder and assignment.

use convnext_detect::{AnchorGrid, AssignmentRule, BoxCoder, Match, assign};
use serde::Deserialize;

use crate::{assert_near, boxes, coordinates, levels, size, sums};

#[derive(Deserialize)]
struct Assignment {
    levels: Vec<[usize; 3]>,
    anchors: usize,
    sums: [f64; 4],
    sample: Vec<usize>,
    boxes: Vec<[f64; 4]>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    padded: [usize; 2],
    objects: Vec<[f64; 4]>,
    valid: usize,
    /// Anchor and object.
    matched: Vec<[usize; 2]>,
    background: usize,
    background_places: usize,
    proposals: Vec<[f64; 4]>,
    /// -1 ignored, 0 background, `object + 1`.
    regions: Vec<i64>,
}

fn golden() -> Assignment {
    serde_json::from_str(include_str!("../goldens/logic/assignment.json")).unwrap()
}

#[test]
fn anchors_are_those_of_mmdet() {
    let golden = golden();
    let grid = AnchorGrid::new(levels(&golden.levels));
    assert_eq!(grid.boxes().len(), golden.anchors);
    assert_near(&sums(grid.boxes()), &golden.sums, "sums");
    let sampled = golden.sample.iter().map(|&at| &grid.boxes()[at]);
    // The same operations in the same order: the same bits.
    assert_eq!(coordinates(sampled), golden.boxes.into_flattened());
}

#[test]
fn anchors_have_the_objects_of_mmdet() {
    let golden = golden();
    let grid = AnchorGrid::new(levels(&golden.levels));
    for case in &golden.cases {
        let valid = grid.valid(size(case.padded));
        assert_eq!(valid.len(), case.valid, "{}", case.name);
        let anchors: Vec<_> = valid.iter().map(|&at| grid.boxes()[at]).collect();
        let found = assign(&anchors, &boxes(&case.objects), AssignmentRule::ANCHORS);
        let mut matched = Vec::new();
        let mut background = Vec::new();
        for (found, at) in found.into_iter().zip(valid) {
            match found {
                Match::Object(object) => matched.push([at, object]),
                Match::Background => background.push(at),
                Match::Ignored => {}
            }
        }
        assert_eq!(matched, case.matched, "{}", case.name);
        let places: usize = background.iter().sum();
        assert_eq!((background.len(), places), (case.background, case.background_places), "{}", case.name);
    }
}

#[test]
fn regions_have_the_objects_of_mmdet() {
    for case in golden().cases {
        let found = assign(&boxes(&case.proposals), &boxes(&case.objects), AssignmentRule::REGIONS);
        let number = |found: Match| match found {
            Match::Object(object) => object as i64 + 1,
            Match::Background => 0,
            Match::Ignored => -1,
        };
        assert_eq!(found.into_iter().map(number).collect::<Vec<_>>(), case.regions, "{}", case.name);
    }
}

#[test]
fn threads_change_no_match() {
    let golden = golden();
    let grid = AnchorGrid::new(levels(&golden.levels));
    for case in &golden.cases {
        let objects = boxes(&case.objects);
        let found = [1, 3].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| assign(grid.boxes(), &objects, AssignmentRule::ANCHORS))
        });
        assert_eq!(found[0], found[1], "{}", case.name);
    }
}

#[derive(Deserialize)]
struct Coder {
    deviations: [f64; 4],
    bases: Vec<[f64; 4]>,
    targets: Vec<[f64; 4]>,
    encoded: Vec<[f64; 4]>,
    deltas: Vec<[f64; 4]>,
    decoded: Vec<[f64; 4]>,
}

#[test]
fn differences_are_those_of_mmdet() {
    let cases: Vec<Coder> = serde_json::from_str(include_str!("../goldens/logic/coder.json")).unwrap();
    for (case, coder) in cases.into_iter().zip([BoxCoder::ANCHORS, BoxCoder::REGIONS]) {
        assert_eq!(coder.deviations, case.deviations);
        let (bases, targets) = (boxes(&case.bases), boxes(&case.targets));
        let encoded = bases.iter().zip(&targets).flat_map(|(base, target)| coder.encode(base, target));
        assert_near(&encoded.collect::<Vec<_>>(), &case.encoded.into_flattened(), "encoded");
        let decoded: Vec<_> =
            bases.iter().zip(case.deltas).map(|(base, deltas)| coder.decode(base, deltas)).collect();
        assert_near(&coordinates(&decoded), &case.decoded.into_flattened(), "decoded");
    }
}
