//! Suppression, proposals and detections.

use std::collections::BTreeMap;

use convnext_detect::{
    Decay, DetectionRule, GroupedBoxes, LevelOutputs, ProposalRule, RegionOutputs, SuppressionRule,
    detections, proposals, suppress_softly,
};
use serde::Deserialize;

use crate::{assert_near, boxes, coordinates, levels, size, sums};

#[derive(Deserialize)]
struct Overlapping {
    kind: String,
    boxes: Vec<[f64; 4]>,
    scores: Vec<f64>,
    groups: Vec<usize>,
    /// By threshold: all boxes together, and by group.
    hard: BTreeMap<String, [Vec<usize>; 2]>,
    soft: Vec<Soft>,
}

#[derive(Deserialize)]
struct Soft {
    method: String,
    threshold: f64,
    sigma: f64,
    min_score: f64,
    kept: Vec<usize>,
    scores: Vec<f64>,
}

fn overlapping() -> Vec<Overlapping> {
    serde_json::from_str(include_str!("../goldens/logic/suppression.json")).unwrap()
}

#[test]
fn suppression_is_that_of_torchvision() {
    for case in overlapping() {
        for (threshold, expected) in case.hard {
            let limit: f64 = threshold.parse().unwrap();
            let one_group = vec![0; case.groups.len()];
            for (groups, expected) in [one_group, case.groups.clone()].into_iter().zip(expected) {
                let boxes = GroupedBoxes { boxes: boxes(&case.boxes), scores: case.scores.clone(), groups };
                assert_eq!(boxes.suppress(limit, usize::MAX), expected, "{} {threshold}", case.kind);
                assert_eq!(boxes.suppress(limit, 3), expected[..3], "{} {threshold}", case.kind);
            }
        }
    }
}

#[test]
fn soft_suppression_is_that_of_mmcv() {
    for case in overlapping() {
        for Soft { method, threshold, sigma, min_score, kept, scores } in case.soft {
            let decay = match method.as_str() {
                "linear" => Decay::Linear { threshold },
                _ => Decay::Gaussian { sigma },
            };
            let found = suppress_softly(&boxes(&case.boxes), &case.scores, decay, min_score);
            let (found, left): (Vec<usize>, Vec<f64>) = found.into_iter().unzip();
            assert_eq!(found, kept, "{} {method}", case.kind);
            assert_near(&left, &scores, &method);
        }
    }
}

#[derive(Deserialize)]
struct Proposals {
    levels: Vec<[usize; 3]>,
    image: [usize; 2],
    logits: Vec<Vec<f32>>,
    deltas: Vec<Vec<f32>>,
    cases: Vec<Proposed>,
}

#[derive(Deserialize)]
struct Proposed {
    best_of_level: usize,
    at_most: usize,
    count: usize,
    sums: [f64; 4],
    /// The first of them.
    boxes: Vec<[f64; 4]>,
    scores: Vec<f64>,
}

#[test]
fn proposals_are_those_of_mmdet() {
    let golden: Proposals = serde_json::from_str(include_str!("../goldens/logic/proposals.json")).unwrap();
    let values = golden.logits.iter().zip(&golden.deltas);
    let outputs: Vec<LevelOutputs<'_>> = levels(&golden.levels)
        .into_iter()
        .zip(values)
        .map(|(level, (objectness, deltas))| LevelOutputs { level, objectness, deltas })
        .collect();
    for case in golden.cases {
        let rule = ProposalRule {
            best_of_level: case.best_of_level,
            at_most: case.at_most,
            ..ProposalRule::TRAINING
        };
        let found = proposals(&outputs, size(golden.image), rule);
        assert_eq!(found.len(), case.count, "{rule:?}");
        assert_near(&sums(found.iter().map(|proposal| &proposal.bounds)), &case.sums, "sums");
        let first = &found[..case.boxes.len()];
        let scores: Vec<f64> = first.iter().map(|proposal| proposal.score).collect();
        assert_near(&scores, &case.scores, "scores");
        let bounds = coordinates(first.iter().map(|proposal| &proposal.bounds));
        assert_near(&bounds, &case.boxes.into_flattened(), "boxes");
    }
}

#[derive(Deserialize)]
struct Regions {
    classes: usize,
    image: [usize; 2],
    regions: Vec<[f64; 4]>,
    logits: Vec<f32>,
    deltas: Vec<f32>,
    results: Vec<Detected>,
}

#[derive(Deserialize)]
struct Detected {
    method: String,
    score: f64,
    at_most: usize,
    boxes: Vec<[f64; 4]>,
    scores: Vec<f64>,
    classes: Vec<usize>,
}

#[test]
fn detections_are_those_of_mmdet() {
    let cases: Vec<Regions> = serde_json::from_str(include_str!("../goldens/logic/detections.json")).unwrap();
    for case in cases {
        let regions = boxes(&case.regions);
        let outputs = RegionOutputs { regions: &regions, logits: &case.logits, deltas: &case.deltas };
        for Detected { method, score, at_most, boxes, scores, classes } in case.results {
            let suppression = match method.as_str() {
                "hard" => SuppressionRule::HARD,
                "linear" => SuppressionRule::SOFT_LINEAR,
                _ => SuppressionRule::SOFT_GAUSSIAN,
            };
            let rule = DetectionRule { score, suppression, at_most, ..DetectionRule::EVALUATION };
            let found = detections(&outputs, case.classes, size(case.image), rule);
            let name = format!("{method} {at_most} of {} classes", case.classes);
            assert_eq!(found.iter().map(|found| found.class).collect::<Vec<_>>(), classes, "{name}");
            assert_near(&found.iter().map(|found| found.score).collect::<Vec<_>>(), &scores, &name);
            let bounds = coordinates(found.iter().map(|found| &found.bounds));
            assert_near(&bounds, &boxes.into_flattened(), &name);
        }
    }
}
